"""Signatures of ours (RFC 6376 section 5, RFC 8301, RFC 8463).

Every field that a reader goes by is signed once more than it stands there, so that none can be added: neither a second
From above ours nor a Subject to a message without one. Sender is not: a server that forwards the message has to be able
to say who it is. Bodies are signed whole.
"""

from __future__ import annotations

import hashlib
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from purport.authentication.dkim.body import BodyForm
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.key import ED25519_OCTETS, PADDING, RSA_LEAST, SHA256_HASH, Kind
from purport.mail.header import Header

FORM: Final = BodyForm(relaxed=True)  # of the bodies that we sign; c=relaxed/relaxed survives the most
# Signed once more than they stand there, also where they do not.
OVERSIGNED: Final = (
    "From",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Reply-To",
    "Message-ID",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
)
# Signed where they stand (RFC 6376 section 5.4.1): others may add theirs.
SIGNED: Final = (
    "Sender",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "TLS-Report-Domain",  # RFC 8460 section 5.3 asks for these two
    "TLS-Report-Submitter",
    "TLS-Required",
    "List-Id",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",  # RFC 8058 section 4 asks for it
    "Resent-Date",
    "Resent-From",
    "Resent-Sender",
    "Resent-To",
    "Resent-Cc",
    "Resent-Message-ID",
)
BITS_MOST: Final = 4096  # of an RSA key: no verifier has to take more (RFC 8301 section 3.2), and signing gets slow
LINE: Final = 76  # characters of a line; every server takes these unchanged
STRING: Final = 255  # octets of a string in a TXT record (RFC 1035 section 3.3.14)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key."""

    kind: Kind
    bits: int
    key: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        """What is said in a=."""
        return f"{self.kind}-sha256"

    def sign(self, octets: bytes) -> bytes:
        """The signature of some octets."""
        if isinstance(self.key, RSAPrivateKey):
            return self.key.sign(octets, PADDING, SHA256_HASH)
        return self.key.sign(hashlib.sha256(octets).digest())  # RFC 8463 section 3

    @property
    def record(self) -> str:
        """The TXT record of its public key (RFC 6376 section 3.6.1)."""
        if isinstance(self.key, RSAPrivateKey):
            public = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        else:
            public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return f"v=DKIM1; k={self.kind}; p={b64encode(public).decode()}"


def read_signing_key(octets: bytes) -> SigningKey:
    """The key in a file: PEM without a password, or the base64 of an Ed25519 seed alone, as dkimpy writes it. Raises
    ValueError."""
    try:
        found = _seed(octets) or load_pem_private_key(octets, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        protected = isinstance(error, TypeError)  # which is how the library says it
        raise ValueError("the key has a password" if protected else "it holds no private key in PEM") from error
    if isinstance(found, Ed25519PrivateKey):
        return SigningKey("ed25519", 256, found)
    if not isinstance(found, RSAPrivateKey):
        raise ValueError("the key is of another type than RSA and Ed25519")
    if not RSA_LEAST <= found.key_size <= BITS_MOST:
        raise ValueError(f"the key has {found.key_size} bits; it must have {RSA_LEAST} to {BITS_MOST}")
    return SigningKey("rsa", found.key_size, found)


def sign(
    header: Header,
    body_hash: bytes,
    key: SigningKey,
    *,
    domain: str,
    selector: str,
    now: float,
    lifetime: float | None = None,
    identity: str = "",
) -> bytes:
    """The DKIM-Signature field of a message, CRLF included, to be put on top of it.

    `body_hash` is that of its body in `FORM`. `domain` and `selector` are in A-labels; `now` is in seconds since 1970,
    and `lifetime` the seconds until the signature expires (None: never). `identity` is i=, empty for none.
    """
    fields = SignedFields(header)
    names = [name for name in OVERSIGNED for _ in range(fields.count(name.lower()) + 1)]
    names += [name for name in SIGNED for _ in range(fields.count(name.lower()))]
    tags = ["v=1;", f"a={key.algorithm};", "c=relaxed/relaxed;", f"d={domain};", f"s={selector};", f"t={int(now)};"]
    if lifetime is not None:
        tags.append(f"x={int(now + lifetime)};")
    if identity:
        tags.append(f"i={_quoted(identity)};")
    tags += [f"{name}:" for name in (f"h={names[0]}", *names[1:-1])]
    tags += [f"{names[-1]};", f"bh={b64encode(body_hash).decode()};", "b="]
    unsigned = _folded(tags).encode()
    signed = fields.octets([name.lower() for name in names], relaxed=True, signature=unsigned)
    signature = b64encode(key.sign(signed))
    lines = [signature[at : at + LINE] for at in range(0, len(signature), LINE)]
    return unsigned + b"\r\n " + b"\r\n ".join(lines) + b"\r\n"


def strings(record: str) -> list[str]:
    """A record as the strings that a TXT record is made of."""
    return [record[at : at + STRING] for at in range(0, len(record), STRING)]


def _seed(octets: bytes) -> Ed25519PrivateKey | None:
    if octets.lstrip().startswith(b"-"):
        return None
    try:
        seed = a2b_base64(octets.strip(), strict_mode=True)
    except NotBase64:
        return None
    return Ed25519PrivateKey.from_private_bytes(seed) if len(seed) == ED25519_OCTETS else None


def _folded(tags: list[str]) -> str:
    """The tags of a signature in lines; a list goes on behind its colon."""
    line = "DKIM-Signature:"
    lines: list[str] = []
    for tag in tags:
        part = tag if line.endswith(":") and lines else f" {tag}"
        if len(line) + len(part) > LINE:
            lines.append(line)
            line, part = "", f" {tag}"
        line += part
    return "\r\n".join([*lines, line])


def _quoted(identity: str) -> str:
    """An address in dkim-quoted-printable (RFC 6376 section 2.11)."""
    return "".join(_escape(character) for character in identity)


def _escape(character: str) -> str:
    if "!" <= character <= "~" and character not in ";=":
        return character
    return "".join(f"={octet:02X}" for octet in character.encode())
