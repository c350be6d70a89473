"""Reports about mail that could not be delivered (RFC 3464, in the container of RFC 6522).

    From: Mail Delivery System <mailer-daemon@mx.company.com.example>
    Content-Type: multipart/report; report-type=delivery-status; ...

The From field names `mailer-daemon` at our hostname: it is the report's responsible address, and so what SUBMITTER will
say about it (RFC 4405 section 4.2 and 5.5). A report is 7-bit whatever it quotes: every server takes it.
"""

from __future__ import annotations

import re
import textwrap
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.trace import date

DAEMON: Final = "mailer-daemon"
HEADER_LIMIT: Final = 16384  # octets of the original header that are returned
TEXT_LIMIT: Final = (
    900  # characters of a diagnostic, its field name beside it: a line holds 998 (RFC 5322 section 2.1.1)
)
# What needs no quoted-printable: short lines, none of which could be taken for a boundary.
SEVEN_BIT: Final = re.compile(rb"(?:(?!--)[\x01-\x09\x0b\x0c\x0e-\x7f]{0,998}\r\n)*")
# What stands for itself in an internationalized address that is written in ASCII (RFC 6533 section 3).
UNEMBEDDED: Final = re.compile(r"[^!-*,-<>-\[\]-~]")

# By the subject digit of the status (RFC 3463 section 3): what a sender can do.
ADVICE: Final = {
    "1": "Nobody there has this address. Look for a mistake in it, then send the message again.",
    "2": "The address exists, but its mailbox takes no mail now. Try again later, or reach its owner another way.",
    "3": "That server could not take this message. A smaller one may pass, or this one at a later time.",
    "4": "That server was not reached in time. Nothing is wrong with your message: send it again later.",
    "5": "The two servers did not understand each other. Forward this report to your own postmaster.",
    "6": "That server does not take what the message holds. Send it again in another format.",
    "7": "That server refused the message by its rules. Only its postmaster can say more than the answer does.",
}
NO_ADVICE: Final = "Forward this report to your own postmaster if the answer does not say what to change."


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
    boundary = f"=_{report_id}"  # "=_" stands in no quoted-printable text (RFC 2045 section 6.7)
    written = date(now)
    top = [
        f"Date: {written}",
        f"From: Mail Delivery System <{mailer_daemon(hostname)}>",
        f"To: <{reverse_path}>",
        f"Subject: Not delivered to {_addresses(failed)}",
        f"Message-ID: <{report_id}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    status = [
        f"Reporting-MTA: dns; {hostname}",
        f"X-Purport-Queue-ID: {queue_id}",
        f"Arrival-Date: {date(arrived_at)}",
        *(line for recipient in failed for line in _status(recipient, written)),
    ]
    parts = (
        _part("text/plain; charset=utf-8", _octets(_told(hostname, queue_id, failed))),
        _part("message/delivery-status", _octets(status)),
        _part("text/rfc822-headers", _returned(header)),
    )
    delimiter = f"\r\n--{boundary}"
    return (
        _octets(top) + b"".join(delimiter.encode() + b"\r\n" + part for part in parts) + f"{delimiter}--\r\n".encode()
    )


def _addresses(failed: Sequence[Failed]) -> str:
    """The recipient, or how many there are: in ASCII, within a line."""
    address = str(failed[0].forward_path)
    return address if len(failed) == 1 and address.isascii() else f"{len(failed)} of your recipients"


def _octets(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def _part(content_type: str, octets: bytes) -> bytes:
    """A body part, encoded where it has to be; RFC 6522 section 4 allows that for the returned header too."""
    if SEVEN_BIT.fullmatch(octets) is not None:
        return f"Content-Type: {content_type}\r\n\r\n".encode() + octets
    field = "Content-Transfer-Encoding: quoted-printable"
    return f"Content-Type: {content_type}\r\n{field}\r\n\r\n".encode() + b2a_qp(octets)


def _told(hostname: str, queue_id: str, failed: Sequence[Failed]) -> list[str]:
    """The part for people: what happened, who said so, what to do."""
    lines = [
        f"{hostname} could not deliver your message to {'this address' if len(failed) == 1 else 'these addresses'},",
        "and has stopped trying. No other recipient is concerned.",
    ]
    for recipient in failed:
        who = f"The server {_safe(recipient.host)} answered:" if recipient.host else "The reason:"
        lines += ["", f"<{_safe(str(recipient.forward_path))}>", f"  {who}"]
        lines += textwrap.wrap(_safe(recipient.reply), 72, initial_indent="    ", subsequent_indent="    ")
        advice = ADVICE.get(recipient.status[2:3], NO_ADVICE)
        lines += textwrap.wrap(advice, 72, initial_indent="  ", subsequent_indent="  ")
    return [
        *lines,
        "",
        f"Here your message had the id {queue_id}. The header of your message is attached.",
    ]


def _status(recipient: Failed, written: str) -> list[str]:
    """The fields for programs (RFC 3464 section 2.3)."""
    lines = [
        "",
        f"Final-Recipient: {_typed(str(recipient.forward_path))}",
        "Action: failed",
        f"Status: {recipient.status}",
    ]
    if recipient.host:
        lines.append(f"Remote-MTA: dns; {_ascii(recipient.host).partition('[')[0]}")
    kind = "smtp" if recipient.host else "X-Purport"
    return [*lines, f"Diagnostic-Code: {kind}; {_ascii(recipient.reply)}", f"Last-Attempt-Date: {written}"]


def _typed(address: str) -> str:
    """An address with its type; one outside of ASCII in the form that message/delivery-status can hold."""
    if address.isascii():
        return f"rfc822; {_safe(address)}"
    return "utf-8; " + UNEMBEDDED.sub(lambda found: f"\\x{{{ord(found[0]):02X}}}", address)


def _returned(header: bytes) -> bytes:
    """The original header, no longer than its limit, cut at the end of a line, with no line end but CRLF."""
    if len(header) > HEADER_LIMIT:
        header = header[: header.rfind(b"\n", 0, HEADER_LIMIT) + 1]
    lines = header.replace(b"\r\n", b"\n").replace(b"\r", b"?").split(b"\n")
    return b"".join(line + b"\r\n" for line in lines if line)


def _safe(text: str) -> str:
    """Text of others, in one line of printable characters."""
    return "".join(character if character.isprintable() else "?" for character in text[:TEXT_LIMIT])


def _ascii(text: str) -> str:
    """The same, for fields that are read by programs."""
    return _safe(text).encode("ascii", "replace").decode("ascii")
