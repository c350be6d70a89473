"""The fields that make somebody responsible for a message that goes on (RFC 5322 section 3.6.6, RFC 4405 section 5.2).

    Resent-From: bob@almamater.edu.example
    Resent-Date: Mon, 23 Nov 2026 10:00:00 +0000
    Resent-Message-ID: <3K2M7Q9H4R1XY@mx.almamater.edu.example>
    Received: from mx.example.com ...

RFC 4405 shows Resent-From alone; RFC 5322 wants the date beside it, and an identifier. The block stands above our own
Received field, which tells it from older ones (RFC 4407 section 2).
"""

from __future__ import annotations

from typing import Final

from purport.mail.address import Mailbox, a_label_address, normal_mailbox
from purport.mail.fields import single_mailbox
from purport.mail.header import Field, Header

FROM: Final = "resent-from"
BLOCK: Final = frozenset(
    ("resent-from", "resent-sender", "resent-date", "resent-message-id", "resent-to", "resent-cc", "resent-bcc")
)
DELIVERED_TO: Final = "delivered-to"


def resent_block(who: Mailbox, *, date: str, message_id: str) -> bytes:
    """Names `who` as responsible from here on; `date` as `mail.trace.date` writes it, `message_id` without brackets."""
    address = a_label_address(who)
    return f"Resent-From: {address}\r\nResent-Date: {date}\r\nResent-Message-ID: <{message_id}>\r\n".encode()


def forwarders_in(header: Header, hostname: str) -> frozenset[Mailbox]:
    """The mailboxes that the message has been forwarded for before, by us: if it comes to one of them it goes round in
    circles. A block that somebody resent with a mail program has no Message-ID of ours; where no block is added,
    Delivered-To tells (as Postfix and qmail have it). Mailboxes are as `normal_mailbox` gives them."""
    found: set[Mailbox] = set()
    for block in _blocks(header):
        found.update(_ours(block, hostname))
    for field in header.all(DELIVERED_TO):
        found.update(_named(field))
    return frozenset(found)


def _blocks(header: Header) -> list[list[Field]]:
    """The resent blocks: resent fields that stand together."""
    blocks: list[list[Field]] = [[]]
    for field in header:
        if field.name in BLOCK:
            blocks[-1].append(field)
        elif blocks[-1]:
            blocks.append([])
    return blocks


def _ours(block: list[Field], hostname: str) -> list[Mailbox]:
    """Whom a block names that we made."""
    made_here = f"@{hostname}>".encode().lower()
    if not any(field.name == "resent-message-id" and field.value.lower().endswith(made_here) for field in block):
        return []
    return [mailbox for field in block if field.name == FROM for mailbox in _named(field)]


def _named(field: Field) -> list[Mailbox]:
    try:
        return [normal_mailbox(single_mailbox(field.text))]
    except ValueError:
        return []
