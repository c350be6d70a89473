"""Reports about what became of a message (RFC 3464, in the container of RFC 6522).

    From: Mail Delivery System <mailer-daemon@mx.company.com.example>
    Content-Type: multipart/report; report-type=delivery-status; ...

The From field names `mailer-daemon` at our hostname: it is the report's responsible address, and so what SUBMITTER will
say about it (RFC 4405 section 4.2 and 5.5). A report is 7-bit whatever it quotes, so that every server takes it; only a
whole message that its sender asked for (`RET=FULL`) is returned as it is.
"""

from __future__ import annotations

import re
import textwrap
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, Literal

from purport.mail.address import Mailbox, a_label_address
from purport.mail.trace import date
from purport.mail.xtext import embedded

DAEMON: Final = "mailer-daemon"
HEADER_LIMIT: Final = 16384  # octets of the original header that are returned
TEXT_LIMIT: Final = (
    900  # characters of a diagnostic, its field name beside it: a line holds 998 (RFC 5322 section 2.1.1)
)
# What needs no quoted-printable: short lines, none of which could be taken for a boundary.
SEVEN_BIT: Final = re.compile(rb"(?:(?!--)[\x01-\x09\x0b\x0c\x0e-\x7f]{0,998}\r\n)*")

Action = Literal["failed", "delayed", "delivered", "relayed", "expanded"]  # RFC 3464 section 2.3.3


class Kind(Enum):
    """What a report is about; the value is how a log says it."""

    FAILURE = "non-delivery"
    DELAY = "delay"
    SUCCESS = "delivery status"


