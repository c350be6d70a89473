"""Durable delivery to Maildirs: write into tmp, sync, rename into new, sync the folder.

state/maildir/company.com.example/bob/{tmp,new,cur}

What is in `new` is whole and safe. The file's name holds the queue id and the recipient's number, so that a delivery
that is done again after a crash replaces the file that the first one may have left, and makes no second one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.domain import normal_domain
from purport.mail.trace import delivered_to, return_path
from purport.queue.store import QueuedMessage

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._+-=")
NAME_LIMIT: Final = 200  # octets of a folder's name, below the 255 that file systems allow


@dataclass(frozen=True, slots=True)
class Drop:
    """A message for one mailbox."""

    message: QueuedMessage
    number: int  # of the recipient in the envelope
    forward_path: Mailbox


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be put there; `full` where the disk has no room."""

    reason: str
    full: bool


def deliver_many(root: Path, drops: Sequence[Drop]) -> list[Failure | None]:
    """Put every message into its mailbox below `root`; None stands for each that is safe. Blocks on the disk.

    Messages for the same mailbox share the sync of its folder.
    """
    outcomes: list[Failure | None] = [None] * len(drops)
    folders: dict[Path, list[int]] = {}
    for number, drop in enumerate(drops):
        mailbox = folder_of(root, drop.forward_path)
        try:
            _put(mailbox, drop)
        except OSError as error:
            outcomes[number] = _failure(error)
        else:
            folders.setdefault(mailbox, []).append(number)
    for mailbox, numbers in folders.items():
        try:
            _sync_folder(mailbox / "new")
        except OSError as error:
            for number in numbers:
                outcomes[number] = _failure(error)
    return outcomes


def folder_of(root: Path, forward_path: Mailbox) -> Path:
    """The Maildir of a mailbox: its domain, then its local part in lower case, what is no plain character escaped."""
    return root / folder_name(normal_domain(forward_path.domain)) / folder_name(forward_path.local_part.lower())


def folder_name(text: str) -> str:
    """`text` as the name of a folder: it holds no slash, does not begin with a dot, and different texts differ."""
    name = "".join(
        character if character in SAFE else "".join(f"%{octet:02x}" for octet in character.encode("utf-8"))
        for character in text
    )
    if name.startswith("."):
        name = f"%2e{name[1:]}"
    return name[:NAME_LIMIT] or "%"


def file_name(drop: Drop) -> str:
    """The name of a message's file (https://cr.yp.to/proto/maildir.html), the same at every attempt."""
    return f"{int(drop.message.arrived_at)}.{drop.message.queue_id}_{drop.number}.purport"


def _put(mailbox: Path, drop: Drop) -> None:
    message = drop.message
    name = file_name(drop)
    temporary, final = mailbox / "tmp" / name, mailbox / "new" / name
    try:
        descriptor = _create(temporary)
    except FileNotFoundError:
        _make(mailbox)
        descriptor = _create(temporary)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            head = return_path(message.reverse_path) + delivered_to(drop.forward_path) + message.trace
            _write(file.fileno(), head, message.body.octets(), message.body.pieces())
            os.fsync(file.fileno())
        temporary.rename(final)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _create(place: Path) -> int:
    return os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)


def _write(descriptor: int, head: bytes, body: bytes | None, pieces: Iterable[bytes]) -> None:
    """The message with the line ends of a Unix file, which is what readers of Maildirs expect."""
    for piece in _unix_lines([head, body] if body is not None else _chained(head, pieces)):
        while piece:
            piece = piece[os.write(descriptor, piece) :]


def _chained(head: bytes, pieces: Iterable[bytes]) -> Iterable[bytes]:
    yield head
    yield from pieces


def _unix_lines(pieces: Iterable[bytes]) -> Iterable[bytes]:
    """CRLF as LF, also where a piece ends between the two."""
    held = b""
    for piece in pieces:
        octets = held + piece
        held = b"\r" if octets.endswith(b"\r") else b""
        yield (octets[:-1] if held else octets).replace(b"\r\n", b"\n")
    if held:
        yield held


def _make(mailbox: Path) -> None:
    """The Maildir with its three folders, so that a crash does not take the names away again."""
    for name in ("tmp", "new", "cur"):
        (mailbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder in (mailbox, mailbox.parent, mailbox.parent.parent):
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(error: OSError) -> Failure:
    return Failure(error.strerror or str(error), error.errno in FULL)
