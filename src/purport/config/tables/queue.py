"""Messages that wait."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import YEAR, Count, Seconds, Table


class Queue(Table, frozen=True):
    """Messages that wait."""

    hold: Annotated[bool, Meta(description="hold every new message until it is released")] = False
    min_backoff: Annotated[Seconds, Meta(description="seconds to the second attempt")] = 300.0
    max_backoff: Annotated[Seconds, Meta(description="most seconds between attempts")] = 4000.0
    lifetime: Annotated[Seconds, Meta(description="seconds until an undelivered message is returned")] = 432_000.0
    least_by_time: Annotated[
        int,
        Meta(
            ge=0,
            le=999_999_999,
            description="the least seconds for a message that its sender wants back after them (DELIVERBY); 0: any",
        ),
    ] = 0
    warn_after: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds until a sender is told that a message waits; 0: never")
    ] = 14_400.0


class Priority(Table, frozen=True):
    """Which message goes first (MT-PRIORITY, RFC 6710)."""

    policy: Annotated[
        Literal["", "MIXER", "STANAG4406", "NSEP"],
        Meta(description="the Priority Assignment Policy that is named in the EHLO reply; empty: none is"),
    ] = "MIXER"
    networks: Annotated[
        list[str],
        Meta(
            description="networks of clients that may ask for more than 0, besides those that log in or are in "
            "relay.networks; for all others more than 0 is 0"
        ),
    ] = []
    highest: Annotated[int, Meta(ge=0, le=9, description="the most that any of them gets")] = 9


class FutureRelease(Table, frozen=True):
    """Messages that are to be sent later (FUTURERELEASE, RFC 4865); on submission listeners alone."""

    max_seconds: Annotated[int, Meta(ge=0, le=YEAR, description="for how long a message may be held; 0: none is")] = (
        2_592_000
    )

    per_sender: Annotated[Count, Meta(description="messages of one reverse-path that wait for their time")] = 100
    total: Annotated[Count, Meta(description="messages of all senders that do")] = 10_000
