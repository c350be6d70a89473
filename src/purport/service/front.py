"""What the connections of a listener share, and what all listeners of the process do."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Container, Sequence
from dataclasses import dataclass
from typing import final

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.authentication.dmarc.memory import DmarcMemory
from purport.authentication.spf.checker import Checker
from purport.delivery.visit import Visits
from purport.dns.lookup import Resolver
from purport.ledger.record import RecordedPolicy
from purport.mail.address import Mailbox
from purport.net.listener import Admission
from purport.policy.on_demand import Customer
from purport.policy.policy import Policy
from purport.policy.priority import PriorityPolicy
from purport.policy.queue_start import Grant
from purport.queue.queue_id import QueueIds
from purport.queue.store import QueuedMessage, QueuedRecipient, QueueStore
from purport.reporting.dmarc.failure import Failure
from purport.reporting.dmarc.row import DmarcRow
from purport.service.forwarding import (
    ForwardDesk,
)
from purport.service.holding import Holding, HoldingLimits
from purport.service.login import LoginDesk
from purport.service.throttle import Throttle
from purport.service.transaction import Chronicle
from purport.smtp.server import Profile


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a client may take, in seconds (RFC 5321 section 4.5.3.2.7 asks for five minutes)."""

    command: float = 300.0  # from our reply to the end of the next command line
    data: float = 180.0  # for mail data, besides one second for every SLOWEST octets


@final
@dataclass(frozen=True, slots=True)
class Front:
    """What the connections of one listener share. A reload makes a new one, for who comes from then on."""

    profile: Profile
    policy: Policy
    recorded: RecordedPolicy  # what the ledger says of the policy
    patience: Patience
    trusts: Callable[[str], bool]  # whether XCLIENT of this client address is believed
    proxied: Callable[[str], bool]  # whether a peer with this address has to send a PROXY header
    certificate: Callable[[], ssl.SSLContext | None]  # to begin TLS with, as it is now
    tls_first: bool  # whether TLS comes before the greeting (RFC 8314 section 3.3)
    next_hop: Callable[[str], str]
    lifetime: float  # seconds until a message that could not be delivered is returned
    hold: bool  # whether messages wait for an operator before they are tried
    priority: PriorityPolicy
    holding: HoldingLimits
    etrn: Sequence[Grant] = ()  # who may start the delivery of what waits for which domains
    desk: LoginDesk | None = None  # where clients log in
    signer: Signer = NO_SIGNER  # signs what users submit
    forwarding: ForwardDesk | None = None  # where mail goes on, and back
    sealer: Signer = NO_SIGNER  # seals what goes on
    guest: Mailbox | None = None  # who is responsible for what clients send anywhere without a login
    client_names: bool = False  # whether the names of clients are looked up
    takes_mail: bool = True  # else everybody is told so and let go
    judged: bool = False  # the clients are servers of ours, which judged their own
    customers: Sequence[Customer] = ()  # who may come for which domains' mail


@final
@dataclass(slots=True)
class House:
    """What all listeners of the process share."""

    resolver: Resolver
    within: Callable[[float], Resolver]  # the same resolver for a number of seconds
    checker: Checker
    dmarc: DmarcMemory
    store: QueueStore
    chronicle: Chronicle
    ids: QueueIds
    admission: Admission
    holding: Holding
    submit: Callable[[QueuedMessage], None]  # hands a stored message to delivery
    hasten: Callable[[Container[str]], Awaitable[int]]  # tries what waits for some domains; how many messages that are
    throttle: Throttle
    # The reports that recipients became several, and that others were lists.
    expanded: Callable[
        [QueuedMessage, Sequence[QueuedRecipient], Sequence[QueuedRecipient], float], list[QueuedMessage]
    ]
    look: Callable[[QueuedMessage], None]  # tells delivery that a message was stored which is due later
    clock: Callable[[], float]
    report_dmarc: Callable[[DmarcRow], None]  # counts a message for the report to its author's domain
    visits: Visits
    report_failure: Callable[[Failure], None] | None = None  # tells the author's domain about one message
