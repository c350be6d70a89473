"""What the types cannot say about mail that goes on: names, addresses, domains."""

from __future__ import annotations

import ipaddress

from purport.config.lines import Path
from purport.config.schema import Settings
from purport.config.tables.domains import Domain
from purport.config.wrong import Wrong
from purport.forwarding.aliases import address_in
from purport.mail.address import parse_mailbox
from purport.mail.domain import is_domain_name


def check_forwards(settings: Settings) -> None:
    """Look at everything that has to do with forwarding. Raises Wrong."""
    for number, domain in enumerate(settings.domain):
        _check_domain(("domain", number), domain)
    for number, listener in enumerate(settings.listener):
        if listener.guest:
            _check_address(("listener", number, "guest"), listener.guest)
    for number, address in enumerate(settings.forwarding.addresses):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            raise Wrong(("forwarding", "addresses", number), f"{address!a} is no IP address") from None
    name = settings.forwarding.srs_domain
    if name and not is_domain_name(name):
        raise Wrong(("forwarding", "srs_domain"), f"{name!a} is no domain name")


def _check_domain(path: Path, domain: Domain) -> None:
    for name, targets in domain.forwards.items():
        try:
            parse_mailbox(f"{name}@domain.example", utf8=True)
        except ValueError:
            raise Wrong((*path, "forwards", name), f"{name!a} is no local part") from None
        for number, target in enumerate(targets):
            try:
                address_in(target)
            except ValueError as error:
                where: Path = (*path, "forwards", name)
                raise Wrong(where, f"address {number + 1}: {error}", 'such as "carol@elsewhere.example"') from None
    if domain.forward_command and not domain.forward_command[0].startswith("/"):
        raise Wrong((*path, "forward_command"), f"{domain.forward_command[0]!a} is no absolute path")


def _check_address(path: Path, address: str) -> None:
    try:
        parse_mailbox(address, utf8=True)
    except ValueError:
        raise Wrong(path, f"{address!a} is no address") from None
