"""The envelope: what MAIL and RCPT said (RFC 5321 section 2.3.1), with the parameters as they came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from purport.mail.address import Mailbox, ReversePath

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Parameter(Generic[T]):
    """A MAIL or RCPT parameter, and the typed key under which its value is found.

    `decode` takes the octets after `=` (None where there was no `=`) and raises ValueError where
    they are not in the parameter's grammar; `encode` gives the octets back. `fault` is the enhanced
    code of the 501 for such a value, and for a parameter that is given twice.
    """

    keyword: str
    decode: Callable[[bytes | None], T]
    encode: Callable[[T], bytes | None]
    fault: str = "5.5.4"


class Parameters:
    """Parameters in the order and the spelling they came in; values are decoded by their owner.

    The stored form is the wire form, so that an extension that was switched off since leaves an
    opaque value that round-trips.
    """

    __slots__ = ("_decoded", "items")

    def __init__(self, items: tuple[tuple[str, bytes | None], ...] = ()) -> None:
        self.items = items  # (keyword in upper case, octets after "=" or None)
        self._decoded: dict[str, object] = {}

    def get(self, parameter: Parameter[T]) -> T | None:
        """The decoded value, or None where the parameter was not given. Raises ValueError as `decode` does."""
        keyword = parameter.keyword
        known = self._decoded.get(keyword)
        if known is not None:
            return known  # type: ignore[return-value]  # only this parameter's decode put it there
        for name, value in self.items:
            if name == keyword:
                decoded = parameter.decode(value)
                self._decoded[keyword] = decoded
                return decoded
        return None

    def octets(self) -> bytes:
        """The wire form: `SIZE=1000 BODY=8BITMIME`."""
        return b" ".join(
            name.encode("ascii") if value is None else name.encode("ascii") + b"=" + value for name, value in self.items
        )

    @classmethod
    def from_octets(cls, octets: bytes) -> Parameters:
        """Read the wire form back, as stored by a queue; not for octets from a peer."""
        items: list[tuple[str, bytes | None]] = []
        for word in octets.split():
            keyword, equals, value = word.partition(b"=")
            items.append((keyword.decode("ascii").upper(), value if equals else None))
        return cls(tuple(items))

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return iter(self.items)

    def __contains__(self, keyword: str) -> bool:
        return any(name == keyword for name, _ in self.items)

    def __bool__(self) -> bool:
        return bool(self.items)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parameters) and self.items == other.items

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        return f"Parameters({self.items!r})"


NO_PARAMETERS = Parameters()


@dataclass(frozen=True, slots=True)
class Recipient:
    """A forward-path with its RCPT parameters."""

    forward_path: Mailbox
    parameters: Parameters = NO_PARAMETERS


@dataclass(frozen=True, slots=True)
class Envelope:
    """A reverse-path (NULL for reports), its MAIL parameters and the accepted recipients."""

    reverse_path: ReversePath
    recipients: tuple[Recipient, ...]
    parameters: Parameters = NO_PARAMETERS
