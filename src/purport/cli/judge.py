"""`purport judge`: what would be decided about a message, and why; nothing is sent or stored."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from purport.cli.exits import EX_CONFIG, EX_TEMPFAIL, EX_USAGE, Failure, config_option, read_input


@click.command("judge")
@click.argument("file", metavar="FILE.eml")
@click.option("--ip", required=True, metavar="A", help="The client's address.")
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
    """Judge a message as the server would, by the settings in force where there is a settings file, else by the
    defaults. Exits with 0 where it would be accepted, 1 where it would be refused, 75 where it would be deferred."""
    from purport.authentication.spf.checker import Checker
    from purport.cli.dns import evaluate
    from purport.config.load import SettingsError, find_settings, load
    from purport.ledger.explain import as_json as to_json
    from purport.ledger.explain import as_text
    from purport.ledger.read import Entry
    from purport.mail.address import NULL, parse_mailbox
    from purport.parts import make_policy
    from purport.policy.facts import Client
    from purport.policy.policy import Policy
    from purport.service.verdict import judge

    octets = read_input(file)
    try:
        reverse_path = NULL if mail_from in ("", "<>") else parse_mailbox(mail_from.strip("<>"))
        named = None if submitter is None else parse_mailbox(submitter)
        forward_paths = [parse_mailbox(path.strip("<>")) for path in rcpt]
        found = str(find_settings(config))
    except ValueError as error:
        raise Failure(f"not an address: {error}", EX_USAGE) from error
    except SettingsError:
        found = ""
    try:
        policy = make_policy(load(Path(found))) if found else Policy("localhost")
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
    record = evaluate(
        judge(
            Checker(policy.receiver),
            policy,
            Client(ip, None, helo),
            reverse_path,
            named,
            forward_paths,
            octets,
            time.time(),
        ),
        zone,
        found or None,
    )
    entry = Entry(record)
    click.echo(to_json(entry) if as_json else as_text(entry, colour=sys.stdout.isatty()))
    raise click.exceptions.Exit({"accept": 0, "defer": EX_TEMPFAIL}.get(record.decision, 1))
