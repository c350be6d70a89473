"""What a failure report shows of a header: enough to find the fault, and nobody who got the message (RFC 6590).

    To: Bob <bob@company.com.example>     ->  To: x2t5k7...@company.com.example
    X-Customer: 4711                      ->  X-Customer: redacted

A local part becomes a keyed hash of its address, so that who reads several reports sees that they are about one
mailbox, but not whose. The author's organization knows its own addresses: in fields that name who sent a message they
stay. The value of a field that nobody knows could name anybody, and goes.
"""

from __future__ import annotations

import hmac
import re
from base64 import b32encode
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import Final

from purport.mail.dsn import HEADER_LIMIT
from purport.mail.fields import mailboxes
from purport.mail.header import Field, Header

HIDDEN: Final = "redacted"
HASH_LENGTH: Final = 20  # characters of five bits: two addresses never meet in them
FIELDS: Final = 500  # shown of one header
ADDRESSES: Final = 200  # hashed of one header, in milliseconds; the fields of a list of more are hidden
# Who sent it.
ORIGINATORS: Final = frozenset(
    ("from", "sender", "reply-to", "return-path", "resent-from", "resent-sender", "dkim-signature")
)
RECIPIENTS: Final = frozenset(("to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc", "delivered-to"))
# What else is known to say how a message came, and what it is; addresses in it are redacted.
SHOWN: Final = ORIGINATORS | frozenset(
    (
        "received",
        "received-spf",
        "authentication-results",
        "arc-seal",
        "arc-message-signature",
        "arc-authentication-results",
        "date",
        "subject",
        "resent-date",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
        "auto-submitted",
        "precedence",
        "list-id",
    )
)
AS_IT_IS: Final = frozenset(("message-id", "resent-message-id"))  # what the owner finds the message by
WHITE: Final = " \t\r\n"
DELIMITERS: Final = f"{WHITE}<>()[],;:\"'\\"
# What stands before an address in DKIM-Signature, Authentication-Results and Received-SPF.
TAG: Final = re.compile(r"(?:i|envelope-from|(?:smtp|header|policy)\.[a-z-]{1,20})=")
DOMAIN: Final = re.compile(r"[A-Za-z0-9._-]{1,255}")


@dataclass(frozen=True, slots=True)
class Redaction:
    """How one report is redacted: `secret` keys the hashes, `organization` is the author's, in lower case."""

    secret: bytes = field(repr=False)
    organization: str

    def header(self, header: Header) -> bytes:
        """The fields, in their order, as far as a report has room for them."""
        shown: list[bytes] = []
        room, addresses = HEADER_LIMIT, ADDRESSES
        for one in header.fields[:FIELDS]:
            if not one.name:  # no field, whatever it is
                continue
            if len(one.raw) > room:  # looked at before it costs anything
                break
            signs = one.raw.count(b"@")
            octets = self._field(one, hidden=signs > addresses)
            if signs <= addresses:
                addresses -= signs
            room -= len(octets)
            shown.append(octets)
        return b"".join(shown)

    def address(self, address: str) -> str:
        """An address of somebody who sent something."""
        return self._addresses(address, own=True)

    def _field(self, one: Field, *, hidden: bool) -> bytes:
        name = one.name
        if name in AS_IT_IS:
            return one.raw
        if name in SHOWN and not hidden:
            begin, colon, value = one.raw.partition(b":")
            text = self._addresses(value.decode("utf-8", "surrogateescape"), own=name in ORIGINATORS)
            return begin + colon + text.encode("utf-8", "surrogateescape")
        written = one.raw.partition(b":")[0].rstrip(b" \t")
        shown = self._recipients(one) if name in RECIPIENTS and not hidden else HIDDEN
        return b"%s: %s\r\n" % (written, shown.encode("utf-8", "replace"))

    def _recipients(self, one: Field) -> str:
        """The addresses without names and comments."""
        try:
            found = mailboxes(one.text)
        except ValueError:
            return HIDDEN
        return ",\r\n ".join(self._addresses(f"{mailbox.local_part}@{mailbox.domain}", own=False) for mailbox in found)

    def _addresses(self, text: str, *, own: bool) -> str:
        """A text with every local part in it replaced, but for those of the organization where it is about its `own`.

        What stands before an at sign is a local part, from the last delimiter on. No regular expression looks for its
        begin: what others wrote must not cost more than a look at each of its characters.
        """
        pieces = text.split("@")
        written: list[str] = []
        for piece, behind in pairwise(pieces):
            space = len(piece.rstrip(WHITE))  # RFC 5322 section 4.4 lets it stand before the sign
            begin = _begin(piece[:space])
            found = DOMAIN.match(behind)
            domain = found[0].lower().rstrip(".") if found else ""
            if begin == space or (own and f".{domain}".endswith(f".{self.organization}")):
                written.append(piece)
            else:
                written.append(piece[:begin] + self._hash(piece[begin:space], domain) + piece[space:])
        return "@".join((*written, pieces[-1]))

    def _hash(self, local_part: str, domain: str) -> str:
        digest = hmac.digest(self.secret, f"{local_part}@{domain}".encode("utf-8", "surrogateescape"), sha256)
        return b32encode(digest).decode("ascii")[:HASH_LENGTH].lower()


def _begin(piece: str) -> int:
    """Where the local part begins that a piece of text ends with."""
    if not piece.endswith('"'):
        begin = max(piece.rfind(delimiter) for delimiter in DELIMITERS) + 1
        tag = TAG.match(piece, begin)
        return begin if tag is None else tag.end()
    begin = piece.rfind('"', 0, len(piece) - 1)
    while begin > 0 and piece[begin - 1] == "\\":
        begin = piece.rfind('"', 0, begin)
    return max(begin, 0)
