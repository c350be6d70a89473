"""`purport queue`: the messages that wait."""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.control import NoServer, ask
from purport.cli.exits import (
    EX_NOINPUT,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    EX_USAGE,
    Failure,
    config_option,
    settings_of,
)
from purport.mail.moment import day_and_time
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.queue.operator import Change, Detail, Entry, SqliteOperator

ALL: Final = "ALL"
CONTROL_SECONDS: Final = 5.0  # a server answers at once
INDENT: Final = 45  # columns before sender and recipients


@click.group("queue")
def command() -> None:
    """List, show, hold, release, retry or delete messages in the queue."""


def ids_argument(function: Callable[..., None]) -> Callable[..., None]:
    """The queue ids that a verb is for, or ALL."""
    return click.argument("queue_ids", nargs=-1, required=True, metavar="ID...|ALL")(function)


def json_option(function: Callable[..., None]) -> Callable[..., None]:
    """Whether to answer in JSON."""
    return click.option("--json", "as_json", is_flag=True, help="JSON lines.")(function)


@command.command("list")
@json_option
@config_option
def list_(as_json: bool, config: str | None) -> None:
    """List the messages in the queue, the oldest first."""
    operator, _ = _operator(config)
    with _reading():
        if as_json:
            for entry in operator.entries():
                click.echo(json.dumps(as_object(entry)))
        elif sys.stdout.isatty():
            from purport.cli.terminal import show_queue

            show_queue(list(operator.entries()), time.time())
        else:
            _show_entries(operator.entries())


def as_object(entry: Entry) -> dict[str, object]:
    """An entry with the names of `postqueue -j`."""
    return {
        "queue_name": entry.queue_name.value,
        "queue_id": entry.queue_id,
        "arrival_time": int(entry.arrival_time),
        "message_size": entry.message_size,
        "sender": entry.sender,
        "recipients": [
            {"address": one.address, **({"delay_reason": one.delay_reason} if one.delay_reason else {})}
            for one in entry.recipients
        ],
        **({"priority": entry.priority} if entry.priority else {}),
        **({"release_time": int(entry.release_at)} if entry.release_at else {}),
        **({"forwarded_for": entry.forwarder} if entry.forwarder else {}),
    }


def _show_entries(entries: Iterable[Entry]) -> None:
    """As `mailq` has it: a * behind the id of a message that is being delivered, a ! behind that of a held one; a +
    behind that of one that waits for its release, a ~ behind that of one whose host comes for it."""
    count = size = 0
    for entry in entries:
        if not count:
            click.echo("Queue ID           Size  Arrived (UTC)        Sender, recipients")
        count += 1
        size += entry.message_size
        _show_entry(entry)
    click.echo(f"{count} message{'s' if count != 1 else ''}, {size // 1024} KiB" if count else "The queue is empty.")


def _show_entry(entry: Entry) -> None:
    mark = {"active": "*", "hold": "!", "scheduled": "+", "waiting": "~"}.get(entry.queue_name.value, " ")
    sender = safe(entry.sender) or "<>"
    click.echo(f"{entry.queue_id}{mark} {entry.message_size:8} {day_and_time(entry.arrival_time)}  {sender}")
    if entry.release_at:
        click.echo(f"{'':{INDENT}}(to be released at {day_and_time(entry.release_at)} UTC)")
    if entry.forwarder:
        click.echo(f"{'':{INDENT}}(forwarded for {safe(entry.forwarder)})")
    if entry.priority:
        click.echo(f"{'':{INDENT}}(priority {entry.priority})")
    for one in entry.recipients:
        if one.delay_reason:
            click.echo(f"{'':{INDENT}}({safe(one.delay_reason)})")
        click.echo(f"{'':{INDENT}}{safe(one.address)}")


@command.command("show")
@click.argument("queue_id", metavar="ID")
@json_option
@config_option
def show(queue_id: str, as_json: bool, config: str | None) -> None:
    """Show one message: its envelope, its header, and the dialogue of the last attempt."""
    operator, _ = _operator(config)
    wanted = _id(queue_id)
    with _reading():
        detail = operator.show(wanted)
    if detail is None:
        raise Failure(f"{wanted}: not in the queue", EX_NOINPUT)
    if as_json:
        click.echo(json.dumps(_detail_object(detail)))
        return
    _show_entry(detail.entry)
    if demanded := _demanded(detail):
        click.echo(f"{'':{INDENT}}(asks for {demanded})")
    for one in detail.recipients:
        state = "being delivered" if one.leased else f"due {day_and_time(one.due_at)} UTC"
        click.echo(f"\n<{safe(one.address)}> by {safe(one.next_hop)}: {one.attempts} attempts, {state}")
        if one.last_reply:
            click.echo(f"  last: {safe(one.last_host)} {safe(one.last_reply)}")
        for line in one.transcript.splitlines():
            click.echo(f"  | {safe(line)}")
    click.echo("")
    for line in detail.header.decode("utf-8", "backslashreplace").splitlines():
        click.echo(safe(line.replace("\t", "    ")))


