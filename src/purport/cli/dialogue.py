"""One SMTP dialogue over a plain socket, shown as swaks shows it.

=== Connected to 127.0.0.1.
<-  220 mx.company.com.example ESMTP Purport
 -> EHLO almamater.edu.example
<-  250 SUBMITTER
 -> MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example
<** 550 5.7.1 Submitter not allowed.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import click

from purport.mail.reply import Reply, reply
from purport.mail.text import safe
from purport.net.tls import problem_of
from purport.smtp.client import ClientSession
from purport.smtp.client_event import BeginTls, Finished, GoAhead, Ready, Unusable
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.reply_reader import BadReply
from purport.smtp.sasl.login import ClientLogin

INFORMATION: Final = "==="
ERROR: Final = "***"
SENT: Final = " ->"
SENT_TLS: Final = " ~>"
RECEIVED: Final = "<- "
REFUSED: Final = "<**"
RECEIVED_TLS: Final = "<~ "
REFUSED_TLS: Final = "<~*"
UNDER_TLS: Final = {SENT: SENT_TLS, RECEIVED: RECEIVED_TLS, REFUSED: REFUSED_TLS}
COLOURS: Final = {ERROR: "red", REFUSED: "red", SENT: "cyan", INFORMATION: "bright_black"}

# The command that is not sent any more, QUIT in its place.
STOPS: Final = {
    "connect": (b"EHLO", b"HELO", b"LHLO"),
    "helo": (b"AUTH", b"MAIL"),
    "auth": (b"MAIL",),
    "mail": (b"RCPT",),
    "rcpt": (b"DATA",),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What of the dialogue is shown."""

    hidden: frozenset[str] = frozenset()  # of the marks above
    data: bool = True  # whether the message is shown
    colours: bool = False

    def line(self, mark: str, text: str, *, protected: bool = False) -> None:
        """One line; what it holds comes from outside and is escaped. `protected`: it went under TLS."""
        if mark not in self.hidden:
            colour = COLOURS.get(mark) if self.colours else None
            click.secho(f"{UNDER_TLS.get(mark, mark) if protected else mark} {safe(text.expandtabs())}", fg=colour)


@dataclass(frozen=True, slots=True)
class Tls:
    """How the dialogue is protected."""

    context: ssl.SSLContext
    host: str  # whose certificate it is to be, where that is looked at
    required: bool = True
    first: bool = False  # TLS from the first octet
    verified: bool = False  # the certificate is looked at


class Broken(Exception):
    """The dialogue did not come to its end: the network, or a server that does not speak SMTP."""


