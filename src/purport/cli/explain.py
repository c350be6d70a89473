"""`purport explain`: why a message was accepted or refused, and what became of it."""

from __future__ import annotations

import sys

import click

from purport.cli.exits import EX_NOINPUT, EX_USAGE, Failure, config_option, settings_of


@click.command("explain")
@click.argument("name", required=False, metavar="ID|MESSAGE-ID")
@click.option(
    "--last",
    type=click.IntRange(1, 1000),
    is_flag=False,
    flag_value=1,
    metavar="[N]",
    help="The newest transaction instead, or the newest N.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each transaction.")
@config_option
def command(name: str | None, last: int | None, as_json: bool, config: str | None) -> None:
    """Explain a transaction: the facts, the rules in the order they were asked, the decision, the deliveries."""
    from purport.config.load import state_folder
    from purport.ledger import read
    from purport.ledger.explain import as_json as to_json
    from purport.ledger.explain import as_text
    from purport.queue.queue_id import parse

    if (name is None) == (last is None):
        raise Failure("name a queue id or a Message-ID, or ask for --last N", EX_USAGE)
    path, settings = settings_of(config)
    folder = state_folder(path, settings) / "ledger"
    if last is not None:
        entries = read.last(folder, last)
    else:
        assert name is not None
        try:
            found = read.by_id(folder, parse(name))
            entries = [] if found is None else [found]
        except ValueError:
            wanted = name if name.startswith("<") else f"<{name}>"
            entries = read.by_message_id(folder, wanted)
    if not entries:
        raise Failure(f"the ledger knows no transaction {name}" if name else "the ledger is empty", EX_NOINPUT)
    for number, entry in enumerate(entries):
        if as_json:
            click.echo(to_json(entry))
        else:
            click.echo(("\n" if number else "") + as_text(entry, colour=sys.stdout.isatty()))
