"""What the DNS says about a report: whether it is wanted, and where."""

from __future__ import annotations

from dataclasses import dataclass

from purport.reporting.destination import Destination


@dataclass(frozen=True, slots=True)
class Wanted:
    """It goes to these; each gets the whole of it."""

    destinations: tuple[Destination, ...]


@dataclass(frozen=True, slots=True)
class Unwanted:
    """Nobody wants it, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The DNS did not answer: it is asked again later."""

    reason: str


Wish = Wanted | Unwanted | Unknown
