"""A client's login at a server, as a session goes through it (RFC 4954 section 4).

login.command("SCRAM-SHA-256 PLAIN", secure=True)   ->  b"AUTH SCRAM-SHA-256 biwsbj1...\\r\\n"
login.response(Reply(334, "", ("cj1y...",)))        ->  b"Yz1iaXdz...\\r\\n"
login.outcome(Reply(235, "2.7.0", ...))             ->  the same reply, or one that says why it is not believed
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, final

from purport.mail.reply import Reply, reply
from purport.smtp.sasl import encoding
from purport.smtp.sasl.credentials import ClientFault, ClientMechanism, Credentials
from purport.smtp.sasl.mechanisms import choose, client_mechanism

COMMAND_OCTETS: Final = 512  # of AUTH with an initial response (RFC 4954 section 4); longer ones go after a challenge
CHALLENGES: Final = 10  # more than any mechanism has
CANCEL: Final = b"*\r\n"
NOT_OFFERED: Final = reply(450, "4.7.0", "The server does not offer AUTH")
NO_MECHANISM: Final = reply(450, "4.7.0", "The server offers no AUTH mechanism that may be used here")


@final
class ClientLogin:
    """One login. `nonce` is ours for SCRAM; `bindings` are the channel bindings of the connection by their names
    (RFC 9266), empty where they are not known."""

    __slots__ = ("_challenges", "_credentials", "_fault", "_initial", "_nonce", "_running", "bindings", "mechanism")

    def __init__(self, credentials: Credentials, nonce: str, bindings: Mapping[str, bytes] | None = None) -> None:
        self._credentials = credentials
        self._nonce = nonce
        self._running: ClientMechanism | None = None
        self._initial: bytes | None = None  # that has still to be sent
        self._challenges = 0
        self._fault = ""  # why we cancelled
        self.bindings = bindings or {}
        self.mechanism = ""  # once it is chosen

    def command(self, offer: str | None, *, secure: bool) -> bytes | Reply:
        """The AUTH command to a server that offers these mechanisms, or why there is none."""
        if offer is None:
            return NOT_OFFERED
        chosen = choose(offer.upper().split(), self._credentials, secure=secure, bound=bool(self.bindings))
        if chosen is None:
            return NO_MECHANISM
        self.mechanism = chosen
        self._running = client_mechanism(chosen, self._credentials, self._nonce, self.bindings)
        self._initial = self._running.initial()
        if self._initial is not None:
            whole = f"AUTH {chosen} {encoding.encode(self._initial) or '='}\r\n".encode("ascii")
            if len(whole) <= COMMAND_OCTETS:
                self._initial = None
                return whole
        return f"AUTH {chosen}\r\n".encode("ascii")

    def response(self, challenge: Reply) -> bytes:
        """The line that answers a 334; `*` where the server is not to be believed."""
        assert self._running is not None
        self._challenges += 1
        try:
            octets = encoding.decode("".join(challenge.text).encode("ascii"))
            if self._initial is not None:
                response, self._initial = self._initial, None
            elif self._challenges > CHALLENGES:
                raise ClientFault("the server does not come to an end")
            else:
                response = self._running.respond(octets)
        except ClientFault as fault:
            self._fault = str(fault)
            return CANCEL
        except ValueError:  # RFC 4954 section 4: then the client cancels
            self._fault = "the server's challenge is not base64"
            return CANCEL
        return encoding.encode(response).encode("ascii") + b"\r\n"

    def outcome(self, given: Reply) -> Reply:
        """What the last reply means: 235 is believed only of a server that proved what it had to."""
        assert self._running is not None
        if self._fault:
            return reply(450, "4.7.0", f"Login cancelled: {self._fault}")
        if given.code == 235 and not self._running.complete:
            return reply(450, "4.7.0", "The server did not prove that it knows the password")
        if given.accepted and given.code != 235:
            return reply(450, "4.7.0", f"{given.code} is no reply to AUTH")
        return given
