"""Delivery reports (RFC 3464, RFC 6522)."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.parser import BytesParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail import dsn
from purport.mail.address import Mailbox
from purport.mail.dsn import HEADER_LIMIT, Fate, Original, mailer_daemon

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
NOBODY = Fate(BOB, "failed", "5.1.1", "550 5.1.1 No such mailbox here", "mx.company.com.example[192.0.2.1]:25")
HEADER = b"From: alice@example.com\r\nTo: bob@company.com.example\r\nSubject: Hello\r\n"


def report(*fates: Fate, header: bytes = HEADER, whole: bool = False, envelope_id: str = "") -> bytes:
    original = Original("3K2M7Q9H4R1XY", 1795428000.0, ALICE, header, whole, envelope_id)
    return dsn.report(
        hostname="mx.example.net",
        report_id="3K2M7Q9H4R200",
        now=1795435200.5,
        original=original,
        fates=fates or (NOBODY,),
    )


def read(octets: bytes) -> tuple[EmailMessage, list[EmailMessage]]:
    message = BytesParser(EmailMessage, policy=email.policy.default).parsebytes(octets)
    return message, list(message.iter_parts())


def test_the_daemon_of_our_host_is_responsible_for_a_report() -> None:
    """RFC 4405 section 4.2 and 5.5: what the report's SUBMITTER says is what its header says."""
    assert purported_responsible_address(report()).address == mailer_daemon("mx.example.net")
    assert str(mailer_daemon("mx.example.net")) == "mailer-daemon@mx.example.net"


def test_a_report_goes_to_the_reverse_path_and_is_answered_by_no_program() -> None:
    message, _ = read(report())
    assert message["To"] == "alice@example.com"
    assert message["Auto-Submitted"] == "auto-replied"  # RFC 3834 section 5
    assert message["Date"].datetime.timestamp() == 1795435200
    assert message["Message-ID"] == "<3K2M7Q9H4R200@mx.example.net>"
    assert message["Subject"] == "Not delivered to bob@company.com.example"


def test_a_report_has_a_part_for_people_one_for_programs_and_the_header() -> None:
    message, parts = read(report())
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    told = parts[0].get_content()
    assert "550 5.1.1 No such mailbox here" in told
    assert "mx.company.com.example" in told
    assert "Look for a mistake in it" in told
    assert parts[2].get_payload(decode=True) == HEADER


def test_programs_are_told_about_each_recipient() -> None:
    expired = Fate(ALICE, "failed", "4.4.7", "no server answered for 5 days")
    _, parts = read(report(NOBODY, expired))
    about_message, about_bob, about_alice = parts[1].iter_parts()
    assert about_message["Reporting-MTA"] == "dns; mx.example.net"
    assert about_message["X-Purport-Queue-ID"] == "3K2M7Q9H4R1XY"
    assert about_message["Arrival-Date"] == "Mon, 23 Nov 2026 10:00:00 +0000"
    assert dict(about_bob) == {
        "Final-Recipient": "rfc822; bob@company.com.example",
        "Action": "failed",
        "Status": "5.1.1",
        "Remote-MTA": "dns; mx.company.com.example",
        "Diagnostic-Code": "smtp; 550 5.1.1 No such mailbox here",
        "Last-Attempt-Date": "Mon, 23 Nov 2026 12:00:00 +0000",
    }
    assert about_alice["Diagnostic-Code"] == "X-Purport; no server answered for 5 days"
    assert "Remote-MTA" not in about_alice
    assert "send it again later" in parts[0].get_content()


def test_an_address_outside_of_ascii_is_written_as_rfc_6533_says() -> None:
    jorg = Fate(Mailbox("jörg+x", "bücher.example"), "failed", "5.1.1", "550 unknown: jörg", "mx.bücher.example")
    octets = report(jorg)
    assert octets.isascii()
    _, parts = read(octets)
    about = list(parts[1].iter_parts())[1]
    assert about["Final-Recipient"] == r"utf-8; j\x{F6}rg\x{2B}x@b\x{FC}cher.example"
    assert about["Diagnostic-Code"] == "smtp; 550 unknown: j?rg"
    assert "jörg+x@bücher.example" in parts[0].get_content()


