"""`purport etrn`: ask a server to start the delivery of what waits for a domain (RFC 1985), the dialogue shown."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING

import click

from purport.cli.exits import EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Failure
from purport.cli.send import our_name, place_of

if TYPE_CHECKING:
    from purport.cli.dialogue import Shown
    from purport.mail.reply import Reply
    from purport.smtp.reply_reader import ReplyReader


@click.command("etrn")
@click.argument("server", metavar="HOST[:PORT]")
@click.argument("nodes", metavar="DOMAIN|@DOMAIN|#QUEUE...", nargs=-1, required=True)
@click.option("--port", type=click.IntRange(1, 65535), help="Default: 25, or what HOST names.")
@click.option("--helo", "--ehlo", metavar="NAME", help="What to say in EHLO; default: this host's name.")
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True, metavar="SECONDS")
def command(server: str, nodes: tuple[str, ...], port: int | None, helo: str | None, timeout: float) -> None:
    """Ask a server to send what waits there for these domains; it does so over connections of its own.

    @DOMAIN means all domains below it too, #QUEUE what the server calls so. Exits with 0 when the server starts it all,
    69 when it does not know ETRN or refuses for good, 75 when trying later may help.
    """
    from purport.cli.dialogue import Shown

    hello_domain = helo or our_name()
    for word in (hello_domain, *nodes):
        if not word or not word.isascii() or not word.isprintable() or " " in word:
            raise Failure(f"{word} cannot stand in a command", EX_USAGE)
    host, number = place_of(server, port)
    asking = Asking(Shown(colours=sys.stdout.isatty()), f"{host}:{number}")
    try:
        with socket.create_connection((host, number), timeout) as connection:
            code = asking.ask(connection, hello_domain, nodes)
    except OSError as error:
        raise Failure(f"*** {host}:{number}: {error.strerror or error}", EX_UNAVAILABLE) from error
    if code:
        raise click.exceptions.Exit(code)


class Asking:
    """One dialogue over a plain socket."""

    def __init__(self, shown: Shown, place: str) -> None:
        from purport.smtp.reply_reader import ReplyReader

        self._shown = shown
        self._place = place
        self._reader: ReplyReader = ReplyReader()

    def ask(self, connection: socket.socket, hello_domain: str, nodes: tuple[str, ...]) -> int:
        """The exit code. Raises OSError and Failure."""
        from purport.cli.dialogue import ERROR, INFORMATION
        from purport.smtp.client import offers
        from purport.smtp.extensions.etrn import EXTENSION

        self._shown.line(INFORMATION, f"Connected to {self._place}.")
        if not self._hear(connection).accepted:
            return EX_UNAVAILABLE
        hello = self._say(connection, f"EHLO {hello_domain}")
        code = 0
        if not hello.accepted or EXTENSION.keyword not in offers(hello):
            self._shown.line(ERROR, "The server does not offer ETRN.")
            code = EX_UNAVAILABLE
        for node in nodes if not code else ():
            given = self._say(connection, f"ETRN {node}")
            if given.permanent:  # RFC 1985 section 5.2: no further ETRN then
                code = EX_UNAVAILABLE
                break
            code = code if given.accepted else EX_TEMPFAIL
        self._say(connection, "QUIT")
        return code

    def _say(self, connection: socket.socket, line: str) -> Reply:
        from purport.cli.dialogue import SENT

        self._shown.line(SENT, line)
        connection.sendall(f"{line}\r\n".encode("ascii"))
        return self._hear(connection)

    def _hear(self, connection: socket.socket) -> Reply:
        """The next reply, shown."""
        from purport.cli.dialogue import RECEIVED, REFUSED
        from purport.smtp.reply_reader import BadReply

        try:
            while (given := self._reader.next_reply()) is None:
                octets = connection.recv(65536)
                if not octets:
                    raise Failure(f"*** {self._place}: the server closed the connection", EX_UNAVAILABLE)
                self._reader.receive(octets)
        except BadReply as error:
            raise Failure(f"*** {self._place}: {error}", EX_UNAVAILABLE) from error
        for line in given.text[:-1]:
            self._shown.line(RECEIVED, f"{given.code}-{line}")
        last = " ".join(part for part in (given.status, given.text[-1]) if part)
        self._shown.line(RECEIVED if given.accepted else REFUSED, f"{given.code} {last}")
        return given
