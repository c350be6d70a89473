"""What a chain says, and what it is worth (RFC 8617 section 5.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from purport.authentication.authres.reader import read
from purport.authentication.authres.results import AuthenticationResults

ResultWord = Literal["none", "pass", "fail"]


@dataclass(frozen=True, slots=True)
class Hop:
    """One who sealed the message.

    `sealer` and `selector` are d= and s= of its seal, in A-labels and lower case. `results` is what it wrote about the
    message when that came to it, None where not even the instance can be read. `intact`: its message signature holds
    still, so that nothing it signed was changed since; `covers_from`: every From field is among that.
    """

    instance: int
    sealer: str
    selector: str
    results: str | None
    intact: bool = False
    covers_from: bool = False

    @property
    def said(self) -> AuthenticationResults | None:
        """What it found; None where that cannot be read. Read when somebody asks: nobody asks strangers, and what fifty
        of them wrote takes a tenth of a second."""
        try:
            return None if self.results is None else read(self.results, lax=True)
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class ArcResult:
    """The outcome for the chain of a message.

    `instance` is the highest that was found, 0 for none. `hops` are from the oldest to the newest; what they say is
    worth something where the result is pass, and nothing else: a chain that failed is as good as none (RFC 8617 section
    5.2). `oldest_pass` is the oldest instance from which on every message signature holds, 0: all of them do (section
    5.2 step 5). `problem` is one printable line, empty for a pass.
    """

    result: ResultWord
    instance: int = 0
    hops: tuple[Hop, ...] = ()
    oldest_pass: int = 0
    problem: str = ""

    @property
    def sealers(self) -> tuple[str, ...]:
        """The domains that sealed it, from the oldest to the newest."""
        return tuple([hop.sealer for hop in self.hops])


NO_CHAIN = ArcResult("none")
