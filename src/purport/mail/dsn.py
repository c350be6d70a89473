"""Reports about mail that could not be delivered (RFC 3464, in the container of RFC 6522).

    From: mailer-daemon@mx.company.com.example
    Content-Type: multipart/report; report-type=delivery-status; ...

The From field names `mailer-daemon` at our hostname: it is the report's responsible address, and so what SUBMITTER will
say about it (RFC 4405 section 4.2 and 5.5).
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.trace import date

DAEMON: Final = "mailer-daemon"
HEADER_LIMIT: Final = 16384  # octets of the original header that are returned
TEXT_LIMIT: Final = 900  # characters of a diagnostic: a line holds 998 (RFC 5322 section 2.1.1)


@dataclass(frozen=True, slots=True)
class Failed:
    """A recipient that was given up: `status` is the enhanced code (RFC 3463), `reply` what `host` said (empty: nobody
    was asked)."""

    forward_path: Mailbox
    status: str
    reply: str
    host: str = ""


def mailer_daemon(hostname: str) -> Mailbox:
    """Who is responsible for our reports."""
    return Mailbox(DAEMON, hostname)


def failure_report(
    *,
    hostname: str,
    queue_id: str,
    report_id: str,
    arrived_at: float,
    now: float,
    reverse_path: Mailbox,
    failed: Sequence[Failed],
    header: bytes,
) -> bytes:
    """The report to `reverse_path` about the message `queue_id`, whose header section is `header`; lines end with CRLF.

    `report_id` is the queue id of the report itself. Times are seconds since 1970.
    """
    boundary = f"{report_id}/{hostname}"
    written = date(now)
    lines = [
        f"Date: {written}",
        f"From: Mail Delivery System <{mailer_daemon(hostname)}>",
        f"To: <{reverse_path}>",
        "Subject: Undelivered Mail Returned to Sender",
        f"Message-ID: <{report_id}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "",
        "This is a MIME-encapsulated message.",
        "",
        f"--{boundary}",
        "Content-Description: Notification",
        "Content-Type: text/plain; charset=utf-8",
        "Content-Transfer-Encoding: 8bit",
        "",
        *_told(hostname, failed),
        "",
        f"--{boundary}",
        "Content-Description: Delivery report",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {hostname}",
        f"X-Purport-Queue-ID: {queue_id}",
        f"Arrival-Date: {date(arrived_at)}",
        *(line for recipient in failed for line in _status(recipient, written)),
        "",
        f"--{boundary}",
        "Content-Description: Undelivered Message Headers",
        "Content-Type: text/rfc822-headers",
        "Content-Transfer-Encoding: 8bit",
        "",
    ]
    before = "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n"
    return before + _returned(header) + f"\r\n--{boundary}--\r\n".encode("ascii")


def _told(hostname: str, failed: Sequence[Failed]) -> list[str]:
    """The part for people: what happened, who said so, what to do."""
    one = len(failed) == 1
    lines = [
        f"This is the mail system at {hostname}.",
        "",
        f"Your message could not be delivered to {'this recipient' if one else 'these recipients'}.",
        "It is not kept here any longer. The headers of your message are attached.",
    ]
    for recipient in failed:
        who = f"The server {_safe(recipient.host)} said:" if recipient.host else "This server says:"
        lines += ["", f"<{_safe(str(recipient.forward_path))}>", f"    {who}"]
        lines += textwrap.wrap(_safe(recipient.reply), 72, initial_indent="    ", subsequent_indent="    ")
    return [
        *lines,
        "",
        "If you do not know what to change, send this report to the postmaster of the",
        "recipient's domain; the answer of the server above is what they need.",
    ]


def _status(recipient: Failed, written: str) -> list[str]:
    """The fields for programs (RFC 3464 section 2.3)."""
    address = str(recipient.forward_path)
    kind = "rfc822" if address.isascii() else "utf-8"  # RFC 6533 section 3
    lines = [
        "",
        f"Final-Recipient: {kind}; {_safe(address)}",
        "Action: failed",
        f"Status: {recipient.status}",
    ]
    if recipient.host:
        lines.append(f"Remote-MTA: dns; {_safe(recipient.host).split('[')[0]}")
    kind = "smtp" if recipient.host else "X-Purport"
    return [*lines, f"Diagnostic-Code: {kind}; {_safe(recipient.reply)}", f"Last-Attempt-Date: {written}"]


def _returned(header: bytes) -> bytes:
    """The original header, no longer than its limit, cut at the end of a line, with no line end but CRLF."""
    if len(header) > HEADER_LIMIT:
        header = header[: header.rfind(b"\n", 0, HEADER_LIMIT) + 1]
    lines = header.replace(b"\r\n", b"\n").replace(b"\r", b"?").split(b"\n")
    return b"\r\n".join(line for line in lines if line) + b"\r\n"


def _safe(text: str) -> str:
    """Text of others, in one line of printable characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:TEXT_LIMIT])
