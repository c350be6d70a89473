"""`purport report`: the daily reports to other domains."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

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
    from purport.config.schema import Settings
    from purport.dns.lookup import Evaluation
    from purport.reporting.document import Document
    from purport.reporting.kind import Kind
    from purport.reporting.standing import Standing
    from purport.reporting.wish import Wish

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])

KINDS: Final = ("tls", "dmarc")
SEND_SECONDS: Final = 300.0  # for the server to ask the DNS and several hosts


@click.group("report")
def command() -> None:
    """List, show or send the daily reports to other domains."""


def one_report(function: F) -> F:
    """The arguments that name a report."""
    for decorator in (
        config_option,
        click.option("--date", metavar="YYYY-MM-DD", help="The day, in UTC. Default: yesterday."),
        click.argument("domain"),
        click.argument("kind", type=click.Choice(KINDS), metavar="|".join(KINDS)),
    ):
        function = decorator(function)
    return function


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="JSON lines.")
@config_option
def list_(as_json: bool, config: str | None) -> None:
    """List the reports of the last days, and what became of each."""
    state, settings = _state(config)
    for one in _read(state, lambda connection: _standings(connection, settings)) or []:
        if as_json:
            click.echo(json.dumps(_as_object(one)))
        else:
            click.echo(f"{_name(one.day)} {one.kind:5} {safe(one.domain)}: {_told(one)}")


def _standings(connection: sqlite3.Connection, settings: Settings) -> list[Standing]:
    """What is known, and what there is to tell about days that are not planned yet."""
    from purport.reporting.database import KEPT_DAYS
    from purport.reporting.day import day_of
    from purport.reporting.standing import Standing, standings

    found = {(one.day, one.kind, one.domain): one for one in standings(connection)}
    today = day_of(time.time())
    for kind in [_kind(name, settings) for name in KINDS]:
        for day in range(today - KEPT_DAYS, today + 1):
            for domain in kind.domains(connection, day):
                found.setdefault((day, kind.name, domain), Standing(kind.name, day, domain, "waiting", 0.0, 0, ""))
    return [found[key] for key in sorted(found)]


def _as_object(one: Standing) -> dict[str, object]:
    return {
        "date": _name(one.day),
        "kind": one.kind,
        "domain": one.domain,
        "state": one.state,
        **({"due_at": int(one.due_at)} if one.due_at else {}),
        "attempts": one.attempts,
        "told": one.told,
    }


def _told(one: Standing) -> str:
    if one.state == "waiting" and not one.due_at:
        return "to be sent after the end of the day"
    if one.state == "waiting":
        at = day_and_time(one.due_at)
        return f"to be sent at {at} UTC" + (f" ({safe(one.told)})" if one.told else "")
    return f"{one.state}: {safe(one.told)}" if one.told else one.state


@command.command("show")
@one_report
def show(kind: str, domain: str, date: str | None, config: str | None) -> None:
    """Show what a domain is told about a day: the report itself on stdout, where it goes on stderr. That of a day that
    is not over shows what was counted so far."""
    from purport.cli.dns import evaluate
    from purport.config.load import find_settings

    state, settings = _state(config)
    day, name = _day(date), _domain(domain)
    found = _read(state, lambda connection: _report(connection, _kind(kind, settings), day, name))
    if found is None:
        raise Failure(f"nothing was counted for {name} on {_name(day)}", EX_NOINPUT)
    document, evaluation, left_out = found
    click.echo(_readable(document))
    click.echo(f"note: {_destinations(evaluate(evaluation, None, (find_settings(config), settings)))}", err=True)
    if left_out:
        click.echo(
            f"note: {left_out} more were left out that day, of this domain or others: there was no room", err=True
        )


@command.command("send")
@one_report
def send(kind: str, domain: str, date: str | None, config: str | None) -> None:
    """Have the server send a report now, whether it was sent before or not."""
    state, _ = _state(config)
    day, name = _day(date), _domain(domain)
    request = {"command": "report", "kind": kind, "day": _name(day), "domain": name}
    try:
        answer = ask(state, request, SEND_SECONDS)
    except (NoServer, OSError, ValueError) as error:
        raise Failure(f"the server cannot be asked: {error}", EX_UNAVAILABLE) from error
    told = safe(str(answer.get("text", "")))
    if not answer.get("ok"):
        raise Failure(told, EX_TEMPFAIL)
    click.echo(told)


def _report(
    connection: sqlite3.Connection, kind: Kind, day: int, domain: str
) -> tuple[Document, Evaluation[Wish], int] | None:
    """A report, the question where it goes, and how much it leaves out; None where there is nothing to tell."""
    from purport.reporting.tally import left_out_on

    if domain not in kind.domains(connection, day):
        return None
    left_out = left_out_on(connection, kind.name, day)
    return kind.document(connection, day, domain), kind.wish(connection, day, domain), left_out


def _readable(document: Document) -> str:
    """The content, in lines for people; its meaning is the same."""
    if not document.media_type.startswith("application/tlsrpt+"):
        return document.content.decode("utf-8")
    return json.dumps(json.loads(document.content), indent=2)


def _destinations(wish: Wish) -> str:
    from purport.reporting.wish import Wanted

    if isinstance(wish, Wanted):
        return "goes to " + ", ".join(safe(str(destination)) for destination in wish.destinations)
    return f"goes nowhere: {safe(wish.reason)}"


def _kind(name: str, settings: Settings) -> Kind:
    """A kind of reports, without what counts."""
    from purport.parts.reports import make_organization
    from purport.reporting.dmarc.kind import DmarcReports
    from purport.reporting.tls.kind import TlsReports

    if name == "dmarc":
        return DmarcReports(make_organization(settings, settings.dmarc_report))
    return TlsReports(make_organization(settings, settings.tls_report))


def _day(date: str | None) -> int:
    from purport.reporting.day import day_of, parse

    if date is None:
        return day_of(time.time()) - 1
    try:
        return parse(date)
    except ValueError as error:
        raise Failure(f"{safe(date)} is no date: {error}", EX_USAGE) from error


def _domain(name: str) -> str:
    from purport.mail.domain import a_label_form

    try:
        return a_label_form(name).lower()
    except ValueError as error:
        raise Failure(f"{safe(name)} is no domain name", EX_USAGE) from error


def _name(day: int) -> str:
    from purport.reporting.day import name_of

    return name_of(day)


def _state(config: str | None) -> tuple[Path, Settings]:
    """The state folder, and the settings."""
    from purport.config.load import state_folder

    path, settings = settings_of(config)
    return state_folder(path, settings), settings


def _read(state: Path, step: Callable[[sqlite3.Connection], T]) -> T | None:
    """Reads the database; one that cannot be had is no traceback."""
    from purport.reporting.database import WrongDatabase, read

    try:
        return read(state, step)
    except (sqlite3.Error, WrongDatabase) as error:
        raise Failure(f"the reports cannot be read: {error}", EX_UNAVAILABLE) from error
