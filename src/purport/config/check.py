"""What the types of the settings cannot say: names, addresses, networks, and what goes together with what."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from purport.config.forwards import check_forwards
from purport.config.lines import Path
from purport.config.logins import check_logins
from purport.config.odmr import check_odmr
from purport.config.places import is_host, is_port, parse_bind
from purport.config.schema import Settings
from purport.config.wrong import Wrong
from purport.mail.address import parse_forward_path, parse_mailbox
from purport.mail.domain import a_label_form, is_domain_name
from purport.smtp.extensions import ALL
from purport.smtp.extensions.etrn import QUEUE

ROUTES: Final = ("smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx")
FIXED: Final = re.compile(r"(?:smtps?|lmtp):(?:\[(?P<literal>[^\[\]]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")
SOCKET: Final = re.compile(r"lmtp:unix:/[!-~]+")
AUTHSERV_ID: Final = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,253}[A-Za-z0-9_])?")
EVERYBODY: Final = "*"  # in a table by local parts: all that are not named

SMTP_PORT: Final = 25
PROCESSES: Final = 1  # one process serves all listeners


def check(settings: Settings) -> None:
    """Look at the whole file. Raises Wrong at the first thing that is."""
    if not is_domain_name(settings.hostname) or "." not in settings.hostname:
        raise Wrong(("hostname",), f"{_quoted(settings.hostname)} is no full host name", 'such as "mx.example.com"')
    if settings.workers != PROCESSES:
        raise Wrong(("workers",), f"must be {PROCESSES}: this release serves with one process")
    _check_servers(settings.dns.servers)
    _check_domains(settings)
    _check_listeners(settings)
    _check_route(("relay", "default"), settings.relay.default, ROUTES)
    _check_networks(("relay", "networks"), settings.relay.networks)
    _check_sources(settings.relay.source)
    for number, policy in enumerate(settings.tls_policy):
        _check_names(("tls_policy", number, "domains"), policy.domains)
        _check_names(("tls_policy", number, "names"), [name.removeprefix(".") for name in policy.names])
        if policy.names and policy.level != "verify":
            raise Wrong(("tls_policy", number, "names"), f"are not looked at with level {policy.level}")
    _check_names(("relay", "rrvs_field"), settings.relay.rrvs_field)
    for number, table in enumerate(settings.etrn):
        _check_networks(("etrn", number, "networks"), table.networks)
        _check_names(("etrn", number, "domains"), table.domains)
        if table.queue and QUEUE.fullmatch(table.queue) is None:
            raise Wrong(("etrn", number, "queue"), f"{_quoted(table.queue)} is no name", 'such as "branches"')
    _check_networks(("priority", "networks"), settings.priority.networks)
    _check_networks(("trusted_hops", "networks"), settings.trusted_hops.networks)
    said = settings.authentication_results
    if said.id:
        _check_authserv_id(("authentication_results", "id"), said.id)
    for number, alias in enumerate(said.aliases):
        _check_authserv_id(("authentication_results", "aliases", number), alias)
    for name, reports in (("tls_report", settings.tls_report), ("dmarc_report", settings.dmarc_report)):
        _check_address((name, "contact"), reports.contact)
        _check_address((name, "from"), reports.from_)
    _check_names(("dmarc", "trusted_sealers"), settings.dmarc.trusted_sealers)
    check_logins(settings)
    check_forwards(settings)
    check_odmr(settings)
    if settings.queue.max_backoff < settings.queue.min_backoff:
        raise Wrong(("queue", "max_backoff"), "is less than min_backoff")


def _check_servers(servers: list[str]) -> None:
    for number, server in enumerate(servers):
        try:
            ipaddress.ip_address(server)
            continue
        except ValueError:
            pass
        try:
            host, _ = parse_bind(server)
            ipaddress.ip_address(host)
        except ValueError as error:
            right = 'such as "192.0.2.1", "127.0.0.1:5353" or "[::1]:5353"'
            raise Wrong(("dns", "servers", number), f"{_quoted(server)} is no address", right) from error


def _check_domains(settings: Settings) -> None:
    seen: dict[str, int] = {}
    for number, domain in enumerate(settings.domain):
        where = ("domain", number, "name")
        try:
            name = a_label_form(domain.name).lower()
        except ValueError as error:
            raise Wrong(where, f"{_quoted(domain.name)} is no domain name") from error
        if name in seen:
            raise Wrong(where, f"{_quoted(domain.name)} is domain[{seen[name]}] already")
        seen[name] = number
        _check_mailboxes(("domain", number, "mailboxes"), domain.mailboxes or [])
        _check_route(("domain", number, "deliver"), domain.deliver, ("maildir", "odmr", *ROUTES))
        _check_owners(("domain", number, "since"), [name for name in domain.since if name != EVERYBODY])


def _check_sources(addresses: list[str]) -> None:
    families: set[int] = set()
    for number, address in enumerate(addresses):
        try:
            family = ipaddress.ip_address(address).version
        except ValueError as error:
            raise Wrong(("relay", "source", number), f"{_quoted(address)} is no IP address") from error
        if family in families:
            raise Wrong(("relay", "source", number), f"there is one of IPv{family} already")
        families.add(family)


def _check_names(path: Path, domains: list[str]) -> None:
    for number, domain in enumerate(domains):
        try:
            a_label_form(domain)
        except ValueError as error:
            raise Wrong((*path, number), f"{_quoted(domain)} is no domain name") from error


def _check_authserv_id(path: Path, name: str) -> None:
    """A name that every reader takes for one word: RFC 8601 section 2.5 leaves its form open."""
    if AUTHSERV_ID.fullmatch(name) is None:
        raise Wrong(path, f"{_quoted(name)} is no name", 'such as "mx.example.com"')


def _check_address(path: Path, address: str) -> None:
    """An address that reports name: in ASCII, as every receiver has to understand it; or none."""
    if not address:
        return
    try:
        mailbox = parse_mailbox(address)
        usable = is_domain_name(mailbox.domain)
    except ValueError:
        usable = False
    if not usable:
        raise Wrong(path, f"{_quoted(address)} is no address", 'such as "postmaster@example.com"')


def _check_owners(path: Path, mailboxes: list[str]) -> None:
    for local_part in mailboxes:
        try:
            local_part_of(local_part)
        except ValueError:
            raise Wrong((*path, local_part), f"{_quoted(local_part)} is no local part") from None


def _check_mailboxes(path: Path, mailboxes: list[str]) -> None:
    for number, local_part in enumerate(mailboxes):
        try:
            local_part_of(local_part)
        except ValueError:
            hint = f'write "{local_part.partition("@")[0]}"' if "@" in local_part and local_part.isprintable() else ""
            raise Wrong((*path, number), f"{_quoted(local_part)} is no local part", hint) from None


def local_part_of(mailbox: str) -> str:
    """The local part that a mailbox of the settings names, written as before the @ of a forward-path: `"a b"` stands
    there with its quotes. Raises ValueError where it is none."""
    found, rest = parse_forward_path(f"<{mailbox}@domain.example>".encode(), utf8=True)
    if rest or found.domain != "domain.example":
        raise ValueError("not a local part")
    return found.local_part


def _check_listeners(settings: Settings) -> None:
    seen: dict[tuple[str, int], str] = {}
    for number, listener in enumerate(settings.listener):
        for place, bind in enumerate(listener.bind):
            where = ("listener", number, "bind", place)
            try:
                found = parse_bind(bind)
            except ValueError as error:
                hint = f'such as "[::]:{bind[2:]}"' if bind[:2] == "*:" and is_port(bind[2:]) else 'such as "[::]:25"'
                raise Wrong(where, f"{_quoted(bind)} is not HOST:PORT", hint) from error
            if listener.service == "lmtp" and found[1] == SMTP_PORT:  # RFC 2033 section 5
                raise Wrong(where, "LMTP is not spoken on port 25", "such as 24")
            if found in seen:
                raise Wrong(where, f"{_quoted(bind)} is taken by {seen[found]}")
            seen[found] = f"listener[{number}]"
        if listener.tls in ("require", "implicit") and not settings.certificate:
            raise Wrong(("listener", number, "tls"), "needs a certificate", "add a [[certificate]] table")
        if listener.tls == "implicit" and not listener.takes_mail:
            raise Wrong(("listener", number, "takes_mail"), 'is said in clear, so not with tls = "implicit"')
        _check_networks(("listener", number, "xclient"), listener.xclient)
        _check_networks(("listener", number, "proxy_protocol"), listener.proxy_protocol)
        _check_keywords(("listener", number, "discard_ehlo_keywords"), listener.discard_ehlo_keywords)


def _check_keywords(path: Path, keywords: list[str]) -> None:
    known = [extension.keyword for extension in ALL]
    for number, keyword in enumerate(keywords):
        if keyword.upper() not in known:
            raise Wrong((*path, number), f"{_quoted(keyword)} is none of ours", "one of " + ", ".join(known))


def _check_route(path: Path, route: str, forms: tuple[str, ...]) -> None:
    if (route in forms and ":" not in route) or SOCKET.fullmatch(route) is not None:
        return
    found = FIXED.fullmatch(route)
    if found is None or not is_port(found["port"]) or not _is_next_hop(found["literal"], found["host"]):
        raise Wrong(path, f"{_quoted(route)} is none of " + ", ".join(f'"{form}"' for form in forms))


def _is_next_hop(literal: str | None, host: str | None) -> bool:
    if literal is None:
        return is_host(host or "")
    try:
        ipaddress.ip_address(literal.lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return True


def _check_networks(path: Path, networks: list[str]) -> None:
    for number, network in enumerate(networks):
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            right = 'such as "192.0.2.0/24" or "2001:db8::/32"'
            raise Wrong((*path, number), f"{_quoted(network)} is no network", right) from error


def _quoted(text: str) -> str:
    text = text if len(text) <= 80 else f"{text[:80]}..."
    return f'"{text}"' if text.isprintable() else ascii(text)
