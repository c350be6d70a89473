"""docs/attacks.md has a row for every attack, and names tests that are there and that name it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROWS = re.findall(r"^\| ([AS]\d[^|]*?) \|.*\| ([^|]+) \|$", (PROJECT / "docs/attacks.md").read_text(), re.MULTILINE)
ATTACKS = {f"A{number}" for number in range(1, 19)} | {f"S{number}" for number in range(1, 26)}
RANGE = re.compile(r"(?:^|_)([as])(\d+)_to_\1(\d+)(?:_|$)")


def names(test: str, attack: str) -> bool:
    """Whether a test has an attack in its name: `test_s8_...`, `test_a6_to_a13_...`."""
    if re.search(rf"_{attack.lower()}(_|$)", test):
        return True
    found = RANGE.search(test)
    return found is not None and found[1].upper() == attack[0] and int(found[2]) <= int(attack[1:]) <= int(found[3])


def test_every_attack_has_a_row_and_a_test_that_names_it() -> None:
    assert {attack for numbers, _ in ROWS for attack in numbers.split(", ")} >= ATTACKS
    tests = {attack: [row for numbers, row in ROWS if attack in numbers.split(", ")] for attack in ATTACKS}
    named = {attack: re.findall(r"::(\w+)`", "".join(rows)) for attack, rows in tests.items()}
    assert [attack for attack in sorted(ATTACKS) if not any(names(test, attack) for test in named[attack])] == []


@pytest.mark.parametrize(("number", "tests"), ROWS, ids=[f"{row}-{number}" for row, (number, _) in enumerate(ROWS)])
def test_the_tests_of_an_attack_exist(number: str, tests: str) -> None:
    named = re.findall(r"`([^`:]+)::(\w+)`", tests)
    assert named, number
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (PROJECT / file).read_text(), re.MULTILINE), f"{file}::{name}"
