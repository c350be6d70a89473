"""What the types cannot say about on-demand mail relay (RFC 2645), as a provider and as a customer."""

from __future__ import annotations

from typing import Final

from purport.config.lines import Path
from purport.config.places import parse_bind
from purport.config.schema import Settings
from purport.config.wrong import Wrong
from purport.mail.domain import a_label_form, normal_domain
from purport.smtp.extensions.atrn import EXTENSION as ATRN
from purport.smtp.extensions.atrn import PORT
from purport.smtp.sasl.saslprep import saslprep

ODMR: Final = "odmr"  # the service, and what such domains are delivered by


def provider_of(host: str) -> tuple[str, int]:
    """Host and port of a provider as the settings name it. Raises ValueError."""
    return parse_bind(f"{host}:{PORT}" if ":" not in host or host.endswith("]") else host)


def check_odmr(settings: Settings) -> None:
    """Look at who comes for what, and at what is fetched. Raises Wrong."""
    for number, listener in enumerate(settings.listener):
        withheld = {keyword.upper() for keyword in listener.discard_ehlo_keywords}
        if listener.service == ODMR and ATRN.keyword in withheld:
            raise Wrong(("listener", number, "discard_ehlo_keywords"), "on-demand mail relay cannot do without ATRN")
    ours = {a_label_form(domain.name).lower(): domain.deliver for domain in settings.domain}
    for number, table in enumerate(settings.odmr):
        _check_user(("odmr", number, "user"), table.user)
        for place, domain in enumerate(_names(("odmr", number, "domains"), table.domains)):
            if ours.get(domain) != ODMR:
                right = f'add a [[domain]] with name = "{domain}" and deliver = "{ODMR}"'
                raise Wrong(("odmr", number, "domains", place), f"mail for {domain} does not wait here", right)
    granted = {normal_domain(domain) for table in settings.odmr for domain in table.domains}
    for number, found in enumerate(settings.domain):
        if found.deliver == ODMR and a_label_form(found.name).lower() not in granted:
            right = "name it in the domains of an [[odmr]] table"
            raise Wrong(("domain", number, "deliver"), "nobody may come for its mail", right)
    for number, one in enumerate(settings.fetch):
        try:
            provider_of(one.host)
        except ValueError:
            raise Wrong(("fetch", number, "host"), f"{one.host!a} is not HOST:PORT") from None
        _check_user(("fetch", number, "user"), one.user)
        for place, domain in enumerate(_names(("fetch", number, "domains"), one.domains)):
            if domain not in ours:
                raise Wrong(("fetch", number, "domains", place), f"{domain} is none of ours", "add a [[domain]] table")


def _check_user(path: Path, user: str) -> None:
    try:
        saslprep(user)
    except ValueError as error:
        raise Wrong(path, f"cannot log in with that: {error}") from None


def _names(path: Path, domains: list[str]) -> list[str]:
    """The domains as A-labels. Raises Wrong."""
    found: list[str] = []
    for number, domain in enumerate(domains):
        try:
            found.append(a_label_form(domain).lower())
        except ValueError:
            raise Wrong((*path, number), f"{domain!a} is no domain name") from None
    return found
