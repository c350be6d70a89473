"""`purport demo`: the dialogues of RFC 4405 section 5, between five servers on 127.0.0.x that are started for it.

$ purport demo
5.1 and 5.2  Alice submits a message to her office; Bob's university forwards it
  example.com had it from 127.0.0.1, who logged in as alice
    MAIL FROM:<alice@example.com>
    responsible: alice@example.com (from)
  almamater.edu.example had it from 127.0.0.11
    MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com
    responsible: alice@example.com (from), Sender ID pass
  ...
"""

from __future__ import annotations

import smtplib
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.demo_servers import (
    ADDRESSES,
    ALMAMATER,
    COMPANY,
    EXAMPLE,
    HOTEL,
    MOBILE,
    PASSWORD,
    SECONDS,
    running,
    until,
)
from purport.cli.exits import EX_UNAVAILABLE, Failure
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.ledger.record import Record

NOT_AS_SHOWN: Final = 1  # the exit code
SHOWN: Final = ("resent-from", "sender", "from", "to", "subject")


@dataclass(frozen=True, slots=True)
class Dialogue:
    """One of section 5: who submits to whom, with a login or without, for whom; the servers that the message passes,
    with the submitter that each is told, and the mailbox that it ends in."""

    title: str
    entry: str
    login: bool
    recipient: str
    hops: tuple[tuple[str, str | None], ...]
    mailbox: tuple[str, str]  # server and local part
    subject: str


BOB: Final = "bob@almamater.edu.example"
FORWARDED: Final = (COMPANY, BOB)
DIALOGUES: Final = (
    Dialogue(
        "5.1 and 5.2  Alice submits a message to her office; Bob's university forwards it to his company",
        EXAMPLE,
        True,
        BOB,
        ((EXAMPLE, None), (ALMAMATER, "alice@example.com"), FORWARDED),
        (COMPANY, "bob"),
        "from the office",
    ),
    Dialogue(
        "5.3  Alice writes from her mobile, with her office address; the network names itself as sender",
        MOBILE,
        True,
        BOB,
        ((MOBILE, None), (ALMAMATER, "alice@mobile.net.example"), FORWARDED),
        (COMPANY, "bob"),
        "from the airport",
    ),
    Dialogue(
        "5.4  Alice writes from a hotel, which answers for its guests",
        HOTEL,
        False,
        BOB,
        ((HOTEL, None), (ALMAMATER, "guest.services@email.hotel.com.example"), FORWARDED),
        (COMPANY, "bob"),
        "from the hotel",
    ),
    Dialogue(
        "5.5  Alice writes to Dan, whom the company does not know any more; the university reports that to her",
        EXAMPLE,
        True,
        "dan@almamater.edu.example",
        (
            (EXAMPLE, None),
            (ALMAMATER, "alice@example.com"),
            (COMPANY, "dan@almamater.edu.example"),
            (EXAMPLE, "mailer-daemon@almamater.edu.example"),
        ),
        (EXAMPLE, "alice"),
        "are you there?",
    ),
)


@click.command("demo")
@click.option(
    "--folder", metavar="FOLDER", help="Keep settings, logs, ledgers and mail there; default: nothing is kept."
)
def command(folder: str | None) -> None:
    """Play the dialogues of RFC 4405 section 5 end to end: five servers on 127.0.0.11 to 127.0.0.15, each a process of
    its own, with SPF records that name those addresses. Shows for each hop what the client said, who was responsible
    and what was decided, and the header that arrived. Exits with 1 where something came out in another way than the RFC
    shows."""
    with ExitStack() as stack:
        kept = Path(folder).resolve() if folder else Path(stack.enter_context(tempfile.TemporaryDirectory()))
        kept.mkdir(parents=True, exist_ok=True)
        servers = stack.enter_context(running(kept))
        good = True
        for dialogue in DIALOGUES:
            click.secho(dialogue.title, bold=sys.stdout.isatty())
            good = play(kept, servers, dialogue) and good
            click.echo("")
        click.echo(
            "Every hop was told who is responsible, as the RFC shows it." if good else "Not as the RFC shows it."
        )
    raise click.exceptions.Exit(0 if good else NOT_AS_SHOWN)


