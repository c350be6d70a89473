"""SUBMITTER, the "Responsible Submitter" extension: who is responsible for submitting the message (RFC 4405).

    MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example

The value is the purported responsible address of the message (RFC 4407). It changes neither the reverse-path nor
where a delivery report goes (RFC 4405 section 4.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purport.mail import xtext
from purport.mail.address import Mailbox, a_label_address, parse_mailbox
from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import Reply, reply
from purport.smtp.extension import Extension, Outgoing, Terms

# The texts are normative, the full stop with them (RFC 4405 section 4.2).
NOT_ALLOWED: Final = reply(550, "5.7.1", "Submitter not allowed.")
DOES_NOT_MATCH: Final = reply(550, "5.7.1", "Submitter does not match header.")
CANNOT_VERIFY: Final = reply(554, "5.7.7", "Cannot verify submitter address.")
NEEDS_SMTPUTF8: Final = reply(501, "5.5.4", "Bad value of SUBMITTER")  # as of any value that is outside its grammar


def decode(value: bytes | None) -> Mailbox:
    """The Mailbox that an xtext stands for (RFC 4405 section 4). Raises ValueError."""
    if value is None:
        raise ValueError("SUBMITTER needs a value")
    return parse_mailbox(xtext.decode(value, utf8=True).decode("utf-8"), utf8=True)


def encode(submitter: Mailbox) -> bytes:
    """A mailbox as the value of SUBMITTER. Raises ValueError where it needs SMTPUTF8."""
    return xtext.encode(str(submitter).encode("ascii"))


SUBMITTER: Final = Parameter("SUBMITTER", decode, encode)


def check(parameters: Parameters, _terms: Terms) -> Reply | None:
    """Octets beyond ASCII stand for an address only beside SMTPUTF8 (RFC 6531 section 3.3), escaped ones too."""
    submitter = parameters.get(SUBMITTER)
    if submitter is None or str(submitter).isascii() or "SMTPUTF8" in parameters:
        return None
    return NEEDS_SMTPUTF8


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """The address responsible for the header as it goes out, never a value the message came with (RFC 4405
    section 4.1), also with a null reverse-path; nothing to a host without the extension (section 4.3), and nothing
    where the header names nobody."""
    if offer is None or message.pra is None:
        return {}
    pra = a_label_address(message.pra)
    if message.utf8:  # then the host offers SMTPUTF8: raw UTF-8 may stand there (RFC 6531 section 3.3)
        return {SUBMITTER.keyword: xtext.encode(str(pra).encode(), utf8=True)}
    try:
        return {SUBMITTER.keyword: encode(pra)}
    except ValueError:
        return {}  # the value would need SMTPUTF8, and a parameter is no reason to lose the message


EXTENSION: Final = Extension(
    keyword="SUBMITTER",
    rfc=4405,
    mail=(SUBMITTER,),
    check=check,
    # RFC 4405 names none, though RFC 5321 section 2.2.1 asks for it. The longest there is: SP "SUBMITTER=" 11, a local
    # part of 64 octets that are all escaped 192, "@", a domain of 255 (RFC 5321 section 4.5.3.1).
    mail_octets=11 + 3 * 64 + 1 + 255,
    outbound=outbound,
)
