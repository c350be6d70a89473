"""Exit codes (sysexits(3)), errors that end a command with one, and what most commands begin with."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, TypeVar

import click

from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.mail.address import Mailbox, ReversePath

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
        """The message without a word before it, since settings errors begin with their file and line; what others
        put into it is escaped."""
        click.echo(safe(self.message), file=file, err=True)


def config_option(function: F) -> F:
    """The option that names the settings file."""
    told = "Settings file; default: $PURPORT_CONFIG, ./purport.toml, /etc/purport/purport.toml."
    return click.option("--config", metavar="FILE", help=told)(function)


def zone_option(function: F) -> F:
    """The option that names what answers in place of the DNS."""
    return click.option("--zone", metavar="FILE", help="Ask this JSON zone instead of the DNS.")(function)


def ip_option(function: F) -> F:
    """The option that names the client's address, checked."""

    def checked(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
        import ipaddress

        try:
            return str(ipaddress.ip_address(text)).partition("%")[0]  # a zone is this host's own affair
        except ValueError as error:
            raise click.BadParameter(f"{safe(text)} is no IP address") from error

    return click.option("--ip", required=True, metavar="A", callback=checked, help="The client's address.")(function)


def settings_of(config: str | None) -> tuple[Path, Settings]:
    """The settings file and what it says. Raises Failure with 78."""
    from purport.config.load import SettingsError, find_settings, load

    try:
        path = find_settings(config)
        return path, load(path)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error


def settings_if_any(config: str | None) -> tuple[Path, Settings] | None:
    """The settings where there is a settings file, None where there is none and none was named. Raises Failure."""
    from purport.config.load import SettingsError, find_settings

    try:
        find_settings(config)
    except SettingsError:
        return None
    return settings_of(config)


def read_input(name: str) -> bytes:
    """The octets of a file, or of stdin for `-`. Raises Failure with 66."""
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise Failure(f"{name}: {reason}", EX_NOINPUT) from error


def with_crlf(octets: bytes) -> bytes:
    """A message from a file as it goes over the wire."""
    return octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def reverse_path_of(text: str) -> ReversePath:
    """A reverse-path given as an option, with or without angle brackets; empty or <> is the null one."""
    from purport.mail.address import NULL

    return NULL if text in ("", "<>") else mailbox_of(text)


def forward_path_of(text: str) -> Mailbox:
    """A recipient given as an option: an address, or postmaster alone (RFC 5321 section 4.5.1)."""
    from purport.mail.address import Mailbox

    bare = text.strip("<>")
    return Mailbox(bare, "") if bare.lower() == "postmaster" else mailbox_of(text)


def mailbox_of(text: str) -> Mailbox:
    """An address given as an option, with or without angle brackets. Raises Failure with 64."""
    from purport.mail.address import parse_mailbox

    bare = text[1:-1] if text.startswith("<") and text.endswith(">") else text
    try:
        return parse_mailbox(bare, utf8=True)
    except ValueError as error:
        raise Failure(f"{text or 'an empty text'} is no address: {error}", EX_USAGE) from error
