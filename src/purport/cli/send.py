"""`purport send`: one message by hand, with swaks' long option names, naming its submitter where that is offered."""

from __future__ import annotations

import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Failure, read_input, safe

if TYPE_CHECKING:
    from purport.mail.address import Mailbox
    from purport.smtp.client import ClientSession, Transaction
    from purport.smtp.extension import Extension, Outgoing

PORT: Final = 25
BODY: Final = "This is a test message.\n"


@click.command("send")
@click.option("--to", "to", multiple=True, required=True, metavar="ADDRESS", help="A recipient; may be repeated.")
@click.option("--from", "sender", default="", metavar="ADDRESS", help="The reverse-path; empty or <> for the null one.")
@click.option("--server", default="127.0.0.1", show_default=True, metavar="HOST[:PORT]")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: 25, or what --server names.")
@click.option("--helo", metavar="NAME", help="What to say in EHLO; default: this host's name.")
@click.option("--data", metavar="FILE", help="The whole message, header and body; - is stdin.")
@click.option("--body", metavar="TEXT|@FILE", help="The body of the message that is made.")
@click.option("--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A field to add or replace.")
@click.option("--submitter", metavar="ADDRESS", help="Name this submitter instead of the header's responsible address.")
@click.option("--timeout", type=float, default=30.0, show_default=True, metavar="SECONDS")
@click.option("--hide-data", is_flag=True, help="Do not show the message.")
@click.option("--quiet", is_flag=True, help="Show nothing but errors.")
def command(
    to: tuple[str, ...],
    sender: str,
    server: str,
    port: int | None,
    helo: str | None,
    data: str | None,
    body: str | None,
    headers: tuple[str, ...],
    submitter: str | None,
    timeout: float,
    hide_data: bool,
    quiet: bool,
) -> None:
    """Send one message and show the dialogue as swaks does: `->` is what we say, `<-` the server, `<**` its refusal.

    SUBMITTER is the responsible address of the header (RFC 4407), where the server offers it. Exits with 0 when every
    recipient was accepted, 69 after a refusal, 75 when trying later may help.
    """
    from purport.mail.address import NULL, parse_mailbox
    from purport.smtp.client import ClientSession, Transaction
    from purport.smtp.extensions import ALL
    from purport.smtp.extensions.submitter import EXTENSION

    try:
        reverse_path = NULL if sender in ("", "<>") else parse_mailbox(sender.strip("<>"))
        forward_paths = [parse_mailbox(path.strip("<>")) for address in to for path in address.split(",")]
        forced = None if submitter is None else parse_mailbox(submitter)
    except ValueError as error:
        raise Failure(f"not an address: {error}", EX_USAGE) from error
    hello_domain = helo or socket.getfqdn()
    octets = _message(data, body, headers, str(reverse_path), to, hello_domain)
    extensions = list(ALL) if forced is None else [replace_outbound(one, EXTENSION, forced) for one in ALL]
    transaction = Transaction(reverse_path, forward_paths, _outgoing(octets))
    host, _, named = server.partition(":")
    dialogue = Dialogue(ClientSession(hello_domain, extensions), transaction, octets, hide_data, quiet)
    dialogue.run(host, port or int(named or PORT), timeout)
    replies = [given for given in transaction.replies if given is not None]
    if all(given.accepted for given in replies) and len(replies) == len(forward_paths):
        return
    lasting = any(given.permanent for given in replies)
    raise click.exceptions.Exit(EX_UNAVAILABLE if lasting else EX_TEMPFAIL)


def replace_outbound(extension: Extension, submitter_extension: Extension, forced: Mailbox) -> Extension:
    """The SUBMITTER extension with a value that does not come from the header."""
    from purport.smtp.extensions.submitter import encode

    if extension is not submitter_extension:
        return extension

    def outbound(_message: Outgoing, offer: str | None) -> Mapping[str, bytes | None]:
        return {} if offer is None else {extension.keyword: encode(forced)}

    return replace(extension, outbound=outbound)


