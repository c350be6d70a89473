"""The settings as the parts that the server and the commands are made of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from purport.config.check import local_part_of
from purport.config.schema import Settings
from purport.delivery.route import Routes
from purport.dns.zone import StaticResolver, read_zone
from purport.ledger.record import policy as recorded_policy
from purport.mail.domain import a_label_form
from purport.net.resolver import Resolver
from purport.policy.policy import Policy
from purport.policy.priority import PriorityPolicy
from purport.policy.relaying import Networks, Relaying
from purport.policy.submitter import SubmitterPolicy
from purport.queue.schedule import Schedule
from purport.service.holding import HoldingLimits
from purport.service.relay import Front, Patience
from purport.smtp.extensions import ALL
from purport.smtp.extensions.submitter import EXTENSION as SUBMITTER
from purport.smtp.server import Profile

OUR_MAILBOXES: Final = frozenset(("postmaster", "mailer-daemon"))  # at our own hostname (RFC 5321 section 4.5.1)


def make_resolver(path: Path, settings: Settings) -> Resolver | StaticResolver:
    """Who answers questions. Raises ValueError or OSError for a zone file that is none."""
    dns = settings.dns
    if dns.zone:
        return read_zone((path.parent / dns.zone).read_bytes())
    return Resolver(dns.servers or None, timeout=dns.timeout, cache_size=dns.cache_entries)


def make_policy(settings: Settings) -> Policy:
    """What is asked of a transaction."""
    domains: dict[str, frozenset[str] | None] = {settings.hostname.lower(): OUR_MAILBOXES}
    for domain in settings.domain:
        mailboxes = domain.mailboxes
        domains[a_label_form(domain.name).lower()] = (
            None if mailboxes is None else frozenset(local_part_of(name).lower() for name in mailboxes)
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
        Relaying(domains, Networks(settings.relay.networks)),
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


def make_front(settings: Settings, number: int) -> Front:
    """What the connections of one listener share."""
    limits = settings.limits
    listener = settings.listener[number]
    withheld = {keyword.upper() for keyword in listener.discard_ehlo_keywords}
    if not settings.submitter.offer:
        withheld.add(SUBMITTER.keyword)
    trusted = Networks(listener.xclient)
    policy = make_policy(settings)
    return Front(
        profile=Profile(
            settings.hostname,
            tuple(extension for extension in ALL if extension.keyword not in withheld),
            message_octets=limits.message_size,
            recipients=limits.recipients,
            errors=limits.errors,
            service=listener.service,
            hold_seconds=int(settings.future_release.max_seconds),
            priority_policy=settings.priority.policy,
        ),
        policy=policy,
        recorded=recorded_policy(policy),
        patience=Patience(limits.command_seconds, limits.data_seconds),
        trusts=trusted.__contains__,
        proxied=Networks(listener.proxy_protocol).__contains__,
        next_hop=make_routes(settings).next_hop,
        lifetime=settings.queue.lifetime,
        hold=settings.queue.hold,
        priority=PriorityPolicy(
            policy.relaying.networks, Networks(settings.priority.networks), settings.priority.highest
        ),
        holding=HoldingLimits(settings.future_release.per_sender, settings.future_release.total),
    )
