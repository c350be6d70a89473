"""The field Require-Recipient-Valid-Since of a message that comes in (RFC 7293 section 5.2 and 6.1)."""

from __future__ import annotations

from collections.abc import Sequence

from purport.mail.address import Mailbox
from purport.mail.envelope import Parameters
from purport.mail.header import Header
from purport.mail.valid_since import requirements, same_mailbox
from purport.queue.store import QueuedRecipient
from purport.service.transaction import Transaction
from purport.smtp.extensions.rrvs import KEYWORD, MARK, RRVS, ValidSince


def unprotected(transaction: Transaction) -> list[Mailbox]:
    """The recipients that came without RRVS: the header may say it of them."""
    return [
        recipient.forward_path
        for recipient in transaction.recipients
        if not recipient.parameters.items or KEYWORD not in recipient.parameters
    ]


def tunnelled(parameters: Parameters, header: Header, recipients: Sequence[QueuedRecipient]) -> Parameters:
    """The parameters of MAIL with the mark that the header holds the field; recipients that it names get what it says
    as their RRVS, for next hops that offer it. The field asked nobody to refuse what cannot be looked at, so neither
    does that."""
    found = requirements(header)
    for recipient in recipients:
        moments = [one.since for one in found if same_mailbox(one.mailbox, recipient.forward_path)]
        if moments and KEYWORD not in recipient.parameters:
            value = RRVS.encode(ValidSince(min(moments), continues=True))
            recipient.parameters = Parameters((*recipient.parameters.items, (KEYWORD, value)))
    return Parameters((*parameters.items, MARK))
