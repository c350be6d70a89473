"""The users file: made by `purport user`, read by the server (0600, replaced whole).

[[user]]
name = "alice"
password_hash = "$argon2id$v=19$m=19456,t=2,p=1$..."
scram = "SCRAM-SHA-256$65536:...$...:..."
addresses = ["alice@company.com.example"]
"""

from __future__ import annotations

import fcntl
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, final

import msgspec

from purport.smtp.sasl.keys import read_keys
from purport.smtp.sasl.saslprep import saslprep
from purport.users.password import NO_SECRET, Secret, is_argon2

NAME_CHARACTERS: Final = 255  # as RFC 4616 section 2 has it for a name
FILE_OCTETS: Final = 67_108_864  # 64 MiB: some hundred thousand users
HEAD: Final = "# Users of Purport. Made by `purport user`; a running server reads it again when it changes.\n"


class BadUsers(ValueError):
    """The file is none: its text says where and why, and quotes nothing that is secret."""


@final
@dataclass(frozen=True, slots=True)
class User:
    """Somebody who may log in; `addresses` as in policy.login."""

    name: str
    secret: Secret = NO_SECRET
    addresses: tuple[str, ...] = ()


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    password_hash: str = ""
    scram: str = ""
    addresses: list[str] = []


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    user: list[_Entry] = []


def user_name(text: str) -> str:
    """A name as it is kept. Raises ValueError."""
    name = saslprep(text, stored=True)
    if not name or not name.isprintable() or len(name.encode("utf-8")) > NAME_CHARACTERS:
        raise ValueError("a user's name has 1 to 255 printable characters")
    return name


def read_users(path: Path) -> dict[str, User]:
    """The users of a file, by name; a file that does not exist has none. Raises OSError and BadUsers."""
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        return {}
    if len(octets) > FILE_OCTETS:
        raise BadUsers(f"{path}: has more than {FILE_OCTETS} octets")
    try:
        entries = msgspec.convert(tomllib.loads(octets.decode("utf-8")), _File).user
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadUsers(f"{path}: is not a users file: {error}") from error
    users: dict[str, User] = {}
    for number, entry in enumerate(entries):
        try:
            user = _user(entry)
        except ValueError as error:
            raise BadUsers(f"{path}: user[{number}]: {error}") from error
        if user.name in users:
            raise BadUsers(f"{path}: user[{number}]: {user.name!a} stands there twice")
        users[user.name] = user
    return users


def _user(entry: _Entry) -> User:
    if entry.password_hash and not is_argon2(entry.password_hash):
        raise ValueError("password_hash is no argon2 hash")
    scram = read_keys(entry.scram) if entry.scram else None
    return User(user_name(entry.name), Secret(None, entry.password_hash or None, scram), tuple(entry.addresses))


def write_users(path: Path, users: Sequence[User]) -> None:
    """Replace the file in one step: a reader sees the old one or the new one, whatever happens. Raises OSError."""
    text = HEAD + "".join(map(_written, users))
    fresh = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        fresh.unlink()
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8"))
            file.flush()
            _keep_owner(path, file.fileno())
            os.fsync(file.fileno())
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _keep_owner(path: Path, descriptor: int) -> None:
    """root may manage the file of a server that runs as somebody else."""
    with suppress(FileNotFoundError, PermissionError):
        known = path.stat()
        os.fchown(descriptor, known.st_uid, known.st_gid)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(user: User) -> str:
    secret = user.secret
    lines = ["", "[[user]]", f"name = {_quoted(user.name)}"]
    if secret.argon2 is not None:
        lines.append(f"password_hash = {_quoted(secret.argon2)}")
    if secret.scram is not None:
        lines.append(f"scram = {_quoted(secret.scram.written())}")
    if user.addresses:
        lines.append(f"addresses = [{', '.join(map(_quoted, user.addresses))}]")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text that is printable, as TOML has it."""
    return msgspec.json.encode(text).decode("utf-8")


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """Keep others from changing the file; those who read it need not wait. Raises OSError."""
    descriptor = os.open(path.with_name(f".{path.name}.lock"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def change_secret(path: Path, name: str, new: Callable[[Secret], Secret | None]) -> bool:
    """Put another secret in place of a user's, where `new` gives one for the one that is there. Whether it did.
    Raises OSError and BadUsers."""
    with changing(path):
        users = read_users(path)
        user = users.get(name)
        secret = None if user is None else new(user.secret)
        if user is None or secret is None:
            return False
        users[name] = replace(user, secret=secret)
        write_users(path, list(users.values()))
    return True
