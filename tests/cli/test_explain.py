"""`purport explain`: out of the ledger, by id, by Message-ID, or the last ones."""

from __future__ import annotations

import json
import re
from pathlib import Path

import msgspec
import pytest

from purport.authentication.spf.checker import Checker
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.ledger.record import Delivery, DeliveryRecord, Record, encode
from purport.ledger.writer import LedgerWriter
from purport.mail.address import parse_mailbox
from purport.policy.facts import Client
from purport.policy.policy import Policy
from purport.queue.queue_id import EPOCH, QueueIds
from purport.service.verdict import judge
from support.cli import purport

SETTINGS = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
ZONE = StaticResolver({"example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}], "bank.example": [{"TXT": "v=spf1 -all"}]})
NOW = EPOCH + 5_000_000.0


def judged(queue_id: str, submitter: str, message_id: str, at: float) -> Record:
    message = f"From: alice@example.com\r\nMessage-ID: {message_id}\r\nSubject: \x1b[2J\r\n\r\nHi\r\n".encode()
    found = start(
        judge(
            Checker("mx.company.com.example"),
            Policy("mx.company.com.example"),
            Client("192.0.2.1", None, "mx.example.com\x1b[31m"),
            parse_mailbox("alice@example.com"),
            parse_mailbox(submitter),
            [],
            message,
            at,
        ),
        ZONE,
    )
    assert isinstance(found, Record)
    return msgspec.structs.replace(found, id=queue_id)


@pytest.fixture
def ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three transactions: accepted and delivered, refused, accepted again under the same Message-ID."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    (tmp_path / "purport.toml").write_text(SETTINGS)
    given = QueueIds(clock=lambda: NOW)
    ids = [given.next() for _ in range(3)]
    writer = LedgerWriter(tmp_path / "state" / "ledger", clock=lambda: NOW)
    writer.append(encode(judged(ids[0], "alice@example.com", "<one@example.com>", NOW)))
    writer.append(encode(judged(ids[1], "ceo@bank.example", "<two@example.com>", NOW + 1)))
    delivery = Delivery("bob@company.com.example", "sent", "250 2.0.0 delivered", "maildir", NOW + 2)
    writer.append(encode(DeliveryRecord(ids[0], delivery)))
    writer.append(encode(judged(ids[2], "alice@example.com", "<one@example.com>", NOW + 3)))
    writer.close()
    return ids


def test_a_transaction_is_explained_by_its_queue_id(ids: list[str]) -> None:
    ran = purport("explain", ids[0].lower())
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0].startswith(f"{ids[0]}: accepted")
    assert "250 2.0.0 delivered" in ran.out


def test_a_refused_one_is_explained_with_its_reply_and_what_to_change(ids: list[str]) -> None:
    ran = purport("explain", ids[1])
    assert ran.lines[0] == f"{ids[1]}: refused at MAIL"
    assert "  550 5.7.1 Submitter not allowed." in ran.lines
    assert "what to change" in ran.lines
    assert "\x1b" not in ran.out


@pytest.mark.parametrize("name", ["<one@example.com>", "one@example.com"])
def test_a_message_id_finds_all_its_transactions_the_newest_first(ids: list[str], name: str) -> None:
    told = [json.loads(line) for line in purport("explain", "--json", name).lines]
    assert [one["id"] for one in told] == [ids[2], ids[0]]
    assert [len(one["deliveries"]) for one in told] == [0, 1]
    assert all(one["decided_again"]["decision"] == one["decision"] for one in told)


@pytest.mark.parametrize(("words", "count"), [(("--last",), 1), (("--last", "2"), 2), (("--last", "--json"), 1)])
def test_the_last_ones_need_no_name(ids: list[str], words: tuple[str, ...], count: int) -> None:
    ran = purport("explain", *words)
    assert ran.code == 0
    assert sum(one in ran.out for one in ids) == count
    assert ids[2] in ran.lines[0]


def test_what_the_ledger_does_not_know_exits_with_66(ids: list[str]) -> None:
    assert purport("explain", "<none@example.com>").code == 66
    assert purport("explain", "\x1b[2J").err == "the ledger knows no transaction \\x1b[2J\n"
    assert purport("explain", "--last", "--config", "purport.toml").code == 0


def test_either_a_name_or_the_last_ones(ids: list[str]) -> None:
    assert purport("explain").code == 64
    assert purport("explain", ids[0], "--last", "2").code == 64
    assert purport("explain", "--last", "0").code == 64


@pytest.mark.usefixtures("ids")
def test_the_commands_of_the_ledger_page_run() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "ledger.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    \$ purport (.+)$", page, re.MULTILINE)
    assert commands == ["explain --last", "ledger verify"]
    for command in commands:
        assert purport(*command.split()).code == 0
