"""The settings as the parts that the server and the commands are made of."""

from __future__ import annotations

import dataclasses
import os
import secrets
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.authentication.true_client import TrustedHops
from purport.config.check import EVERYBODY, local_part_of
from purport.config.load import SettingsError, state_folder
from purport.config.odmr import provider_of
from purport.config.schema import Credentials as CredentialsTable
from purport.config.schema import Domain, Listener, ReportTable, Settings
from purport.config.schema import Relay as RelayTable
from purport.delivery.pool import PoolSettings
from purport.delivery.route import MAILDIR, Routes
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import Level, TlsPolicy, TlsRules
from purport.dns.lookup import Resolver as DnsResolver
from purport.dns.zone import StaticResolver, read_zone
from purport.forwarding.aliases import address_in
from purport.forwarding.expansion import Forwards, leads_somewhere
from purport.forwarding.srs import Srs
from purport.ledger.record import policy as recorded_policy
from purport.mail.address import Mailbox, normal_local_part, parse_mailbox
from purport.mail.domain import a_label_form, normal_domain
from purport.net.certificates import CertificateError, CertificateFiles, Certificates
from purport.net.client_tls import ClientContexts
from purport.net.policy_host import PolicyHosts
from purport.net.resolver import Resolver
from purport.net.tls import problem_of
from purport.policy.dmarc import DmarcPolicy
from purport.policy.on_demand import Customer
from purport.policy.ownership import ALWAYS, Owners, Ownership
from purport.policy.policy import Policy
from purport.policy.priority import PriorityPolicy
from purport.policy.queue_start import Grant
from purport.policy.relaying import Networks, Relaying
from purport.policy.submission import SubmissionPolicy
from purport.policy.submitter import SubmitterPolicy
from purport.queue.schedule import Schedule
from purport.reporting.submitter import Submitter
from purport.service.alias_files import WrongAliases, aliases_in
from purport.service.fetch import Source
from purport.service.forwarding import ForwardDesk
from purport.service.front import Front, Patience
from purport.service.holding import HoldingLimits
from purport.service.login import LoginDesk
from purport.service.lookup_command import LookupCommand
from purport.smtp.extensions import ALL
from purport.smtp.extensions.atrn import BESIDE as BESIDE_ATRN
from purport.smtp.extensions.atrn import EXTENSION as ATRN
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

SRS_SECRET: Final = "srs-secret"  # in state_dir
SRS_SECRET_OCTETS: Final = 24  # of chance, as text: more than the hash that it keys can show


def make_resolver(path: Path, settings: Settings) -> Resolver | StaticResolver:
    """Who answers questions. Raises ValueError or OSError for a zone file that is none."""
    dns = settings.dns
    if dns.zone:
        return read_zone((path.parent / dns.zone).read_bytes())
    return Resolver(dns.servers or None, timeout=dns.timeout, cache_size=dns.cache_entries, trust_ad=dns.trust_ad)


def make_policy(settings: Settings, forwards: Forwards | None = None) -> Policy:
    """What is asked of a transaction; `forwards`: mailboxes besides those of the settings, whose mail goes on."""
    domains = mailboxes_of(settings, forwards)
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
        submission=SubmissionPolicy(settings.submission.author, domains, settings.submission.sender_for_others),
        trusted_sealers=frozenset(map(normal_domain, settings.dmarc.trusted_sealers)),
        trusted_hops=TrustedHops(
            Networks(settings.trusted_hops.networks), tuple(map(normal_domain, settings.trusted_hops.names))
        ),
        results_id=settings.authentication_results.id,
        results_aliases=tuple(settings.authentication_results.aliases),
    )


