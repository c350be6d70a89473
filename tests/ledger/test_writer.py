"""The ledger's files: a line each, a file for each day, and a disk that is full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from purport.ledger.chain import AFTER, SEAL, Chain, verify
from purport.ledger.writer import LedgerWriter

NOON = 1_795_521_600.0  # 2026-11-24 12:00 UTC
DAY = 86400.0
LINE = b'{"id":"%d"}\n'


def records(place: Path) -> list[bytes]:
    """The lines of a file but those of the chain."""
    lines = place.read_bytes().splitlines(keepends=True)
    return [line for line in lines if not (SEAL.fullmatch(line) or AFTER.fullmatch(line))]


@contextmanager
def no_file_over(octets: int) -> Iterator[None]:
    """What a full disk does: a write is cut off, and the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (octets, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_each_day_has_its_file_and_old_ones_leave(tmp_path: Path) -> None:
    now = NOON
    writer = LedgerWriter(tmp_path, retention_days=2, clock=lambda: now)
    for _ in range(4):
        writer.append(LINE % 1)
        now += DAY
    writer.close()
    assert [place.name for place in sorted(tmp_path.iterdir())] == [
        "2026-11-25.jsonl",
        "2026-11-26.jsonl",
        "2026-11-27.jsonl",
    ]


def test_lines_that_come_together_are_written_together(tmp_path: Path) -> None:
    soon = []
    writer = LedgerWriter(tmp_path, schedule=soon.append, clock=lambda: NOON)
    writer.append(LINE % 1)
    writer.append(LINE % 2)
    assert len(soon) == 1
    soon[0]()
    place = tmp_path / "2026-11-24.jsonl"
    assert records(place) == [LINE % 1, LINE % 2]
    assert place.read_bytes().count(b'"seal"') == 1
    writer.close()


def test_a_line_cut_off_by_a_full_disk_swallows_none_after_it(tmp_path: Path) -> None:
    told: list[str] = []
    soon = []
    writer = LedgerWriter(tmp_path, schedule=soon.append, warn=told.append, clock=lambda: NOON)
    for number in range(3):
        writer.append(LINE % number)
    first = len(Chain().first_line())
    with no_file_over(first + 2 * len(LINE % 0) - 4):
        soon.pop()()
        writer.append(LINE % 3)
        soon.pop()()
    assert writer.lost == 3, "one of the first three was written whole"
    assert told[0].startswith("ledger: 2 records are lost: ")
    assert told[1].startswith("ledger: 1 records are lost: ")
    writer.append(LINE % 4)
    soon.pop()()
    writer.append(LINE % 5)
    writer.close()
    place = tmp_path / "2026-11-24.jsonl"
    assert records(place) == [LINE % 0, LINE % 4, LINE % 5]
    assert [checked.problems for checked in verify([place])] == [()]


def test_a_file_that_ends_within_a_line_is_gone_on_with_on_a_new_one(tmp_path: Path) -> None:
    place = tmp_path / "2026-11-24.jsonl"
    place.write_bytes(LINE % 1 + b'{"id":')
    writer = LedgerWriter(tmp_path, clock=lambda: NOON)
    writer.append(LINE % 2)
    writer.close()
    assert records(place) == [LINE % 1, LINE % 2]
