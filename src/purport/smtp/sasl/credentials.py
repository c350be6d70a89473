"""What a client logs in with at a server (RFC 4422 section 3)."""

from __future__ import annotations

from typing import Final, Protocol, final

from purport.smtp.sasl.keys import salted_password

# A server names the iterations that our event loop has to wait for: these take about a quarter of a second, once for
# each salt, and no server is known to ask for more.
MOST_ITERATIONS: Final = 600_000


class ClientFault(Exception):
    """The server said what no honest server would say, or what we cannot answer: the client cancels."""


class ClientMechanism(Protocol):
    """One exchange as the client sees it; `complete` tells whether the server has proved what it has to."""

    complete: bool

    def initial(self) -> bytes | None:
        """The initial response; None where the server speaks first."""

    def respond(self, challenge: bytes, /) -> bytes:
        """The response to a challenge. Raises ClientFault."""


@final
class Credentials:
    """A name and a password (or an OAuth token), prepared, and whether they may be used without TLS.

    `mechanism` is the only one to be used, where there is one to be chosen. The salted password of the last salt is
    kept, so that the next connection to the same server costs no time.
    """

    __slots__ = ("_salted", "_salted_for", "mechanism", "password", "token", "user", "without_tls")

    def __init__(
        self, user: str, password: str = "", *, token: str = "", without_tls: bool = False, mechanism: str = ""
    ) -> None:
        self.user = user
        self.password = password
        self.token = token
        self.without_tls = without_tls
        self.mechanism = mechanism
        self._salted_for: tuple[bytes, int] | None = None
        self._salted = b""

    def __repr__(self) -> str:
        return f"Credentials({self.user!r})"

    def salted(self, salt: bytes, iterations: int) -> bytes:
        """The password salted as a server asks for. Raises ClientFault where that would take too long."""
        if iterations > MOST_ITERATIONS:
            raise ClientFault(f"the server asks for {iterations} iterations, more than {MOST_ITERATIONS}")
        if self._salted_for != (salt, iterations):
            self._salted = salted_password(self.password, salt, iterations)
            self._salted_for = (salt, iterations)
        return self._salted
