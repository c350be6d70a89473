"""What goes on top of an accepted message (RFC 8601)."""

from __future__ import annotations

import pytest

from purport.authentication.arc.result import NO_CHAIN, ArcResult
from purport.authentication.authres.writer import field
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.result import DmarcResult
from purport.authentication.iprev import IprevResult
from purport.authentication.message import Authentication
from purport.authentication.methods import ORDER
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.result import Scope, SpfResult
from purport.mail.address import Mailbox
from purport.policy.dmarc import DmarcPolicy
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.results import results, results_fields

ALICE = Mailbox("alice", "example.com")
SIGNED = DkimResult("pass", "example.com", "s1", "alice@example.com", "rsa-sha256", 2048, b="AbCdEfGh")


def checked(scope: Scope) -> SpfResult:
    return SpfResult("pass", scope, str(ALICE), ALICE.domain)


def facts(*dkim: DkimResult, arc: ArcResult = NO_CHAIN, author: str = "example.com") -> MessageFacts:
    client = Client("192.0.2.1", None, "mail.example.com", iprev=IprevResult("fail", "192.0.2.1"))
    mail = MailFacts(client, ALICE, None, checked("mfrom"), checked("helo"), None)
    dmarc = DmarcResult("pass", Author("named", (author,)), author)
    pra = purported_responsible_address(b"From: alice@example.com\r\n\r\n")
    return MessageFacts(mail, pra, checked("pra"), Authentication(dkim, dmarc, arc))


def test_our_field_has_a_stable_order() -> None:
    said = results("mx.example", facts(SIGNED, arc=ArcResult("fail", 1, problem="broken")), DmarcPolicy())
    methods = [result.method for result in said.results]
    assert methods == ["iprev", "spf", "spf", "dkim", "dmarc", "arc", "sender-id"]
    assert methods == sorted(methods, key=ORDER.index)
    assert [one.properties[0][1] for one in said.of("spf")] == ["helo", "mailfrom"]


@pytest.mark.parametrize(
    "found",
    [facts(), facts(SIGNED), facts(author="example.net"), facts(arc=ArcResult("fail", 1))],
    ids=["unsigned", "signed", "another author", "a chain"],
)
def test_a_field_that_was_written_before_is_what_it_would_be(found: MessageFacts) -> None:
    for _ in range(2):
        written = results_fields("mx.example", found, DmarcPolicy())
        assert written == field(results("mx.example", found, DmarcPolicy()))
