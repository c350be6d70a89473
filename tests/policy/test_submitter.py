"""RFC 4405 section 4.2 as decisions: who is refused, with which words, and what SUBMITTER does not change."""

from __future__ import annotations

import dataclasses

import pytest

from purport.authentication.spf.checker import Checker
from purport.config.load import SettingsError, read
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.ledger.record import Record
from purport.mail.address import NULL, Mailbox, parse_mailbox
from purport.policy.facts import Client
from purport.policy.policy import Policy
from purport.policy.relaying import Relaying
from purport.policy.submitter import SubmitterPolicy
from purport.service.verdict import judge

ALLOWED, FORGER = "192.0.2.1", "198.51.100.1"
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}],
    "almamater.edu.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}],
    "soft.example": [{"TXT": "v=spf1 ~all"}],
    "neutral.example": [{"TXT": "v=spf1 ?all"}],
    "broken.example": [{"TXT": "v=spf1 nonsense"}],
    "slow.example": ["TIMEOUT"],
}
ALICE = "alice@example.com"
POLICY = Policy("mx.company.com.example", relaying=Relaying({"company.com.example": None}))


def decided(
    submitter: str | None,
    header: str = f"From: {ALICE}\n",
    *,
    ip: str = ALLOWED,
    **settings: str,
) -> Record:
    """The record of a transaction under a policy with these settings."""
    policy = dataclasses.replace(POLICY, submitter=SubmitterPolicy(**settings))  # type: ignore[arg-type]
    record = start(
        judge(
            Checker(),
            policy,
            Client(ip, None, "mx.example.com"),
            Mailbox("alice", "example.com"),
            None if submitter is None else parse_mailbox(submitter),
            [Mailbox("bob", "company.com.example")],
            header.encode() + b"\nHello\n",
            0.0,
        ),
        StaticResolver(ZONE),
    )
    assert isinstance(record, Record)
    return record


def test_r13_the_domain_of_the_submitter_is_the_one_that_is_asked() -> None:
    record = decided("bob@almamater.edu.example", "Resent-From: bob@almamater.edu.example\n")
    assert record.sender_id is not None
    assert record.sender_id.domain == "almamater.edu.example"


def test_r14_the_client_is_checked_by_sender_id_in_the_pra_scope() -> None:
    zone = {**ZONE, "example.com": [{"TXT": "spf2.0/pra -all"}, {"TXT": "v=spf1 +all"}]}
    evaluation = judge(
        Checker(), POLICY, Client(ALLOWED, None, "h"), NULL, parse_mailbox(ALICE), [], b"", 0.0
    )  # fmt: skip
    record = start(evaluation, StaticResolver(zone))
    assert isinstance(record, Record)
    assert record.reply == "550 5.7.1 Submitter not allowed."


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
def test_r15_t10_a_client_that_may_not_speak_for_the_submitter_is_refused(stage: str) -> None:
    record = decided(ALICE, ip=FORGER, reject_at=stage)
    assert record.reply == "550 5.7.1 Submitter not allowed."
    assert record.stage == {"mail": "MAIL", "rcpt": "RCPT", "data": "END-OF-MESSAGE"}[stage]


@pytest.mark.parametrize(
    "domain", ["soft.example", "neutral.example", "broken.example", "none.example", "slow.example"]
)
def test_r15_only_fail_refuses(domain: str) -> None:
    record = decided(f"a@{domain}", f"From: a@{domain}\n", ip=ALLOWED)
    if domain == "none.example":  # NXDOMAIN of the PRA domain is a Fail (RFC 4406 section 4.3)
        assert record.reply == "550 5.7.1 Submitter not allowed."
    else:
        assert record.decision == "accept"


def test_a_temporary_error_defers_where_the_settings_say_so() -> None:
    record = decided("a@slow.example", "From: a@slow.example\n", on_temperror="defer")
    assert record.reply == "450 4.4.3 Sender ID check is temporarily unavailable"


def test_r16_the_pra_is_determined_when_the_message_is_there() -> None:
    record = decided(ALICE)
    assert record.pra is not None
    assert (record.pra.address, record.pra.field) == (ALICE, "from")


@pytest.mark.parametrize("other", ["bob@example.com", "alice@almamater.edu.example", "Alice@example.com"])
def test_r17_t11_a_pra_that_is_not_the_submitter_is_refused(other: str) -> None:
    assert decided(ALICE, f"From: {other}\n").reply == "550 5.7.1 Submitter does not match header."


def test_the_case_of_the_local_part_may_be_ignored() -> None:
    assert decided(ALICE, "From: ALICE@EXAMPLE.COM\n", local_part_case="ignore").decision == "accept"


@pytest.mark.parametrize(
    "header",
    [f"From: {ALICE}\nFrom: {ALICE}\n", "Subject: nobody\n", "From: alice\n", f"From: {ALICE}, bob@example.com\n"],
    ids=["two From", "no From", "no domain", "two mailboxes"],
)
def test_r18_t12_without_a_pra_the_submitter_cannot_be_verified(header: str) -> None:
    assert decided(ALICE, header).reply == "554 5.7.7 Cannot verify submitter address."


def test_without_submitter_a_missing_pra_is_refused_where_it_is_always_checked() -> None:
    record = decided(None, "Subject: nobody\n", check_pra="always")
    assert record.reply == "550 5.7.1 Missing Purported Responsible Address"
    assert decided(None, "Subject: nobody\n").decision == "accept"


def test_without_submitter_the_pra_is_checked_where_it_is_always_checked() -> None:
    record = decided(None, ip=FORGER, check_pra="always")
    assert record.reply.startswith("550 5.7.1 Sender ID (PRA) Not Permitted")


def test_r19_an_allowed_submitter_is_still_held_against_the_header() -> None:
    # The trivial attack: name a domain of one's own in SUBMITTER, and somebody else's in the header.
    record = decided("eve@almamater.edu.example", f"From: {ALICE}\n")
    assert record.sender_id is not None
    assert record.sender_id.result == "pass"
    assert record.reply == "550 5.7.1 Submitter does not match header."


def test_r26_submitter_by_itself_proves_nothing() -> None:
    # Without a policy of its domain the parameter is taken, and gives no pass.
    record = decided("a@soft.example", "From: a@soft.example\n")
    assert record.decision == "accept"
    assert record.sender_id is not None
    assert record.sender_id.result == "softfail"


def test_t2_the_submitter_of_the_header_is_accepted() -> None:
    assert decided(ALICE).decision == "accept"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('service = "milter"', "service"),
    ],
)
def test_what_is_not_built_is_not_offered(line: str, told: str) -> None:
    text = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
    text += line if line.startswith("service") else f'[[domain]]\nname = "company.com.example"\n{line}'
    with pytest.raises(SettingsError, match=told):
        read(text)
