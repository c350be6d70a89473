"""`purport judge`: what would be decided about a message, and why; nothing is sent or stored."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from purport.cli.exits import (
    EX_CONFIG,
    EX_TEMPFAIL,
    Failure,
    config_option,
    forward_path_of,
    ip_option,
    mailbox_of,
    read_input,
    reverse_path_of,
    settings_if_any,
    with_crlf,
)

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.forwarding.expansion import Forwards
    from purport.mail.address import Mailbox
    from purport.policy.policy import Policy

REFUSED = 1  # the exit code: no sysexit says it, and a script must tell it from an error


@click.command("judge")
@click.argument("file", metavar="FILE.eml")
@ip_option
@click.option("--helo", required=True, metavar="H", help="What the client would say in EHLO.")
@click.option("--mail-from", required=True, metavar="P", help="The reverse-path; empty or <> for the null one.")
@click.option("--rcpt", multiple=True, metavar="P", help="A forward-path; may be given several times.")
@click.option("--submitter", metavar="P", help="The submitter that the client would name.")
@click.option("--zone", metavar="FILE", help="Ask this JSON zone instead of the DNS.")
@click.option("--json", "as_json", is_flag=True, help="The record as a JSON object.")
@config_option
def command(
    file: str,
    ip: str,
    helo: str,
    mail_from: str,
    rcpt: tuple[str, ...],
    submitter: str | None,
    zone: str | None,
    as_json: bool,
    config: str | None,
) -> None:
    """Judge a message as the server would: by the settings where there is a settings file, else by the defaults, and
    then every recipient is taken for one of ours. Programs of `forward_command` are not run. `-` is stdin.

    Exits with 0 where the message would be accepted, 1 where it would be refused, 75 where it would be deferred.
    """
    from purport.authentication.spf.checker import Checker
    from purport.cli.dns import evaluate
    from purport.ledger.explain import as_json as to_json
    from purport.ledger.explain import as_text
    from purport.ledger.read import Entry
    from purport.policy.facts import Client
    from purport.service.verdict import judge

    reverse_path = reverse_path_of(mail_from)
    named = None if submitter is None else mailbox_of(submitter)
    forward_paths = [forward_path_of(path) for path in rcpt]
    settings = settings_if_any(config)
    policy = _policy(settings, forward_paths)
    octets = with_crlf(read_input(file))
    verdict = judge(
        Checker(policy.receiver),
        policy,
        Client(ip, None, helo),
        reverse_path,
        named,
        forward_paths,
        octets,
        time.time(),
    )
    record = evaluate(verdict, zone, settings)
    entry = Entry(record)
    click.echo(to_json(entry) if as_json else as_text(entry, colour=sys.stdout.isatty()))
    raise click.exceptions.Exit({"accept": 0, "defer": EX_TEMPFAIL}.get(record.decision, REFUSED))


def _policy(settings: tuple[Path, Settings] | None, forward_paths: list[Mailbox]) -> Policy:
    from purport.mail.domain import normal_domain
    from purport.parts import make_policy
    from purport.policy.policy import Policy
    from purport.policy.relaying import Relaying

    if settings is not None:
        return make_policy(settings[1], forwards_of(*settings))
    click.echo("note: no settings file, so the defaults hold, and every recipient is taken for ours", err=True)
    ours = Relaying({normal_domain(path.domain): None for path in forward_paths})
    return Policy("localhost", relaying=ours)


def forwards_of(path: Path, settings: Settings) -> Forwards:
    """Where mail goes on to. Raises Failure."""
    from purport.config.load import SettingsError
    from purport.parts import make_forwards

    try:
        return make_forwards(path, settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
