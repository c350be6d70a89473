"""`purport serve`: run the server in the foreground."""

from __future__ import annotations

import click

from purport.cli.exits import config_option, settings_of


@click.command("serve")
@config_option
def command(config: str | None) -> None:
    """Run the server in the foreground. SIGTERM ends it, SIGHUP reads the settings again."""
    path, _ = settings_of(config)  # an error in them is told before the event loop and all the rest is loaded
    from purport.app import serve

    raise click.exceptions.Exit(serve(path))