class Dialogue:
    """Runs a transaction; `reply` is what refused it where no recipient has a reply of their own."""

    def __init__(
        self,
        hello_domain: str,
        transaction: Transaction,
        octets: bytes,
        shown: Shown,
        stop: str = "",
        login: ClientLogin | None = None,
        tls: Tls | None = None,
        *,
        lmtp: bool = False,
    ) -> None:
        from purport.smtp.extensions import ALL

        self._session = ClientSession(
            hello_domain,
            ALL,
            login,
            starttls=tls is not None,
            tls_required=tls is not None and tls.required,
            secure=tls is not None and tls.first,
            lmtp=lmtp,
        )
        self._tls = tls
        self._connection: socket.socket | None = None
        self._transaction = transaction
        self._octets = octets
        self._shown = shown
        self._stop = STOPS.get(stop, ())
        self._stopped = False
        self._begun = False
        self._line = b""  # a line of the server whose end has not come
        self.reply: Reply | None = None

    def run(self, connect: Callable[[], socket.socket], place: str) -> None:
        """The whole dialogue. Raises Broken."""
        shown = self._shown
        shown.line(INFORMATION, f"Trying {place}...")
        try:
            with connect() as connection:
                shown.line(INFORMATION, f"Connected to {place}.")
                self._connection = connection
                if self._session.secure:
                    self._begin_tls()
                self._talk()
        except BadReply as error:
            raise Broken(f"{place}: {error}") from error
        except ssl.SSLError as error:
            raise Broken(f"{place}: TLS failed: {problem_of(error)}") from error
        except OSError as error:
            raise Broken(f"{place}: {error.strerror or error}") from error
        shown.line(INFORMATION, "Connection closed with remote host.")

    @property
    def stopped(self) -> bool:
        """Whether it ended where it was told to, with nothing refused."""
        return self._stopped

    def _begin_tls(self) -> None:
        assert self._tls is not None
        assert self._connection is not None
        connection = self._tls.context.wrap_socket(self._connection, server_hostname=self._tls.host)
        self._connection = connection
        name, version, _ = connection.cipher() or ("", "", 0)
        self._shown.line(INFORMATION, f"TLS started: {connection.version() or version} {name}")

    def _write(self, octets: bytes) -> None:
        assert self._connection is not None
        self._connection.sendall(octets)

    def _talk(self) -> None:
        session = self._session
        while not session.closed:
            assert self._connection is not None
            octets = self._connection.recv(65536)
            if not octets:
                if not self._stopped:
                    lost = reply(450, "4.4.2", "the server closed the connection")
                    session.abandon(lost)
                    self.reply = self.reply or lost
                    self._shown.line(ERROR, "The server closed the connection.")
                return
            if self._receive(octets) and self._stopped:
                return
            if not self._stopped:
                self._advance()

    def _receive(self, octets: bytes) -> bool:
        """Show what came and hand it on, line by line; whether a whole reply came last."""
        whole = False
        *lines, self._line = (self._line + octets).split(b"\n")
        for line in lines:
            text = line.decode("utf-8", "backslashreplace").rstrip("\r")
            mark = REFUSED if text[:1] in ("4", "5") else RECEIVED
            self._shown.line(mark, text, protected=self._session.secure)
            whole = text[3:4] != "-"
            if self._session.waits_for is Stage.HELLO and text[4:].upper() in ("PIPELINING", "CHUNKING"):
                line = line[:4] + b"\r"  # not told of it, the session sends one command at a time, and reads well
            if not self._stopped:
                self._session.receive(line + b"\n")
        return whole

    def _advance(self) -> None:
        """Do what the server's replies lead to."""
        session = self._session
        while (event := session.next_event()) is not None:
            if isinstance(event, Ready) and not self._begun:
                self._begun = True
                verified = session.secure and self._tls is not None and self._tls.verified
                self._transaction.message = replace(
                    self._transaction.message, authenticated=session.authenticated, protected=verified
                )
                session.begin(self._transaction)
            elif isinstance(event, GoAhead):
                self._send_message()
            elif isinstance(event, BeginTls):
                self._begin_tls()
                session.secured()
            elif isinstance(event, Unusable):
                self.reply = event.reply
                if event.stage in (Stage.STARTTLS, Stage.AUTH) and session.closed and event.reply.code == 450:
                    self._shown.line(ERROR, str(event.reply))  # ours: why we do not go on
            elif isinstance(event, Finished) and not session.closed:
                # What no command can say to this server, such as an address with letters beyond ASCII.
                for number in sorted(event.transaction.unsendable) or [0] * event.transaction.local:
                    self._shown.line(ERROR, f"Not sent: {event.transaction.replies[number]}")
        if session.idle and self._begun:
            session.quit()
        for command in session.to_send():
            if command.upper().startswith(self._stop or (b"\n",)):
                self._stopped = True
                command = b"QUIT\r\n"
            self._shown.line(SENT, self._told(command), protected=session.secure)
            self._write(command)
            if self._stopped:
                return

    def _told(self, command: bytes) -> str:
        """A command as it is shown: of a login only that there was one."""
        if self._session.waits_for is Stage.AUTH and command != b"QUIT\r\n":
            verb, _, rest = command.partition(b" ")
            mechanism, space, _ = rest.rstrip(b"\r\n").partition(b" ")
            return f"AUTH {mechanism.decode('ascii')}{' ...' if space else ''}" if verb == b"AUTH" else "..."
        return command.decode("utf-8", "backslashreplace").rstrip("\r\n")

    def _send_message(self) -> None:
        session = self._session
        session.send_data(self._octets)
        session.end_data()
        octets = b"".join(session.to_send())
        if self._shown.data:
            for line in octets.decode("utf-8", "backslashreplace").split("\r\n")[:-1]:
                self._shown.line(SENT, line, protected=session.secure)
        else:
            self._shown.line(SENT, f"{len(octets)} octets of mail data", protected=session.secure)
        self._write(octets)
