"""`purport spf`: SPF and Sender ID checks by hand, with the exit codes of spfquery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import Failure, config_option, safe

if TYPE_CHECKING:
    from purport.authentication.spf.result import SpfResult

CODES: Final = {"pass": 0, "fail": 1, "softfail": 2, "neutral": 3, "permerror": 4, "temperror": 5, "none": 6}


@click.group("spf")
def command() -> None:
    """Check SPF (RFC 7208) or Sender ID (RFC 4406)."""


@command.command("check")
@click.option("--scope", type=click.Choice(["mfrom", "helo", "pra"]), default="mfrom", show_default=True)
@click.option("--id", "identity", required=True, metavar="ADDRESS", help="The address to check; for helo a domain.")
@click.option("--ip", required=True, metavar="A", help="The client's address.")
@click.option("--helo", default="", metavar="H", help="What the client said in HELO or EHLO.")
@click.option("--zone", metavar="FILE", help="Ask this JSON zone instead of the DNS.")
@click.option("--trace", is_flag=True, help="Show every step.")
@click.option("--json", "as_json", is_flag=True, help="The result as a JSON object.")
@config_option
def check(
    scope: str, identity: str, ip: str, helo: str, zone: str | None, trace: bool, as_json: bool, config: str | None
) -> None:
    """May this client speak for this address? Exits with 0 pass, 1 fail, 2 softfail, 3 neutral, 4 permerror,
    5 temperror, 6 none."""
    from purport.authentication.sender_id.check import check_sender_id
    from purport.authentication.spf.check_host import check_host
    from purport.cli.dns import evaluate

    try:
        if scope == "pra":
            evaluation = check_sender_id(ip, identity, helo, scope="pra")
        elif scope == "helo":
            evaluation = check_host(ip, identity, "", helo or identity, scope="helo")
        else:
            domain = identity.rpartition("@")[2]
            evaluation = check_host(ip, domain, identity if "@" in identity else "", helo)
        result = evaluate(evaluation, zone, config)
    except ValueError as error:
        raise Failure(str(error), 64) from error
    if as_json:
        click.echo(json.dumps(as_object(result, trace)))
    else:
        show(result, trace)
    raise click.exceptions.Exit(CODES[result.result])


def as_object(result: SpfResult, trace: bool = False) -> dict[str, object]:
    """A result as JSON has it."""
    told: dict[str, object] = {
        "result": result.result,
        "scope": result.scope,
        "identity": safe(result.identity),
        "domain": safe(result.domain),
        "mechanism": result.mechanism,
        "mechanism_domain": result.mechanism_domain,
        "explanation": result.explanation,
        "problem": result.problem,
    }
    if trace:
        told["trace"] = [{"domain": step.domain, "term": step.term, "outcome": step.outcome} for step in result.trace]
    return told


def show(result: SpfResult, trace: bool) -> None:
    """A result for people: the word alone on the first line, as spfquery has it."""
    click.echo(result.result)
    by = f"{result.mechanism} of {result.mechanism_domain}" if result.mechanism else result.problem or "nothing"
    click.echo(f"{safe(result.domain)}: decided by {safe(by)}")
    if result.explanation:
        click.echo(f"the domain's owner says: {safe(result.explanation)}")
    if trace:
        for step in result.trace:
            click.echo(f"  {safe(step.domain)}: {safe(step.term)} -> {safe(step.outcome)}")