def test_what_a_server_said_adds_no_line_to_a_report() -> None:
    hostile = Fate(
        BOB, "failed", "5.0.0", "550 x\r\nFrom: evil@example.com\r\n\r\n--=_3K2M7Q9H4R200--\r\n", "mx\r\nX: y"
    )
    message, parts = read(report(hostile))
    assert message.get_all("From") == ["Mail Delivery System <mailer-daemon@mx.example.net>"]
    assert len(parts) == 3
    assert list(parts[1].iter_parts())[1]["Remote-MTA"] == "dns; mx??X: y"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Subject: \xff\xfe\r\n",
        b"Subject: " + b"x" * 2000 + b"\r\n",
        b"Subject: a\r\n--=_3K2M7Q9H4R200--\r\nX: y\r\n",
        b"Subject: bare \r and \n and \x00\r\n",
        b"no end",
    ],
)
def test_any_header_comes_back_in_seven_bits_and_in_one_piece(header: bytes) -> None:
    octets = report(header=header)
    assert octets.isascii()
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
    _, parts = read(octets)
    assert len(parts) == 3
    expected = header.replace(b" \r and \n and ", b" ? and \r\n and ")
    returned = parts[2].get_payload(decode=True)
    assert returned == expected if not expected or expected.endswith(b"\r\n") else returned == expected + b"\r\n"


def test_a_long_header_is_cut_at_the_end_of_a_line() -> None:
    _, parts = read(report(header=b"Received: from a.example\r\n" * 2000))
    returned = parts[2].get_payload(decode=True)
    assert HEADER_LIMIT - 100 < len(returned) <= HEADER_LIMIT
    assert set(returned.split(b"\r\n")) == {b"Received: from a.example", b""}


@given(st.text(max_size=300), st.text(max_size=50), st.binary(max_size=300))
@settings(deadline=None)
def test_nothing_that_others_said_breaks_a_report(reply: str, host: str, header: bytes) -> None:
    octets = report(Fate(BOB, "failed", "5.0.0", reply, host), header=header)
    assert octets.isascii()
    assert octets.count(b"\n") == octets.count(b"\r") == octets.count(b"\r\n")
    assert max(map(len, octets.split(b"\r\n"))) <= 998
    _, parts = read(octets)
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    assert len(list(parts[1].iter_parts())) == 2
    assert purported_responsible_address(octets).address == mailer_daemon("mx.example.net")


@pytest.mark.parametrize(
    ("fate", "subject", "told"),
    [
        (
            Fate(BOB, "delayed", "4.4.1", "connect to mx: refused", "mx.b.example[192.0.2.1]:25", "", 1795860000.0),
            "Not delivered yet to bob@company.com.example",
            "you need not send the message again",
        ),
        (Fate(BOB, "delivered", "2.0.0", "250 delivered"), "Delivered to bob@company.com.example", "in the mailbox"),
        (
            Fate(BOB, "relayed", "2.0.0", "250 2.0.0 Ok", "mx.b.example[192.0.2.1]:25"),
            "Passed on to bob@company.com.example",
            "does not report",
        ),
    ],
    ids=lambda value: value.action if isinstance(value, Fate) else "",
)
def test_a_report_says_what_became_of_the_message(fate: Fate, subject: str, told: str) -> None:
    message, parts = read(report(fate))
    assert message["Subject"] == subject
    assert told in " ".join(parts[0].get_content().split())
    about = list(parts[1].iter_parts())[1]
    assert about["Action"] == fate.action
    assert about["Status"] == fate.status
    until = "Sat, 28 Nov 2026 10:00:00 +0000" if fate.action == "delayed" else None
    assert about["Will-Retry-Until"] == until


def test_what_the_sender_named_is_quoted_as_it_was_named() -> None:
    """RFC 3461 section 6.3 (a) and (d)."""
    named = Fate(BOB, "failed", "5.1.1", "550 no", original="rfc822;Bob@Company.COM.example")
    _, parts = read(report(named, NOBODY, envelope_id="QQ+314159"))
    about_message, about_named, about_other = parts[1].iter_parts()
    assert about_message["Original-Envelope-Id"] == "QQ+314159"
    assert about_named["Original-Recipient"] == "rfc822; Bob@Company.COM.example"
    assert about_other["Original-Recipient"] is None
    _, parts = read(report())
    assert next(parts[1].iter_parts())["Original-Envelope-Id"] is None


@pytest.mark.parametrize(("body", "encoding"), [(b"Hello\r\n", "7bit"), ("Grüße\r\n".encode(), "8bit")])
def test_a_whole_message_comes_back_as_it_is(body: bytes, encoding: str) -> None:
    """RFC 2046 section 5.2.1: message/rfc822 is not encoded, so what is around it says what it holds."""
    octets = report(header=HEADER + b"\r\n" + body, whole=True)
    assert HEADER + b"\r\n" + body in octets
    message, parts = read(octets)
    assert parts[2].get_content_type() == "message/rfc822"
    assert parts[2]["Content-Transfer-Encoding"] == encoding
    assert message["Content-Transfer-Encoding"] == ("8bit" if encoding == "8bit" else None)
    assert purported_responsible_address(octets).address == mailer_daemon("mx.example.net")
