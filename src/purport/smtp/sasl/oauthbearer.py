"""OAUTHBEARER (RFC 7628): an OAuth 2.0 bearer token (RFC 6750) instead of a password, so under TLS only.

C: AUTH OAUTHBEARER <n,a=user@example.com,^Ahost=server.example.com^Aport=587^Aauth=Bearer vF9dft4qmTc2Nvb3...^A^A>
S: 334 <{"status":"invalid_token","scope":"..."}>
C: AQ==
S: 535 5.7.8 Authentication credentials invalid
"""

from __future__ import annotations

import json
import re
from typing import Final, final

from purport.smtp.sasl.credentials import ClientFault, Credentials
from purport.smtp.sasl.exchange import MALFORMED, Exchange, Refused, authorized, challenge, owner_of, prepared, text_of

SEPARATOR: Final = "\x01"
AGREED: Final = b"\x01"  # what a client says to the reason why its token was refused (RFC 7628 section 3.2.3)
MESSAGE: Final = re.compile(
    "[ny],(?:a=(?P<authorization>[^,\0\x01]+))?,\x01(?P<pairs>(?:[A-Za-z]+=[\t\n\r -~]*\x01)*)\x01"
)
BEARER: Final = re.compile(r"bearer +(?P<token>[A-Za-z0-9._~+/-]+=*)", re.IGNORECASE)  # RFC 6750 section 2.1
ESCAPED: Final = {"=2C": ",", "=3D": "="}


def server(initial: bytes | None, scope: str = "") -> Exchange:
    """The server's side; `scope` is told to a client whose token was refused. The values of `host` and `port` are not
    looked at: what name and port a client used in front of proxies and aliases is not known here."""
    message = MESSAGE.fullmatch(text_of(initial if initial is not None else (yield from challenge())))
    if message is None:
        raise Refused("not a message of OAUTHBEARER", MALFORMED)
    pairs = [pair.partition("=") for pair in message["pairs"].split(SEPARATOR)[:-1]]
    values = [value for key, _, value in pairs if key.lower() == "auth"]
    bearer = BEARER.fullmatch(values[0]) if len(values) == 1 else None
    owner = None if bearer is None else (yield from owner_of(bearer["token"]))
    if owner is None:
        told = {"status": "invalid_token", **({"scope": scope} if scope else {})}
        yield from challenge(json.dumps(told).encode("utf-8"))
        raise Refused("a token that is not valid")
    name = prepared(owner, "a name")
    return authorized(re.sub("=2C|=3D", lambda found: ESCAPED[found[0]], message["authorization"] or ""), name)


@final
class OauthClient:
    """The client's side."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self.complete = True

    def initial(self) -> bytes:
        """The whole exchange, unless the token is refused."""
        user = self._credentials.user.replace("=", "=3D").replace(",", "=2C")
        return f"n,a={user},\x01auth=Bearer {self._credentials.token}\x01\x01".encode()

    def respond(self, challenge: bytes, /) -> bytes:
        """The server says why it refuses the token. Raises ClientFault where that is not what it says."""
        if not challenge.startswith(b"{"):
            raise ClientFault("the server's OAUTHBEARER message is malformed")
        return AGREED
