"""PLAIN (RFC 4616) and LOGIN (no RFC; draft-murchison-sasl-login): the password itself, so under TLS only.

C: AUTH PLAIN AGFsaWNlAHNlY3JldA==              <- authorization NUL name NUL password

C: AUTH LOGIN
S: 334 VXNlcm5hbWU6                             <- Username:
C: YWxpY2U=
S: 334 UGFzc3dvcmQ6                             <- Password:
C: c2VjcmV0
"""

from __future__ import annotations

from typing import Final, final

from purport.smtp.sasl.credentials import ClientFault, Credentials
from purport.smtp.sasl.exchange import (
    MALFORMED,
    Exchange,
    Refused,
    authorized,
    challenge,
    password_check,
    prepared,
    text_of,
)

LOGIN_PROMPTS: Final = (b"Username:", b"Password:")


def server(initial: bytes | None) -> Exchange:
    """The server's side of PLAIN."""
    response = initial if initial is not None else (yield from challenge())
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise Refused("a PLAIN response has three parts", MALFORMED)
    authorization, name, password = map(text_of, parts)
    name = prepared(name, "a name")
    known_as = yield from password_check(name, prepared(password, "a password"))
    authorized(authorization, name)
    return known_as


def login_server(initial: bytes | None) -> Exchange:
    """The server's side of LOGIN. The name as initial response is no part of the draft, but what clients send."""
    name = initial if initial is not None else (yield from challenge(LOGIN_PROMPTS[0]))
    password = yield from challenge(LOGIN_PROMPTS[1])
    who = prepared(text_of(name), "a name")
    return (yield from password_check(who, prepared(text_of(password), "a password")))


@final
class PlainClient:
    """The client's side of PLAIN."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.complete = True  # the server proves nothing

    def initial(self) -> bytes:
        """The whole exchange."""
        return b"\0".join((b"", self._credentials.user.encode("utf-8"), self._credentials.password.encode("utf-8")))

    def respond(self, _challenge: bytes, /) -> bytes:
        """There is nothing more to say. Raises ClientFault."""
        raise ClientFault("the server asks for more than PLAIN has to say")


@final
class LoginClient:
    """The client's side of LOGIN: the name, then the password, whatever the server calls them."""

    def __init__(self, credentials: Credentials) -> None:
        self._responses = [credentials.user.encode("utf-8"), credentials.password.encode("utf-8")]
        self.complete = True

    def initial(self) -> None:
        """The server speaks first."""

    def respond(self, _challenge: bytes, /) -> bytes:
        """The next response. Raises ClientFault."""
        if not self._responses:
            raise ClientFault("the server asks for more than a name and a password")
        return self._responses.pop(0)
