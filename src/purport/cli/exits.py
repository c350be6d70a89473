"""Exit codes (sysexits(3)), and errors that end a command with one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

if TYPE_CHECKING:
    from purport.config.schema import Settings

F = TypeVar("F", bound=Callable[..., object])

EX_USAGE: Final = 64
EX_DATAERR: Final = 65
EX_NOINPUT: Final = 66
EX_UNAVAILABLE: Final = 69
EX_TEMPFAIL: Final = 75
EX_CONFIG: Final = 78


class Failure(click.ClickException):
    """Ends the command with a message on stderr and an exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """The message as it is: settings errors begin with their file and line."""
        click.echo(self.message, file=file, err=True)


def config_option(function: F) -> F:
    """The option that names the settings file."""
    told = "Settings file; default: $PURPORT_CONFIG, ./purport.toml, /etc/purport/purport.toml."
    return click.option("--config", metavar="FILE", help=told)(function)


def settings_of(config: str | None) -> tuple[Path, Settings]:
    """The settings file and what it says. Raises Failure with 78."""
    from purport.config.load import SettingsError, find_settings, load

    try:
        path = find_settings(config)
        return path, load(path)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error


def read_input(name: str) -> bytes:
    """The octets of a file, or of stdin for `-`. Raises Failure with 66."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as error:
        raise Failure(f"{name}: {error.strerror}", EX_NOINPUT) from error


def safe(text: str) -> str:
    """Text of others as a terminal may have it: no control characters, no escapes."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text.encode("utf-8", "backslashreplace").decode("utf-8")
    )
