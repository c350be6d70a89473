"""`purport send`: one message by hand, with swaks' long option names, naming its submitter where that is offered."""

from __future__ import annotations

import getpass
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from purport.cli.exits import (
    EX_NOINPUT,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    EX_USAGE,
    Failure,
    forward_path_of,
    mailbox_of,
    read_input,
    reverse_path_of,
)

if TYPE_CHECKING:
    from purport.cli.dialogue import Shown, Tls
    from purport.mail.address import Mailbox
    from purport.mail.envelope import Parameter, Parameters
    from purport.smtp.extension import Outgoing
    from purport.smtp.sasl.login import ClientLogin

PORT: Final = 25
LMTP_PORT: Final = 24  # what swaks takes; IANA has it for "any private mail system"
BODY: Final = "This is a test message.\n"
FIELD_OPTION: Final = "--h-"

hide = {
    "hide_send": click.option("--hide-send", is_flag=True, help="Do not show what we say."),
    "hide_receive": click.option("--hide-receive", is_flag=True, help="Do not show what the server says."),
    "hide_informational": click.option("--hide-informational", is_flag=True, help="Do not show === lines."),
    "hide_all": click.option("--hide-all", is_flag=True, help="Show nothing; the exit code tells."),
    "silent": click.option("--silent", "--quiet", "silent", is_flag=True, help="Show refusals and errors only."),
}


def hide_options(function: Callable[..., None]) -> Callable[..., None]:
    """The options that hide parts of the dialogue, in their order."""
    for option in reversed(hide.values()):
        function = option(function)
    return function


