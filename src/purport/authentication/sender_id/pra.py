"""The purported responsible address of a message (RFC 4407 section 2).

Resent-From: bob@almamater.edu.example      <- this one
Received: from mx.example.com ...
From: alice@example.com
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from purport.mail.address import Mailbox
from purport.mail.fields import single_mailbox
from purport.mail.header import Field, Header, read_header

TRACE: Final = ("received", "return-path")
BEFORE_FROM: Final = ("resent-sender", "resent-from", "sender")
OF_INTEREST: Final = frozenset((*BEFORE_FROM, "from", *TRACE))


class PurportedResponsibleAddress(msgspec.Struct, frozen=True):
    """The address (None: there is no PRA), the field it came from, and the steps of RFC 4407 section 2 that
    led there: `1->2->5`, or `...->6` with `problem` saying why there is none."""

    address: Mailbox | None
    field: str | None  # "resent-sender", "resent-from", "sender", "from"
    step: str
    problem: str | None = None


def purported_responsible_address(message: bytes | Header) -> PurportedResponsibleAddress:
    """The PRA of a message or header block, lines ending with CRLF or LF (RFC 4407 section 2). Never raises."""
    header = message if isinstance(message, Header) else read_header(message)
    if not header.complete:
        return PurportedResponsibleAddress(None, None, "6", "the header is too long to be read")
    path, field, problem = _select(header)
    if field is None:
        return PurportedResponsibleAddress(None, None, f"{path}->6", problem)

    # 5. Exactly one well-formed mailbox with a domain name.
    if not field.strict:
        problem = "white space stands before its colon"
    else:
        try:
            return PurportedResponsibleAddress(single_mailbox(field.text), field.name, f"{path}->5")
        except ValueError as error:
            problem = str(error)
    # 6. Ill-formed: there is no PRA, whatever the other fields say.
    return PurportedResponsibleAddress(None, field.name, f"{path}->5->6", f"{field.name}: {problem}")


def _select(header: Header) -> tuple[str, Field | None, str]:
    """The steps taken, and the field that names the PRA, or why none does."""
    if header.by_name.keys().isdisjoint(BEFORE_FROM):  # steps 1 to 3 find nothing, as in most messages
        return _author([field for field in header.by_name.get("from", ()) if not field.empty])
    fields = [field for field in header if field.name in OF_INTEREST and not field.empty]
    names = [field.name for field in fields]

    # 1. The first Resent-Sender, unless a Resent-From stands above it with a trace field between them: then that
    #    Resent-From begins a later resent block. The topmost one is enough to ask for: its interval holds all others.
    if "resent-sender" in names:
        sender = names.index("resent-sender")
        above = names[:sender]
        if "resent-from" not in above or not any(name in TRACE for name in above[above.index("resent-from") :]):
            return "1", fields[sender], ""

    # 2. The first Resent-From.
    if "resent-from" in names:
        return "1->2", fields[names.index("resent-from")], ""

    # 3. The only Sender.
    count = names.count("sender")
    if count:
        if count > 1:
            return "1->2->3", None, "there are several Sender fields"
        return "1->2->3", fields[names.index("sender")], ""

    return _author([field for field in fields if field.name == "from"])


def _author(fields: Sequence[Field]) -> tuple[str, Field | None, str]:
    # 4. The only From.
    if len(fields) == 1:
        return "1->2->3->4", fields[0], ""
    return "1->2->3->4", None, "there are several From fields" if fields else "there is no From field"
