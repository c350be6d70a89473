"""Writes the ledger: a file for each day, to whose end lines are added and nothing else; each group of lines is sealed.

Lines are collected and written at once, so that all transactions of one turn of the event loop share a write. It
explains, it does not carry mail: a disk that takes no more lines costs records, and a warning, but never a message.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from purport.ledger.chain import NOTHING, Chain, chain_of

DAY: Final = 86400
NAME: Final = re.compile(r"\d{4}-\d{2}-\d{2}\.jsonl")

Schedule = Callable[[Callable[[], None]], object]


def day_file(folder: Path, seconds: float) -> Path:
    """The file of the day (UTC) that this moment is in."""
    return folder / f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}.jsonl"


class LedgerWriter:
    """Adds lines. `schedule` runs a function soon, once (an event loop's `call_soon`); without it each line is
    written at once. `warn` is told when lines are lost."""

    def __init__(
        self,
        folder: Path,
        *,
        retention_days: int = 30,
        schedule: Schedule | None = None,
        warn: Callable[[str], None] | None = None,
        note: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder = folder
        self.retention_days = retention_days
        self._schedule = schedule
        self._warn = warn
        self._clock = clock
        self._lines: list[bytes] = []
        self._descriptor = -1
        self._day = -1
        self._note = note
        self._chain = Chain()
        self.lost = 0
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def append(self, line: bytes) -> None:
        """Take one line, its line end included."""
        self._lines.append(line)
        if self._schedule is None:
            self.flush()
        elif len(self._lines) == 1:
            self._schedule(self.flush)

    def flush(self) -> None:
        """Write what was collected."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            today = int(self._clock() // DAY)
            if today != self._day:
                self._open(today)
            octets = b"".join(lines)
            chain, seal = self._chain.seal(octets)
            written = os.write(self._descriptor, octets + seal)
            if written == len(octets) + len(seal):
                self._chain = chain
            else:
                kept = self._cut(octets[:written], written)
                lines = lines[kept:]
                raise OSError("no room for all")
        except OSError as error:
            self.lost += len(lines)
            if self._warn is not None and lines:
                self._warn(f"ledger: {len(lines)} records are lost: {error}")

    def _cut(self, octets: bytes, written: int) -> int:
        """The disk was full within these octets: keep the whole lines among them. Returns how many there are. Raises
        OSError."""
        whole = octets[: octets.rfind(b"\n") + 1]
        size = os.fstat(self._descriptor).st_size
        os.ftruncate(self._descriptor, size - written + len(whole))
        self._chain.update(whole)
        return whole.count(b"\n")

    def close(self) -> None:
        """Write what was collected and let go of the file."""
        self.flush()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._day = -1

    def _open(self, today: int) -> None:
        place = day_file(self._folder, today * DAY)
        descriptor = os.open(place, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if self._descriptor >= 0:
            os.close(self._descriptor)
        if self._day >= 0 and self._note is not None:  # a witness of the day that is over, elsewhere than in its file
            self._note(f"ledger: {day_file(self._folder, self._day * DAY).name} ends with seal {self._chain.head}")
        self._descriptor = descriptor
        self._day = today
        self._join(place, descriptor)
        self._expire(today)

    def _join(self, place: Path, descriptor: int) -> None:
        """Go on where the file ends, without a line that a crash tore; a new one follows the newest before it."""
        if os.fstat(descriptor).st_size:
            self._chain, whole = chain_of(place)
            os.ftruncate(descriptor, whole)
            return
        before = [other for other in self._folder.iterdir() if NAME.fullmatch(other.name) and other.name < place.name]
        self._chain = Chain(chain_of(max(before))[0].head if before else NOTHING)
        line = self._chain.first_line()
        if os.write(self._descriptor, line) < len(line):
            os.ftruncate(descriptor, 0)
            self._day = -1
            raise OSError("no room for its first line")
        self._chain.update(line)

    def _expire(self, today: int) -> None:
        """Delete the files of days whose time is over."""
        oldest = datetime.fromtimestamp(today * DAY, UTC) - timedelta(days=self.retention_days)
        for place in self._folder.iterdir():
            if NAME.fullmatch(place.name) and place.name < f"{oldest:%Y-%m-%d}":
                place.unlink(missing_ok=True)
