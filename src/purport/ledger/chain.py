"""The chain of hashes through the ledger: what was changed, cut out or put in later shows.

{"after":"6b86b273ff34..."}                     the first line of a day's file: the last seal of the day before
{"id":"3K2M7Q9H4R1XY","time":1795000000.1,...}
{"seal":"d4735e3a265e..."}                      SHA-256 of the seal before it and of all octets since

Whoever can write the files can also make a new chain: a seal that was noted elsewhere, in the mail log or by an
operator, is what such a chain does not lead to. Lines behind the last seal are not covered yet.
"""

from __future__ import annotations

import hashlib
import mmap
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

SEAL: Final = re.compile(rb'\{"seal":"([0-9a-f]{64})"\}\n')
BEGIN: Final = b'{"seal":"'
AFTER: Final = re.compile(rb'\{"after":"([0-9a-f]{64})"\}\n')
NOTHING: Final = "0" * 64  # the seal before the first one


@final
class Chain:
    """The end of the chain, as it grows."""

    def __init__(self, head: str = NOTHING) -> None:
        self.head = head
        self._hash = hashlib.sha256(head.encode("ascii"))

    def first_line(self) -> bytes:
        """The first line of a file that begins here."""
        return f'{{"after":"{self.head}"}}\n'.encode("ascii")

    def update(self, octets: bytes) -> None:
        """Octets that are in the file now."""
        self._hash.update(octets)

    def seal(self, octets: bytes) -> tuple[Chain, bytes]:
        """The chain after these octets were written and sealed, and the line that seals them."""
        made = self._hash.copy()
        made.update(octets)
        head = made.hexdigest()
        return Chain(head), f'{{"seal":"{head}"}}\n'.encode("ascii")


def chain_of(place: Path) -> tuple[Chain, int]:
    """The end of the chain of a file, and how many octets of it are whole lines. Raises OSError."""
    if place.stat().st_size == 0:
        return Chain(), 0
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        whole = octets.rfind(b"\n") + 1
        end = whole
        while (begin := octets.rfind(BEGIN, 0, end)) >= 0:
            seal = SEAL.match(octets, begin)
            if seal is not None and (begin == 0 or octets[begin - 1 : begin] == b"\n"):
                chain = Chain(seal[1].decode("ascii"))
                chain.update(octets[seal.end() : whole])
                return chain, whole
            end = begin
        after = AFTER.match(octets)
        chain = Chain(NOTHING if after is None else after[1].decode("ascii"))
        chain.update(octets[:whole])
        return chain, whole


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in one file: `lines` that are covered by its `seals`, the `open_lines` behind the last one, and
    what is wrong, by line."""

    name: str
    lines: int
    seals: int
    open_lines: int
    head: str
    problems: tuple[str, ...] = ()


def verify(places: Sequence[Path]) -> Iterator[Checked]:
    """Check the files of a ledger, the oldest first. Raises OSError. What stands before the oldest file is believed."""
    head: str | None = None
    for place in places:
        checked = _verify_file(place, head)
        head = checked.head
        yield checked


def _verify_file(place: Path, head: str | None) -> Checked:
    """One file; `head` is the last seal of the file before it, None where that is gone."""
    problems: list[str] = []
    known = head or NOTHING
    hashed = hashlib.sha256(known.encode("ascii"))
    lines = seals = since = 0
    with place.open("rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1:
                after = AFTER.fullmatch(line)
                if after is None:
                    problems.append("line 1: the line that joins it to the day before is missing")
                else:
                    known = after[1].decode("ascii")
                    if head is not None and known != head:
                        problems.append("line 1: it does not follow the day before: lines or a whole file are missing")
                    hashed = hashlib.sha256(known.encode("ascii"))
            seal = SEAL.fullmatch(line)
            if seal is None:
                hashed.update(line)
                since += 1
                continue
            known = seal[1].decode("ascii")
            if hashed.hexdigest() != known:
                problems.append(f"line {number}: the {since} lines before this seal are not what was written")
            hashed = hashlib.sha256(known.encode("ascii"))
            lines, seals, since = lines + since, seals + 1, 0
    return Checked(place.name, lines, seals, since, known, tuple(problems))


def has_seal(places: Sequence[Path], seal: str) -> bool:
    """Whether one of the files holds this seal. Raises OSError."""
    line = f'{{"seal":"{seal}"}}\n'.encode("ascii", "replace")
    for place in places:
        with place.open("rb") as file:
            if any(found == line for found in file):
                return True
    return False