def _outgoing(octets: bytes) -> Outgoing:
    from purport.authentication.sender_id.pra import purported_responsible_address
    from purport.smtp.extension import Outgoing

    return Outgoing(len(octets), purported_responsible_address(octets).address, not octets.isascii())


def _message(
    data: str | None, body: str | None, headers: tuple[str, ...], sender: str, to: tuple[str, ...], hello_domain: str
) -> bytes:
    """The message with CRLF line ends: as given, or a small one."""
    from purport.mail.trace import date

    if data is not None:
        octets = read_input(data)
    else:
        fields = {
            "Date": date(time.time()),
            "To": ", ".join(to),
            "From": sender or f"mailer-daemon@{hello_domain}",
            "Subject": "test",
            "Message-Id": f"<{secrets.token_hex(12)}@{hello_domain}>",
        }
        for header in headers:
            name, colon, value = header.partition(":")
            if not colon or not name.strip() or "\n" in header:
                raise Failure(f"not a field: {header}", EX_USAGE)
            fields[next((known for known in fields if known.lower() == name.lower()), name)] = value.strip()
        text = BODY if body is None else read_input(body[1:]).decode() if body.startswith("@") else body
        octets = ("".join(f"{name}: {value}\n" for name, value in fields.items()) + f"\n{text}\n").encode()
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


class Dialogue:
    """Runs the session over a socket and shows it."""

    def __init__(
        self, session: ClientSession, transaction: Transaction, octets: bytes, hide_data: bool, quiet: bool
    ) -> None:
        self._session = session
        self._transaction = transaction
        self._octets = octets
        self._hide_data = hide_data
        self._quiet = quiet
        self._held = b""  # of a reply line, until its end arrives

    def run(self, host: str, port: int, timeout: float) -> None:
        """The whole dialogue. Raises Failure where the server cannot be talked to."""
        from purport.mail.reply import reply
        from purport.smtp.client import BadReply

        self._show(f"=== Trying {host}:{port}...")
        try:
            with socket.create_connection((host, port), timeout) as connection:
                self._show(f"=== Connected to {host}.")
                while not self._session.closed:
                    received = connection.recv(65536)
                    if not received:
                        self._session.abandon(reply(450, "4.4.2", "the server closed the connection"))
                        break
                    self._show_received(received)
                    self._session.receive(received)
                    self._advance(connection)
        except (OSError, BadReply) as error:
            raise Failure(f"*** {host}:{port}: {error}", EX_UNAVAILABLE) from error
        self._show("=== Connection closed with remote host.")

    def _advance(self, connection: socket.socket) -> None:
        """Do what the server's replies lead to."""
        from purport.smtp.client import GoAhead, Ready

        session = self._session
        while (event := session.next_event()) is not None:
            if isinstance(event, Ready):
                session.begin(self._transaction)
            elif isinstance(event, GoAhead):
                session.send_data(self._octets)
                session.end_data()
                sending = b"".join(session.to_send())
                self._show_message(sending)
                connection.sendall(sending)
        if session.idle and self._transaction.replies[0] is not None:
            session.quit()
        sending = b"".join(session.to_send())
        for line in sending.splitlines():
            self._show(f" -> {safe(line.decode('utf-8', 'replace'))}")
        connection.sendall(sending)

    def _show_message(self, octets: bytes) -> None:
        if self._hide_data:
            self._show(f" -> {len(octets)} octets of mail data")
            return
        for line in octets.decode("utf-8", "replace").splitlines():
            self._show(f" -> {safe(line)}")

    def _show_received(self, octets: bytes) -> None:
        *lines, self._held = (self._held + octets).split(b"\n")
        for line in lines:
            refused = line[:1] in b"45"
            text = f"{'<** ' if refused else '<-  '}{safe(line.decode('utf-8', 'replace').rstrip())}"
            self._show(text, refused=refused)

    def _show(self, text: str, *, refused: bool = False) -> None:
        """One line: on stdout, as it is what was asked for; a refusal is shown even when quiet."""
        if refused or not self._quiet:
            click.secho(text, fg="red" if refused and sys.stdout.isatty() else None)
