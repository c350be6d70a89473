"""docs/extensions.md has a row for every extension, and names no test that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from purport.smtp.extensions import ALL

PROJECT = Path(__file__).resolve().parents[1]
TABLE = (PROJECT / "docs/extensions.md").read_text(encoding="utf-8")


def test_every_extension_has_a_row_in_the_order_of_the_ehlo_reply() -> None:
    rows = re.findall(r"^\| ([A-Z0-9-]+) \| (\d+|-) \|", TABLE, re.MULTILINE)
    assert rows == [(extension.keyword, str(extension.rfc or "-")) for extension in ALL]


def test_the_tests_it_names_exist() -> None:
    named = re.findall(r"`(tests/[^`]+)`", TABLE)
    assert len(named) >= len(ALL)
    assert [place for place in named if not (PROJECT / place).exists()] == []


PEERS = (
    "Postfix",
    "Exim",
    "Sendmail",
    "OpenSMTPD",
    "Dovecot",
    "Cyrus",
    "nginx",
    "HAProxy",
    "Nodemailer",
    "smtp-server",
    "aiosmtpd",
    "Net::SMTP",
    "smtplib",
    "swaks",
    "curl",
    "msmtp",
    "fetchmail",
)


def test_every_extension_was_proved_against_two_independent_peers() -> None:
    rows = [
        line.rstrip(" |").split(" | ") for line in TABLE.splitlines() if re.match(r"\| [A-Z0-9-]+ \| (\d+|-) \|", line)
    ]
    proved = {row[0].lstrip("| "): [peer for peer in PEERS if peer in row[-1]] for row in rows}
    assert len(proved) == len(ALL)
    assert [keyword for keyword, peers in proved.items() if len(peers) < 2] == []
