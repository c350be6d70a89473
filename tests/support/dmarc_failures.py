"""Messages that fail, as failure reports know them."""

from __future__ import annotations

from collections.abc import Sequence

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, spf_identity
from purport.authentication.message import Authentication
from purport.authentication.spf.result import Answers, SpfResult
from purport.dns.lookup import Answer, Question, Status, Suspended, start
from purport.dns.zone import StaticResolver
from purport.mail.address import Mailbox, ReversePath
from purport.mail.header import read_header
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.reporting.dmarc.failure import Delivery, Failure, failure_of

BOUNCES = Mailbox("bounce-bob=company.com.example", "evil.example")
RUF = "ruf=mailto:fail@example.com"
HEADER = b"""\
Received: from mx.evil.example (unknown [192.0.2.1]) by mx.company.com.example for <bob@company.com.example>; Mon
From: "Bob's bank" <ceo@example.com>
To: Bob <bob@company.com.example>, "Carol C." <carol@other.example>
Subject: a note for bob@company.com.example
Message-ID: <1@example.com>
X-Customer: bob@company.com.example
""".replace(b"\n", b"\r\n")
BROKEN = DkimResult("fail", "example.com", "s1", "ceo@example.com", problem="the body was changed")
STRANGERS = DkimResult("fail", "list.example", "s2", "@list.example", problem="the header was changed")
RECORD = 'v=spf1 ip4:198.51.100.0/24 "quoted" -all'


def spf(result: str, domain: str = "example.com") -> SpfResult:
    answer = Answer(Status.FOUND, (RECORD, "some other text"))
    evidence = Answers([(Question(domain, "TXT"), answer), (Question(f"mx.{domain}", "A"), Answer(Status.FOUND, ()))])
    return SpfResult(result, "mfrom", f"a@{domain}", domain, evidence=evidence)  # type: ignore[arg-type]


def failure(
    record: str = RUF,
    *,
    spf: SpfResult | None = None,
    dkim: Sequence[DkimResult] = (),
    header: bytes = HEADER,
    reverse_path: ReversePath = BOUNCES,
    client: str = "192.0.2.1",
    domain: str = "example.com",
    delivery: Delivery = "reject",
) -> Failure | None:
    """What is reported of a message whose author's domain has a record with these tags."""
    read = read_header(header.replace(b"ceo@example.com", f"ceo@{domain}".encode()))
    identifiers = [Authenticated(one.domain, one.result, one.selector) for one in dkim]
    zone = StaticResolver({f"_dmarc.{domain}": [{"TXT": f"v=DMARC1; p=reject; {record}"}]})
    dmarc = start(evaluate(read, spf_identity(spf), identifiers), zone)
    assert not isinstance(dmarc, Suspended)
    mail = MailFacts(Client(client, None, "mx.evil.example"), reverse_path, None, spf, None, None)
    facts = MessageFacts(mail, None, None, Authentication(tuple(dkim), dmarc))
    return failure_of(
        facts, read, queue_id="3K2M7Q9H4R1XY", arrived_at=1795471200.0, delivery=delivery, authserv_id="mx.example"
    )


def failed(domain: str = "example.com", client: str = "192.0.2.1", record: str = RUF) -> Failure:
    """A failure of both mechanisms."""
    found = failure(record, domain=domain, client=client)
    assert found is not None
    return found
