"""A next hop while mail is on its way there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from typing import Final, final

from purport.delivery.attempt import Connection
from purport.delivery.job import Job
from purport.delivery.refused import Refused
from purport.smtp.extensions.requiretls import Demand

NO_RANK: Final = float("inf")  # of who waits for nothing


@final
class Destination:
    """A next hop: the jobs that wait for it and the connections to it. Messages that ask for another protection than
    all others are on their way to a destination of their own."""

    __slots__ = (
        "connections",
        "dead_until",
        "demand",
        "failures",
        "forget_at",
        "idle",
        "last_refusal",
        "next_hop",
        "opening",
        "queue",
        "quiet_until",
    )

    def __init__(self, next_hop: str, demand: Demand = Demand.NOTHING) -> None:
        self.next_hop = next_hop
        self.demand = demand
        self.queue: deque[Job] = deque()
        self.connections: set[Connection] = set()
        self.idle: dict[Connection, None] = {}  # in the order they became idle
        self.opening = 0
        self.failures = 0  # connections in a row that could not be made
        self.quiet_until = 0.0  # no further connection is opened before
        self.dead_until = 0.0  # nothing is tried before
        self.forget_at = 0.0  # when the failures are
        self.last_refusal: Refused | None = None

    @property
    def key(self) -> str:
        """What it is found by."""
        return key_of(self.next_hop, self.demand)

    def append(self, job: Job) -> None:
        """A job behind all of its rank."""
        queue = self.queue
        if not queue or queue[-1].rank <= job.rank:
            queue.append(job)
        else:
            queue.insert(bisect_right(queue, job.rank, key=rank_of), job)

    def give_back(self, job: Job) -> None:
        """A job that was taken before, before all of its rank."""
        queue = self.queue
        if not queue or job.rank <= queue[0].rank:
            queue.appendleft(job)
        else:
            queue.insert(bisect_left(queue, job.rank, key=rank_of), job)

    @property
    def rank(self) -> float:
        """That of its next job."""
        return self.queue[0].rank if self.queue else NO_RANK

    @property
    def forgettable(self) -> bool:
        """Whether nothing would be lost without it."""
        return not (self.queue or self.connections or self.opening or self.failures)


def first_unfit(queue: deque[Job], connection: Connection) -> Job | None:
    """The job that this connection would get next, where its host does not take the message as it is."""
    for job in queue:
        if connection.host not in job.tried:
            return None if connection.takes(job) else job
    return None


def key_of(next_hop: str, demand: Demand) -> str:
    """What a destination is found by."""
    return next_hop if demand is Demand.NOTHING else f"{next_hop} {demand.value}"


def rank_of(waiting: Job | Destination) -> float:
    """The rank of a job, or of a destination's next one."""
    return waiting.rank
