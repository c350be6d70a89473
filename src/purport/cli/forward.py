"""`purport forward`: how a message would fare at another server if it were forwarded, under each repair.

$ purport forward plan message.eml --via company.com.example --to carol@elsewhere.example --ip 192.0.2.25
both: the least that elsewhere.example is expected to let pass

repair  SPF   Sender ID  DKIM               DMARC  outcome
none    fail  fail       example.com holds  pass   risk: SPF of example.com fails; ...
"""

from __future__ import annotations

import ipaddress
import json
import time
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import (
    EX_USAGE,
    Failure,
    config_option,
    mailbox_of,
    read_input,
    reverse_path_of,
    settings_if_any,
    with_crlf,
    zone_option,
)
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.authentication.dkim.result import DkimResult
    from purport.dns.lookup import Evaluation
    from purport.forwarding.plan import Plan, Row
    from purport.mail.address import Mailbox, ReversePath
    from purport.mail.header import Header

NONE_PASSES: Final = 1  # the exit code: no sysexit says it
COLUMNS: Final = ("repair", "SPF", "Sender ID", "DKIM", "DMARC", "outcome")
WAYS: Final = {"seal": "both + ARC seal", "from": "From rewritten"}


@click.group("forward")
def command() -> None:
    """Plan how mail is forwarded."""


@command.command("plan")
@click.argument("file", metavar="FILE")
@click.option("--via", "domain", required=True, metavar="DOMAIN", help="The domain of the mailbox that forwards.")
@click.option("--to", "address", required=True, metavar="ADDRESS", help="Where the mail goes on to.")
@click.option("--ip", "addresses", multiple=True, metavar="OUR_IP", help="An address that we connect from.")
@click.option("--helo", default="", metavar="H", help="What we say in EHLO; default: our hostname, else DOMAIN.")
@click.option("--mail-from", "path", metavar="P", help="The reverse-path; default: that of Return-Path, else From.")
@zone_option
@click.option("--json", "as_json", is_flag=True, help="The plan as a JSON object.")
@config_option
def plan(
    file: str,
    domain: str,
    address: str,
    addresses: tuple[str, ...],
    helo: str,
    path: str | None,
    zone: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Simulate the checks of the next hop on the message in FILE (`-` is stdin), as it came to us, for each repair:
    nothing, a Resent-From field (with SUBMITTER), SRS, both; and what an ARC seal would change where it is trusted, and
    what mailing lists do: a rewritten From.

    Without --ip our addresses are those of the settings, else those that the DNS has for what we say in EHLO. Exits
    with 0 where a repair passes, 1 where none does.
    """
    from purport.cli.dns import evaluate
    from purport.mail.header import read_header

    settings = None if zone is not None and config is None else settings_if_any(config)
    message = with_crlf(read_input(file))
    header = read_header(message)
    to = mailbox_of(address)
    if settings is not None:
        helo = helo or settings[1].hostname
        addresses = addresses or tuple(settings[1].forwarding.addresses or settings[1].relay.source)
    for one in addresses:
        _check_address(one)
    reverse_path = reverse_path_of(path) if path is not None else _reverse_path(header)
    forwarder = mailbox_of(f"forwarder@{domain}")
    evaluation = planned(message, header, reverse_path, forwarder, helo or domain, addresses)
    found = evaluate(evaluation, zone, settings)
    if as_json:
        click.echo(json.dumps(as_object(file, to, found)))
    else:
        show(to, found)
    raise click.exceptions.Exit(0 if found.passes else NONE_PASSES)


def planned(
    message: bytes,
    header: Header,
    reverse_path: ReversePath,
    forwarder: Mailbox,
    helo: str,
    addresses: tuple[str, ...],
) -> Evaluation[Plan]:
    """The plan for a message: its signatures verified as they came, then everything that the next hop would ask."""
    from purport.authentication.spf.checker import Checker
    from purport.dns.addresses import addresses_of
    from purport.forwarding.expansion import Forwards
    from purport.forwarding.plan import Sending, plan
    from purport.forwarding.srs import Srs
    from purport.mail.domain import normal_domain
    from purport.service.forwarding import ForwardDesk

    now = time.time()
    signatures = yield from verified(message, header, now)
    addresses = addresses or (yield from addresses_of(helo))
    ours = frozenset((normal_domain(forwarder.domain),))
    desk = ForwardDesk(helo, Forwards(ours), Srs((b"a plan needs no secret",)), ours)
    forwarded = desk.forwarded(forwarder, header, signatures, reverse_path, now)
    return (yield from plan(Checker(helo), Sending(helo, addresses, now), forwarded))


def verified(message: bytes, header: Header, now: float) -> Evaluation[tuple[DkimResult, ...]]:
    """The results for the signatures of a message."""
    from purport.authentication.dkim.body import hash_body
    from purport.authentication.dkim.signature import signatures
    from purport.authentication.dkim.verify import verify

    found = signatures(header)
    forms = [one.form for one in found if one.result is None]
    hashes = hash_body([message[header.length :]], *forms)
    return (yield from verify(found, header, hashes, now))


def as_object(file: str, to: Mailbox, found: Plan) -> dict[str, object]:
    """A plan as JSON has it."""
    return {
        "file": file,
        "to": str(to),
        "chosen": found.chosen,
        "passes": found.passes,
        "repairs": [
            {
                "repair": row.way,
                "reverse_path": row.reverse_path,
                "pra": row.pra or None,
                "spf": row.spf,
                "sender_id": row.sender_id,
                "dkim": [{"domain": one.domain, "holds": one.holds} for one in row.dkim],
                "dmarc": row.dmarc,
                "outcome": row.outcome,
                "why": row.why,
            }
            for row in found.rows
        ],
    }


def show(to: Mailbox, found: Plan) -> None:
    """A plan as a table, what to do first."""
    if found.passes:
        click.echo(f"{found.chosen}: the least that {safe(to.domain)} is expected to let pass")
    else:
        click.echo(f"no repair passes; {found.chosen} is the best of them: {safe(found.row(found.chosen).why)}")
    click.echo("")
    table = [COLUMNS, *(_cells(row) for row in found.rows)]
    widths = [max(len(cells[column]) for cells in table) for column in range(len(COLUMNS) - 1)]
    for cells in table:
        start = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=False))
        click.echo(safe(f"{start}  {cells[-1]}"))
    click.echo("")
    for row in found.rows:
        click.echo(safe(f"{WAYS.get(row.way, row.way)}: from <{row.reverse_path}>, responsible {row.pra or 'nobody'}"))


def _cells(row: Row) -> tuple[str, ...]:
    dkim = ", ".join(f"{one.domain} {'holds' if one.holds else 'breaks'}" for one in row.dkim) or "none"
    outcome = f"{row.outcome}: {row.why}" if row.why else row.outcome
    return (WAYS.get(row.way, row.way), row.spf, row.sender_id, dkim, row.dmarc, outcome)


def _reverse_path(header: Header) -> ReversePath:
    """What the message says about itself: Return-Path as it was delivered, else From."""
    from purport.mail.address import NULL
    from purport.mail.fields import single_mailbox

    field = header.first("return-path")
    if field is not None and field.value == b"<>":
        return NULL
    source = field or header.first("from")
    try:
        if source is None:
            raise ValueError("there is neither Return-Path nor From")
        return single_mailbox(source.text)
    except ValueError as error:
        raise Failure(f"the reverse-path is not known: {error}; name it with --mail-from", EX_USAGE) from error


def _check_address(address: str) -> None:
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise Failure(f"{address}: no IP address", EX_USAGE) from error
