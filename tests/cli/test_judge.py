"""`purport judge`: the server's decision without the server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import Ran, purport

ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "slow.example": ["TIMEOUT"],
}
SETTINGS = """\
hostname = "mx.company.com.example"
[dns]
zone = "zone.json"
[[domain]]
name = "company.com.example"
mailboxes = ["bob"]
[[listener]]
bind = ["127.0.0.1:25"]
[submitter]
on_temperror = "defer"
"""
MESSAGE = b"From: alice@example.com\nSubject: Hi\n\nHi\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    monkeypatch.setattr("purport.config.load.PLACES", (Path("purport.toml"),))
    Path("zone.json").write_text(json.dumps(ZONE))
    Path("m.eml").write_bytes(MESSAGE)


def judge(*words: str, file: str = "m.eml", stdin: bytes = b"") -> Ran:
    given = ("--ip", "192.0.2.1", "--helo", "mx.example.com", "--mail-from", "alice@example.com")
    return purport("judge", file, *given, *words, stdin=stdin)


@pytest.mark.parametrize(
    ("words", "code", "reply"),
    [
        (("--submitter", "alice@example.com", "--rcpt", "bob@company.com.example"), 0, ""),
        ((), 0, ""),
        (("--submitter", "ceo@bank.example"), 1, "550 5.7.1 Submitter not allowed."),
        (("--submitter", "carol@example.com"), 1, "550 5.7.1 Submitter does not match header."),
        (("--submitter", "carol@slow.example"), 75, "450 4.4.3 Sender ID check is temporarily unavailable"),
        (("--rcpt", "nobody@company.com.example"), 1, "550 5.1.1 No such mailbox here"),
        (("--rcpt", "<carol@elsewhere.example>"), 1, "554 5.7.1 Relay access denied"),
    ],
)
def test_a_message_is_judged_by_the_settings(words: tuple[str, ...], code: int, reply: str) -> None:
    Path("purport.toml").write_text(SETTINGS)
    ran = judge(*words)
    assert (ran.code, ran.err) == (code, "")
    assert reply in ran.out
    told = json.loads(judge(*words, "--json").out)
    assert told["reply"] == reply
    assert told["decided_again"]["decision"] == told["decision"]


def test_without_settings_the_defaults_hold_and_recipients_are_ours() -> None:
    ran = judge("--rcpt", "anybody@wherever.example", "--zone", "zone.json")
    assert ran.code == 0
    assert ran.err == "note: no settings file, so the defaults hold, and every recipient is taken for ours\n"


def test_settings_that_are_named_must_be_there() -> None:
    assert judge("--config", "none.toml").code == 78


def test_the_message_may_come_from_stdin() -> None:
    ran = judge("--zone", "zone.json", "--submitter", "alice@example.com", file="-", stdin=b"Subject: nobody\n\n")
    assert ran.code == 1
    assert "554 5.7.7 Cannot verify submitter address." in ran.out


def test_a_null_reverse_path_may_be_written_in_two_ways() -> None:
    for path in ("", "<>"):
        ran = purport(
            "judge", "m.eml", "--ip", "::1", "--helo", "h.example", "--mail-from", path, "--zone", "zone.json"
        )
        assert ran.code == 0
        assert "mail from  <>" in ran.out


def test_postmaster_needs_no_domain() -> None:
    Path("purport.toml").write_text(SETTINGS)
    assert judge("--rcpt", "postmaster").code == 0
    assert judge("--rcpt", "<Postmaster>").code == 0
    assert judge("--rcpt", "hostmaster").code == 64


def test_what_is_no_address_is_a_usage_error() -> None:
    assert judge("--submitter", "alice", "--zone", "zone.json").code == 64
    assert judge("--rcpt", "a@b@c d", "--zone", "zone.json").code == 64
    assert purport("judge", "m.eml", "--ip", "nine", "--helo", "h", "--mail-from", "").code == 64
    assert judge("--zone", "zone.json", file="none.eml").code == 66
