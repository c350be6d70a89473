"""The field Require-Recipient-Valid-Since of a message that goes out (RFC 7293 section 5.2, 6 and 7).

Into a mailbox goes no such field. Neither does it go where RRVS says the same; and where a next hop lacks RRVS it is
put on top for one recipient, if the settings say that the servers of its domain obey it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from purport.mail.header import HEADER_LIMIT, read_header
from purport.mail.valid_since import Cut, cuts, field_for
from purport.queue.store import QueuedMessage, QueuedRecipient
from purport.smtp.extensions.rrvs import KEYWORD, RRVS


@dataclass(frozen=True, slots=True)
class Edit:
    """What is done to a message for a transaction: a field on top of it, and octets of its body left out."""

    field: bytes = b""
    left_out: tuple[Cut, ...] = ()

    @property
    def octets(self) -> int:
        """By how many octets the message becomes longer."""
        return len(self.field) - sum(stop - start for start, stop in self.left_out)


NO_EDIT: Final = Edit()


def edit_for(
    message: QueuedMessage,
    recipients: Sequence[QueuedRecipient],
    beginning: bytes,
    *,
    offered: bool,
    obeyed: Callable[[str], bool],
) -> Edit:
    """What a next hop is to get; `beginning` is the message's header at least. `offered`: it offers RRVS; `obeyed`: the
    servers of a domain obey the field."""
    marked = KEYWORD in message.parameters
    if offered:
        named = [recipient.forward_path for recipient in recipients if KEYWORD in recipient.parameters]
        return Edit(left_out=cuts(read_header(beginning[:HEADER_LIMIT]), named)) if marked and named else NO_EDIT
    if len(recipients) != 1:  # RFC 7293 section 4: not for several
        return NO_EDIT
    forward_path, parameters = recipients[0].forward_path, recipients[0].parameters
    required = parameters.get(RRVS)
    if required is None or not str(forward_path).isascii() or not obeyed(forward_path.domain):
        return NO_EDIT
    if marked and cuts(read_header(beginning[:HEADER_LIMIT]), [forward_path]):
        return NO_EDIT  # it came with it
    return Edit(field_for(forward_path, required.since))


def cuts_for_mailbox(message: QueuedMessage) -> tuple[Cut, ...]:
    """What of a message does not go into a mailbox. Raises OSError where its body cannot be read."""
    if not message.parameters.items or KEYWORD not in message.parameters:
        return ()
    beginning = message.body.octets()
    if beginning is None:
        beginning = next(iter(message.body.pieces(HEADER_LIMIT)), b"")
    return cuts(read_header(beginning[:HEADER_LIMIT]))
