"""RFC 7293 section 5 and 9: who has had a mailbox since when, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from purport.authentication.spf.checker import Checker
from purport.config.load import read
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.ledger.record import Record
from purport.ledger.replay import decide_again
from purport.mail.address import Mailbox
from purport.mail.header import read_header
from purport.parts.policy import make_policy
from purport.policy.facts import Client
from purport.policy.ownership import RULE, fields_hold, held_since
from purport.service.verdict import judge

POLICY = make_policy(
    read(
        """
hostname = "mx.company.com.example"

[[domain]]
name = "company.com.example"
domain_since = 2010-01-01T00:00:00Z
[domain.since]
bob = 2014-01-01T00:00:00Z
carol = 1970-01-01T00:00:00Z

[[domain]]
name = "silent.example"
domain_since = 2010-01-01T00:00:00Z

[[domain]]
name = "others.example"
since = { "*" = 2012-01-01T00:00:00Z }

[[domain]]
name = "behind.example"
deliver = "smtp:10.0.0.1:25"

[[domain]]
name = "half.example"
deliver = "smtp:10.0.0.1:25"
since = { bob = 2014-01-01T00:00:00Z }

[[listener]]
bind = ["127.0.0.1:2525"]
"""
    )
)


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("address", "since", "status"),
    [
        ("bob@company.com.example", "2014-01-01", "pass"),
        ("Bob@Company.COM.example", "2020-01-01", "pass"),
        ("bob@company.com.example", "2013-12-31", "5.7.17"),
        ("bob@company.com.example", "2009-12-31", "5.7.18"),
        ("carol@company.com.example", "2010-01-01", "pass"),
        ("carol@company.com.example", "1960-01-01", "5.7.18"),
        ("dave@company.com.example", "2020-01-01", "5.7.19"),
        ("dave@silent.example", "2020-01-01", "5.7.19"),
        ("postmaster@company.com.example", "1990-01-01", "pass"),
        ("ABUSE@company.com.example", "1990-01-01", "pass"),
        ("anybody@others.example", "2012-01-01", "pass"),
        ("anybody@others.example", "2011-01-01", "5.7.17"),
        ("mailer-daemon@mx.company.com.example", "1990-01-01", "pass"),
        ("bob@behind.example", "1990-01-01", ""),
        ("bob@elsewhere.example", "1990-01-01", ""),
        ("bob@half.example", "1990-01-01", "5.7.17"),
        ("carol@half.example", "1990-01-01", ""),
    ],
)
def test_who_has_had_a_mailbox_since_when(address: str, since: str, status: str) -> None:
    """Empty: that is for the next hop to know."""
    local_part, _, domain = address.partition("@")
    verdict = held_since(POLICY.ownership, Mailbox(local_part, domain), moment(since))
    if verdict is None:
        assert status == ""
        return
    rule, refusal = verdict
    assert rule.name == RULE
    assert (refusal is None) == (rule.outcome == "pass")
    assert ("pass" if refusal is None else refusal.status) == status
    assert refusal is None or refusal.code == 550


def field(address: str, year: int) -> str:
    return f"Require-Recipient-Valid-Since: {address}; 1 Jun {year} 00:00:00 +0000\r\n"


@pytest.mark.parametrize(
    ("fields", "statuses"),
    [
        (field("bob@company.com.example", 2013), ["5.7.17"]),
        (field("BOB@company.com.example", 2015), ["pass"]),
        (field("dave@company.com.example", 2013), []),
        (field("postmaster@company.com.example", 1990), []),
        (field("bob@elsewhere.example", 1990), []),
        (field("bob@company.com.example", 2015) + field("bob@company.com.example", 2013), ["pass", "5.7.17"]),
        ("Require-Recipient-Valid-Since: bob@company.com.example; yesterday\r\n", []),
    ],
)
def test_what_the_header_requires_of_the_recipients(fields: str, statuses: list[str]) -> None:
    """RFC 7293 section 5.2: what is wrong, or names nobody of them, says nothing."""
    header = read_header(fields.encode() + b"\r\n")
    recipients = [Mailbox("bob", "company.com.example"), Mailbox("bob", "elsewhere.example")]
    verdicts = fields_hold(POLICY.ownership, header, recipients)
    assert ["pass" if refusal is None else refusal.status for _, refusal in verdicts] == statuses


def test_a_message_that_was_refused_for_it_is_refused_again_from_its_record() -> None:
    octets = field("bob@company.com.example", 2013).encode() + b"From: alice@example.com\r\n\r\nHello\r\n"
    client = Client("192.0.2.1", None, "mx.example.com")
    evaluation = judge(
        Checker(),
        POLICY,
        client,
        Mailbox("alice", "example.com"),
        None,
        [Mailbox("bob", "company.com.example")],
        octets,
        0.0,
    )
    record = start(evaluation, StaticResolver({}))
    assert isinstance(record, Record)
    assert (record.decision, record.rule) == ("reject", RULE)
    assert record.reply == "550 5.7.17 Mailbox owner has changed"
    again = decide_again(record)
    assert (again.decision, again.rule, again.reply) == (record.decision, record.rule, record.reply)


def test_the_field_is_not_looked_at_where_nobody_writes_down_whose_the_mailboxes_are() -> None:
    """But for the domain itself, and other than RRVS, which we offer to answer."""
    dave = Mailbox("dave", "silent.example")
    ((rule, refusal),) = fields_hold(POLICY.ownership, read_header(field(str(dave), 2013).encode()), [dave])
    assert (rule.outcome, refusal) == ("skip", None)
    ((_, refusal),) = fields_hold(POLICY.ownership, read_header(field(str(dave), 2009).encode()), [dave])
    assert refusal is not None
    assert refusal.status == "5.7.18"
    unnamed = Mailbox("dave", "company.com.example")
    ((_, refusal),) = fields_hold(POLICY.ownership, read_header(field(str(unnamed), 2013).encode()), [unnamed])
    assert refusal is not None
    assert refusal.status == "5.7.19"