@click.command("send", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
@click.option("--to", "to", multiple=True, required=True, metavar="ADDRESS", help="A recipient; may be repeated.")
@click.option("--from", "sender", metavar="ADDRESS", help="The reverse-path; <> is the null one. Default: you, here.")
@click.option("--server", default="127.0.0.1", show_default=True, metavar="HOST[:PORT]")
@click.option(
    "--port", type=click.IntRange(1, 65535), help="Default: 25 (465 with --tls-on-connect), or what --server names."
)
@click.option("--local-interface", metavar="ADDRESS", help="The address to connect from.")
@click.option("--helo", "--ehlo", metavar="NAME", help="What to say in EHLO; default: this host's name.")
@click.option("--data", metavar="TEXT|@FILE|-", help="The whole message, header and body; - is stdin.")
@click.option("--body", metavar="TEXT|@FILE|-", help="The body of the message that is made.")
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="A field to set; also --h-NAME VALUE."
)
@click.option("--add-header", "added", multiple=True, metavar="'NAME: VALUE'", help="A field to put on top.")
@click.option("--submitter", metavar="ADDRESS", help="Name this submitter, not the header's responsible address.")
@click.option("--deliver-by", metavar="'SECONDS;R|N[T]'", help="Have it delivered in time, or returned or told of.")
@click.option(
    "--valid-since", metavar="TIME[;C]", help="Deliver to those alone who have had their mailboxes since then."
)
@click.option("--priority", type=click.IntRange(-9, 9), help="How urgent the message is (MT-PRIORITY).")
@click.option("--hold-for", type=click.IntRange(1, 999_999_999), metavar="SECONDS", help="Have it held so long.")
@click.option("--hold-until", metavar="TIME", help="Have it held until then, such as 2026-12-01T08:00:00Z.")
@click.option("--quit-after", type=click.Choice(["connect", "helo", "auth", "mail", "rcpt"], case_sensitive=False))
@click.option(
    "--auth",
    is_flag=False,
    flag_value="",
    metavar="[MECHANISM]",
    help="Log in, with the strongest mechanism that is offered, or with this one.",
)
@click.option("--auth-user", metavar="NAME", help="The name to log in with; you are asked where it is missing.")
@click.option("--auth-password", metavar="PASSWORD", help="Its password; others may see it, so better be asked.")
@click.option("--auth-password-file", metavar="FILE", help="A file with the password in its first line; - is stdin.")
@click.option("--auth-without-tls", is_flag=True, help="Send the password also where TLS does not protect it.")
@click.option("--lmtp", is_flag=True, help="Speak LMTP (RFC 2033); the port is then 24, where none is named.")
@click.option("--tls", is_flag=True, help="Begin TLS with STARTTLS, or send nothing.")
@click.option("--tls-optional", is_flag=True, help="Begin TLS where it is offered.")
@click.option("--tls-on-connect", "--tlsc", "tls_on_connect", is_flag=True, help="TLS from the first octet.")
@click.option("--tls-verify", is_flag=True, help="Look at the certificate: its authority, and the server's name.")
@click.option("--tls-ca-path", metavar="FILE", help="The authorities that are believed; default: the system's.")
@click.option(
    "--require-tls",
    is_flag=True,
    help="Have it go over protected connections alone, here and from there on (REQUIRETLS); means --tls --tls-verify.",
)
@click.option("--timeout", type=click.FloatRange(0, min_open=True), default=30.0, show_default=True, metavar="SECONDS")
@click.option("--suppress-data", "--hide-data", "suppress_data", is_flag=True, help="Do not show the message.")
@hide_options
@click.pass_context
def command(
    context: click.Context,
    /,
    to: tuple[str, ...],
    sender: str | None,
    server: str,
    port: int | None,
    local_interface: str | None,
    helo: str | None,
    data: str | None,
    body: str | None,
    headers: tuple[str, ...],
    added: tuple[str, ...],
    submitter: str | None,
    deliver_by: str | None,
    valid_since: str | None,
    priority: int | None,
    hold_for: int | None,
    hold_until: str | None,
    quit_after: str | None,
    auth: str | None,
    auth_user: str | None,
    auth_password: str | None,
    auth_password_file: str | None,
    auth_without_tls: bool,
    lmtp: bool,
    tls: bool,
    tls_optional: bool,
    tls_on_connect: bool,
    tls_verify: bool,
    tls_ca_path: str | None,
    require_tls: bool,
    timeout: float,
    suppress_data: bool,
    **hidden: bool,
) -> None:
    """Send one message and show the dialogue: `->` is what we say, `<-` what the server says, `<**` its refusal.

    SUBMITTER is the responsible address of the header (RFC 4407), where the server offers it. Exits with 0 when every
    recipient was accepted, 69 after a refusal, 75 when trying later may help.
    """
    from purport.cli.dialogue import Broken, Dialogue
    from purport.mail.address import Mailbox
    from purport.mail.envelope import Parameters, Recipient
    from purport.smtp.client_transaction import Transaction
    from purport.smtp.extensions.deliverby import BY
    from purport.smtp.extensions.requiretls import REQUIRED
    from purport.smtp.extensions.rrvs import RRVS

    hello_domain = helo or our_name()
    if not (hello_domain.isascii() and hello_domain.isprintable()):
        raise Failure(f"--helo: {hello_domain} cannot stand in a command", EX_USAGE)
    reverse_path = reverse_path_of(sender if sender is not None else f"{getpass.getuser()}@{hello_domain}")
    named = None if submitter is None else mailbox_of(submitter)
    hold = hold_of(hold_for, hold_until)
    if hold is not None and not str(reverse_path):  # RFC 4865 section 5.1.1
        raise Failure("a message with the null reverse-path is not held", EX_USAGE)
    fields = [*map(parse_field, headers), *fields_of(context.args)]
    author = str(reverse_path) or f"mailer-daemon@{hello_domain}"
    octets = message(data, body, fields, [parse_field(field) for field in added], author, to, hello_domain)
    host, number = place_of(server, port, 465 if tls_on_connect else LMTP_PORT if lmtp else PORT)
    required = parameters_of(RRVS, "--valid-since", valid_since)
    recipients = [Recipient(forward_path_of(path.strip()), required) for address in to for path in address.split(",")]
    asked = parameters_of(BY, "--deliver-by", deliver_by)
    described = replace(outgoing(octets, named), parameters=asked, priority=priority, hold=hold)
    if require_tls:
        asked = Parameters((*asked.items, *REQUIRED.items))
        described = replace(described, parameters=asked, requires_tls=True)
    if isinstance(reverse_path, Mailbox) and not reverse_path.local_part.isascii():
        described = replace(described, utf8=True)
    if not all(recipient.forward_path.local_part.isascii() for recipient in recipients):
        described = replace(described, utf8_recipients=True)
    transaction = Transaction(reverse_path, recipients, described)
    login = login_of(auth, auth_user, auth_password, auth_password_file, auth_without_tls)
    stop = (quit_after or "").lower()
    protection = None
    if tls or tls_optional or tls_on_connect or tls_verify or require_tls:
        must = require_tls or not tls_optional
        protection = tls_of(host, tls_verify or require_tls, tls_ca_path, required=must, first=tls_on_connect)
    dialogue = Dialogue(
        hello_domain, transaction, octets, shown(suppress_data, hidden), stop, login, protection, lmtp=lmtp
    )
    source = None if local_interface is None else (local_interface, 0)
    try:
        dialogue.run(lambda: socket.create_connection((host, number), timeout, source), f"{host}:{number}")
    except Broken as error:
        raise Failure(f"*** {error}", EX_UNAVAILABLE) from error
    if dialogue.stopped:
        return
    replies = [given if given is not None else dialogue.reply for given in transaction.replies]
    if any(given is not None and given.permanent for given in replies):
        raise click.exceptions.Exit(EX_UNAVAILABLE)
    if not all(given is not None and given.accepted for given in replies):
        raise click.exceptions.Exit(EX_TEMPFAIL)