def mailboxes_of(settings: Settings, forwards: Forwards | None = None) -> dict[str, frozenset[str] | None]:
    """The mailboxes of each domain that we receive for; None where every local part exists."""
    domains: dict[str, frozenset[str] | None] = {settings.hostname.lower(): OUR_MAILBOXES}
    for domain in settings.domain:
        name, mailboxes = a_label_form(domain.name).lower(), domain.mailboxes
        forwarded = frozenset[str]() if forwards is None else frozenset(forwards.entries.get(name, ()))
        domains[name] = (
            None
            if mailboxes is None
            else forwarded.union(normal_local_part(local_part_of(mailbox)) for mailbox in mailboxes)
        )
    return domains


def make_forwards(path: Path, settings: Settings) -> Forwards:
    """Where mail goes on to, by the settings and the alias files. Raises SettingsError."""
    entries: dict[str, dict[str, tuple[Mailbox, ...]]] = {}
    for domain in settings.domain:
        names: dict[str, tuple[Mailbox, ...]] = {}
        if domain.aliases:
            try:
                names |= aliases_in(path.parent / domain.aliases)
            except WrongAliases as error:
                raise SettingsError(str(path), 0, f"domain {domain.name}: aliases", str(error)) from error
        for name, targets in domain.forwards.items():
            names[normal_local_part(local_part_of(name))] = tuple([address_in(target) for target in targets])
        if names:
            entries[a_label_form(domain.name).lower()] = names
    asked = frozenset(a_label_form(domain.name).lower() for domain in settings.domain if domain.forward_command)
    forwards = Forwards(frozenset(mailboxes_of(settings)), entries, asked)
    exists = existing(settings, forwards)
    for owner in forwards.owners():
        if not leads_somewhere(forwards, owner, exists):
            problem = f"{owner} is to get the bounces of a list, but leads to no mailbox"
            raise SettingsError(str(path), 0, f"domain {owner.domain}: aliases", problem)
    return forwards


def make_forwarding(path: Path, settings: Settings) -> ForwardDesk | None:
    """What listeners know about mail that goes on; None where none does. Raises SettingsError."""
    forwards = make_forwards(path, settings)
    table = settings.forwarding
    if not forwards.entries and not forwards.asked and not table.srs_secret_file:
        return None
    return ForwardDesk(
        hostname=settings.hostname,
        forwards=forwards,
        srs=Srs(srs_secrets(path, settings), table.srs_separator, table.srs_days, table.srs_hash_length),
        ours=forwards.ours,
        srs_domain=table.srs_domain.lower(),
        repair=table.repair,
        addresses=tuple(table.addresses or settings.relay.source),
        dmarc_fail=table.dmarc_fail,
        commands={
            a_label_form(domain.name).lower(): LookupCommand(domain.forward_command, time.monotonic)
            for domain in settings.domain
            if domain.forward_command
        },
        exists=existing(settings, forwards),
    )


def known_srs(path: Path, settings: Settings) -> Srs | None:
    """What reads our SRS addresses, where there is a secret already. Raises SettingsError."""
    if not settings.forwarding.srs_secret_file and not (state_folder(path, settings) / SRS_SECRET).exists():
        return None
    table = settings.forwarding
    return Srs(srs_secrets(path, settings), table.srs_separator, table.srs_days, table.srs_hash_length)


def existing(settings: Settings, forwards: Forwards) -> Callable[[Mailbox], bool]:
    """Whether a mailbox of ours exists."""
    mailboxes = mailboxes_of(settings, forwards)

    def exists(mailbox: Mailbox) -> bool:
        names = mailboxes.get(normal_domain(mailbox.domain), frozenset())
        return names is None or normal_local_part(mailbox.local_part) in names | {"postmaster"}

    return exists


def srs_secrets(path: Path, settings: Settings) -> tuple[bytes, ...]:
    """The secrets of SRS addresses: those of the file that is named, else one of our own, made when it is first asked
    for. Raises SettingsError."""
    named = settings.forwarding.srs_secret_file
    place = path.parent / named if named else state_folder(path, settings) / SRS_SECRET
    try:
        if not named and not place.exists():
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{secrets.token_urlsafe(SRS_SECRET_OCTETS)}\n")
        found = tuple([line.strip() for line in place.read_bytes().splitlines() if line.strip()])
    except OSError as error:
        raise SettingsError(
            str(path), 0, "forwarding.srs_secret_file", f"{place}: {error.strerror or error}"
        ) from error
    if not found:
        raise SettingsError(str(path), 0, "forwarding.srs_secret_file", f"{place}: holds no secret")
    return found


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


