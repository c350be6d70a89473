"""`purport config`: the settings, described from their types."""

from __future__ import annotations

import click


@click.group("config")
def command() -> None:
    """Describe the settings."""


@command.command("describe")
@click.option("--markdown", is_flag=True, help="As a manual page in Markdown.")
def describe(markdown: bool) -> None:
    """Print the annotated sample file: every setting with its default and what it is for."""
    from purport.config.describe import manual, sample

    click.echo(manual() if markdown else sample(), nl=False)
