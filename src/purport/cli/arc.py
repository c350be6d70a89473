"""`purport arc`: who passed a message on, and what each of them found (RFC 8617).

$ purport arc verify message.eml --trust lists.example
pass
sealed by lists.example, mx.example.net; nothing was changed since instance 1
  1 lists.example: spf=pass smtp.mailfrom=example.com; dmarc=pass header.from=example.com; arc=none
  2 mx.example.net: spf=fail smtp.mailfrom=example.com; dmarc=fail header.from=example.com; arc=pass
trusted ARC sealer lists.example (i=1) found pass
"""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import config_option, read_input, settings_if_any, zone_option
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.authentication.arc.result import ArcResult, Hop
    from purport.authentication.arc.trust import Testimony
    from purport.authentication.authres.results import MethodResult
    from purport.dns.lookup import Evaluation

CODES: Final = {"pass": 0, "fail": 1, "none": 6}  # as those of `spf check`
COLOURS: Final = {"pass": "green", "fail": "red", "none": "yellow"}


@click.group("arc")
def command() -> None:
    """Validate the Authenticated Received Chain of a message (RFC 8617)."""


@command.command("verify")
@click.argument("file", metavar="FILE")
@click.option("--trust", multiple=True, metavar="DOMAIN", help="A sealer whose word is taken; more than once.")
@zone_option
@click.option("--json", "as_json", is_flag=True, help="The result as a JSON object.")
@config_option
def verify(file: str, trust: tuple[str, ...], zone: str | None, as_json: bool, config: str | None) -> None:
    """Verify who sealed the message in FILE (`-` is stdin), and that the chain holds. The result's word stands alone on
    the first line.

    Exits with 0 pass, 1 fail, 6 none.
    """
    from purport.authentication.arc.trust import vouched
    from purport.cli.dns import evaluate

    settings = None if zone is not None else settings_if_any(config)
    result = evaluate(evaluation(read_input(file)), zone, settings)
    testimony = vouched(result, trust)
    if as_json:
        click.echo(json.dumps(as_object(file, result, testimony)))
    else:
        show(result, testimony)
    raise click.exceptions.Exit(CODES[result.result])


def evaluation(octets: bytes) -> Evaluation[ArcResult]:
    """The validation of a message, whose lines may end with LF alone in a file."""
    from purport.authentication.arc.chain import validate
    from purport.authentication.arc.sets import read_chain
    from purport.authentication.dkim.body import hash_body
    from purport.mail.header import read_header

    if b"\r\n" not in octets:
        octets = octets.replace(b"\n", b"\r\n")
    header = read_header(octets)
    chain = read_chain(header)
    hashes = hash_body([octets[header.length :]], *chain.body_forms)
    return validate(header, hashes, time.time(), chain)


def as_object(file: str, result: ArcResult, testimony: Testimony | None) -> dict[str, object]:
    """A result as JSON has it."""
    return {
        "file": file,
        "result": result.result,
        "instance": result.instance,
        "oldest_pass": result.oldest_pass,
        "problem": result.problem or None,
        "hops": [hop_as_object(hop) for hop in result.hops],
        "vouched": None if testimony is None else {"sealer": testimony.sealer, "instance": testimony.instance},
    }


def hop_as_object(hop: Hop) -> dict[str, object]:
    """What one sealer said."""
    return {
        "instance": hop.instance,
        "sealer": hop.sealer,
        "selector": hop.selector,
        "intact": hop.intact,
        "authserv_id": None if hop.said is None else hop.said.authserv_id,
        "results": [] if hop.said is None else [result_as_object(result) for result in hop.said.results],
    }


def result_as_object(result: MethodResult) -> dict[str, object]:
    """One result of a method."""
    properties = [{"type": ptype, "name": name, "value": value} for ptype, name, value in result.properties]
    return {"method": result.method, "result": result.result, "reason": result.reason, "properties": properties}


def show(result: ArcResult, testimony: Testimony | None) -> None:
    """A result for people."""
    terminal = sys.stdout.isatty()
    click.secho(result.result, fg=COLOURS[result.result] if terminal else None, bold=terminal)
    if result.result == "pass":
        since = result.oldest_pass or 1
        click.echo(f"sealed by {', '.join(result.sealers)}; nothing was changed since instance {since}")
        for hop in result.hops:
            click.echo(safe(f"  {hop.instance} {hop.sealer}: {said(hop)}"))
    elif result.problem:
        click.echo(safe(result.problem))
    if testimony is not None:
        click.echo(safe(testimony.reason))


def said(hop: Hop) -> str:
    """What a sealer found, in one line."""
    if hop.said is None:
        return "its results cannot be read"
    results = []
    for result in hop.said.results:
        properties = "".join(f" {ptype}.{name}={value}" for ptype, name, value in result.properties)
        results.append(f"{result.method}={result.result}{properties}")
    return "; ".join(results) or "none"