KIND_OF: Final[dict[Action, Kind]] = {
    "failed": Kind.FAILURE,
    "delayed": Kind.DELAY,
    "delivered": Kind.SUCCESS,
    "relayed": Kind.SUCCESS,
    "expanded": Kind.SUCCESS,
}

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
SUBJECT: Final[dict[Action, str]] = {
    "failed": "Not delivered to",
    "delayed": "Not delivered yet to",
    "delivered": "Delivered to",
    "relayed": "Passed on to",
    "expanded": "Forwarded for",
}
NO_ADVICE: Final = "Forward this report to your own postmaster if the answer does not say what to change."


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a recipient: `status` is the enhanced code (RFC 3463), `reply` what `host` said (empty: nobody
    was asked). `original` is the address as the sender wrote it, its type before it (ORCPT, RFC 3461 section 4.2)."""

    forward_path: Mailbox
    action: Action
    status: str
    reply: str
    host: str = ""
    original: str = ""
    retry_until: float = 0.0  # of one that is delayed: seconds since 1970
    reported: bool = False  # of one that is relayed: whether that host reports what it does with it
    late: bool = False  # of one that is delayed: it is delivered or relayed now, but not in time (RFC 2852)


@dataclass(frozen=True, slots=True)
class Original:
    """The message that a report is about."""

    queue_id: str
    arrived_at: float  # seconds since 1970
    reverse_path: Mailbox
    returned: bytes  # its header section, or all of it
    whole: bool = False  # whether it is all of it
    envelope_id: str = ""  # ENVID (RFC 3461 section 4.4)
    deliver_by: float | None = None  # the time that its sender set (RFC 2852 section 5)
    hold_request: str = ""  # `for;3600` (RFC 4865 section 5.1.2)
    international: bool = False  # whether its header may be in UTF-8 (RFC 6532)


def mailer_daemon(hostname: str) -> Mailbox:
    """Who is responsible for our reports."""
    return Mailbox(DAEMON, hostname)


def report(*, hostname: str, report_id: str, now: float, original: Original, fates: Sequence[Fate]) -> bytes:
    """The report to the reverse-path of `original` about `fates`, all of one kind; lines end with CRLF.

    `report_id` is the queue id of the report itself; `now` is in seconds since 1970.
    """
    boundary = f"=_{report_id}"  # "=_" stands in no quoted-printable text (RFC 2045 section 6.7)
    written = date(now)
    top = [
        f"Date: {written}",
        f"From: Mail Delivery System <{mailer_daemon(hostname)}>",
        f"To: <{a_label_address(original.reverse_path)}>",
        f"Subject: {SUBJECT[fates[0].action]} {_addresses(fates)}",
        f"Message-ID: <{report_id}@{hostname}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
    ]
    about = [f"Original-Envelope-Id: {_ascii(original.envelope_id)}"] if original.envelope_id else []
    held = [f"Future-Release-Request: {original.hold_request}"] if original.hold_request else []
    status = [
        *about,
        f"Reporting-MTA: dns; {hostname}",
        f"X-Purport-Queue-ID: {original.queue_id}",
        f"Arrival-Date: {date(original.arrived_at)}",
        *([] if original.deliver_by is None else [f"Deliver-By-Date: {date(original.deliver_by)}"]),
        *held,
        *(line for fate in fates for line in _status(fate, written)),
    ]
    parts = (
        part("text/plain; charset=utf-8", lines_of(_told(hostname, original, fates))),
        part("message/delivery-status", lines_of(status)),
        _whole(original) if original.whole else part(_header_type(original), cut_header(original.returned)),
    )
    if original.whole and not original.returned.isascii():
        top.insert(-2, "Content-Transfer-Encoding: 8bit")
    return multipart(top, parts, boundary)


def multipart(top: Sequence[str], parts: Sequence[bytes], boundary: str) -> bytes:
    """A message with body parts; `top` are the lines of its header."""
    delimiter = f"\r\n--{boundary}"
    return lines_of(top) + b"".join(delimiter.encode() + b"\r\n" + one for one in parts) + f"{delimiter}--\r\n".encode()


def _addresses(fates: Sequence[Fate]) -> str:
    """The recipient, or how many there are: in ASCII, within a line."""
    address = str(fates[0].forward_path)
    return address if len(fates) == 1 and address.isascii() else f"{len(fates)} of your recipients"


def lines_of(lines: Sequence[str]) -> bytes:
    """Lines as they are sent."""
    return "".join(f"{line}\r\n" for line in lines).encode("utf-8", "replace")


def part(content_type: str, octets: bytes) -> bytes:
    """A body part, encoded where it has to be; RFC 6522 section 4 allows that for the returned header too."""
    if SEVEN_BIT.fullmatch(octets) is not None:
        return f"Content-Type: {content_type}\r\n\r\n".encode() + octets
    field = "Content-Transfer-Encoding: quoted-printable"
    return f"Content-Type: {content_type}\r\n{field}\r\n\r\n".encode() + b2a_qp(octets)


def _whole(original: Original) -> bytes:
    """The message as it is: this type of part cannot be encoded (RFC 2046 section 5.2.1)."""
    message = original.returned
    encoding = "7bit" if message.isascii() else "8bit"
    kind = "message/global" if _in_utf8(original) else "message/rfc822"
    return f"Content-Type: {kind}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode() + message


def _header_type(original: Original) -> str:
    """The type of a returned header (RFC 6533 section 6.1)."""
    return "message/global-headers; charset=utf-8" if _in_utf8(original) else "text/rfc822-headers"


def _in_utf8(original: Original) -> bool:
    """Whether the header of the message is in UTF-8."""
    header, _, _ = original.returned.partition(b"\r\n\r\n")
    return original.international and not header.isascii()


def _told(hostname: str, original: Original, fates: Sequence[Fate]) -> list[str]:
    """The part for people: what happened, who said so, what to do."""
    kind = KIND_OF[fates[0].action]
    whom = "this address" if len(fates) == 1 else "these addresses"
    if kind is Kind.FAILURE:
        lines = [f"{hostname} could not deliver your message to {whom},"]
        lines += ["and has stopped trying. No other recipient is concerned."]
    elif kind is Kind.DELAY and all(fate.late for fate in fates):
        lines = [f"{hostname} did not deliver your message to {whom}", "by the time that you set; it was later."]
    elif kind is Kind.DELAY:
        lines = [f"{hostname} could not deliver your message to {whom} yet."]
        lines += ["It goes on trying: you need not send the message again."]
    else:
        lines = [f"{hostname} tells what became of your message to {whom},", "as you asked it to."]
    for fate in fates:
        lines += ["", f"<{_safe(str(fate.forward_path))}>"]
        lines += textwrap.wrap(_what(fate), 72, initial_indent="  ", subsequent_indent="  ")
        lines += textwrap.wrap(_safe(fate.reply), 72, initial_indent="    ", subsequent_indent="    ")
        if kind is Kind.FAILURE:
            advice = ADVICE.get(fate.status[2:3], NO_ADVICE)
            lines += textwrap.wrap(advice, 72, initial_indent="  ", subsequent_indent="  ")
    attached = "Your message" if original.whole else "The header of your message"
    return [*lines, "", f"Here your message had the id {original.queue_id}. {attached} is attached."]


def _what(fate: Fate) -> str:
    """What was done about a recipient; what was said about it follows."""
    host = _safe(fate.host)
    if fate.action == "delivered":
        return "It is in the mailbox:"
    if fate.action == "expanded":
        return "Its mail goes on to several addresses. You hear of those that cannot be reached:"
    if fate.action == "relayed":
        if fate.reported:
            return f"The server {host} took it, and reports what it does with it where you want that. It answered:"
        return f"The server {host} took it. That server does not report what it does with it. It answered:"
    return f"The server {host} answered:" if host else "The reason:"


def _status(fate: Fate, written: str) -> list[str]:
    """The fields for programs (RFC 3464 section 2.3, RFC 3461 section 6.3)."""
    lines = [""]
    if fate.original:
        kind, _, address = fate.original.partition(";")
        lines.append(f"Original-Recipient: {kind}; {_ascii(address)}")
    lines += [f"Final-Recipient: {_typed(str(fate.forward_path))}", f"Action: {fate.action}", f"Status: {fate.status}"]
    if fate.host:
        lines.append(f"Remote-MTA: dns; {_ascii(fate.host).partition('[')[0]}")
    kind = "smtp" if fate.host else "X-Purport"
    lines += [f"Diagnostic-Code: {kind}; {_ascii(fate.reply)}", f"Last-Attempt-Date: {written}"]
    if fate.retry_until:
        lines.append(f"Will-Retry-Until: {date(fate.retry_until)}")
    return lines


def _typed(address: str) -> str:
    """An address with its type; one outside of ASCII in the form that message/delivery-status can hold."""
    if address.isascii():
        return f"rfc822; {_safe(address)}"
    return f"utf-8; {embedded(address)}"


def cut_header(header: bytes) -> bytes:
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
