"""How mail goes to other hosts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from purport.config.load import SettingsError, state_folder
from purport.config.schema import Settings
from purport.config.tables.sending import Credentials as CredentialsTable
from purport.config.tables.sending import Relay as RelayTable
from purport.delivery.pool import PoolSettings
from purport.delivery.route import Routes
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import Level, TlsPolicy, TlsRules
from purport.dns.lookup import Resolver as DnsResolver
from purport.dns.zone import StaticResolver
from purport.mail.domain import a_label_form
from purport.net.client_tls import ClientContexts
from purport.net.policy_host import PolicyHosts
from purport.net.resolver import Resolver
from purport.net.tls import problem_of
from purport.parts.secret import secret_in
from purport.queue.schedule import Schedule
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.saslprep import saslprep


def make_routes(settings: Settings) -> Routes:
    """Where mail goes."""
    domains = {settings.hostname.lower(): "maildir"}
    domains.update({a_label_form(domain.name).lower(): domain.deliver for domain in settings.domain})
    return Routes(settings.hostname, domains, settings.relay.default)


def make_schedule(settings: Settings) -> Schedule:
    """When mail is tried again."""
    queue = settings.queue
    return Schedule(
        min_backoff=queue.min_backoff,
        max_backoff=queue.max_backoff,
        lifetime=queue.lifetime,
        warn_after=queue.warn_after,
    )


def make_pool_settings(settings: Settings) -> PoolSettings:
    """How mail goes to other hosts."""
    return PoolSettings(
        per_destination=settings.relay.concurrency,
        sources=tuple(settings.relay.source),
        field_domains=frozenset(a_label_form(domain).lower() for domain in settings.relay.rrvs_field),
    )


def make_credentials(path: Path, settings: Settings) -> dict[str, Credentials]:
    """Our logins, by next hop. Raises OSError for a password's file that cannot be read."""
    relay = settings.relay
    found: list[tuple[str, RelayTable | CredentialsTable]] = [(one.next_hop, one) for one in settings.credentials]
    if relay.user:
        found.append((relay.default, relay))
    return {
        next_hop: Credentials(
            saslprep(one.user),
            saslprep(one.password or secret_in(path, one.password_file)),
            without_tls=one.auth_without_tls,
        )
        for next_hop, one in found
    }


def make_tls_rules(settings: Settings) -> TlsRules:
    """What is asked of connections to other hosts."""
    rules = {
        a_label_form(domain).lower(): TlsPolicy(Level[table.level.upper()], tuple(map(str.lower, table.names)))
        for table in settings.tls_policy
        for domain in table.domains
    }
    default = settings.relay.tls
    if default is None:
        return TlsRules(by_name=rules)
    return TlsRules(TlsPolicy(Level[default.upper()]), rules)


def make_client_contexts(path: Path, settings: Settings) -> ClientContexts:
    """What TLS to other hosts needs. Raises SettingsError where the authorities cannot be read."""
    authorities = path.parent / settings.relay.authorities if settings.relay.authorities else None
    try:
        return ClientContexts(authorities)
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(str(authorities), 0, "relay.authorities", problem_of(error)) from error


def make_sts_policies(
    path: Path,
    settings: Settings,
    resolver: Resolver | StaticResolver,
    *,
    warn: Callable[[str], None],
    report: Callable[[TlsOutcome], None],
) -> StsPolicies | None:
    """Where the MTA-STS policies of domains are found; None where nobody asks for them. Raises SettingsError where the
    authorities cannot be read."""
    if not settings.relay.mta_sts:
        return None
    hosts = make_policy_hosts(path, settings, resolver)
    return StsPolicies(state_folder(path, settings) / "mta-sts", resolver, hosts.fetch, warn=warn, report=report)


def make_policy_hosts(path: Path, settings: Settings, resolver: DnsResolver) -> PolicyHosts:
    """Who fetches MTA-STS policies. Raises SettingsError where the authorities cannot be read."""
    if not settings.relay.authorities:
        return PolicyHosts(resolver)
    authorities = path.parent / settings.relay.authorities
    try:
        return PolicyHosts(resolver, context=ssl.create_default_context(cafile=authorities))
    except OSError as error:  # ssl.SSLError is one
        raise SettingsError(str(authorities), 0, "relay.authorities", problem_of(error)) from error
