"""Against the guessing of passwords: who fails is answered later and later, and is then not heard for a while.

An attempt counts from its beginning, so that many at once do not get round the limit; a good one is taken back.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, final

from purport.bounded import Bounded

ENTRIES: Final = 65_536  # addresses and logins that are remembered, of each; the oldest is forgotten first
IPV6_PREFIX: Final = 64  # what one client can have as many addresses of as it likes


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """How much guessing is borne with; seconds, and failures within `window` of them."""

    window: float = 600.0
    per_client: int = 20
    per_login: int = 50
    first_delay: float = 1.0  # doubled with each further failure of the client
    most_delay: float = 16.0


@final
@dataclass(slots=True)
class _Count:
    since: float
    failures: int = 0


@final
class Guard:
    """Counts failed logins by client network and by name. The names need not exist: so nothing is told by it.

    A client that logged in as somebody is not shut out by what others try with that name.
    """

    def __init__(self, limits: GuardLimits, clock: Callable[[], float]) -> None:
        self.limits = limits
        self._clock = clock
        self._clients: Bounded[str, _Count] = Bounded(ENTRIES)
        self._logins: Bounded[str, _Count] = Bounded(ENTRIES)
        self._known: Bounded[tuple[str, str], None] = Bounded(ENTRIES)  # network and name of good logins

    def shuts_out(self, address: str) -> bool:
        """Whether this client failed too often."""
        return self._failures(self._clients, network(address)) >= self.limits.per_client

    def shuts_out_login(self, address: str, name: str) -> bool:
        """Whether too many logins with this name failed."""
        if (network(address), name) in self._known:
            return False
        return self._failures(self._logins, name) >= self.limits.per_login

    def begin(self, address: str, name: str) -> None:
        """An attempt, counted as a failure until it is taken back."""
        self._count(self._clients, network(address), 1)
        self._count(self._logins, name, 1)

    def take_back(self, address: str, name: str) -> None:
        """The attempt was no guess: it succeeded, or could not be judged."""
        self._count(self._clients, network(address), -1)
        self._count(self._logins, name, -1)

    def remember(self, address: str, name: str) -> None:
        """A good login."""
        self._known.put((network(address), name), None)

    def delay(self, address: str) -> float:
        """Seconds until a client that just failed is to be told so."""
        failures = self._failures(self._clients, network(address))
        if failures < 1:
            return 0.0
        return float(min(self.limits.first_delay * 2 ** min(failures - 1, 32), self.limits.most_delay))

    def _failures(self, counts: Bounded[str, _Count], key: str) -> int:
        count = counts.get(key)
        if count is None:
            return 0
        if self._clock() - count.since > self.limits.window:
            counts.drop(key)
            return 0
        return count.failures

    def _count(self, counts: Bounded[str, _Count], key: str, by: int) -> None:
        failures = max(self._failures(counts, key) + by, 0)
        if failures == 0:
            counts.drop(key)
        elif (count := counts.get(key)) is not None:
            count.failures = failures
        else:
            counts.put(key, _Count(self._clock(), failures))


def network(address: str) -> str:
    """What is one client: an IPv4 address, an IPv6 network of 64 bits."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((int(found), IPV6_PREFIX), strict=False))
