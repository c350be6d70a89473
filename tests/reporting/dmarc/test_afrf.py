"""A failure report as it is sent (RFC 6591, RFC 9991)."""

from __future__ import annotations

import email
import email.policy
import re
from email.message import EmailMessage

from purport.authentication.authres.reader import read
from purport.mail.address import NULL, Mailbox
from purport.reporting.dmarc.afrf import FailureReport
from purport.reporting.dmarc.failure import Failure
from support.dmarc_failures import BROKEN, HEADER, RECORD, RUF, failure, spf

SENDER, RECIPIENT = Mailbox("dmarc", "mx.example"), Mailbox("fail", "example.com")


def mail(failure: Failure | None, incidents: int = 1) -> bytes:
    assert failure is not None
    report = FailureReport(failure, incidents, "mx.example", "Purport/1", b"secret")
    return report.mail(sender=SENDER, recipient=RECIPIENT, report_id="5X", now=1795471260.0)


def parts(octets: bytes) -> tuple[EmailMessage, str, dict[str, str], str]:
    """The report, its text, the fields for programs, and the header of the message."""
    message = email.message_from_bytes(octets, policy=email.policy.default)
    text, feedback, header = message.iter_parts()
    assert (text.get_content_type(), feedback.get_content_type(), header.get_content_type()) == (
        "text/plain",
        "message/feedback-report",
        "text/rfc822-headers",
    )
    (inner,) = feedback.iter_parts()
    fields = {name: re.sub(r"\r?\n", "", str(value)) for name, value in inner.items()}
    assert len(fields) == len(inner.items())
    return message, text.get_content(), fields, header.get_content()


def test_a_report_says_what_failed_and_shows_the_header_without_its_recipients() -> None:
    message, text, fields, header = parts(mail(failure(spf=spf("fail"), dkim=[BROKEN])))
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "feedback-report"
    assert (message["From"], message["To"]) == ("dmarc@mx.example", "fail@example.com")
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Subject"] == "DMARC failure report about example.com"
    assert "DMARC of example.com is fail: p=reject of example.com" in text
    reverse_path = fields.pop("Original-Mail-From")
    assert re.fullmatch(r"<[a-z2-7]{20}@evil\.example>", reverse_path)
    assert read(fields.pop("Authentication-Results")).of("dmarc")[0].result == "fail"
    assert fields == {
        "Feedback-Type": "auth-failure",
        "User-Agent": "Purport/1",
        "Version": "1",
        "Arrival-Date": "Mon, 23 Nov 2026 22:00:00 +0000",
        "Source-IP": "192.0.2.1",
        "Reported-Domain": "example.com",
        "Reporting-MTA": "dns; mx.example",
        "Auth-Failure": "dmarc",
        "Delivery-Result": "reject",
        "Identity-Alignment": "dkim, spf",
        "DKIM-Domain": "example.com",
        "DKIM-Identity": "@example.com",
        "DKIM-Selector": "s1",
        "SPF-DNS": f'txt : example.com : "{RECORD}"'.replace('"quoted"', '\\"quoted\\"'),
    }
    assert 'From: "Bob\'s bank" <ceo@example.com>' in header
    assert "Message-ID: <1@example.com>" in header
    assert "bob@" not in header + text + reverse_path and "carol" not in header.lower()


def test_the_body_is_never_told_and_all_of_it_is_7_bit() -> None:
    octets = mail(failure(header=HEADER + "Subject: grün\r\n\r\nthe secret of bob\r\n".encode()))
    assert octets.isascii()
    assert b"secret of bob" not in octets
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert "grün" in parts(octets)[3]


def test_one_result_of_the_method_that_failed_stands_in_it() -> None:
    _, _, fields, _ = parts(mail(failure(f"{RUF}; fo=d", spf=spf("pass"), dkim=[BROKEN])))
    assert (fields["Auth-Failure"], fields["Identity-Alignment"]) == ("bodyhash", "dkim")
    (said,) = read(fields["Authentication-Results"]).results
    assert (said.method, said.result, said.value("header", "s")) == ("dkim", "fail", "s1")
    _, _, fields, _ = parts(mail(failure(f"{RUF}; fo=s", spf=spf("fail", "evil.example"))))
    (said,) = read(fields["Authentication-Results"]).results
    assert (said.method, said.result) == ("spf", "fail")
    assert fields["SPF-DNS"].startswith("txt : evil.example : ")


def test_a_report_says_for_how_many_messages_it_stands() -> None:
    _, text, fields, _ = parts(mail(failure(reverse_path=NULL), incidents=7))
    assert (fields["Incidents"], fields["Original-Mail-From"]) == ("7", "<>")
    assert "It stands for 7 such messages." in text
