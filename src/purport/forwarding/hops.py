"""The way of a message as its header tells it: hop by hop, what each added and who was responsible when it left.

    Resent-From: bob@almamater.edu.example        2: almamater.edu.example, for bob
    Received: from mx.example.com by almamater.edu.example
    Received: from [192.0.2.1] by mx.example.com  1: mx.example.com, for alice
    From: alice@example.com                       0: the author

Every server puts its fields on top of what came, its Received field among them: what stands between two Received fields
was added by the server that wrote the lower one. All of it is what somebody wrote, and proves nothing yet.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from purport.authentication.arc.sets import SEAL, instance_of
from purport.authentication.sender_id.pra import PurportedResponsibleAddress, purported_responsible_address
from purport.mail.header import Field, Header
from purport.mail.received import ReceivedFrom, received_from

HOPS: Final = 100  # Received fields that are looked at: no server takes a message with more
TRACE: Final = "received"


@dataclass(frozen=True, slots=True)
class Hop:
    """One server, or the author (number 0, without a server).

    `fields` are those that it added, from top to bottom. `client` is whom it had the message from; None where its field
    does not say that in one way, with `problem` saying why. `time` is in seconds since 1970, 0 where there is none.
    `pra` is who was responsible when the message left it. `seals` are the instances of ARC sets that it added.
    """

    number: int
    fields: tuple[Field, ...]
    client: ReceivedFrom | None
    problem: str
    time: float
    pra: PurportedResponsibleAddress
    seals: tuple[int, ...]

    @property
    def server(self) -> str:
        """The host that wrote the Received field, as far as that can be told."""
        return "" if self.client is None else self.client.by


def hops_of(header: Header) -> tuple[Hop, ...]:
    """The hops of a message, the author first. The topmost fields, above every Received field, belong to the newest
    hop."""
    groups: list[list[Field]] = [[]]
    for field in header:
        groups[-1].append(field)
        if field.name == TRACE and len(groups) <= HOPS:
            groups.append([])
    below: list[Field] = []
    hops: list[Hop] = []
    for number, group in enumerate(reversed(groups)):
        below = group + below
        hops.append(_hop(number, group, Header(below, header.length, header.complete)))
    return tuple(hops)


def _hop(number: int, group: list[Field], seen: Header) -> Hop:
    client, problem, time = None, "", 0.0
    if number:
        received = group[-1]
        time = _time(received)
        try:
            client = received_from(received.text)
        except ValueError as error:
            problem = str(error)
    seals = tuple([instance_of(field) for field in group if field.name == SEAL])
    return Hop(number, tuple(group), client, problem, time, purported_responsible_address(seen), seals)


def _time(received: Field) -> float:
    try:
        return parsedate_to_datetime(received.text.rpartition(";")[2].strip()).timestamp()
    except (ValueError, OverflowError, TypeError):
        return 0.0
