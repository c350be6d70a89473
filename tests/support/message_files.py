"""The message files that other people's mail parsers are tested with (../shared/suites/mime), and their tables."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from support.suites import SUITES

MIME = SUITES / "mime"
REASON = "the conformance suites (../shared/suites/mime) are not there"
NO_MESSAGES = ("README", "COPYING", "MIT-LICENSE", "LICENSE-MIT", "LICENSE.txt")
LINE_END = re.compile(rb"\r\n|\r|\n")


def message_files() -> list[Path]:
    """All of them, in order; none where they are not there."""
    places = (place for folder in ("mail-parser", "cpython", "ruby-mail") for place in (MIME / folder).rglob("*"))
    return sorted(
        place for place in places if place.is_file() and place.suffix != ".json" and place.name not in NO_MESSAGES
    )


def name_of(place: Path) -> str:
    return str(place.relative_to(MIME))


def cases() -> list[Any]:
    """A parameter for each file, its name as the id."""
    found = [pytest.param(place, id=name_of(place)) for place in message_files()]
    return found or [pytest.param(None, marks=pytest.mark.skip(reason=REASON))]


def table(name: str) -> list[Any]:
    """A parameter for each case of a table of mail-parser: what stands in a field, and what it reads there."""
    place = MIME / "mail-parser" / name
    if not place.exists():
        return [pytest.param(None, None, marks=pytest.mark.skip(reason=REASON))]
    entries = json.loads(place.read_text())
    return [pytest.param(entry["header"], entry["expected"], id=str(number)) for number, entry in enumerate(entries)]


def in_crlf_lines(octets: bytes) -> bytes:
    """The message as a mail program would send it."""
    return LINE_END.sub(b"\r\n", octets)
