"""A failure report as it is sent (RFC 6591, in the format of RFC 5965; RFC 9991).

    Content-Type: multipart/report; report-type=feedback-report; ...

    Feedback-Type: auth-failure
    Auth-Failure: dmarc
    Identity-Alignment: dkim, spf

A part for people, one for programs, and the header of the message, redacted; never its body. The Subject is ours and
not the message's: of mail that is reported as forged nothing should reach a list of messages.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final

from purport.authentication import methods
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.authres.writer import field, folded
from purport.authentication.dkim.result import shown
from purport.authentication.spf.result import SpfResult
from purport.mail.address import NULL, Mailbox
from purport.mail.domain import normal_domain
from purport.mail.dsn import cut_header, lines_of, multipart, part
from purport.mail.trace import date
from purport.policy.dmarc import told
from purport.reporting.dmarc.failure import Failure
from purport.reporting.dmarc.redaction import Redaction

SPF_RECORDS: Final = 11  # a policy asks for ten more at most (RFC 7208 section 4.6.4)
SPF_LENGTH: Final = 2048  # characters of one record; more would not fit into an answer by UDP
TERM: Final = 500  # characters of a term: with every one escaped a line still has less than 998 octets
SPF_VERSION: Final = re.compile(r"v=spf1(?: |\Z)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FailureReport:
    """What is told about a message; `incidents` is for how many of its kind it stands."""

    failure: Failure
    incidents: int
    hostname: str
    generator: str
    secret: bytes = dataclass_field(repr=False)  # that redaction is keyed with

    def mail(self, *, sender: Mailbox, recipient: Mailbox, report_id: str, now: float) -> bytes:
        """The report as a message of 7 bits; lines end with CRLF. `now` is in seconds since 1970."""
        boundary = f"=_{report_id}"  # "=_" stands in no quoted-printable text
        redaction = Redaction(self.secret, self.failure.organization)
        header = cut_header(redaction.header(self.failure.header))
        charset = "" if header.isascii() else "; charset=utf-8"
        top = [
            f"Date: {date(now)}",
            f"From: <{sender}>",
            f"To: <{recipient}>",
            f"Subject: DMARC failure report about {self.failure.author_domain}",
            f"Message-ID: <{report_id}@{self.hostname}>",
            "Auto-Submitted: auto-generated",
            "MIME-Version: 1.0",
            "Content-Type: multipart/report; report-type=feedback-report;",
            f'\tboundary="{boundary}"',
        ]
        parts = (
            part("text/plain; charset=us-ascii", lines_of(self._text())),
            part("message/feedback-report", self.fields(redaction)),
            part(f"text/rfc822-headers{charset}", header),
        )
        return multipart(top, parts, boundary)

    def _text(self) -> Sequence[str]:
        failure = self.failure
        client = failure.facts.mail.client
        result = failure.facts.authentication
        assert result is not None  # else nothing was found that could fail
        more = [f"It stands for {self.incidents} such messages."] if self.incidents > 1 else []
        return (
            f"A message in the name of {failure.author_domain} came to {self.hostname}",
            f"from {client.address} on {date(failure.arrived_at)}.",
            "",
            shown(told(result.dmarc), 900),
            f"What is reported: {failure.type}. Without a pass of its own: {_named(failure)}.",
            *more,
            "",
            f"You get this report since the DMARC record of {failure.policy_domain} asks for it (ruf=).",
            "The header of the message is attached, without what could name its recipients.",
        )

    def fields(self, redaction: Redaction) -> bytes:
        """The part for programs."""
        failure = self.failure
        mail = failure.facts.mail
        reverse_path = "" if mail.reverse_path is NULL else shown(redaction.address(str(mail.reverse_path)), 320)
        lines = [
            "Feedback-Type: auth-failure",
            f"User-Agent: {self.generator}",
            "Version: 1",
            f"Original-Mail-From: <{reverse_path}>",
            f"Arrival-Date: {date(failure.arrived_at)}",
            f"Source-IP: {mail.client.address}",
            f"Reported-Domain: {failure.author_domain}",
            f"Reporting-MTA: dns; {self.hostname}",
            f"Auth-Failure: {failure.type}",
            f"Delivery-Result: {failure.delivery}",
            f"Identity-Alignment: {_named(failure)}",
        ]
        if self.incidents > 1:
            lines.append(f"Incidents: {self.incidents}")
        if failure.signature is not None:
            signature = failure.signature
            identity = normal_domain(signature.identity.rpartition("@")[2] or signature.domain)
            lines += [
                f"DKIM-Domain: {shown(signature.domain, 255)}",
                f"DKIM-Identity: @{shown(identity, 255)}",
                f"DKIM-Selector: {shown(signature.selector, 255)}",
            ]
        return lines_of(lines) + b"".join(_spf_dns(failure.spf)) + self._results()

    def _results(self) -> bytes:
        """The result of the one method that the report is about (RFC 6591 section 3.1)."""
        failure = self.failure
        return field(AuthenticationResults(failure.authserv_id, (self._result(),)))

    def _result(self) -> MethodResult:
        failure = self.failure
        found = failure.facts.authentication
        if failure.type == "spf" and failure.spf is not None:
            return methods.spf(failure.spf, failure.facts.mail.reverse_path)
        if failure.type != "dmarc" and failure.signature is not None:
            return methods.dkim((failure.signature,))[0]
        assert found is not None
        return methods.dmarc(found.dmarc, {"reject": "reject", "spam": "quarantine"}.get(failure.delivery, "none"))


def _named(failure: Failure) -> str:
    return ", ".join(failure.unaligned) or "none"


def _spf_dns(result: SpfResult | None) -> Iterator[bytes]:
    """The records that SPF was found from (RFC 6591 section 3.2.6)."""
    if result is None or result.evidence is None:
        return
    written = 0
    for question, answer in result.evidence.answers:
        if question.type != "TXT":
            continue
        for record in answer.records:
            if SPF_VERSION.match(record) is None or written == SPF_RECORDS:
                continue
            written += 1
            yield _spf_field(question.name, record)


def _spf_field(domain: str, record: str) -> bytes:
    """`SPF-DNS: txt : example.com : "v=spf1 -all"`, folded between terms."""
    terms = [shown(term, TERM).replace("\\", "\\\\").replace('"', '\\"') for term in record[:SPF_LENGTH].split(" ")]
    quoted = [f' "{terms[0]}', *(f" {term}" for term in terms[1:])]
    quoted[-1] += '"'
    return folded("SPF-DNS:", [" txt :", f" {shown(domain, 255)} :", *quoted])
