"""`purport dmarc`: what a domain asks for about mail in its name that fails.

$ purport dmarc check mail.example.com
reject
p of _dmarc.example.com applies; organizational domain example.com
  _dmarc.mail.example.com: no record
  _dmarc.example.com: v=DMARC1; p=reject; rua=mailto:reports@example.com
  _dmarc.com: no record
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import EX_DATAERR, EX_TEMPFAIL, EX_USAGE, Failure, config_option, settings_if_any, zone_option
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.authentication.dmarc.survey import Survey
    from purport.authentication.dmarc.tree_walk import Step

COLOURS: Final = {"reject": "green", "quarantine": "green", "permerror": "red"}  # the others are yellow
FOUND: Final = {"none": "no record", "several": "several records, which count as none", "failed": "no answer"}
ACCEPTANCE: Final = {
    "own": "the same organization",
    "accepted": "wants them",
    "refused": "does not want them",
    "unknown": "no answer",
}


@click.group("dmarc")
def command() -> None:
    """Look over what a domain publishes about DMARC (RFC 9989)."""


@command.command("check")
@click.argument("domain")
@zone_option
@click.option("--json", "as_json", is_flag=True, help="What was found as a JSON object.")
@config_option
def check(domain: str, zone: str | None, as_json: bool, config: str | None) -> None:
    """Print what DOMAIN asks for about mail in its name that fails, which record says so, the walk that led there, and
    what is wrong with it. What is asked for stands alone on the first line.

    Exits with 0, with 65 where no policy applies or something is wrong, with 75 where the DNS did not answer.
    """
    from purport.authentication.dmarc.survey import survey
    from purport.cli.dns import evaluate

    found = evaluate(survey(_name(domain)), zone, None if zone is not None else settings_if_any(config))
    if as_json:
        click.echo(json.dumps(as_object(found)))
    else:
        show(found)
    if found.outcome == "temperror":
        raise click.exceptions.Exit(EX_TEMPFAIL)
    if found.problems or found.outcome in ("no policy", "permerror"):
        raise click.exceptions.Exit(EX_DATAERR)


def _name(text: str) -> str:
    from purport.mail.domain import a_label_form, normal_domain

    try:
        return normal_domain(a_label_form(text.removesuffix(".")))
    except ValueError as error:
        raise Failure(f"{text or 'an empty text'} is no domain: {error}", EX_USAGE) from error


def as_object(found: Survey) -> dict[str, object]:
    """What was found as JSON has it."""
    record = None if found.applies is None else found.applies.record
    return {
        "domain": found.walk.domain,
        "outcome": found.outcome,
        "policy_domain": None if found.applies is None else found.applies.domain,
        "organizational_domain": found.organizational_domain,
        "tag": found.tag,
        "record": None
        if record is None
        else {
            "text": record.text,
            "p": record.p,
            "sp": record.sp,
            "np": record.np,
            "adkim": record.adkim,
            "aspf": record.aspf,
            "psd": record.psd,
            "t": "y" if record.testing else "n",
            "fo": list(record.fo),
            "rua": list(record.rua),
            "ruf": list(record.ruf),
        },
        "walk": [
            {"name": _asked(step), "found": step.found, "record": None if step.record is None else step.record.text}
            for step in found.walk.steps
        ],
        "destinations": [{"uri": uri, "acceptance": acceptance} for uri, acceptance in found.destinations],
        "problems": list(found.problems),
        "remarks": list(found.remarks),
    }


def show(found: Survey) -> None:
    """What was found for people."""
    terminal = sys.stdout.isatty()
    click.secho(found.outcome, fg=COLOURS.get(found.outcome, "yellow") if terminal else None, bold=terminal)
    told = []
    if found.applies is not None:
        told.append(f"{found.tag or 'the record'} of {_asked(found.applies)} applies")
    if found.organizational_domain is not None:
        told.append(f"organizational domain {found.organizational_domain}")
    if told:
        click.echo("; ".join(told))
    for step in found.walk.steps:
        click.echo(f"  {_asked(step)}: {FOUND[step.found] if step.record is None else safe(step.record.text)}")
    for uri, acceptance in found.destinations:
        click.echo(f"  reports to {safe(uri)}: {ACCEPTANCE[acceptance]}")
    for problem in found.problems:
        click.echo(f"problem: {safe(problem)}")
    for remark in found.remarks:
        click.echo(f"remark: {safe(remark)}")


def _asked(step: Step) -> str:
    return f"_dmarc.{step.domain}"
