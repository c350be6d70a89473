"""`purport chain`: who was responsible for a message on each hop, and what of it is claimed, proven or contradicted.

$ purport chain message.eml --trust mx.elsewhere.example
carol@company.com.example sent it on last: proven

hop  server                  responsible                              status
2    mx.elsewhere.example    carol@company.com.example (resent-from)  claimed
1    mx.company.com.example  carol@company.com.example (resent-from)  proven
       mx.elsewhere.example, which is trusted, had it from 192.0.2.25; Sender ID of company.com.example is pass
0    the author              alice@example.com (from)                 proven
       DKIM of example.com holds over from
"""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import config_option, read_input, settings_if_any, with_crlf, zone_option
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.dns.lookup import Evaluation
    from purport.forwarding.chain import Link, Submission
    from purport.forwarding.hops import Hop
    from purport.forwarding.srs import Srs
    from purport.mail.address import ReversePath
    from purport.mail.header import Header

CONTRADICTED: Final = 1  # the exit code: no sysexit says it
COLOURS: Final = {"proven": "green", "claimed": "yellow", "contradicted": "red"}
COLUMNS: Final = ("hop", "server", "responsible", "status")
QUEUE_ID: Final = re.compile(r"\bid ([0-9A-Z]{13})\b")


@click.command("chain")
@click.argument("file", metavar="FILE")
@click.option(
    "--trust", multiple=True, metavar="HOST", help="A server whose Received field is believed; more than once."
)
@zone_option
@click.option("--json", "as_json", is_flag=True, help="The hops as a JSON object.")
@config_option
def command(file: str, trust: tuple[str, ...], zone: str | None, as_json: bool, config: str | None) -> None:
    """Merge Received fields, resent blocks, SRS addresses, ARC sets, DKIM signatures and our own records of SUBMITTER
    into one table of hops for the message in FILE (`-` is stdin), the newest first.

    With a settings file, its hostname is trusted, its SRS secrets tell our own addresses, and its ledger what clients
    named as SUBMITTER. Exits with 1 where something is contradicted.
    """
    from purport.cli.dns import evaluate
    from purport.mail.header import read_header

    settings = settings_if_any(config)
    message = with_crlf(read_input(file))
    header = read_header(message)
    found = evaluate(evaluation(message, header, trust, settings), zone, settings)
    if as_json:
        click.echo(json.dumps(as_object(file, found)))
    else:
        show(found)
    broken = any(link.status == "contradicted" for link in found)
    raise click.exceptions.Exit(CONTRADICTED if broken else 0)


def evaluation(
    message: bytes, header: Header, trust: tuple[str, ...], settings: tuple[Path, Settings] | None
) -> Evaluation[tuple[Link, ...]]:
    """The hops of a message, with all that can be known about them."""
    from purport.authentication.arc.chain import validate
    from purport.authentication.arc.sets import body_forms
    from purport.authentication.dkim.body import hash_body
    from purport.authentication.spf.checker import Checker
    from purport.cli.forward import verified
    from purport.dns.lookup import together
    from purport.forwarding.chain import Proofs, chain
    from purport.forwarding.hops import hops_of

    now = time.time()
    hops = hops_of(header)
    hashes = hash_body([message[header.length :]], *body_forms(header))
    dkim, arc = yield from together(verified(message, header, now), validate(header, hashes, now))
    trusted = {host.lower() for host in trust}
    srs, submissions = None, {}
    if settings is not None:
        trusted.add(settings[1].hostname.lower())
        srs, submissions = known_srs(settings), submissions_in(settings, hops)
    proofs = Proofs(dkim, arc, trusted, srs, submissions, reverse_path_of(header))
    hostname = settings[1].hostname if settings is not None else "localhost"
    return (yield from chain(hops, proofs, Checker(hostname), now))


def known_srs(settings: tuple[Path, Settings]) -> Srs | None:
    """What reads our own SRS addresses. Raises Failure."""
    from purport.cli.exits import EX_CONFIG, Failure
    from purport.config.load import SettingsError
    from purport.parts.forwarding import known_srs as of_settings

    try:
        return of_settings(*settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error


def submissions_in(settings: tuple[Path, Settings], hops: tuple[Hop, ...]) -> dict[int, Submission]:
    """What our ledger says about the hops that we wrote, by their number."""
    from purport.config.load import state_folder
    from purport.forwarding.chain import Submission
    from purport.ledger import read
    from purport.queue.queue_id import parse

    path, said = settings
    folder = state_folder(path, said) / "ledger"
    found: dict[int, Submission] = {}
    for hop in hops:
        named = QUEUE_ID.search(hop.fields[-1].text) if hop.server == said.hostname.lower() else None
        if named is None:
            continue
        try:
            entry = read.by_id(folder, parse(named[1]))
        except ValueError:
            continue
        if entry is not None and entry.record.submitter is not None:
            checked = entry.record.sender_id
            result = "not checked" if checked is None else checked.result
            found[hop.number] = Submission(entry.record.id, entry.record.submitter, result)
    return found


def reverse_path_of(header: Header) -> ReversePath | None:
    """What the Return-Path field says; None where there is none that can be read."""
    from purport.mail.address import NULL, parse_reverse_path

    field = header.first("return-path")
    if field is None:
        return None
    try:
        found, _ = parse_reverse_path(field.value, utf8=True)
    except ValueError:
        return None
    return found if found is not NULL else NULL


def as_object(file: str, links: tuple[Link, ...]) -> dict[str, object]:
    """The hops as JSON has them, the author first."""
    return {
        "file": file,
        "hops": [
            {
                "hop": link.hop.number,
                "server": link.hop.server or None,
                "client": None if link.hop.client is None else link.hop.client.address,
                "time": int(link.hop.time) or None,
                "responsible": None if link.hop.pra.address is None else str(link.hop.pra.address),
                "field": link.hop.pra.field,
                "status": link.status,
                "evidence": [{"weight": one.weight, "text": one.text} for one in link.evidence],
            }
            for link in links
        ],
    }


def show(links: tuple[Link, ...]) -> None:
    """The hops as a table, the newest first, below who sent the message on last: the hop before the last server."""
    last = links[-2] if len(links) > 1 else links[-1]
    responsible = last.hop.pra.address
    colour = sys.stdout.isatty()
    click.echo(safe(f"{responsible or 'nobody'} sent it on last: {last.status}"))
    click.echo("")
    rows = [_cells(link) for link in reversed(links)]
    widths = [max(len(cells[column]) for cells in (COLUMNS, *rows)) for column in range(3)]
    click.echo(_line(COLUMNS, widths))
    for link, cells in zip(reversed(links), rows, strict=True):
        start = _line((*cells[:3], ""), widths)
        click.echo(safe(start) + click.style(link.status, fg=COLOURS[link.status] if colour else None))
        for one in link.evidence:
            mark = {"proves": "+", "contradicts": "!", "tells": " "}[one.weight]
            click.echo(safe(f"     {mark} {one.text}"))


def _cells(link: Link) -> tuple[str, str, str, str]:
    pra = link.hop.pra
    who = f"{pra.address} ({pra.field})" if pra.address is not None else "nobody"
    server = link.hop.server or ("the author" if not link.hop.number else "a server")
    return str(link.hop.number), server, who, link.status


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells[:3], widths, strict=True)) + f"  {cells[3]}"