def login_of(
    mechanism: str | None, user: str | None, password: str | None, password_file: str | None, without_tls: bool
) -> ClientLogin | None:
    """How to log in, where one of the options asks for it. Raises Failure."""
    from purport.smtp.sasl.credentials import Credentials
    from purport.smtp.sasl.login import ClientLogin
    from purport.smtp.sasl.mechanisms import ALL, OAUTHBEARER
    from purport.smtp.sasl.saslprep import saslprep

    if mechanism is None and user is None and password is None and password_file is None:
        return None
    mechanism = (mechanism or "").upper()
    if mechanism and mechanism not in ALL:
        raise Failure(f"--auth: {mechanism} is none of {', '.join(ALL)}", EX_USAGE)
    if user is None:
        user = click.prompt("Username", err=True)
    if password_file is not None:
        password = next(iter(read_input(password_file).decode("utf-8", "replace").splitlines()), "")
    if password is None:
        password = getpass.getpass("Password: ")
    try:
        user, password = saslprep(user), saslprep(password)
    except ValueError as error:
        raise Failure(f"--auth-user or --auth-password: {error}", EX_USAGE) from None
    token = password if mechanism == OAUTHBEARER else ""
    credentials = Credentials(user, password, token=token, without_tls=without_tls, mechanism=mechanism)
    return ClientLogin(credentials, secrets.token_urlsafe(18))


def tls_of(host: str, verify: bool, authorities: str | None, *, required: bool, first: bool) -> Tls:
    """How the dialogue is protected. Raises Failure."""
    from purport.cli.dialogue import Tls
    from purport.net.client_tls import ClientContexts

    try:
        contexts = ClientContexts(None if authorities is None else Path(authorities))
    except OSError as error:
        raise Failure(f"--tls-ca-path: {authorities}: {error.strerror or error}", EX_NOINPUT) from error
    protection = contexts.verifying(host) if verify else contexts.trusting(host)
    return Tls(protection.context, host, required, first, verify)


def our_name() -> str:
    """This host's name as EHLO may have it."""
    from purport.mail.domain import is_domain_name

    name = socket.gethostname()
    return name if is_domain_name(name) else "localhost"


def place_of(server: str, port: int | None, usual: int = PORT) -> tuple[str, int]:
    """Host and port of `HOST`, `HOST:PORT`, `2001:db8::1` or `[2001:db8::1]:PORT`. Raises Failure."""
    host, named = server, ""
    if server.startswith("["):
        host, closed, named = server[1:].partition("]")
        host, named = host if closed else "", named.removeprefix(":")
    elif server.count(":") == 1:
        host, _, named = server.partition(":")
    try:
        number = port or int(named or usual)
    except ValueError as error:
        raise Failure(f"--server: {named} is no port", EX_USAGE) from error
    if not host or not 0 < number < 65536:
        raise Failure(f"--server: {server} is not HOST or HOST:PORT", EX_USAGE)
    return host, number


def shown(suppress_data: bool, hidden: dict[str, bool]) -> Shown:
    """What the hide options leave."""
    from purport.cli.dialogue import ERROR, INFORMATION, RECEIVED, REFUSED, SENT, Shown

    marks: set[str] = set()
    if hidden["hide_send"] or hidden["silent"]:
        marks.add(SENT)
    if hidden["hide_receive"]:
        marks |= {RECEIVED, REFUSED}
    if hidden["hide_informational"] or hidden["silent"]:
        marks.add(INFORMATION)
    if hidden["silent"]:
        marks.add(RECEIVED)
    if hidden["hide_all"]:
        marks |= {SENT, RECEIVED, REFUSED, INFORMATION, ERROR}
    return Shown(frozenset(marks), not suppress_data, sys.stdout.isatty())


