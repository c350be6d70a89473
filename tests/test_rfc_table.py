"""docs/rfc4405.md names a test for every statement of RFC 4405 and every vector, and none that is not there; so does
docs/rfc9989.md for what DMARC asks of receivers."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
ROWS = re.findall(r"^\| ([RT]\d+) \|.*\| ([^|]+) \|$", (PROJECT / "docs/rfc4405.md").read_text(), re.MULTILINE)
DMARC = re.findall(r"^\| (D\d+) \|.*\| ([^|]+) \|$", (PROJECT / "docs/rfc9989.md").read_text(), re.MULTILINE)
WANTED = [f"R{number}" for number in range(1, 28)] + [f"T{number}" for number in range(1, 26)]


def test_every_statement_and_every_vector_has_a_row() -> None:
    assert [number for number, _ in ROWS] == WANTED


@pytest.mark.parametrize(("number", "tests"), ROWS, ids=[number for number, _ in ROWS])
def test_the_tests_of_a_row_exist_and_bear_its_number(number: str, tests: str) -> None:
    named = re.findall(r"`([^`:]+)::(\w+)`", tests)
    assert named
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (PROJECT / file).read_text(), re.MULTILINE), f"{file}::{name}"
        assert number.lower() in name.split("_")


@pytest.mark.parametrize(("number", "tests"), DMARC, ids=[number for number, _ in DMARC])
def test_the_tests_of_a_statement_about_dmarc_exist(number: str, tests: str) -> None:
    named = re.findall(r"`([^`:]+)::(\w+)`", tests)
    assert named, number
    for file, name in named:
        assert re.search(rf"^(async )?def {name}\(", (PROJECT / file).read_text(), re.MULTILINE), f"{file}::{name}"
