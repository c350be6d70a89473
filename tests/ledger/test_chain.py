"""The chain of hashes: whatever is done to the files of a ledger shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.ledger.chain import Checked, has_seal, verify
from purport.ledger.read import days
from purport.ledger.writer import DAY, LedgerWriter
from support.cli import purport

NOON = 1795521600.0  # 2026-11-24 12:00 UTC
LINE = b'{"id":"%d"}\n'


def written(folder: Path, groups: list[int], start: float = NOON, told: list[str] | None = None) -> None:
    """A day for each number, with so many groups of two lines."""
    soon: list = []
    now = start
    note = None if told is None else told.append
    writer = LedgerWriter(folder, schedule=soon.append, note=note, clock=lambda: now)
    number = 0
    for count in groups:
        for _ in range(count):
            writer.append(LINE % number)
            writer.append(LINE % (number + 1))
            number += 2
            soon.pop()()
        now += DAY
    writer.close()


def problems(folder: Path) -> list[str]:
    return [f"{found.name}: {problem}" for found in verify(days(folder)) for problem in found.problems]


def test_a_ledger_that_nobody_touched_is_good(tmp_path: Path) -> None:
    told: list[str] = []
    written(tmp_path, [2, 1, 3], told=told)
    found = list(verify(days(tmp_path)))
    assert [(one.lines, one.seals, one.open_lines, one.problems) for one in found] == [
        (5, 2, 0, ()),
        (3, 1, 0, ()),
        (7, 3, 0, ()),
    ]
    assert told == [f"ledger: {one.name} ends with seal {one.head}" for one in found[:-1]], (
        "the log is a witness of each day"
    )
    assert has_seal(days(tmp_path), found[0].head)
    assert not has_seal(days(tmp_path), "0" * 64)


def test_it_goes_on_after_a_new_start(tmp_path: Path) -> None:
    written(tmp_path, [1])
    written(tmp_path, [1, 1])
    assert problems(tmp_path) == []


def test_a_line_that_a_crash_tore_is_cut_off_and_what_was_not_sealed_is_sealed_then(tmp_path: Path) -> None:
    written(tmp_path, [1])
    place = tmp_path / "2026-11-24.jsonl"
    with place.open("ab") as file:
        file.write(LINE % 8 + b'{"seal":"abc')
    (found,) = verify([place])
    assert (found.open_lines, found.problems) == (2, ())
    written(tmp_path, [1])
    (found,) = verify([place])
    assert (found.lines, found.open_lines, found.problems) == (6, 0, ())


def test_what_was_changed_is_found_by_its_line(tmp_path: Path) -> None:
    written(tmp_path, [3])
    place = tmp_path / "2026-11-24.jsonl"
    place.write_bytes(place.read_bytes().replace(LINE % 2, LINE % 9))
    assert problems(tmp_path) == ["2026-11-24.jsonl: line 7: the 2 lines before this seal are not what was written"]


@pytest.mark.parametrize("gone", ["2026-11-25.jsonl"])
def test_a_day_that_is_missing_is_found_by_the_next_one(tmp_path: Path, gone: str) -> None:
    written(tmp_path, [1, 1, 1])
    (tmp_path / gone).unlink()
    assert problems(tmp_path) == [
        "2026-11-26.jsonl: line 1: it does not follow the day before: lines or a whole file are missing"
    ]


def test_lines_cut_from_the_end_of_a_day_are_found_by_the_next_one(tmp_path: Path) -> None:
    written(tmp_path, [2, 1])
    place = tmp_path / "2026-11-24.jsonl"
    lines = place.read_bytes().splitlines(keepends=True)
    place.write_bytes(b"".join(lines[:-3]))
    assert len(problems(tmp_path)) == 1


def test_the_oldest_days_may_be_gone(tmp_path: Path) -> None:
    written(tmp_path, [1, 1, 1])
    (tmp_path / "2026-11-24.jsonl").unlink()
    assert problems(tmp_path) == []


@given(data=st.data())
def test_no_change_of_sealed_octets_stays_hidden(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    written(folder, [2, 2])
    place = folder / data.draw(st.sampled_from(["2026-11-24.jsonl", "2026-11-25.jsonl"]))
    octets = place.read_bytes()
    before = [found.head for found in verify(days(folder))]
    at = data.draw(st.integers(0, len(octets) - 1))
    way = data.draw(st.sampled_from(["change", "cut", "insert"]))
    changed = {
        "change": octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :],
        "cut": octets[:at] + octets[at + 1 :],
        "insert": octets[:at] + b"x" + octets[at:],
    }[way]
    place.write_bytes(changed)
    found: list[Checked] = list(verify(days(folder)))
    broken = any(one.problems or one.open_lines for one in found)
    assert broken or [one.head for one in found] != before


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    (tmp_path / "purport.toml").write_text('hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:2525"]\n')
    config = ("--config", str(tmp_path / "purport.toml"))
    assert purport("ledger", "verify", *config).code == 66
    folder = tmp_path / "state" / "ledger"
    written(folder, [2])
    good = purport("ledger", "verify", *config)
    assert good.code == 0
    seal = good.lines[-1].split()[-1]
    assert good.lines == ["2026-11-24.jsonl: 5 lines, 2 seals", f"good, up to seal {seal}"]
    assert purport("ledger", "verify", "--seal", seal, *config).code == 0
    other = purport("ledger", "verify", "--seal", "f" * 64, *config)
    assert other.code == 65
    assert "is not there" in other.out
    place = folder / "2026-11-24.jsonl"
    place.write_bytes(place.read_bytes().replace(LINE % 1, LINE % 7))
    bad = purport("ledger", "verify", *config)
    assert bad.code == 65
    assert "are not what was written" in bad.out
