"""The settings as the parts that the server and the commands are made of."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.config.check import EVERYBODY, local_part_of
from purport.config.load import SettingsError, state_folder
from purport.config.schema import Credentials as CredentialsTable
from purport.config.schema import Domain, Settings
from purport.config.schema import Relay as RelayTable
from purport.delivery.pool import PoolSettings
from purport.delivery.route import MAILDIR, Routes
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import Level, TlsPolicy, TlsRules
from purport.dns.lookup import Resolver as DnsResolver
from purport.dns.zone import StaticResolver, read_zone
from purport.ledger.record import policy as recorded_policy
from purport.mail.address import normal_local_part
from purport.mail.domain import a_label_form
from purport.net.certificates import CertificateError, CertificateFiles, Certificates
from purport.net.client_tls import ClientContexts
from purport.net.policy_host import PolicyHosts
from purport.net.resolver import Resolver
from purport.net.tls import problem_of
from purport.policy.dmarc import DmarcPolicy
from purport.policy.ownership import ALWAYS, Owners, Ownership
from purport.policy.policy import Policy
from purport.policy.priority import PriorityPolicy
from purport.policy.queue_start import Grant
from purport.policy.relaying import Networks, Relaying
from purport.policy.submission import SubmissionPolicy
from purport.policy.submitter import SubmitterPolicy
from purport.queue.schedule import Schedule
from purport.service.holding import HoldingLimits
from purport.service.login import LoginDesk
from purport.service.relay import Front, Patience
from purport.smtp.extensions import ALL
from purport.smtp.extensions.submitter import EXTENSION as SUBMITTER
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.keys import read_keys
from purport.smtp.sasl.saslprep import saslprep
from purport.smtp.server import Profile
from purport.users.authenticator import Authenticator, prepared_user
from purport.users.dovecot import DovecotAuth
from purport.users.guard import GuardLimits
from purport.users.password import Hasher, Secret, Threads
from purport.users.tokens import Tokens, TokenSettings

OUR_MAILBOXES: Final = frozenset(("postmaster", "mailer-daemon"))  # at our own hostname (RFC 5321 section 4.5.1)


def make_resolver(path: Path, settings: Settings) -> Resolver | StaticResolver:
    """Who answers questions. Raises ValueError or OSError for a zone file that is none."""
    dns = settings.dns
    if dns.zone:
        return read_zone((path.parent / dns.zone).read_bytes())
    return Resolver(dns.servers or None, timeout=dns.timeout, cache_size=dns.cache_entries, trust_ad=dns.trust_ad)


def make_policy(settings: Settings) -> Policy:
    """What is asked of a transaction."""
    domains: dict[str, frozenset[str] | None] = {settings.hostname.lower(): OUR_MAILBOXES}
    for domain in settings.domain:
        mailboxes = domain.mailboxes
        domains[a_label_form(domain.name).lower()] = (
            None if mailboxes is None else frozenset(normal_local_part(local_part_of(name)) for name in mailboxes)
        )
    submitter = settings.submitter
    return Policy(
        settings.hostname,
        SubmitterPolicy(
            submitter.offer,
            submitter.check_pra,
            submitter.reject_at,
            submitter.on_temperror,
            submitter.local_part_case,
        ),
        settings.spf.on_fail,
        settings.spf.check_helo,
        settings.spf.received_spf,
        DmarcPolicy(settings.dmarc.on_fail, settings.dmarc.on_temperror),
        Relaying(domains, Networks(settings.relay.networks)),
        ownership=make_ownership(settings),
        submission=SubmissionPolicy(settings.submission.author, domains),
    )


def make_ownership(settings: Settings) -> Ownership:
    """Since when mailboxes belong to their owners: of domains that are delivered here, or that something is said of."""
    owners = {settings.hostname.lower(): Owners(others=ALWAYS)}
    for domain in settings.domain:
        if domain.deliver == MAILDIR or domain.since or domain.domain_since is not None:
            owners[a_label_form(domain.name).lower()] = owners_of(domain)
    return owners


def owners_of(domain: Domain) -> Owners:
    """Those of one domain. A moment at 1970 or before stands for a mailbox that never had another owner: whatever is
    asked, it passes (RFC 7293 section 9)."""
    moments = {name: moment.timestamp() for name, moment in domain.since.items()}
    held = {name: ALWAYS if moment <= 0 else moment for name, moment in moments.items()}
    others = held.pop(EVERYBODY, None)
    return Owners(
        {normal_local_part(local_part_of(name)): moment for name, moment in held.items()},
        others,
        ALWAYS if domain.domain_since is None else domain.domain_since.timestamp(),
        domain.deliver == MAILDIR,
    )


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


def make_certificates(path: Path, settings: Settings) -> Certificates | None:
    """What we prove our names with; None without any. Raises SettingsError."""
    files = [
        CertificateFiles(path.parent / one.chain, path.parent / (one.key or one.chain)) for one in settings.certificate
    ]
    if not files:
        return None
    try:
        return Certificates(files, min_version=settings.tls.min_version, ciphers=settings.tls.ciphers)
    except CertificateError as error:
        raise SettingsError(str(error.path), 0, "", error.problem) from error


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


def make_pool_settings(settings: Settings) -> PoolSettings:
    """How mail goes to other hosts."""
    return PoolSettings(
        per_destination=settings.relay.concurrency,
        field_domains=frozenset(a_label_form(domain).lower() for domain in settings.relay.rrvs_field),
    )


def make_authenticator(
    path: Path, settings: Settings, threads: Threads, pepper: bytes, warn: Callable[[str], None]
) -> Authenticator:
    """Who may log in. Raises OSError and ValueError for a file that cannot be used."""
    users = {}
    for entry in settings.user:
        keys = read_keys(entry.scram) if entry.scram else None
        user = prepared_user(
            entry.name, Secret(entry.password, entry.password_hash or None, keys), tuple(entry.addresses)
        )
        users[user.name] = user
    oauth = settings.oauth
    tokens = TokenSettings(
        oauth.jwks if not oauth.jwks or "://" in oauth.jwks else str(path.parent / oauth.jwks),
        oauth.introspection,
        oauth.client_id,
        oauth.client_secret or secret_in(path, oauth.client_secret_file),
        oauth.issuer,
        oauth.audience,
        oauth.scope,
        oauth.claim,
    )
    return Authenticator(
        users=users,
        file=path.parent / settings.users.file if settings.users.file else None,
        dovecot=DovecotAuth(settings.users.dovecot) if settings.users.dovecot else None,
        tokens=Tokens(tokens, time.time) if tokens.jwks or tokens.introspection else None,
        allowed=tuple(name.upper() for name in settings.auth.mechanisms),
        pepper=pepper,
        domain=settings.domain[0].name if settings.domain else "",
        hasher=Hasher(),
        threads=threads,
        warn=warn,
    )


def make_guard_limits(settings: Settings) -> GuardLimits:
    """How much guessing of passwords is borne with."""
    auth = settings.auth
    return GuardLimits(auth.window, auth.failures_per_client, auth.failures_per_login, auth.delay, auth.max_delay)


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


def secret_in(path: Path, name: str) -> str:
    """The first line of a file that the settings name, or nothing where they name none. Raises OSError and
    ValueError."""
    if not name:
        return ""
    lines = (path.parent / name).read_text(encoding="utf-8").splitlines()
    if not lines or not lines[0]:
        raise ValueError(f"{path.parent / name}: holds no password")
    return lines[0]


def make_front(
    settings: Settings,
    number: int,
    certificates: Certificates | None = None,
    desk: LoginDesk | None = None,
    signer: Signer = NO_SIGNER,
) -> Front:
    """What the connections of one listener share; `desk` is where they log in, `signer` has our keys."""
    limits = settings.limits
    listener = settings.listener[number]
    withheld = {keyword.upper() for keyword in listener.discard_ehlo_keywords}
    if not settings.submitter.offer:
        withheld.add(SUBMITTER.keyword)
    trusted = Networks(listener.xclient)
    policy = make_policy(settings)
    tls = None if listener.tls == "none" else certificates
    if listener.service != "submission" and not listener.auth:
        desk = None
    return Front(
        profile=Profile(
            settings.hostname,
            tuple(extension for extension in ALL if extension.keyword not in withheld),
            message_octets=limits.message_size,
            recipients=limits.recipients,
            errors=limits.errors,
            starttls=tls is not None and listener.tls != "implicit",
            tls_required=listener.tls == "require",
            least_by_time=settings.queue.least_by_time,
            service=listener.service,
            hold_seconds=int(settings.future_release.max_seconds),
            priority_policy=settings.priority.policy,
            mechanisms=desk.authenticator.mechanisms if desk is not None else (),
            auth_without_tls=listener.auth_without_tls,
        ),
        policy=policy,
        recorded=recorded_policy(policy),
        patience=Patience(limits.command_seconds, limits.data_seconds),
        trusts=trusted.__contains__,
        proxied=Networks(listener.proxy_protocol).__contains__,
        certificate=lambda: None if tls is None else tls.context,
        tls_first=listener.tls == "implicit",
        next_hop=make_routes(settings).next_hop,
        lifetime=settings.queue.lifetime,
        hold=settings.queue.hold,
        priority=PriorityPolicy(
            policy.relaying.networks, Networks(settings.priority.networks), settings.priority.highest
        ),
        holding=HoldingLimits(settings.future_release.per_sender, settings.future_release.total),
        etrn=make_grants(settings),
        desk=desk,
        signer=signer if settings.dkim_sign.submission else NO_SIGNER,
        takes_mail=listener.takes_mail,
    )


def make_grants(settings: Settings) -> tuple[Grant, ...]:
    """Who may start the delivery of what waits for which domains."""
    return tuple(
        Grant(
            Networks(table.networks),
            frozenset(a_label_form(domain).lower() for domain in table.domains),
            table.queue,
            table.seconds,
        )
        for table in settings.etrn
    )
