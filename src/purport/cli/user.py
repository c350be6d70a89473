"""`purport user`: who may log in. Passwords come from a prompt or from stdin, never from the command line."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import click

from purport.cli.exits import EX_CONFIG, EX_DATAERR, EX_TEMPFAIL, EX_USAGE, Failure, config_option, settings_of
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.users.file import User
    from purport.users.password import Secret

F = TypeVar("F", bound=Callable[..., object])

EX_NOPERM: Final = 77
EX_CANTCREAT: Final = 73
PASSWORD_CHARACTERS: Final = 1024


def password_option(function: F) -> F:
    """Where the password comes from."""
    told = "Read the password from stdin, its first line; without it you are asked."
    return click.option("--password-stdin", is_flag=True, help=told)(function)


@click.group("user")
def command() -> None:
    """Manage the users who may log in. A running server sees a change with the next login."""


@command.command("add")
@click.argument("name")
@click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="ADDRESS",
    help="An address that the user may send from, @DOMAIN for all of a domain; may be repeated.",
)
@password_option
@config_option
def add(name: str, addresses: tuple[str, ...], password_stdin: bool, config: str | None) -> None:
    """Add a user."""
    from purport.users.file import User

    path, settings = settings_of(config)
    name, checked = name_of(name), addresses_of(addresses)
    with users_of(path, settings) as users:
        if name in users or name in named(settings):
            raise Failure(f"{name}: there is such a user", EX_DATAERR)
        users[name] = User(name, secret_of(new_password(password_stdin)), checked)
    click.echo(f"{safe(name)}: added")


@command.command("passwd")
@click.argument("name")
@password_option
@config_option
def passwd(name: str, password_stdin: bool, config: str | None) -> None:
    """Give a user another password."""
    from dataclasses import replace

    path, settings = settings_of(config)
    name = name_of(name)
    with users_of(path, settings) as users:
        user = known(users, name)
        users[name] = replace(user, secret=secret_of(new_password(password_stdin)))
    click.echo(f"{safe(name)}: password changed")


@command.command("delete")
@click.argument("name")
@config_option
def delete(name: str, config: str | None) -> None:
    """Take a user away."""
    path, settings = settings_of(config)
    name = name_of(name)
    with users_of(path, settings) as users:
        del users[known(users, name).name]
    click.echo(f"{safe(name)}: deleted")


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@config_option
def list_users(as_json: bool, config: str | None) -> None:
    """List the users of the settings and of the file, without their secrets."""
    import msgspec

    path, settings = settings_of(config)
    listed = [(user.name, tuple(user.addresses), "settings") for user in settings.user]
    listed += [(user.name, user.addresses, "file") for user in read(path, settings).values()]
    for name, addresses, place in sorted(listed):
        if as_json:
            click.echo(msgspec.json.encode({"name": name, "addresses": addresses, "place": place}))
        else:
            click.echo("\t".join((safe(name), safe(", ".join(addresses) or "-"), place)))


@command.command("check")
@click.argument("name")
@password_option
@config_option
def check(name: str, password_stdin: bool, config: str | None) -> None:
    """Check a user's password as the server would, Dovecot's users too. Exits with 77 where it is wrong."""
    import asyncio

    from purport.parts.logins import make_authenticator
    from purport.smtp.sasl.exchange import Given, PasswordCheck
    from purport.users.password import Threads, Unavailable, prepared

    path, settings = settings_of(config)
    try:
        question = PasswordCheck(name_of(name), prepared(old_password(password_stdin)))
    except ValueError as error:
        raise Failure(f"{name}: {error}", EX_NOPERM) from None

    async def ask() -> tuple[Given, tuple[str, ...]]:
        threads = Threads()
        try:
            authenticator = make_authenticator(path, settings, threads, b"", warn)
            found = await authenticator.answer(question, "127.0.0.1", secure=True)
            return found, authenticator.login(found).addresses if isinstance(found, str) else ()
        finally:
            threads.close()

    try:
        found, addresses = asyncio.run(ask())
    except Unavailable as error:
        raise Failure(str(error), EX_TEMPFAIL) from error
    except (OSError, ValueError) as error:
        raise Failure(str(error), EX_CONFIG) from error
    if not isinstance(found, str):
        raise Failure(f"{name}: wrong name or password", EX_NOPERM)
    click.echo(safe(f"{found}: right; may send from {', '.join(addresses) or 'no address'}"))


def warn(text: str) -> None:
    """Something beside the result."""
    click.echo(safe(text), err=True)


def name_of(text: str) -> str:
    """A name as it is kept. Raises Failure."""
    from purport.users.file import user_name

    try:
        return user_name(text)
    except ValueError as error:
        raise Failure(f"{text}: {error}", EX_USAGE) from None


def addresses_of(texts: tuple[str, ...]) -> tuple[str, ...]:
    """Addresses, checked. Raises Failure."""
    from purport.config.logins import check_addresses
    from purport.config.wrong import Wrong

    try:
        check_addresses((), list(texts))
    except Wrong as wrong:
        raise Failure(f"{wrong.message}; {wrong.suggestion}", EX_USAGE) from None
    return texts


def named(settings: Settings) -> set[str]:
    """The users of the settings who have a password there."""
    return {user.name for user in settings.user if user.password or user.password_hash or user.scram}


def known(users: dict[str, User], name: str) -> User:
    """A user of the file. Raises Failure."""
    if name not in users:
        raise Failure(f"{name}: there is no such user", EX_DATAERR)
    return users[name]


def file_of(path: Path, settings: Settings) -> Path:
    """The users file. Raises Failure where the settings have none."""
    if not settings.users.file:
        raise Failure(f"{path}: users.file is empty: there is no users file", EX_CONFIG)
    return path.parent / settings.users.file


def read(path: Path, settings: Settings) -> dict[str, User]:
    """The users of the file. Raises Failure."""
    from purport.users.file import read_users

    if not settings.users.file:
        return {}
    try:
        return read_users(file_of(path, settings))
    except (OSError, ValueError) as error:
        raise Failure(str(error), EX_CONFIG) from error


@contextmanager
def users_of(path: Path, settings: Settings) -> Iterator[dict[str, User]]:
    """The users of the file, to be changed: written when the block ends well. Raises Failure."""
    from purport.users.file import changing, write_users

    file = file_of(path, settings)
    try:
        with changing(file):
            users = read(path, settings)
            yield users
            write_users(file, list(users.values()))
    except OSError as error:
        raise Failure(f"{error.filename or file}: {error.strerror or error}", EX_CANTCREAT) from error


def secret_of(password: str) -> Secret:
    """What is kept of a password. Raises Failure."""
    from purport.users.password import Hasher, Secret

    hasher = Hasher()
    try:
        return Secret(None, hasher.hashed(password), hasher.keys(password))
    except ValueError as error:
        raise Failure(f"cannot be a password: {error}", EX_DATAERR) from None


def new_password(from_stdin: bool) -> str:
    """A password that is asked for twice. Raises Failure."""
    password = old_password(from_stdin)
    if not from_stdin and getpass.getpass("Again: ") != password:
        raise Failure("the passwords differ", EX_DATAERR)
    return password


def old_password(from_stdin: bool) -> str:
    """A password that is asked for once. Raises Failure."""
    if not from_stdin:
        return getpass.getpass("Password: ")
    try:
        return sys.stdin.readline(PASSWORD_CHARACTERS).rstrip("\r\n")
    except UnicodeDecodeError:
        raise Failure("stdin is not UTF-8", EX_DATAERR) from None
