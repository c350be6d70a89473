"""SPF records: which one to take, and what it says (RFC 7208 sections 4.5, 4.6, 5, 6 and 12).

v=spf1 mx a:mail.example.com/28 include:_spf.example.net -all exp=why.%{d}

The whole record is checked before any of it is evaluated (RFC 7208 section 4.6).
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from purport.authentication.spf.client import BITS
from purport.authentication.spf.errors import PermError
from purport.authentication.spf.macro import DomainSpec, parse_domain_spec, parse_macro_string, shown
from purport.authentication.spf.result import ResultWord

Kind = Literal["all", "include", "a", "mx", "ptr", "ip4", "ip6", "exists"]

VERSION: Final = "v=spf1"
QUALIFIERS: Final[dict[str, ResultWord]] = {"+": "pass", "-": "fail", "~": "softfail", "?": "neutral"}
KINDS: Final[dict[str, Kind]] = {
    "all": "all",
    "include": "include",
    "a": "a",
    "mx": "mx",
    "ptr": "ptr",
    "ip4": "ip4",
    "ip6": "ip6",
    "exists": "exists",
}

MODIFIER: Final = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)", re.DOTALL)
DIRECTIVE: Final = re.compile(r"([-+?~]?)([A-Za-z][A-Za-z0-9]*)(.*)", re.DOTALL)
QNUM: Final = r"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
IP4: Final = re.compile(rf":({QNUM}(?:\.{QNUM}){{3}})(?:/(0|[1-9][0-9]?))?")
IP6: Final = re.compile(r":([0-9A-Fa-f:.]+)(?:/(0|[1-9][0-9]{0,2}))?")
# At the end of "a" and "mx", whose domain may itself hold slashes.
DUAL_CIDR: Final = re.compile(r"(?:/(0|[1-9][0-9]?))?(?://(0|[1-9][0-9]{0,2}))?\Z")
IMPERSONAL: Final = frozenset("dvr")  # macros that are the same for all clients of one version
LONGEST_CIDR: Final = len("/32//128")


class HostBits(NamedTuple):
    """How many low bits of an address do not matter, for each version."""

    ip4: int
    ip6: int

    def of(self, version: int) -> int:
        """Those of one version."""
        return self.ip4 if version == 4 else self.ip6


EXACT: Final = HostBits(0, 0)


@dataclass(frozen=True, slots=True)
class Network:
    """Addresses of one version, from the lowest to the highest."""

    version: int
    lowest: int
    highest: int


@dataclass(frozen=True, slots=True)
class Directive:
    """A mechanism, and the result it gives when it matches. `text` is as it stands in the record."""

    text: str
    result: ResultWord
    kind: Kind
    domain: DomainSpec | None = None  # None: the domain whose record this is
    host_bits: HostBits = EXACT  # a, mx
    network: Network | None = None  # ip4, ip6

    @property
    def is_particular(self) -> bool:
        """Whether what it asks differs between clients or senders of one domain."""
        return self.kind == "ptr" or (self.domain is not None and bool(self.domain.macros.letters - IMPERSONAL))


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is well-formed as a whole."""

    directives: tuple[Directive, ...]
    redirect: DomainSpec | None  # None also where an `all` overrules it (RFC 7208 section 5.1)
    exp: DomainSpec | None
    common: int  # how many directives stand before the first that is particular to client or sender


@dataclass(frozen=True, slots=True)
class Rules:
    """What depends on the scope of a check: which record is taken, and what a domain that does not exist means."""

    select: Callable[[Sequence[str]], str | None]
    missing: Literal["none", "fail"]


def select(texts: Sequence[str]) -> str | None:
    """The one SPF record among the TXT records of a domain (RFC 7208 section 4.5). Raises PermError for several."""
    records = [text for text in texts if text[:6].lower() == VERSION and text[6:7] in ("", " ")]
    return only(records)


def only(records: Sequence[str]) -> str | None:
    """The one record, if there is one; raises PermError for several."""
    if len(records) > 1:
        raise PermError(f"{len(records)} records where one is allowed")
    return records[0] if records else None


SPF: Final = Rules(select, "none")


def parse(text: str) -> Record:
    """The terms after the version section. Raises PermError naming the first that is wrong."""
    directives: list[Directive] = []
    modifiers: dict[str, DomainSpec] = {}
    for term in text.split(" ")[1:]:
        if not term:
            continue
        modifier = MODIFIER.fullmatch(term)
        if modifier is None:
            directives.append(_directive(term))
            continue
        name = modifier[1].lower()
        if name not in ("redirect", "exp"):
            parse_macro_string(modifier[2])  # ignored, but it must be well-formed (RFC 7208 section 4.6.1)
        elif name in modifiers:
            raise PermError(f"{name}= appears twice")
        else:
            modifiers[name] = parse_domain_spec(modifier[2])
    overruled = any(directive.kind == "all" for directive in directives)
    common = next((index for index, directive in enumerate(directives) if directive.is_particular), len(directives))
    return Record(tuple(directives), None if overruled else modifiers.get("redirect"), modifiers.get("exp"), common)


def _directive(term: str) -> Directive:
    match = DIRECTIVE.fullmatch(term)
    kind = KINDS.get(match[2].lower()) if match else None
    if match is None or kind is None:
        raise PermError(f"unknown mechanism {shown(term)}")
    result = QUALIFIERS[match[1] or "+"]
    argument: str = match[3]
    if kind == "all":
        if argument:
            raise PermError(f"{shown(term)}: all takes no argument")
        return Directive(term, result, kind)
    if kind == "ip4" or kind == "ip6":
        return Directive(term, result, kind, network=_network(kind, argument, term))
    if kind == "a" or kind == "mx":
        argument, host_bits = _dual_cidr(argument, term)
        return Directive(term, result, kind, _domain(argument, term, optional=True), host_bits)
    return Directive(term, result, kind, _domain(argument, term, optional=kind == "ptr"))


def _domain(argument: str, term: str, *, optional: bool) -> DomainSpec | None:
    if not argument and optional:
        return None
    if argument[:1] != ":":
        raise PermError(f"{shown(term)}: a domain is missing")
    return parse_domain_spec(argument[1:])


def _dual_cidr(argument: str, term: str) -> tuple[str, HostBits]:
    tail = max(0, len(argument) - LONGEST_CIDR)
    cidr = DUAL_CIDR.search(argument, tail)
    if cidr is None:  # it matches the empty end at least
        return argument, EXACT
    return argument[: cidr.start()], HostBits(_host_bits(4, cidr[1], term), _host_bits(6, cidr[2], term))


def _host_bits(version: int, prefix: str | None, term: str) -> int:
    bits = BITS[version]
    length = bits if prefix is None else int(prefix)
    if length > bits:
        raise PermError(f"{shown(term)}: a prefix is longer than {bits} bits")
    return bits - length


def _network(kind: Literal["ip4", "ip6"], argument: str, term: str) -> Network:
    version = 4 if kind == "ip4" else 6
    match = (IP4 if version == 4 else IP6).fullmatch(argument)
    try:
        read = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
        address = int(read(match[1])) if match else None
    except ValueError:
        address = None
    if match is None or address is None:
        raise PermError(f"{shown(term)} is no network")
    return network(version, address, _host_bits(version, match[2], term))


def network(version: int, address: int, host_bits: int) -> Network:
    """The network around an address."""
    lowest = address >> host_bits << host_bits
    return Network(version, lowest, lowest + (1 << host_bits) - 1)