def make_submitter(settings: Settings, table: ReportTable) -> Submitter:
    """Who sends the reports that one table of the settings is about."""
    contact = parse_mailbox(table.contact or f"postmaster@{settings.hostname}")
    sender = parse_mailbox(table.from_) if table.from_ else contact
    return Submitter(table.organization or settings.hostname, contact, sender)


def make_pool_settings(settings: Settings) -> PoolSettings:
    """How mail goes to other hosts."""
    return PoolSettings(
        per_destination=settings.relay.concurrency,
        sources=tuple(settings.relay.source),
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
    forwarding: ForwardDesk | None = None,
) -> Front:
    """What the connections of one listener share; `desk` is where they log in, `signer` has our keys, `forwarding` what
    is known about mail that goes on."""
    limits = settings.limits
    listener = settings.listener[number]
    withheld = {keyword.upper() for keyword in listener.discard_ehlo_keywords}
    if not settings.submitter.offer:
        withheld.add(SUBMITTER.keyword)
    trusted = Networks(listener.xclient)
    policy = make_policy(settings, None if forwarding is None else forwarding.forwards)
    on_demand = (*BESIDE_ATRN, ATRN.keyword)
    offered = [one for one in ALL if one.keyword in on_demand] if listener.service == "odmr" else ALL
    tls = None if listener.tls == "none" else certificates
    if listener.service not in ("submission", "odmr") and not listener.auth:
        desk = None
    return Front(
        profile=Profile(
            settings.hostname,
            tuple(extension for extension in offered if extension.keyword not in withheld),
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
        forwarding=forwarding,
        sealer=signer if settings.forwarding.seal else NO_SIGNER,
        guest=parse_mailbox(listener.guest, utf8=True) if listener.guest else None,
        client_names=settings.dns.client_names,
        takes_mail=listener.takes_mail,
        judged=listener.service == "lmtp",
        customers=make_customers(settings),
    )


def make_fetched_front(settings: Settings, forwarding: ForwardDesk | None = None) -> Front:
    """What the connections share over which providers give us our mail: each is a server of ours, as far as it brings
    what is for us; there is nothing else that it may do."""
    listener = Listener(bind=["fetch"], tls="none")
    front = make_front(msgspec.structs.replace(settings, listener=[listener]), 0, forwarding=forwarding)
    policy = dataclasses.replace(front.policy, relaying=dataclasses.replace(front.policy.relaying, networks=Networks()))
    return dataclasses.replace(front, policy=policy, recorded=recorded_policy(policy), judged=True, etrn=())


def make_customers(settings: Settings) -> tuple[Customer, ...]:
    """Whose hosts may come for which domains' mail."""
    return tuple(
        Customer(saslprep(table.user), frozenset(map(normal_domain, table.domains)), table.seconds)
        for table in settings.odmr
    )


def make_sources(path: Path, settings: Settings) -> tuple[Source, ...]:
    """Where mail for us is fetched. Raises OSError and ValueError for a password's file that cannot be used."""
    sources = []
    for table in settings.fetch:
        host, port = provider_of(table.host)
        literal = f"[{host}]" if ":" in host else host
        password = saslprep(secret_in(path, table.password_file))
        sources.append(
            Source(
                table.host,
                f"smtp:{literal}:{port}",
                Credentials(saslprep(table.user), password, without_tls=table.auth_without_tls),
                tuple(a_label_form(domain).lower() for domain in table.domains),
                table.every,
                Level[table.tls.upper()],
            )
        )
    return tuple(sources)


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
