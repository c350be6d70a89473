"""Where mail for a domain goes next: the settings first, then the DNS (RFC 5321 section 5.1).

company.com.example  ->  maildir
almamater.edu.example  ->  mx:almamater.edu.example
elsewhere.example  ->  smtp:relay.example.net:25
bank.example  ->  smtps:relay.example.net:465
lists.example  ->  lmtp:unix:/run/dovecot/lmtp
branch.example  ->  odmr:branch.example, to wait until its host asks for it (RFC 2645)
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from purport.dns.lookup import Evaluation, Question, Status
from purport.dns.mx import MailHosts, NoMailHosts, Shuffle, mail_hosts, security
from purport.mail.domain import normal_domain
from purport.mail.reply import Reply, reply
from purport.queue.store import ON_DEMAND

MAILDIR: Final = "maildir"
JUNK: Final = "maildir:Junk"  # where mail in quarantine goes; not for settings
MAILDIRS: Final = (MAILDIR, JUNK)
FAIL: Final = "fail:"  # in place of a next hop: the recipient fails with the reply behind it
ODMR: Final = ON_DEMAND.removesuffix(":")  # what a domain is delivered by whose host comes for its mail
SMTP_PORT: Final = 25
LOOPBACK: Final = ("127.0.0.1", "::1")  # RFC 6761 section 6.3: localhost needs no DNS

FIXED = re.compile(r"(?P<scheme>smtps?|lmtp):(?P<host>\[[^\[\]]+\]|[^\[\]:]+):(?P<port>[0-9]{1,5})")
SOCKET = re.compile(r"lmtp:unix:(/[!-~]+)")


@dataclass(frozen=True, slots=True)
class Routes:
    """The next hop of every domain, as the settings say it.

    `domains` (A-labels, lower case) and `relay`, for all others, hold `maildir`, `smtp:HOST:PORT`, `smtps:HOST:PORT`,
    `lmtp:HOST:PORT`, `lmtp:unix:PATH`, `odmr` or `mx`.
    """

    hostname: str
    domains: Mapping[str, str] = field(default_factory=dict)
    relay: str = "mx"

    def next_hop(self, domain: str) -> str:
        """What the settings say, or `mx:DOMAIN` or `odmr:DOMAIN`: recipients with the same one share transactions."""
        domain = normal_domain(domain)
        route = self.domains.get(domain, self.relay)
        return f"{route}:{domain}" if route in ("mx", ODMR) else route


@dataclass(frozen=True, slots=True)
class Target:
    """A host to try: its name, its addresses in order, and the port."""

    host: str
    addresses: tuple[str, ...]
    port: int
    tls_first: bool = False  # TLS is spoken from the first octet (RFC 8314)
    lmtp: bool = False  # LMTP is spoken (RFC 2033)
    socket: str = ""  # the path of a socket on this machine, in place of an address
    secure: bool = False  # the addresses were validated (RFC 4033)
    alias: str = ""  # the name that they belong to, where that of the host stands for another
    vouched: bool = (
        False  # nobody could put another host in its place: its name is settings', the domain's, or validated
    )
    domains: tuple[str, ...] = ()  # whose mail it takes, where MX records say so: the domain, and what that stands for


def on_demand(domain: str) -> str:
    """The next hop of a domain, as `normal_domain` gives it, whose host comes for its mail."""
    return f"{ON_DEMAND}{domain}"


class Unroutable(Exception):
    """There is no host to try; `reply` is the reason, transient or permanent."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def quarantined(next_hop: str) -> str:
    """The next hop of mail that its author's domain wants quarantined (RFC 9989 section 4.7): the junk folder where
    mailboxes are ours. Another server gets it as it is, and sees in its header what was found."""
    return JUNK if next_hop == MAILDIR else next_hop


def failing(reply: Reply) -> str:
    """In place of the next hop of a recipient that was accepted with others and cannot be reached: its sender is told
    as of any other failure."""
    return f"{FAIL}{reply}"


def failure_of(next_hop: str) -> Reply:
    """The reply that stands in place of a next hop."""
    code, status, text = next_hop.removeprefix(FAIL).split(" ", 2)
    return reply(int(code), status, text)


def targets(
    next_hop: str, ourselves: frozenset[str], shuffle: Shuffle | None = None, port: int = SMTP_PORT
) -> Evaluation[tuple[Target, ...]]:
    """The hosts behind a next hop that is not `maildir`, in the order they are to be tried. Raises Unroutable.

    `ourselves` are this server's names: a domain whose mail would come back to us is refused, and of its hosts
    only those preferred to us are tried (RFC 5321 section 5.1).
    """
    if next_hop.startswith("mx:"):
        domain = next_hop.removeprefix("mx:")
        found = yield from _by_mx(domain, ourselves, shuffle)
        vouched = found.secure or found.implicit
        domains = (domain, found.alias) if found.secure and found.alias else (domain,)
        return tuple(
            [
                Target(host.name, host.addresses, port, False, False, "", host.secure, host.alias, vouched, domains)
                for host in found.hosts
            ]
        )
    if (place := SOCKET.fullmatch(next_hop)) is not None:
        return (Target("localhost", ("",), 0, lmtp=True, socket=place[1]),)
    fixed = FIXED.fullmatch(next_hop)
    if fixed is None:
        raise Unroutable(reply(450, "4.3.5", f"No such route: {next_hop}"))
    host = fixed["host"].strip("[]").lower()
    scheme, port = fixed["scheme"], int(fixed["port"])
    addresses = _known_addresses(host)
    secure, alias = False, ""
    if not addresses:
        addresses, secure, alias = yield from _addresses(host)
    return (Target(host, addresses, port, scheme == "smtps", scheme == "lmtp", "", secure, alias, vouched=True),)


def _by_mx(domain: str, ourselves: frozenset[str], shuffle: Shuffle | None) -> Evaluation[MailHosts]:
    if domain in ourselves or domain == "localhost":
        raise Unroutable(reply(554, "5.4.6", f"Mail for {domain} loops back to this host"))
    found = yield from mail_hosts(domain, shuffle, ourselves)
    if isinstance(found, NoMailHosts):
        raise Unroutable(found.reply)
    return found


def _known_addresses(host: str) -> tuple[str, ...]:
    """The addresses that need no DNS."""
    if host == "localhost":
        return LOOPBACK
    try:
        return (str(ipaddress.ip_address(host.removeprefix("ipv6:"))),)
    except ValueError:
        return ()


def _addresses(host: str) -> Evaluation[tuple[tuple[str, ...], bool, str]]:
    """The addresses of a host that the settings name, whether they were validated, and the name that they belong to
    where it is another. What is wrong with such a host is wrong here, so it is never final."""
    answers = yield (Question(host, "AAAA"), Question(host, "A"))
    addresses = [address for answer in answers if answer.status is Status.FOUND for address in answer.records]
    if not addresses:
        failed = any(answer.status is Status.FAILED for answer in answers)
        raise Unroutable(
            reply(451, "4.4.3", f"DNS lookup for {host} failed")
            if failed
            else reply(450, "4.4.4", f"Host {host} has no address")
        )
    return tuple(addresses), *security(answers)
