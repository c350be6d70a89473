"""The SMTP suites that are not dialogues of their own kind, and what of them an RFC speaks against."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from support.smtp_shell import OWN
from support.suites import SUITES, not_there

SPACE_AFTER_COLON = 'RFC 5321 section 3.3: "spaces are not permitted on either side of the colon following FROM"'
# Replies that chasquid chose, or laxity that an RFC speaks against.
CHASQUID = {
    "bad_data": SPACE_AFTER_COLON,
    "bad_data_dot_2": SPACE_AFTER_COLON,
    "bad_data_dot_on_message_too_big": SPACE_AFTER_COLON,
    "data_dot_stuffing": SPACE_AFTER_COLON,
    "sendmail": SPACE_AFTER_COLON,
    "bad_rcpt_to": 'RFC 5321 section 4.2.2: 501 is "Syntax error in parameters or arguments", not 500',
    "line_too_long": "RFC 5321 section 4.5.3.1.9: 500 is the code for a line that is too long, not 554",
}

SMUGGLING = yaml.safe_load((OWN / "smtp" / "smuggling.yml").read_text(encoding="utf-8"))

PATHS = SUITES / "smtp" / "path-parsing.yml"


def path_cases() -> list[Any]:
    if not PATHS.exists():
        return not_there(PATHS)
    cases = yaml.safe_load(PATHS.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=f"{case['source']}:{case.get('line', case.get('argument'))}") for case in cases]


def path_line(case: dict[str, Any]) -> str:
    """The command that holds the path."""
    return str(case.get("line") or f"MAIL FROM:{case['argument']}")


def expect_path(case: dict[str, Any], said: str) -> None:
    """The reply is that to a path that the table reads, or to one that it does not."""
    expected = case["path"] if "path" in case else case["parsed"]
    if expected is None or case.get("liberal"):
        assert said.startswith("501 ")
    else:  # the path is taken; a parameter that is not built here is unknown, a foreign domain is refused
        assert not said.startswith("501 ")
        parameters = case.get("rest") or " ".join(case.get("parsed", [])[1:])
        assert said.startswith("555 ") == (parameters not in ("", "size=1234", "BODY=8BITMIME", "SMTPUTF8"))