def outgoing(octets: bytes, submitter: Mailbox | None) -> Outgoing:
    """What the session has to know about the message. A submitter that was named takes the place of the header's: to
    see what a server does with it."""
    from purport.authentication.sender_id.pra import purported_responsible_address
    from purport.mail.header import header_ends
    from purport.smtp.extension import Outgoing

    pra = submitter or purported_responsible_address(octets).address
    utf8 = not octets[: header_ends(octets)].isascii()
    return Outgoing(len(octets), pra, not octets.isascii(), utf8=utf8)


def parameters_of(parameter: Parameter[Any], option: str, value: str | None) -> Parameters:
    """The parameter that an option means, as it is written there. Raises Failure."""
    from purport.mail.envelope import NO_PARAMETERS, Parameters

    if value is None:
        return NO_PARAMETERS
    try:
        parameter.decode(value.encode("ascii"))
    except ValueError as error:
        raise Failure(f"{option}: {error}", EX_USAGE) from error
    return Parameters(((parameter.keyword, value.encode("ascii")),))


def hold_of(seconds: int | None, moment: str | None) -> tuple[str, bytes] | None:
    """The parameter of MAIL that --hold-for or --hold-until means. Raises Failure."""
    from purport.smtp.extensions.futurerelease import HOLDFOR, HOLDUNTIL

    if seconds is not None and moment is not None:
        raise Failure("--hold-for or --hold-until, not both", EX_USAGE)
    if moment is not None:
        try:
            HOLDUNTIL.decode(moment.encode("ascii"))
        except ValueError as error:
            raise Failure(f"--hold-until: {error}", EX_USAGE) from error
        return HOLDUNTIL.keyword, moment.encode("ascii")
    return None if seconds is None else (HOLDFOR.keyword, b"%d" % seconds)


def parse_field(text: str) -> tuple[str, str]:
    """Name and value of `NAME: VALUE`. Raises Failure."""
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or "\n" in text or "\r" in text:
        raise Failure(f"{text} is not a field like 'Subject: a test'", EX_USAGE)
    return name.strip(), value.strip()


def fields_of(words: Sequence[str]) -> list[tuple[str, str]]:
    """The fields that `--h-NAME VALUE` and `--h-NAME=VALUE` give. Raises Failure for any other word."""
    fields = []
    rest = iter(words)
    for word in rest:
        name, equals, value = word.removeprefix(FIELD_OPTION).partition("=")
        if not word.startswith(FIELD_OPTION) or not name:
            raise Failure(f"No such option or too many words: {word}", EX_USAGE)
        fields.append(parse_field(f"{name}: {value if equals else next(rest, '')}"))
    return fields


def message(
    data: str | None,
    body: str | None,
    fields: Sequence[tuple[str, str]],
    added: Sequence[tuple[str, str]],
    author: str,
    to: Sequence[str],
    hello_domain: str,
) -> bytes:
    """The message with CRLF line ends: as given, or a small one."""
    from purport.mail.trace import date

    top = "".join(f"{name}: {value}\n" for name, value in added).encode()
    if data is not None:
        octets = top + text_or_file(data)
    else:
        header = {
            "Date": date(time.time()),
            "To": ", ".join(to),
            "From": author,
            "Subject": "test",
            "Message-Id": f"<{secrets.token_hex(12)}@{hello_domain}>",
        }
        for name, value in fields:
            header[next((known for known in header if known.lower() == name.lower()), name)] = value
        lines = "".join(f"{name}: {value}\n" for name, value in header.items())
        octets = top + lines.encode() + b"\n" + text_or_file(BODY if body is None else body)
    octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return octets if octets.endswith(b"\r\n") else octets + b"\r\n"


def text_or_file(given: str) -> bytes:
    r"""The octets that an option means: `@FILE`, a file's name, `-` for stdin, or a text in which \n ends a line."""
    if given.startswith("@"):
        return read_input(given[1:])
    if given == "-" or ("\n" not in given and len(given) < 1024 and Path(given).is_file()):
        return read_input(given)
    return given.replace("\\n", "\n").encode("utf-8", "surrogateescape")
