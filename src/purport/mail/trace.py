"""Trace fields: Received and Return-Path (RFC 5321 section 4.4).

Received: from mx.example.com (unknown [192.0.2.1])
\tby mx.company.com.example (Purport) with ESMTPS id 3K2M7Q9H4R1XY tls TLS_AES_256_GCM_SHA384
\tfor <bob@company.com.example>; Mon, 23 Nov 2026 10:00:00 +0000
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.header import Header

HELLO_LIMIT: Final = 255  # octets of a hello domain that are quoted; RFC 5321 section 4.5.3.1.2
PLAIN: Final = re.compile(r"[A-Za-z0-9._:\[\]-]+")
DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
UNSAFE: Final = re.compile(r"[^A-Za-z0-9._:\[\]-]")


def received(
    *,
    hello_domain: str,
    client_name: str | None,
    client_address: str,
    hostname: str,
    protocol: str,
    queue_id: str,
    forward_path: Mailbox | None,
    date: str,
    cipher: str = "",
    priority: int | None = None,
) -> bytes:
    """Our Received field. `forward_path` is named where the message has one recipient only, so that no recipient
    learns of another; `protocol` is what `protocol_word` gives; what the client said stands there with every
    character that is not a domain's replaced. `cipher` is that of the connection as OpenSSL names it, `priority` that
    which the message asked for (RFC 6710 section 4.1 and 10)."""
    literal = f"IPv6:{client_address}" if ":" in client_address else client_address
    recipient = f"\r\n\tfor <{forward_path}>" if forward_path is not None and forward_path.domain else ""
    urgency = f"\r\n\tPRIORITY {priority}" if priority is not None else ""
    # RFC 8314 section 4.3 wants the name of IANA's registry, which OpenSSL uses for TLS 1.3 alone.
    tls = f" tls {cipher}" if cipher.startswith("TLS_") else ""
    field = (
        f"Received: from {_word(hello_domain)} ({_word(client_name or 'unknown')} [{literal}])\r\n"
        f"\tby {hostname} (Purport) with {protocol} id {queue_id}{tls}{recipient}{urgency}; {date}\r\n"
    )
    return field.encode("utf-8")


def protocol_word(
    *,
    extended: bool,
    secure: bool = False,
    authenticated: bool = False,
    international: bool = False,
    lmtp: bool = False,
) -> str:
    """What stands behind `with` (RFC 3848): `SMTP`, `ESMTP`, `ESMTPS`, `ESMTPSA`, `LMTP`, and `UTF8SMTP` or `UTF8LMTP`
    with the same letters behind it where SMTPUTF8 was said (RFC 6531 section 4.3)."""
    if not extended:
        return "SMTP"
    protocol = "LMTP" if lmtp else "SMTP" if international else "ESMTP"
    return f"{'UTF8' * international}{protocol}{'S' * secure}{'A' * authenticated}"


def _word(text: str) -> str:
    if PLAIN.fullmatch(text) is None:
        text = UNSAFE.sub("?", text[:HELLO_LIMIT])
    return text[:HELLO_LIMIT] or "unknown"


def return_path(reverse_path: ReversePath) -> bytes:
    """The Return-Path field that final delivery adds."""
    return f"Return-Path: <{'' if reverse_path is NULL else reverse_path}>\r\n".encode()


def delivered_to(forward_path: Mailbox) -> bytes:
    """The Delivered-To field of a message in a mailbox."""
    return f"Delivered-To: {forward_path}\r\n".encode()


def count_received(header: Header) -> int:
    """How many servers the message has passed (RFC 5321 section 6.3)."""
    return len(header.by_name.get("received", ()))


def date(seconds: float) -> str:
    """A moment, in seconds since 1970, as RFC 5322 section 3.3 writes it, in UTC."""
    at = datetime.fromtimestamp(int(seconds), UTC)
    return (
        f"{DAYS[at.weekday()]}, {at.day:02} {MONTHS[at.month - 1]} {at.year:04} "
        f"{at.hour:02}:{at.minute:02}:{at.second:02} +0000"
    )
