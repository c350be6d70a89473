"""`purport pra`: who is responsible for a message, by its header (RFC 4407)."""

from __future__ import annotations

import json

import click

from purport.cli.exits import EX_DATAERR, read_input
from purport.mail.text import safe


@click.command("pra")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each file.")
def command(files: tuple[str, ...], as_json: bool) -> None:
    """Print the purported responsible address of messages, the field it came from and the steps of RFC 4407 that led
    there. `-` is stdin. Exits with 65 where a message has none."""
    from purport.authentication.sender_id.pra import purported_responsible_address

    missing = False
    for name in files:
        found = purported_responsible_address(read_input(name))
        address = None if found.address is None else safe(str(found.address))
        missing |= address is None
        if as_json:
            told = {"file": name, "address": address, "field": found.field, "step": found.step}
            click.echo(json.dumps({**told, "problem": found.problem}))
            continue
        prefix = f"{safe(name)}: " if len(files) > 1 else ""
        if address is None:
            click.echo(f"{prefix}no responsible address: {safe(found.problem or '')} (steps {found.step})")
        else:
            click.echo(f"{prefix}{address} (from {found.field}, steps {found.step})")
    if missing:
        raise click.exceptions.Exit(EX_DATAERR)
