"""Durable delivery to Maildirs: write into tmp, sync, rename into new, sync the folder.

state/maildir/company.com.example/bob/{tmp,new,cur}

What is in `new` is whole and safe. The file's name holds the queue id and the recipient's number, so that a delivery
that is done again after a crash replaces the file that the first one may have left, and makes no second one.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final, final

from purport.delivery.valid_since import cuts_for_mailbox
from purport.mail.address import Mailbox, normal_local_part
from purport.mail.domain import normal_domain
from purport.mail.trace import delivered_to, return_path
from purport.mail.valid_since import without
from purport.queue.store import QueuedMessage
from purport.smtp.extensions.binarymime import is_binary

FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
SAFE: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._+-=")
JUNK_FOLDER: Final = ".Junk"  # Maildir++, as Dovecot and Courier read it
MARK: Final = "maildirfolder"  # a file in each folder of Maildir++ but the inbox
OPEN_FILES: Final = 64  # at once, of the thousand or more that a process may open


@dataclass(frozen=True, slots=True)
class Drop:
    """A message for one mailbox."""

    message: QueuedMessage
    number: int  # of the recipient in the envelope
    forward_path: Mailbox
    before: float = math.inf  # seconds since 1970: from then on it is not put there any more (RFC 2852)
    folder: str = ""  # below the mailbox, with the dot of Maildir++; empty: its inbox


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a message could not be put there; `full` where the disk has no room, `late` where its time is over."""

    reason: str
    full: bool
    late: bool = False


def deliver_many(root: Path, drops: Sequence[Drop], clock: Callable[[], float] = time.time) -> list[Failure | None]:
    """Put every message into its mailbox below `root`; None stands for each that is safe. Blocks on the disk.

    All are written before the first is synced, so that the file system needs few steps of its journal for them, and
    messages for the same mailbox share the sync of its folder.
    """
    outcomes: list[Failure | None] = []
    for begin in range(0, len(drops), OPEN_FILES):
        outcomes += _deliver(root, drops[begin : begin + OPEN_FILES], clock)
    return outcomes


def _deliver(root: Path, drops: Sequence[Drop], clock: Callable[[], float]) -> list[Failure | None]:
    outcomes: list[Failure | None] = [None] * len(drops)
    letters: list[tuple[int, Letter]] = []
    for number, drop in enumerate(drops):
        try:
            letters.append((number, Letter(folder_of(root, drop.forward_path) / drop.folder, drop)))
        except OSError as error:
            outcomes[number] = _failure(error)
    folders: dict[Path, list[int]] = {}
    for number, letter in letters:
        try:
            letter.put(clock)
        except OSError as error:
            outcomes[number] = _failure(error)
        else:
            folders.setdefault(letter.mailbox / "new", []).append(number)
    for folder, numbers in folders.items():
        try:
            _sync_folder(folder)
        except OSError as error:
            for number in numbers:
                outcomes[number] = _failure(error)
    return outcomes


def folder_of(root: Path, forward_path: Mailbox) -> Path:
    """The Maildir of a mailbox: its domain, then its local part in lower case, what is no plain character escaped."""
    return (
        root / folder_name(normal_domain(forward_path.domain)) / folder_name(normal_local_part(forward_path.local_part))
    )


def folder_name(text: str) -> str:
    """`text` as the name of a folder: it holds no slash, does not begin with a dot, and different texts differ.

    A local part of 64 octets makes 192 characters at most; file systems allow 255.
    """
    name = "".join(
        character if character in SAFE else "".join(f"%{octet:02x}" for octet in character.encode("utf-8"))
        for character in text
    )
    if name.startswith("."):
        name = f"%2e{name[1:]}"
    return name or "%"


def file_name(drop: Drop) -> str:
    """The name of a message's file (https://cr.yp.to/proto/maildir.html), the same at every attempt."""
    return f"{int(drop.message.arrived_at)}.{drop.message.queue_id}_{drop.number}.purport"


@final
class Letter:
    """A message on its way: written into tmp when it is made, in its mailbox after `put`."""

    __slots__ = ("_before", "_file", "_final", "_temporary", "mailbox")

    def __init__(self, mailbox: Path, drop: Drop) -> None:
        """Raises OSError, and leaves nothing behind."""
        name = file_name(drop)
        self._before = drop.before
        self.mailbox = mailbox
        self._temporary, self._final = mailbox / "tmp" / name, mailbox / "new" / name
        try:
            self._file = _create(self._temporary)
        except FileNotFoundError:
            _make(mailbox)
            self._file = _create(self._temporary)
        message = drop.message
        head = return_path(message.reverse_path) + delivered_to(drop.forward_path) + message.trace
        try:
            body, pieces = message.body.octets(), message.body.pieces()
            left_out = cuts_for_mailbox(message)
            if left_out:
                body, pieces = None, without(pieces, left_out)
            _write(
                self._file.fileno(),
                head,
                body,
                pieces,
                as_it_is=is_binary(message.parameters),
            )
            _begin_to_sync(self._file.fileno())
        except OSError:
            self._drop()
            raise

    def put(self, clock: Callable[[], float]) -> None:
        """Sync it and move it into new, unless it is late by then; the folder is still to be synced. Raises OSError,
        and leaves nothing behind."""
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            if self._before < math.inf and clock() >= self._before:
                raise OSError(errno.ETIME, "delivery time expired")
            self._temporary.rename(self._final)
        except OSError:
            self._drop()
            raise

    def _drop(self) -> None:
        self._file.close()
        self._temporary.unlink(missing_ok=True)


def _create(place: Path) -> FileIO:
    return FileIO(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600), "w")


def _begin_to_sync(descriptor: int) -> None:
    """Have the octets go to the disk while others are written: this makes a batch three times as fast."""
    if sys.platform == "linux":
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _write(descriptor: int, head: bytes, body: bytes | None, pieces: Iterable[bytes], *, as_it_is: bool) -> None:
    """The message with the line ends of a Unix file, which is what readers of Maildirs expect. One of BODY=BINARYMIME
    stays as it is to the octet (RFC 3030 section 3): a CRLF in it need not be a line end, and readers take both."""
    octets = [head, body] if body is not None else _chained(head, pieces)
    for piece in octets if as_it_is else _unix_lines(octets):
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
    """The Maildir with its three folders, so that a crash does not take the names away again.

    `tmp` comes last: where it is, the others are.
    """
    inside = mailbox.name.startswith(".")  # a folder of another one
    for name in ("new", "cur"):
        (mailbox / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    if inside:
        (mailbox / MARK).touch(mode=0o600)
    (mailbox / "tmp").mkdir(mode=0o700, exist_ok=True)
    if inside:
        _make(mailbox.parent)  # readers look for it first
    for folder in (mailbox, *mailbox.parents[:3]):  # of the domain, of all Maildirs, and what they stand in
        _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _failure(error: OSError) -> Failure:
    return Failure(error.strerror or str(error), error.errno in FULL, error.errno == errno.ETIME)
