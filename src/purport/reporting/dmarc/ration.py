"""How many failure reports go out, whatever arrives: who forges a domain must not flood its owner (RFC 9991).

What is alike (author domain, type of failure, client) is reported once an hour, and the next report says for how many
messages it stands. Besides, there is a limit for each policy domain, and one for all.
"""

from __future__ import annotations

from typing import Final, final

WINDOW: Final = 3600.0  # seconds
PER_DOMAIN: Final = 10  # in a window: different paths of failure, which is what an owner looks for
IN_ALL: Final = 200  # in a window: many domains may be forged to make us a burden on others, or on ourselves
PATHS: Final = 2000  # whose left out messages are counted each by itself, some hundred octets of memory for each

Path = tuple[str, str, str]


@final
class Ration:
    """What went out in the window of now, and what did not."""

    def __init__(self, *, per_domain: int = PER_DOMAIN, in_all: int = IN_ALL, paths: int = PATHS) -> None:
        self._per_domain = per_domain
        self._in_all = in_all
        self._paths = paths
        self._window = -1
        self._sent: set[Path] = set()
        self._by_domain: dict[str, int] = {}
        self._waiting: dict[Path, int] = {}  # messages that were left out since the last report of their path
        self.left_out = 0  # messages in the window of now

    def begin(self, now: float) -> int:
        """Begin a new window if it is time. Returns how many messages the one before left out."""
        window = int(now // WINDOW)
        if window == self._window:
            return 0
        left_out, self.left_out = self.left_out, 0
        self._window = window
        self._sent.clear()
        self._by_domain.clear()
        return left_out

    def allow(self, domain: str, path: Path, now: float) -> int:
        """For how many messages a report may go out now about one of a policy domain; 0: none may, and the message
        counts as left out. `now` is in seconds since 1970."""
        self.begin(now)
        sent = self._by_domain.get(domain, 0)
        if path in self._sent or sent >= self._per_domain or len(self._sent) >= self._in_all:
            self.leave_out(path)
            return 0
        self._sent.add(path)
        self._by_domain[domain] = sent + 1
        return 1 + self._waiting.pop(path, 0)

    def leave_out(self, path: Path) -> None:
        """One message more that is not reported."""
        self.left_out += 1
        if path not in self._waiting and len(self._waiting) >= self._paths:
            del self._waiting[next(iter(self._waiting))]  # the oldest path
        self._waiting[path] = self._waiting.get(path, 0) + 1
