"""What DMARC leads to: what an author's domain asks for, and what this server does about it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, DmarcResult, spf_identity
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver
from purport.ledger.dmarc import RecordedDmarc, authentication_again, override_again, recorded
from purport.mail.address import Mailbox
from purport.mail.header import read_header
from purport.policy.dmarc import UNAVAILABLE, DmarcPolicy, disposition, may_come, told
from purport.policy.facts import Client, MailFacts, Override

ZONE = StaticResolver(
    {
        "_dmarc.reject.example": [{"TXT": "v=DMARC1; p=reject; np=quarantine"}],
        "_dmarc.quarantine.example": [{"TXT": "v=DMARC1; p=quarantine"}],
        "_dmarc.none.example": [{"TXT": "v=DMARC1; p=none"}],
        "_dmarc.test.example": [{"TXT": "v=DMARC1; p=reject; t=y"}],
        "_dmarc.slow.example": ["TIMEOUT"],
        "_dmarc.bad.example": [{"TXT": "v=DMARC1; p=bad"}],
    }
)
POLICY, TAG, DEFER = DmarcPolicy(), DmarcPolicy("tag"), DmarcPolicy(on_temperror="defer")
QUARANTINE = DmarcPolicy("quarantine")
SEALER = Override("mailing_list", "lists.example", "ARC seal, dmarc=pass there")
EVIL = "evil.example"


def facts(spf: str = "pass", domain: str = EVIL) -> MailFacts:
    client = Client("192.0.2.1", None, "mx.evil.example")
    result = SpfResult(spf, "mfrom", f"a@{domain}", domain)  # type: ignore[arg-type]
    return MailFacts(client, Mailbox("a", domain), None, result, None, None)


def found(author: str | bytes, mail: MailFacts | None = None, dkim: Sequence[Authenticated] = ()) -> DmarcResult:
    header = read_header(author if isinstance(author, bytes) else f"From: a@{author}\r\n".encode())
    result = start(evaluate(header, spf_identity((mail or facts()).spf), dkim), ZONE)
    assert not isinstance(result, Suspended)
    return result


def outcome(policy: DmarcPolicy, author: str | bytes, override: Override | None = None) -> tuple[str, str, str]:
    """What the rule said, its reply, and what is done."""
    result = found(author)
    rule, refusal = may_come(policy, result, override)
    assert (refusal is not None) == (rule.outcome in ("refuse", "defer"))
    return rule.outcome, "" if refusal is None else str(refusal), disposition(policy, result, override)


def test_the_policy_of_the_authors_domain_is_done() -> None:
    refused = "550 5.7.1 Email rejected per DMARC policy for reject.example"
    assert outcome(POLICY, "reject.example") == ("refuse", refused, "reject")
    assert outcome(POLICY, "quarantine.example") == ("tag", "", "quarantine")
    assert outcome(POLICY, "none.example") == ("tag", "", "none")
    assert outcome(POLICY, "test.example") == ("tag", "", "quarantine")
    assert outcome(POLICY, "sub.reject.example") == ("tag", "", "quarantine")


def test_no_policy_changes_nothing() -> None:
    for author in ("no.example", "bad.example", "slow.example", EVIL):
        assert outcome(POLICY, author) == ("pass", "", "none")


def test_a_tag_is_all_that_is_done_where_the_settings_say_so() -> None:
    for author in ("reject.example", "quarantine.example", b"From: a@x.example\r\nFrom: b@y.example\r\n"):
        assert outcome(TAG, author) == ("tag", "", "none")


def test_what_is_to_be_rejected_is_quarantined_where_the_settings_say_so() -> None:
    """RFC 9989 section 7.4."""
    assert outcome(QUARANTINE, "reject.example") == ("tag", "", "quarantine")
    assert outcome(QUARANTINE, "none.example") == ("tag", "", "none")
    assert outcome(QUARANTINE, b"From: a@x.example\r\nFrom: b@y.example\r\n")[0] == "refuse"


def test_without_an_answer_the_client_comes_again_where_the_settings_say_so() -> None:
    assert outcome(DEFER, "slow.example") == ("defer", str(UNAVAILABLE), "none")
    assert outcome(DEFER, "reject.example")[0] == "refuse"


def test_a_policy_of_reject_alone_is_no_reason_where_a_trusted_sealer_vouches() -> None:
    """RFC 9989 section 7.4."""
    assert outcome(POLICY, "reject.example", SEALER) == ("tag", "", "none")
    rule, _ = may_come(POLICY, found("reject.example"), SEALER)
    assert rule.reason == (
        "DMARC of reject.example is fail: p=reject of reject.example; "
        "but lists.example vouches (mailing_list: ARC seal, dmarc=pass there)"
    )


def test_nobody_vouches_for_an_author_that_cannot_be_read() -> None:
    two = b"From: a@x.example\r\nFrom: b@reject.example\r\n"
    assert outcome(POLICY, two, SEALER)[0] == "refuse"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (b"From: a@evil.example\r\nFrom: ceo@reject.example\r\n", "there are several From fields"),
        (b"From : ceo@reject.example\r\n", "From: white space stands around its name"),
        (b"Sender: ceo@reject.example\r\n", "there is no From field, and sender would be shown in its place"),
        (b"From: =?utf-8?B?Y2VvQGJhbms=?=,<a@evil.example>\r\n", "From: there is no domain"),
        (b"From: <a@evil.example>ceo@reject.example\r\n", "From: the angle brackets hold no single address"),
    ],
)
def test_a6_to_a13_what_has_no_author_that_can_be_read_in_one_way_is_refused(header: bytes, problem: str) -> None:
    refused = f"550 5.6.0 A message needs one From field that names its author: {problem}"
    assert outcome(POLICY, header) == ("refuse", refused, "none")


def test_a_problem_that_quotes_the_message_stays_one_printable_line() -> None:
    word, reply, _ = outcome(POLICY, "From: a@b\u200bc.example\r\n".encode())
    assert word == "refuse"
    assert reply.isascii()
    assert reply.isprintable()


def test_a_message_that_names_nobody_comes_in() -> None:
    assert outcome(POLICY, b"Subject: x\r\n") == ("pass", "", "none")


def test_a9_one_failing_author_of_several_is_enough() -> None:
    header = b"From: a@evil.example, ceo@reject.example\r\n"
    assert outcome(POLICY, header)[1] == "550 5.7.1 Email rejected per DMARC policy for reject.example"


def test_what_was_found_is_told_in_one_line() -> None:
    aligned = found("reject.example", facts(domain="reject.example"), [Authenticated("a.reject.example", "pass", "s")])
    assert aligned is not None
    assert told(aligned) == "DMARC of reject.example is pass by SPF of reject.example and DKIM of a.reject.example"
    testing = found("test.example")
    assert testing is not None
    assert told(testing) == "DMARC of test.example is fail: p=reject of test.example, t=y: quarantine"
    nobody = found(b"Subject: x\r\n")
    assert nobody is not None
    assert told(nobody) == "DMARC is none: there is no From field"


AUTHORS = st.sampled_from(
    [
        b"From: a@reject.example\r\n",
        b"From: a@sub.reject.example\r\n",
        b"From: a@slow.example, a@quarantine.example\r\n",
        b"From: a@test.example\r\n",
        b"From: a@bad.example\r\n",
        b"From: a@[192.0.2.1]\r\n",
        "From: a@b\u200bc.example\r\n".encode(),
        b"From: \xff@x.example\r\n",
        b" From: a@reject.example\r\n",
        b"",
    ]
)
IDENTIFIERS = st.builds(
    Authenticated,
    st.sampled_from(["reject.example", "x.reject.example", "evil.example", "d=\u200b", "slow.example"]),
    st.sampled_from(["pass", "fail", "temperror"]),
    st.sampled_from(["", "s1"]),
)


@given(AUTHORS, st.none() | IDENTIFIERS, st.lists(IDENTIFIERS, max_size=3), st.sampled_from([None, SEALER]))
def test_from_what_is_recorded_the_same_comes_out(
    header: bytes, spf: Authenticated | None, dkim: list[Authenticated], override: Override | None
) -> None:
    mail = facts() if spf is None else facts(spf.result, spf.domain)
    identity = spf_identity(mail.spf)
    signatures = [DkimResult(one.result, one.domain, one.selector) for one in dkim]  # type: ignore[arg-type]
    result = found(header, mail, dkim)
    kept = recorded(result, identity, signatures, override)
    read = msgspec.json.decode(msgspec.json.encode(kept), type=RecordedDmarc)
    again = authentication_again(read)
    assert [(one.domain, one.result) for one in again.dkim] == [(one.domain, one.result) for one in dkim]
    for policy in (POLICY, TAG, DEFER, QUARANTINE):
        before, after = may_come(policy, result, override), may_come(policy, again.dmarc, override_again(read))
        assert (before[0].outcome, before[1] and before[1].code) == (after[0].outcome, after[1] and after[1].code)
        assert disposition(policy, result, override) == disposition(policy, again.dmarc, override_again(read))
    assert recorded(again.dmarc, identity, again.dkim, override) == read
