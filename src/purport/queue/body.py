"""The octets of a queued message, in memory or in a body file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import final


@final
class MemoryBody:
    """A body that is held in memory."""

    __slots__ = ("_octets", "size")

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self.size = len(octets)

    def octets(self) -> bytes:
        """The whole body."""
        return self._octets

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        """The body in pieces of at most `size` octets."""
        for start in range(0, self.size, size):
            yield self._octets[start : start + size]


@final
class FileBody:
    """A body in a file that may hold others too; the file stays as long as its message is in the queue."""

    __slots__ = ("_in_memory", "number", "offset", "path", "size", "stored")

    def __init__(self, number: int, path: Path, offset: int, size: int, *, in_memory: bool) -> None:
        self.number = number
        self.path = path
        self.offset = offset
        self.size = size
        self._in_memory = in_memory  # small enough to be read whole
        self.stored = False  # a message in the queue refers to it

    def octets(self) -> bytes | None:
        """The whole body where it is small enough to be held in memory, else None. Raises OSError."""
        return b"".join(self.pieces(self.size)) if self._in_memory else None

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        """The body in pieces of at most `size` octets. Raises OSError, also where the file is too short."""
        file = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            at, end = self.offset, self.offset + self.size
            while at < end:
                piece = os.pread(file, min(size, end - at), at)
                if not piece:
                    raise OSError(f"{self.path} ends at {at}, before the end of a message at {end}")
                at += len(piece)
                yield piece
        finally:
            os.close(file)
