"""`purport serve`: run the server in the foreground."""

from __future__ import annotations

import click

from purport.cli.exits import EX_CONFIG, Failure, config_option


@click.command("serve")
@config_option
def command(config: str | None) -> None:
    """Run the server in the foreground. SIGTERM ends it, SIGHUP reads the settings again."""
    from purport.app import serve
    from purport.config.load import SettingsError, find_settings

    try:
        path = find_settings(config)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
    raise click.exceptions.Exit(serve(path))
