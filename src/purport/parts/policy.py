"""What is asked of transactions, and what we receive for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from purport.authentication.true_client import TrustedHops
from purport.config.check import EVERYBODY, local_part_of
from purport.config.schema import Settings
from purport.config.tables.domains import Domain
from purport.delivery.route import MAILDIR
from purport.forwarding.expansion import Forwards
from purport.mail.address import Mailbox, normal_local_part
from purport.mail.domain import a_label_form, normal_domain
from purport.policy.dmarc import DmarcPolicy
from purport.policy.ownership import ALWAYS, Owners, Ownership
from purport.policy.policy import Policy
from purport.policy.relaying import Networks, Relaying
from purport.policy.submission import SubmissionPolicy
from purport.policy.submitter import SubmitterPolicy

OUR_MAILBOXES: Final = frozenset(("postmaster", "mailer-daemon"))  # at our own hostname (RFC 5321 section 4.5.1)


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


def existing(settings: Settings, forwards: Forwards) -> Callable[[Mailbox], bool]:
    """Whether a mailbox of ours exists."""
    mailboxes = mailboxes_of(settings, forwards)

    def exists(mailbox: Mailbox) -> bool:
        names = mailboxes.get(normal_domain(mailbox.domain), frozenset())
        return names is None or normal_local_part(mailbox.local_part) in names | {"postmaster"}

    return exists


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
