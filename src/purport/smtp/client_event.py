"""What a client session tells its shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from purport.mail.reply import Reply
from purport.smtp.client_transaction import Stage, Transaction


@final
@dataclass(frozen=True, slots=True)
class Ready:
    """The server greeted and answered EHLO or HELO: transactions may begin."""


@final
@dataclass(frozen=True, slots=True)
class BeginTls:
    """The server waits for the TLS handshake: make it, call `secured`, and give it nothing before that."""


@final
@dataclass(frozen=True, slots=True)
class Reversed:
    """The server took ATRN and waits for our greeting: the connection is a server session's now, and this one is
    over."""


@final
@dataclass(frozen=True, slots=True)
class Unusable:
    """The server takes no (more) mail on this connection: write what there is and close it. Transactions that
    were open are told as finished before."""

    stage: Stage
    reply: Reply


@final
@dataclass(frozen=True, slots=True)
class GoAhead:
    """The server waits for the mail data: call `send_data` with the octets of the message, then `end_data`."""

    transaction: Transaction


@final
@dataclass(frozen=True, slots=True)
class Finished:
    """Every recipient of the transaction has its reply."""

    transaction: Transaction


ClientEvent = Ready | BeginTls | Reversed | Unusable | GoAhead | Finished
