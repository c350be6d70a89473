"""What a server keeps of a password for SCRAM (RFC 5802 section 3, RFC 5803), written as PostgreSQL does:

SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final, final

from purport.smtp.sasl import encoding

SCHEME: Final = "SCRAM-SHA-256"
LEAST_ITERATIONS: Final = 4096  # RFC 7677 section 4
WRITTEN: Final = re.compile(
    r"SCRAM-SHA-256\$(?P<iterations>[1-9][0-9]{0,8}):(?P<salt>[^$:]+)\$(?P<stored>[^$:]+):(?P<server>[^$:]+)"
)


@final
@dataclass(frozen=True, slots=True)
class ScramKeys:
    """The salt and the number of iterations that a client is told, and the keys that its proof is checked with."""

    salt: bytes
    iterations: int
    stored_key: bytes = field(repr=False)
    server_key: bytes = field(repr=False)

    def written(self) -> str:
        """The form that `read_keys` reads."""
        salt, stored, server = map(encoding.encode, (self.salt, self.stored_key, self.server_key))
        return f"{SCHEME}${self.iterations}:{salt}${stored}:{server}"


def read_keys(text: str) -> ScramKeys:
    """The keys in a text. Raises ValueError."""
    found = WRITTEN.fullmatch(text)
    if found is None:
        raise ValueError("not SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY")
    salt, stored, server = (encoding.decode(found[name].encode("ascii")) for name in ("salt", "stored", "server"))
    if not (len(stored) == len(server) == hashlib.sha256().digest_size):
        raise ValueError("a key of SCRAM-SHA-256 has 32 octets")
    return ScramKeys(salt, int(found["iterations"]), stored, server)


def salted_password(password: str, salt: bytes, iterations: int) -> bytes:
    """`Hi(password, salt, i)`: what takes the time; `password` is prepared."""
    return hashlib.pbkdf2_hmac("sha256", password.encode("utf-8"), salt, iterations)


def keys_of_password(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """The keys of a prepared password."""
    salted = salted_password(password, salt, iterations)
    stored_key = hashlib.sha256(mac(salted, b"Client Key")).digest()
    return ScramKeys(salt, iterations, stored_key, mac(salted, b"Server Key"))


def is_password(password: str, keys: ScramKeys) -> bool:
    """Whether the keys are those of this prepared password."""
    found = keys_of_password(password, keys.salt, keys.iterations)
    return hmac.compare_digest(found.stored_key, keys.stored_key)


def mac(key: bytes, octets: bytes) -> bytes:
    """`HMAC(key, octets)` of SCRAM-SHA-256."""
    return hmac.digest(key, octets, "sha256")
