"""docs/attacks.md names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROWS = re.findall(r"^\| ([AS]\d[^|]*?) \|.*\| ([^|]+) \|$", (PROJECT / "docs/attacks.md").read_text(), re.MULTILINE)


def test_the_table_is_read() -> None:
    assert len(ROWS) >= 28


@pytest.mark.parametrize(("number", "tests"), ROWS, ids=[number for number, _ in ROWS])
def test_the_tests_of_an_attack_exist(number: str, tests: str) -> None:
    named = re.findall(r"`([^`:]+)::(\w+)`", tests)
    assert named, number
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (PROJECT / file).read_text(), re.MULTILINE), f"{file}::{name}"
