"""CRAM-MD5 (RFC 2195): the password stays at home, but the server has to know it in clear, and proves nothing itself.

    C: AUTH CRAM-MD5
    S: 334 PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+
    C: dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw           <- tim b913a602c7eda7a495b4e6e7334d3890

For hosts that come for their mail with nothing better (RFC 2645 section 5.1.2), where the settings name it.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, final

from purport.smtp.sasl.credentials import ClientFault, Credentials
from purport.smtp.sasl.exchange import MALFORMED, Exchange, Refused, challenge, digest_check, prepared, text_of

RESPONSE: Final = re.compile(rb"(.+) ([0-9a-f]{32})", re.DOTALL)


def server(initial: bytes | None, nonce: str, hostname: str) -> Exchange:
    """The server's side; `nonce` makes the challenge one that nobody has seen."""
    if initial is not None:  # the server speaks first
        raise Refused("a CRAM-MD5 client that speaks first", MALFORMED)
    asked = f"<{nonce}@{hostname}>".encode("ascii")
    found = RESPONSE.fullmatch((yield from challenge(asked)))
    if found is None:
        raise Refused("a CRAM-MD5 response is a name and a digest", MALFORMED)
    return (yield from digest_check(prepared(text_of(found[1]), "a name"), asked, found[2].decode("ascii")))


def digest(password: str, asked: bytes) -> str:
    """What a password makes of a challenge."""
    return hmac.digest(password.encode("utf-8"), asked, "md5").hex()


@final
class CramMd5Client:
    """The client's side."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials: Credentials | None = credentials
        self.complete = True  # the server proves nothing

    def initial(self) -> None:
        """The server speaks first."""

    def respond(self, asked: bytes, /) -> bytes:
        """The one response. Raises ClientFault."""
        credentials, self._credentials = self._credentials, None
        if credentials is None:
            raise ClientFault("the server asks for more than CRAM-MD5 has to say")
        return f"{credentials.user} {digest(credentials.password, asked)}".encode()
