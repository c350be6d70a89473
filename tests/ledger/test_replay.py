"""From a ledger record alone the decision recomputes to the same result."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.spf.checker import Checker
from purport.authentication.true_client import TrustedHops
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.ledger.record import Record, encode
from purport.ledger.replay import decide_again
from purport.mail.address import NULL, ReversePath, parse_mailbox
from purport.policy.facts import Client
from purport.policy.policy import Policy
from purport.policy.relaying import Networks, Relaying
from purport.policy.submitter import SubmitterPolicy
from purport.service.verdict import judge

ZONE = StaticResolver(
    {
        "good.example": [{"TXT": "v=spf1 ip4:192.0.2.0/24 include:more.example -all"}],
        "more.example": [{"TXT": "v=spf1 ip6:2001:db8::/32 ?all"}],
        "bad.example": [{"TXT": "v=spf1 exp=why.bad.example -all"}],
        "why.bad.example": [{"TXT": "%{i} may not send for %{d}"}],
        "macro.example": [{"TXT": "v=spf1 exists:%{l}.%{d} ~all"}, {"A": "127.0.0.2"}],
        "alice.macro.example": [{"A": "127.0.0.2"}],
        "slow.example": ["TIMEOUT"],
        "broken.example": [{"TXT": "v=spf1 ip4:nonsense -all"}],
        "pra.example": [{"TXT": "spf2.0/pra -all"}, {"TXT": "v=spf1 +all"}],
        "helo.example": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    }
)
DOMAINS = (
    "good.example",
    "bad.example",
    "macro.example",
    "slow.example",
    "broken.example",
    "pra.example",
    "no.example",
)
ADDRESSES = (*[f"alice@{domain}" for domain in DOMAINS], '"a b"@good.example', "alice@[192.0.2.1]")
HEADERS = (
    "From: {}\r\n",
    "From: J\xf6rg <{}>\r\n",
    "Sender: {}\r\nFrom: x@good.example\r\n",
    "Resent-From: {}\r\nReceived: from a by b\r\nResent-Sender: y@good.example\r\nFrom: x@good.example\r\n",
    "From : {}\r\n",
    "From: {}, x@good.example\r\n",
    "Subject: nobody\r\n",
    "Received: x\r\n" * 101 + "From: {}\r\n",
    "Received: from helo.example (unknown [192.0.2.1]) by gw.us.example\r\nFrom: {}\r\n",
)


def written(
    policy: Policy, ip: str, reverse_path: ReversePath, submitter: str | None, header: str, rcpt: str = "bob@us.example"
) -> Record:
    """The record of a transaction, as it is read from the file."""
    made = start(
        judge(
            Checker(policy.receiver),
            policy,
            Client(ip, None, "helo.example"),
            reverse_path,
            None if submitter is None else parse_mailbox(submitter),
            [parse_mailbox(rcpt)],
            header.encode("latin-1") + b"\r\nbody\r\n",
            1795000000.0,
        ),
        ZONE,
    )
    assert isinstance(made, Record)
    return msgspec.json.decode(encode(made), type=Record)


def policies() -> st.SearchStrategy[Policy]:
    submitter = st.builds(
        SubmitterPolicy,
        check_pra=st.sampled_from(["when-submitted", "always", "never"]),
        reject_at=st.sampled_from(["mail", "rcpt", "data"]),
        on_temperror=st.sampled_from(["accept", "defer"]),
        local_part_case=st.sampled_from(["exact", "ignore"]),
    )
    return st.builds(
        Policy,
        st.just("mx.us.example"),
        submitter,
        spf_on_fail=st.sampled_from(["tag", "reject"]),
        check_helo=st.booleans(),
        relaying=st.just(Relaying({"us.example": frozenset({"bob"})}, Networks(["203.0.113.0/24"]))),
        trusted_hops=st.sampled_from([TrustedHops(()), TrustedHops(Networks(["203.0.113.0/24"]))]),
    )


@given(
    policy=policies(),
    ip=st.sampled_from(["192.0.2.1", "198.51.100.1", "2001:db8::1", "203.0.113.5"]),
    reverse_path=st.sampled_from([NULL, *(parse_mailbox(address) for address in ADDRESSES)]),
    submitter=st.sampled_from([None, *ADDRESSES]),
    header=st.sampled_from(HEADERS),
    author=st.sampled_from(ADDRESSES),
    rcpt=st.sampled_from(["bob@us.example", "nobody@us.example", "x@elsewhere.example"]),
)
@settings(deadline=None, max_examples=300)
def test_a_record_alone_gives_the_same_decision(
    policy: Policy, ip: str, reverse_path: ReversePath, submitter: str | None, header: str, author: str, rcpt: str
) -> None:
    record = written(policy, ip, reverse_path, submitter, header.format(author), rcpt)
    again = decide_again(record)
    assert (again.decision, again.rule, again.reply) == (record.decision, record.rule, record.reply)


@pytest.mark.parametrize(
    ("ip", "submitter", "header", "reply", "rule"),
    [
        ("192.0.2.1", "alice@good.example", "From: alice@good.example\r\n", "", "default"),
        ("198.51.100.1", "alice@good.example", "", "550 5.7.1 Submitter not allowed.", "submitter-authorized"),
        (
            "192.0.2.1",
            "alice@good.example",
            "From: eve@good.example\r\n",
            "550 5.7.1 Submitter does not match header.",
            "submitter-matches-header",
        ),
        (
            "192.0.2.1",
            "alice@good.example",
            "Subject: x\r\n",
            "554 5.7.7 Cannot verify submitter address.",
            "pra-present",
        ),
    ],
)
def test_each_refusal_of_rfc4405_recomputes(ip: str, submitter: str, header: str, reply: str, rule: str) -> None:
    policy = Policy("mx.us.example", relaying=Relaying({"us.example": None}))
    record = written(policy, ip, NULL, submitter, header)
    again = decide_again(record)
    assert (record.reply, record.rule) == (reply, rule)
    assert (again.reply, again.rule) == (reply, rule)


def test_a_record_of_a_client_behind_a_trusted_hop_recomputes() -> None:
    policy = Policy(
        "mx.us.example",
        SubmitterPolicy(check_pra="always"),
        relaying=Relaying({"us.example": None}),
        trusted_hops=TrustedHops(Networks(["203.0.113.0/24"])),
    )
    hop = "Received: from helo.example (unknown [{}]) by gw.us.example\r\nFrom: alice@good.example\r\n"
    for client, decision in (("192.0.2.1", "accept"), ("198.51.100.1", "reject")):
        record = written(policy, "203.0.113.5", parse_mailbox("alice@good.example"), None, hop.format(client))
        assert record.behind is not None
        assert record.behind.address == client
        again = decide_again(record)
        assert (record.decision, again.decision, again.reply) == (decision, decision, record.reply)


def test_a_record_that_was_changed_does_not_recompute() -> None:
    policy = Policy("mx.us.example", relaying=Relaying({"us.example": None}))
    record = written(policy, "198.51.100.1", NULL, "alice@good.example", "")
    forged = msgspec.structs.replace(record, decision="accept", reply="250 2.0.0 Ok", rule="default")
    assert decide_again(forged).decision == "reject"
