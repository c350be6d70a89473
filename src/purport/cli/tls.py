"""`purport tls`: how mail on its way to a domain would be protected."""

from __future__ import annotations

import asyncio
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import (
    EX_CONFIG,
    EX_TEMPFAIL,
    EX_UNAVAILABLE,
    EX_USAGE,
    Failure,
    config_option,
    settings_if_any,
    zone_option,
)
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.delivery.route import Unroutable
    from purport.delivery.survey import HostSurvey, Tried
    from purport.dns.lookup import Resolver
    from purport.smtp.extensions.requiretls import Demand

SECONDS: Final = 30.0  # for all DNS questions, and for each connection
SMTP_PORT: Final = 25


@click.group("tls")
def command() -> None:
    """Look at how mail on its way to other hosts is protected."""


@command.command("check")
@click.argument("domain")
@click.option("--connect", is_flag=True, help="Connect to each address, begin TLS, and say what came of it.")
@click.option("--require-tls", is_flag=True, help="As for a message with REQUIRETLS.")
@click.option("--port", type=click.IntRange(1, 65535), default=SMTP_PORT, show_default=True, help="Of MX hosts.")
@zone_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@config_option
def check(
    domain: str, connect: bool, require_tls: bool, port: int, zone: str | None, as_json: bool, config: str | None
) -> None:
    """Tell what a connection to each mail host of DOMAIN has to have, and who asks for it: the settings, TLSA records
    (DANE), an MTA-STS policy, or the message. Exits with 69 where some host cannot get mail as things are, 75 where
    the DNS could not be asked."""
    from purport.delivery.route import MAILDIR, Routes, Unroutable
    from purport.mail.domain import a_label_form
    from purport.parts.sending import make_routes
    from purport.smtp.extensions.requiretls import Demand

    try:
        domain = a_label_form(domain.rstrip(".")).lower()
    except ValueError as error:
        raise Failure(f"{safe(domain)} is no domain name", EX_USAGE) from error
    settings = settings_if_any(config)
    next_hop = (Routes("") if settings is None else make_routes(settings[1])).next_hop(domain)
    if next_hop == MAILDIR:
        raise Failure(f"mail for {domain} is delivered here", EX_USAGE)
    demand = Demand.REQUIRE_TLS if require_tls else Demand.NOTHING
    try:
        hosts, notes = asyncio.run(looked(next_hop, settings, zone, demand, port, connect=connect))
    except Unroutable as unroutable:
        raise no_host(unroutable) from None
    for note in notes:
        click.echo(f"note: {safe(note)}", err=True)
    if as_json:
        click.echo(json.dumps({"domain": domain, "next_hop": next_hop, "hosts": [as_object(host) for host in hosts]}))
    else:
        for host in hosts:
            show(host)
    if not all(host.good for host in hosts):
        raise click.exceptions.Exit(EX_UNAVAILABLE)


def no_host(unroutable: Unroutable) -> Failure:
    """What it means that there is no host to look at."""
    return Failure(str(unroutable.reply), EX_TEMPFAIL if unroutable.reply.transient else EX_UNAVAILABLE)


async def looked(
    next_hop: str, settings: tuple[Path, Settings] | None, zone: str | None, demand: Demand, port: int, *, connect: bool
) -> tuple[tuple[HostSurvey, ...], list[str]]:
    """The hosts, and what was noticed on the way. Raises Unroutable and Failure."""
    from purport.cli.dns import resolver_of
    from purport.delivery.sts_cache import StsPolicies
    from purport.delivery.survey import survey
    from purport.delivery.tls_choice import TlsChoice
    from purport.delivery.tls_policy import NO_TLS_RULES
    from purport.net.policy_host import PolicyHosts
    from purport.net.resolver import Resolver as NetworkResolver
    from purport.parts.sending import make_policy_hosts, make_tls_rules

    asked = resolver_of(zone, settings)
    resolver: Resolver = asked.within(SECONDS) if isinstance(asked, NetworkResolver) else asked
    notes: list[str] = []
    said = None if settings is None else settings[1]
    dane = said is None or said.relay.dane
    if dane and isinstance(asked, NetworkResolver) and not asked.believed:
        notes.append("no resolver is believed that it validated an answer (dns.trust_ad): DANE does not apply")
    rules = NO_TLS_RULES if said is None else make_tls_rules(said)
    policy_hosts = PolicyHosts(resolver) if settings is None else make_policy_hosts(*settings, resolver)
    with tempfile.TemporaryDirectory() as folder:  # what the server keeps is its own
        sts = StsPolicies(Path(folder), resolver, policy_hosts.fetch, warn=notes.append, wait=2 * SECONDS)
        choice = TlsChoice(rules, resolver, dane=dane, sts=sts if said is None or said.relay.mta_sts else None)
        hosts = await survey(next_hop, resolver, choice, demand, port=port, secret=logs_in(said, next_hop))
        sts.close()
    if connect:
        hosts = await called(hosts, settings)
    if isinstance(asked, NetworkResolver):
        asked.close()
    return hosts, notes


async def called(hosts: tuple[HostSurvey, ...], settings: tuple[Path, Settings] | None) -> tuple[HostSurvey, ...]:
    """The hosts with what became of connections to them. Raises Failure."""
    from purport.cli.send import our_name
    from purport.config.load import SettingsError
    from purport.delivery.patience import Patience
    from purport.delivery.survey import call
    from purport.net.client_tls import ClientContexts
    from purport.parts.sending import make_client_contexts

    try:
        contexts = ClientContexts() if settings is None else make_client_contexts(*settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error
    name = our_name() if settings is None else settings[1].hostname
    return tuple([await call(host, name, contexts, Patience(connect=SECONDS)) for host in hosts])


def logs_in(settings: Settings | None, next_hop: str) -> bool:
    """Whether we tell a next hop a password under TLS."""
    if settings is None:
        return False
    relay = settings.relay
    logins = [(one.next_hop, one.auth_without_tls) for one in settings.credentials]
    if relay.user:
        logins.append((relay.default, relay.auth_without_tls))
    return (next_hop, False) in logins


def as_object(host: HostSurvey) -> dict[str, object]:
    """A host with the names of the JSON output."""
    target, policy = host.target, host.policy
    return {
        "host": target.host,
        "port": target.port,
        "addresses": list(target.addresses),
        "addresses_validated": target.secure,
        "vouched": target.vouched,
        "level": None if policy is None else policy.level.name.lower(),
        "source": None if policy is None else policy.source,
        "why": "" if policy is None else policy.why,
        "names": [] if policy is None else list(policy.names),
        "tlsa": [] if policy is None else [str(record) for record in policy.tlsa],
        "problem": host.problem,
        "connections": [asdict(one) for one in host.tried],
    }


def show(host: HostSurvey) -> None:
    """A host as text."""
    target, policy = host.target, host.policy
    secure = ", validated" if target.secure else ""
    click.echo(f"{target.host}:{target.port} ({', '.join(target.addresses)}{secure})")
    if policy is None:
        click.echo(f"  not used: {safe(host.problem)}")
    else:
        click.echo(f"  {safe(policy.told) or policy.level.name.lower()}")
        if not target.vouched:
            click.echo("  its MX record is not validated")
    for one in host.tried:
        click.echo(f"  {one.address}: {safe(told(one))}")


def told(tried: Tried) -> str:
    """What became of a connection."""
    if tried.problem:
        return tried.problem
    if tried.fallback:
        return f"less than that, as may be: {tried.fallback}"
    return (tried.tls or "in clear") + (", offers REQUIRETLS" if tried.requiretls else "")