def play(folder: Path, ports: dict[str, tuple[int, int]], dialogue: Dialogue) -> bool:
    """Send a message, wait until it or the report about it is there, and tell its way. Whether that was as shown."""
    server, local_part = dialogue.mailbox
    new = folder / server / "maildir" / server / local_part / "new"
    before = set(files_in(new))
    seen = {name: newest(folder, name) for name, _ in dialogue.hops}
    submit(ADDRESSES[dialogue.entry], ports[dialogue.entry][dialogue.login], dialogue)
    if not until(lambda: set(files_in(new)) - before):
        raise Failure(f"nothing arrived in the mailbox of {local_part}@{server} within {SECONDS:g} s", EX_UNAVAILABLE)
    good = True
    for name, submitter in dialogue.hops:
        record = following(folder, name, seen)
        show(name, record)
        good = good and record.submitter == submitter
    (arrived,) = set(files_in(new)) - before
    click.echo(f"  in the mailbox of {local_part}@{server}")
    show_header(arrived.read_bytes())
    return good


def submit(address: str, port: int, dialogue: Dialogue) -> None:
    """What Alice's mail program does. Raises Failure."""
    message = f"From: Alice <alice@example.com>\r\nTo: {dialogue.recipient}\r\nSubject: {dialogue.subject}\r\n"
    message += f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{time.time_ns()}@example.com>\r\n\r\nHello.\r\n"
    try:
        with smtplib.SMTP(address, port, "alices-laptop.example", timeout=SECONDS) as client:
            if dialogue.login:
                client.login("alice", PASSWORD)
            client.sendmail("alice@example.com", [dialogue.recipient], message)
    except (OSError, smtplib.SMTPException) as error:
        raise Failure(f"{dialogue.entry} does not take the message: {error}", EX_UNAVAILABLE) from error


def following(folder: Path, name: str, seen: dict[str, list[Record]]) -> Record:
    """The next record of a server after those that were seen, once it is there: of a transaction that came to nothing
    when its client goes on to another one, or away. It is seen then. Raises Failure."""

    def fresh() -> list[Record]:
        known = {record.id for record in seen[name]}
        return [record for record in newest(folder, name) if record.id not in known]

    if not until(fresh):
        raise Failure(f"{name} has no record of the message", EX_UNAVAILABLE)
    oldest = fresh()[-1]
    seen[name].append(oldest)
    return oldest


def newest(folder: Path, name: str) -> list[Record]:
    """The records of a server, the newest first."""
    from purport.ledger import read

    place = folder / name / "ledger"
    return [entry.record for entry in read.last(place, 100)] if place.exists() else []


def show(name: str, record: Record) -> None:
    """One hop, by its record."""
    who = f", who logged in as {record.client.login.name}" if record.client.login is not None else ""
    click.echo(safe(f"  {name} had it from {record.client.address}{who}"))
    submitter = f" SUBMITTER={record.submitter}" if record.submitter is not None else ""
    click.echo(safe(f"    MAIL FROM:<{record.reverse_path}>{submitter}"))
    checked = f", Sender ID {record.sender_id.result}" if record.sender_id is not None else ""
    if record.pra is not None:
        click.echo(safe(f"    responsible: {record.pra.address or 'nobody'} ({record.pra.field}){checked}"))
    for recipient in record.recipients:
        click.echo(safe(f"    RCPT TO:<{recipient.address}>" + (f": {recipient.reply}" if recipient.reply else "")))
    for forward in record.forwards:
        click.echo(safe(f"    goes on for {forward.forwarder} to {', '.join(forward.recipients)}"))
    click.echo(f"    {'accepted' if record.decision == 'accept' else safe(record.reply)}")


def show_header(message: bytes) -> None:
    """Who is named in the header that arrived, from top to bottom, with the places where servers passed it on."""
    from purport.mail.header import read_header

    for field in read_header(message):
        if field.name in SHOWN or field.name == "received":
            line = field.raw.split(b"\n")[0].decode("utf-8", "replace").rstrip()
            click.echo(safe(f"    {line}{' ...' if field.name == 'received' else ''}"))


def files_in(folder: Path) -> list[Path]:
    """The messages of a mailbox."""
    return list(folder.iterdir()) if folder.exists() else []