def _demanded(detail: Detail) -> str:
    """What the sender asks of the connections that the message takes (RFC 8689)."""
    from purport.mail.envelope import Parameters
    from purport.smtp.extensions.requiretls import demand_of

    return demand_of(Parameters.from_octets(detail.parameters)).value


def _detail_object(detail: Detail) -> dict[str, object]:
    return {
        **as_object(detail.entry),
        "expires_at": int(detail.expires_at),
        "header": detail.header.decode("utf-8", "backslashreplace"),
        "recipients": [
            {
                "address": one.address,
                "delay_reason": one.last_reply,
                "next_hop": one.next_hop,
                "attempts": one.attempts,
                "due_at": int(one.due_at),
                "host": one.last_host,
                "transcript": one.transcript,
            }
            for one in detail.recipients
        ],
    }


@command.command("hold")
@ids_argument
@json_option
@config_option
def hold(queue_ids: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Try messages no more until they are released."""
    _change(config, as_json, queue_ids, "held", lambda operator, ids: operator.hold(ids))


@command.command("release")
@ids_argument
@json_option
@config_option
def release(queue_ids: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """End a hold. A message that is named, and waits for the time of its release instead, is sent now."""
    _change(config, as_json, queue_ids, "released", lambda operator, ids: operator.release(ids, time.time()))


@command.command("retry")
@ids_argument
@json_option
@config_option
def retry(queue_ids: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Try messages now, but those that are to be released later."""
    _change(config, as_json, queue_ids, "due now", lambda operator, ids: operator.retry(ids, time.time()))


@command.command("delete")
@ids_argument
@json_option
@config_option
def delete(queue_ids: tuple[str, ...], as_json: bool, config: str | None) -> None:
    """Take messages out of the queue; nobody is told."""
    _change(config, as_json, queue_ids, "deleted", lambda operator, ids: operator.delete(ids))


def _change(
    config: str | None,
    as_json: bool,
    names: tuple[str, ...],
    word: str,
    verb: Callable[[SqliteOperator, Sequence[str] | None], list[Change]],
) -> None:
    """Carry out a verb, tell the server, tell the operator; fails where a message could not be changed."""
    operator, state = _operator(config)
    ids = _ids(names)
    with _reading():
        changes = verb(operator, ids)
    if any(change.changed for change in changes):
        _tell_server(state)
    for change in changes:
        if as_json:
            told = {"queue_id": change.queue_id, "changed": change.changed, "effect": change.effect.value}
            click.echo(json.dumps(told))
        elif change.effect.value == "done":
            click.echo(f"{change.queue_id}: {word}")
        else:
            click.echo(f"{change.queue_id}: {change.effect.value}", err=not change.changed)
    if not as_json and not changes:
        click.echo("The queue is empty.")
    if any(not change.changed for change in changes):
        missing = all(change.effect.name == "NO_SUCH_MESSAGE" for change in changes if not change.changed)
        raise click.exceptions.Exit(EX_NOINPUT if missing else EX_TEMPFAIL)


def _ids(names: tuple[str, ...]) -> list[str] | None:
    """The ids as they are stored; None for all."""
    return None if names == (ALL,) else [_id(name) for name in names]


def _id(name: str) -> str:
    from purport.queue.queue_id import parse

    try:
        return parse(name)
    except ValueError as error:
        raise Failure(f"{name}: {error}", EX_USAGE) from error


def _operator(config: str | None) -> tuple[SqliteOperator, Path]:
    from purport.config.load import state_folder
    from purport.queue.operator import SqliteOperator

    path, settings = settings_of(config)
    state = state_folder(path, settings)
    return SqliteOperator(state / "spool"), state


@contextmanager
def _reading() -> Iterator[None]:
    """Reads and changes the database; one that cannot be had is no traceback."""
    from purport.queue.schema import WrongDatabase

    try:
        yield
    except (sqlite3.Error, WrongDatabase) as error:
        raise Failure(f"the queue cannot be read: {error}", EX_UNAVAILABLE) from error


def _tell_server(state: Path) -> None:
    """Have a running server look at the queue; without one there is nobody to tell."""
    try:
        answer = ask(state, {"command": "refresh"}, CONTROL_SECONDS)
    except NoServer:
        return
    except (OSError, ValueError) as error:
        click.echo(f"note: the server could not be told: {error}", err=True)
        return
    if not answer.get("ok"):
        click.echo(f"note: the server says: {safe(str(answer.get('text', '')))}", err=True)
