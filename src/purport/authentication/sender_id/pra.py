"""The purported responsible address of a message (RFC 4407 section 2).

Resent-From: bob@almamater.edu.example      <- this one
Received: from mx.example.com ...
From: alice@example.com
"""

from __future__ import annotations

from dataclasses import dataclass

from purport.mail.address import Mailbox


@dataclass(frozen=True, slots=True)
class PurportedResponsibleAddress:
    """The address (None: there is no PRA), the field it came from, and the steps of RFC 4407 section 2 that
    led there: `1->2->5`, or `...->6` with `problem` saying why there is none."""

    address: Mailbox | None
    field: str | None  # "resent-sender", "resent-from", "sender", "from"
    step: str
    problem: str | None = None
