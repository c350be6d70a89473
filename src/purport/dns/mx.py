"""Which hosts take the mail of a domain, in the order they are to be tried (RFC 5321 section 5.1, RFC 7505).

company.com.example.  MX  10 mx1.company.com.example.
company.com.example.  MX  20 mx2.company.com.example.
nomail.example.       MX  0 .
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import chain, groupby, zip_longest
from typing import Final

from purport.dns.lookup import Answer, Evaluation, Question, Status
from purport.mail.reply import Reply, reply

# RFC 5321 section 5.1 wants at least two hosts tried. Nobody runs more than these, and each costs two questions.
HOSTS: Final = 10
ADDRESSES: Final = 32  # in all; each may cost a connection attempt that waits for its timeout

Shuffle = Callable[[list[str]], None]
"""Reorders a list in place; `random.shuffle` is one."""


@dataclass(frozen=True, slots=True)
class MailHost:
    """A host, its preference (lower is tried first) and its addresses in the order they are to be tried. `secure`: they
    were validated; `alias` is the name that they belong to, where that of the host stands for another."""

    name: str
    preference: int
    addresses: tuple[str, ...]
    secure: bool = False
    alias: str = ""


@dataclass(frozen=True, slots=True)
class MailHosts:
    """Where the mail of a domain goes: never empty, no host without an address. `secure`: what the DNS says of its MX
    records was validated; `alias` is the domain that it stands for, where it does."""

    hosts: tuple[MailHost, ...]
    implicit: bool = False  # the domain has no MX record and stands for itself
    secure: bool = False
    alias: str = ""


class Reason(Enum):
    """Why there is no host."""

    NULL_MX = "null MX"
    NO_SUCH_DOMAIN = "no such domain"
    NO_ADDRESS = "no address"
    OURSELVES = "loops back to us"
    DNS_FAILED = "DNS failed"


@dataclass(frozen=True, slots=True)
class NoMailHosts:
    """No host to try, and the reply that says so: transient where DNS failed, else permanent."""

    reason: Reason
    reply: Reply


def mail_hosts(
    domain: str, shuffle: Shuffle | None = None, ourselves: Container[str] = ()
) -> Evaluation[MailHosts | NoMailHosts]:
    """The hosts for `domain` (lower case, A-labels) or for an address literal with its brackets.

    Hosts of equal preference stand in the order that `shuffle` gives them, for the load to spread (RFC 5321 section
    5.1). A host named in `ourselves`, and every host that is not preferred to it, is left out: sending there is a loop.
    """
    if domain.startswith("["):
        return _literal(domain)
    (answer,) = yield (Question(domain, "MX"),)
    match answer.status:
        case Status.FAILED:
            return _failed(domain)
        case Status.MISSING:
            return NoMailHosts(Reason.NO_SUCH_DOMAIN, reply(550, "5.1.2", f"Domain {domain} does not exist"))
        case Status.EMPTY:
            # RFC 5321 section 5.1: the domain itself is its implicit MX, with preference 0.
            return (yield from _with_addresses(domain, [(0, domain)], answer, implicit=True))
    exchangers = _exchangers(answer)
    if not exchangers:
        # RFC 7505 section 4.1, and the code of RFC 7504 section 4.
        return NoMailHosts(Reason.NULL_MX, reply(556, "5.1.10", f"Domain {domain} accepts no mail (null MX)"))
    preferred = _before_us(_in_order(exchangers, shuffle), ourselves)
    if not preferred:
        return NoMailHosts(Reason.OURSELVES, reply(554, "5.4.6", f"Mail for {domain} loops back to this host"))
    return (yield from _with_addresses(domain, preferred[:HOSTS], answer, implicit=False))


def _literal(domain: str) -> MailHosts | NoMailHosts:
    """The one address of an address literal (RFC 5321 section 4.1.3)."""
    text = domain[1:-1].lower().removeprefix("ipv6:")
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return NoMailHosts(Reason.NO_ADDRESS, reply(550, "5.1.2", f"Bad address literal {domain}"))
    return MailHosts((MailHost(domain, 0, (address,)),), implicit=True)


def _exchangers(answer: Answer) -> list[tuple[int, str]]:
    """Preference and host of each record. Beside others a null MX is a mistake (RFC 7505 section 3): they count."""
    pairs = (record.split(" ", 1) for record in answer.records)
    return [(int(preference), host) for preference, host in pairs if host != "."]


def _in_order(exchangers: Sequence[tuple[int, str]], shuffle: Shuffle | None) -> list[tuple[int, str]]:
    ordered: list[tuple[int, str]] = []
    # Sorted by name first, so that the order is the shuffle's alone, whatever order the answer came in.
    for preference, group in groupby(sorted(set(exchangers)), key=lambda exchanger: exchanger[0]):
        hosts = [host for _, host in group]
        if shuffle is not None:
            shuffle(hosts)
        ordered += [(preference, host) for host in hosts]
    return ordered


def _before_us(ordered: list[tuple[int, str]], ourselves: Container[str]) -> list[tuple[int, str]]:
    ours = [preference for preference, host in ordered if host in ourselves]
    return [exchanger for exchanger in ordered if exchanger[0] < ours[0]] if ours else ordered


def _with_addresses(
    domain: str, exchangers: Sequence[tuple[int, str]], given: Answer, *, implicit: bool
) -> Evaluation[MailHosts | NoMailHosts]:
    names = list(dict.fromkeys(host for _, host in exchangers))
    answers = yield tuple([Question(name, kind) for name in names for kind in ("AAAA", "A")])
    by_name = {name: (answers[2 * number], answers[2 * number + 1]) for number, name in enumerate(names)}
    hosts: list[MailHost] = []
    room = ADDRESSES
    for preference, name in exchangers:
        families = by_name.pop(name, ())
        addresses = _interleaved(*families)[:room]
        room -= len(addresses)
        if addresses:
            hosts.append(MailHost(name, preference, addresses, *security(families)))
    if hosts:
        return MailHosts(tuple(hosts), implicit, given.secure, given.alias)
    if any(answer.status is Status.FAILED for answer in answers):
        return _failed(domain)
    return NoMailHosts(Reason.NO_ADDRESS, reply(550, "5.4.4", f"No host for {domain} has an address"))


def _interleaved(*families: Answer) -> tuple[str, ...]:
    """IPv6 and IPv4 in turn, IPv6 first (RFC 8305 section 4): where one family does not work, and that is where
    attempts wait for a timeout, every second attempt still can."""
    turns = zip_longest(*(answer.records for answer in families if answer.status is Status.FOUND))
    return tuple([address for address in chain.from_iterable(turns) if address is not None])


def security(families: Iterable[Answer]) -> tuple[bool, str]:
    """Whether the addresses that were found are validated, all of them, and the name that they belong to where it is
    another than that which was asked for."""
    found = [answer for answer in families if answer.status is Status.FOUND]
    return bool(found) and all(answer.secure for answer in found), next((one.alias for one in found if one.alias), "")


def _failed(domain: str) -> NoMailHosts:
    return NoMailHosts(
        Reason.DNS_FAILED, reply(451, "4.4.3", f"DNS lookup for {domain} failed; it will be tried again")
    )
