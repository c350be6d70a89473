"""`purport ledger`: whether the records of transactions are those that were written."""

from __future__ import annotations

import sys

import click

from purport.cli.exits import EX_DATAERR, EX_NOINPUT, Failure, config_option, settings_of


@click.group("ledger")
def command() -> None:
    """The ledger's files."""


@command.command("verify")
@click.option("--seal", metavar="SEAL", help="One that was noted earlier: it has to be there.")
@config_option
def verify(seal: str | None, config: str | None) -> None:
    """Follow the chain of hashes through the ledger. Exits with 65 where it is broken.

    Each group of records is sealed with a hash of all that stands before it: a record that was changed, cut out or put
    in later shows. Note the last seal somewhere else, and ask for it with --seal: whoever can write the files could
    make a whole new chain.
    """
    from purport.config.load import state_folder
    from purport.ledger.chain import has_seal
    from purport.ledger.chain import verify as checked_files
    from purport.ledger.read import days

    path, settings = settings_of(config)
    places = days(state_folder(path, settings) / "ledger")
    if not places:
        raise Failure("the ledger is empty", EX_NOINPUT)
    broken = False
    with click.progressbar(
        checked_files(places), length=len(places), label="Verifying", file=sys.stderr, hidden=not sys.stderr.isatty()
    ) as progress:
        files = list(progress)
    for found in files:
        behind = f", {found.open_lines} lines not sealed yet" if found.open_lines else ""
        click.echo(f"{found.name}: {found.lines} lines, {found.seals} seals{behind}")
        for problem in found.problems:
            broken = True
            click.secho(f"{found.name}: {problem}", fg="red" if sys.stdout.isatty() else None)
    if seal is not None and not has_seal(places, seal):
        broken = True
        click.echo(f"the seal {seal} is not there: the chain is another one, or its day was deleted")
    if broken:
        raise click.exceptions.Exit(EX_DATAERR)
    click.echo(f"good, up to seal {files[-1].head}")
