"""What a message holds, as far as sending it depends on that: octets above 127, and who is responsible for it."""

from __future__ import annotations

from typing import final

from purport.authentication.arc.sets import NAMES as CHAIN
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.intact import intact
from purport.authentication.dkim.sign import FORM
from purport.authentication.dkim.signature import FIELD as SIGNATURE
from purport.authentication.dkim.signature import read_signature
from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail.address import Mailbox
from purport.mail.conversion import CannotConvert, to_7bit
from purport.mail.header import HEADER_LIMIT, Field, header_ends, read_header, without_fields
from purport.queue.store import Body, QueuedMessage


@final
class Content:
    """Made once for a message, used for all its next hops."""

    __slots__ = ("_known", "_responsible", "beginning", "eightbit")

    def __init__(self, beginning: bytes, *, eightbit: bool) -> None:
        self.beginning = beginning  # of the body: at least the header, or as much of it as is read
        self._known = False
        self._responsible: Mailbox | None = None
        self.eightbit = eightbit  # whether there are octets above 127, in our trace fields too

    def responsible(self, trace: bytes) -> Mailbox | None:
        """The purported responsible address of the header as it is sent, our `trace` fields on top (RFC 4405
        section 4.1): never the value that the message came with, which may be about another header."""
        if not self._known:
            self._known = True
            header = read_header(trace + self.beginning[:HEADER_LIMIT])
            self._responsible = purported_responsible_address(header).address
        return self._responsible

    def header_in_utf8(self, trace: bytes) -> bool:
        """Whether the header as it is sent has octets beyond ASCII (RFC 6532)."""
        if not self.eightbit:
            return False
        end = header_ends(self.beginning)
        return not (trace.isascii() and self.beginning[: end if end >= 0 else None].isascii())


def converted(message: QueuedMessage, signer: Signer = NO_SIGNER, now: float = 0.0) -> tuple[bytes, bytes]:
    """The trace fields and the body as every host takes them; not for the event loop. Raises CannotConvert, and
    OSError.

    What somebody else signed is not converted: the signature would be lost, and the reader could not tell why. A
    signature of ours, which stands among our trace fields, is made again; a seal of ours is left out, since a chain
    that does not hold is worth less than none.
    """
    trace = _unsealed(message.trace)
    octets = message.body.octets()
    if not trace.isascii():
        raise CannotConvert("its trace fields hold an address beyond ASCII")
    if octets is None:
        octets = b"".join(message.body.pieces())
    own = read_header(trace).all(SIGNATURE)
    header = read_header(octets)
    for signature in intact(header, (octets[header.length :],)):
        raise CannotConvert(f"conversion would break the signature of {signature.domain}", status="5.6.2")
    octets = to_7bit(octets)
    return (_signed_again(own, trace, octets, signer, now) if own else trace), octets


def _unsealed(trace: bytes) -> bytes:
    header = read_header(trace)
    return without_fields(trace, header, [field for field in header if field.name in CHAIN])


def _signed_again(own: list[Field], trace: bytes, octets: bytes, signer: Signer, now: float) -> bytes:
    """The trace fields with our signatures of another form of the message; without those whose keys are gone."""
    header = read_header(trace + octets)
    hashes = hash_body(((trace + octets)[header.length :],), FORM)
    for field in own:
        trace = trace.replace(field.raw, signer.again(read_signature(field), header, hashes, now), 1)
    return trace


def in_memory(message: QueuedMessage, octets: bytes) -> Content:
    """The content of a message whose body is at hand."""
    return Content(octets, eightbit=not (octets.isascii() and message.trace.isascii()))


def on_disk(trace: bytes, body: Body) -> Content:
    """The content of a message whose body has to be read; not for the event loop. Raises OSError."""
    beginning = b""
    eightbit = not trace.isascii()
    for piece in body.pieces():
        if len(beginning) < HEADER_LIMIT:
            beginning += piece
        eightbit = eightbit or not piece.isascii()
        if eightbit and len(beginning) >= HEADER_LIMIT:
            break
    return Content(beginning[:HEADER_LIMIT], eightbit=eightbit)
