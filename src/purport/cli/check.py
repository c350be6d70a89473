"""`purport check`: whether the settings file can be used."""

from __future__ import annotations

import click

from purport.cli.exits import EX_CONFIG, Failure, config_option, settings_of


@click.command("check")
@config_option
def command(config: str | None) -> None:
    """Check the settings file. Exits with 78, naming file, line and key, where it cannot be used."""
    from purport.parts import make_resolver

    path, settings = settings_of(config)
    try:
        if settings.dns.zone:
            make_resolver(path, settings)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: dns.zone: {error}", EX_CONFIG) from error
    count = len(settings.domain)
    click.echo(f"{path}: good: {settings.hostname}, {count} domain{'s' if count != 1 else ''}, ", nl=False)
    click.echo("listening on " + ", ".join(bind for listener in settings.listener for bind in listener.bind))
