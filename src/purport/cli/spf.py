"""`purport spf`: SPF and Sender ID checks by hand, with the exit codes of spfquery.

$ purport spf check --scope mfrom --id alice@example.com --ip 192.0.2.9 --helo mx.example.net
fail
example.com: -all of example.com decided
Received-SPF: fail (example.com: does not designate 192.0.2.9 as permitted sender) client-ip=192.0.2.9; ...
"""

from __future__ import annotations

import json
import socket
import sys
from typing import TYPE_CHECKING, Final, Literal

import click

from purport.cli.exits import EX_USAGE, Failure, config_option, ip_option, settings_if_any, zone_option
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.authentication.spf.result import SpfResult
    from purport.dns.lookup import Evaluation

CODES: Final = {"pass": 0, "fail": 1, "softfail": 2, "neutral": 3, "permerror": 4, "temperror": 5, "none": 6}
COLOURS: Final = {"pass": "green", "fail": "red", "permerror": "red"}  # the others are yellow
IDENTITIES: Final = {"mfrom": "mailfrom", "helo": "helo", "pra": "pra"}  # RFC 7208 section 9.1
Scope = Literal["mfrom", "helo", "pra"]


@click.group("spf")
def command() -> None:
    """Check SPF (RFC 7208) or Sender ID (RFC 4406)."""


@command.command("check")
@click.option("--scope", type=click.Choice(["mfrom", "helo", "pra"]), default="mfrom", show_default=True)
@click.option("--id", "identity", required=True, metavar="ADDRESS", help="The address to check; for helo a domain.")
@ip_option
@click.option("--helo", default="", metavar="H", help="What the client said in HELO or EHLO.")
@zone_option
@click.option("--trace", is_flag=True, help="Show every step.")
@click.option("--json", "as_json", is_flag=True, help="The result as a JSON object.")
@config_option
def check(
    scope: Scope, identity: str, ip: str, helo: str, zone: str | None, trace: bool, as_json: bool, config: str | None
) -> None:
    """Check whether this client may speak for this address. The result's word stands alone on the first line, and the
    last one is the Received-SPF field.

    Exits with 0 pass, 1 fail, 2 softfail, 3 neutral, 4 permerror, 5 temperror, 6 none.
    """
    from purport.cli.dns import evaluate

    if identity.startswith("<") and identity.endswith(">"):
        identity = identity[1:-1]
    if not identity:
        raise Failure("--id needs an address; for a null reverse-path check the hello domain: --scope helo", EX_USAGE)
    settings = None if zone is not None else settings_if_any(config)
    result = evaluate(evaluation(scope, identity, ip, helo), zone, settings)
    if as_json:
        click.echo(json.dumps(as_object(result, trace)))
    else:
        receiver = settings[1].hostname if settings is not None else socket.gethostname()
        show(result, receiver, trace)
    raise click.exceptions.Exit(CODES[result.result])


def evaluation(scope: Scope, identity: str, ip: str, helo: str) -> Evaluation[SpfResult]:
    """The check that is asked for."""
    from purport.authentication.sender_id.check import check_sender_id
    from purport.authentication.spf.check_host import check_host

    if scope == "pra":
        return check_sender_id(ip, identity, helo, scope="pra")
    domain = identity.rpartition("@")[2]
    if scope == "helo":
        return check_host(ip, domain, "", helo or domain, scope="helo")
    return check_host(ip, domain, identity if "@" in identity else "", helo)


def as_object(result: SpfResult, trace: bool = False) -> dict[str, object]:
    """A result as JSON has it."""
    told: dict[str, object] = {
        "result": result.result,
        "scope": result.scope,
        "identity": result.identity,
        "domain": result.domain,
        "client_address": result.client_address,
        "mechanism": result.mechanism,
        "mechanism_domain": result.mechanism_domain,
        "explanation": result.explanation,
        "problem": result.problem,
    }
    if trace:
        told["trace"] = [{"domain": step.domain, "term": step.term, "outcome": step.outcome} for step in result.trace]
    return told


def show(result: SpfResult, receiver: str, trace: bool) -> None:
    """A result for people."""
    terminal = sys.stdout.isatty()
    click.secho(result.result, fg=COLOURS.get(result.result, "yellow") if terminal else None, bold=terminal)
    if result.mechanism:
        click.echo(safe(f"{result.domain}: {result.mechanism} of {result.mechanism_domain} decided"))
    else:
        click.echo(safe(f"{result.domain}: {result.problem or 'nothing decided'}"))
    if result.explanation:
        click.echo(safe(f"the domain's owner says: {result.explanation}"))
    if trace:
        show_trace(result, terminal)
    click.echo(received_spf(result, receiver))


def show_trace(result: SpfResult, terminal: bool) -> None:
    """Every step, indented by how deep its record is included: a domain that was left has no more steps."""
    depths: dict[str, int] = {}
    for step in result.trace:
        depth = depths.setdefault(step.domain, len(depths))
        for domain in [domain for domain, other in depths.items() if other > depth]:
            del depths[domain]
        line = safe(f"{step.domain}: {step.term}")
        outcome = safe(step.outcome)
        click.echo(f"  {'  ' * depth}{line} -> {click.style(outcome, bold=True) if terminal else outcome}")


def received_spf(result: SpfResult, receiver: str) -> str:
    """The field of RFC 7208 section 9.1, in one line."""
    from purport.policy.spf import SAID

    said = SAID[result.result].format(result.client_address)
    pairs = [("client-ip", result.client_address)]
    if result.scope != "helo":
        pairs.append(("pra" if result.scope == "pra" else "envelope-from", result.identity))
    if result.hello_domain:
        pairs.append(("helo", result.hello_domain))
    pairs += [("receiver", receiver), ("identity", IDENTITIES[result.scope])]
    if result.mechanism:
        pairs.append(("mechanism", result.mechanism))
    if result.problem:
        pairs.append(("problem", result.problem))
    told = "; ".join(f"{name}={_value(value)}" for name, value in pairs)
    return f"Received-SPF: {result.result} ({_comment(f'{result.domain}: {said}')}) {told}"


def _value(text: str) -> str:
    """A dot-atom as it is, everything else as a quoted-string."""
    from purport.policy.spf import DOT_ATOM, UNSAFE

    return text if DOT_ATOM.fullmatch(text) else f'"{UNSAFE.sub("?", text)}"'


def _comment(text: str) -> str:
    """A text inside a comment: nothing in it that would end it."""
    return safe(text).replace("\\", "?").replace("(", "?").replace(")", "?")
