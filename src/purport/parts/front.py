"""What the connections of a listener share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import msgspec

from purport.authentication.dkim.signer import NO_SIGNER, Signer
from purport.config.load import SettingsError
from purport.config.schema import Settings
from purport.config.tables.server import Listener
from purport.ledger.record import policy as recorded_policy
from purport.mail.address import parse_mailbox
from purport.mail.domain import a_label_form, normal_domain
from purport.net.certificates import CertificateError, CertificateFiles, Certificates
from purport.parts.policy import make_policy
from purport.parts.sending import make_routes
from purport.policy.on_demand import Customer
from purport.policy.priority import PriorityPolicy
from purport.policy.queue_start import Grant
from purport.policy.relaying import Networks
from purport.service.forwarding import ForwardDesk
from purport.service.front import Front, Patience
from purport.service.holding import HoldingLimits
from purport.service.login import LoginDesk
from purport.smtp.extensions import ALL
from purport.smtp.extensions.atrn import BESIDE as BESIDE_ATRN
from purport.smtp.extensions.atrn import EXTENSION as ATRN
from purport.smtp.extensions.submitter import EXTENSION as SUBMITTER
from purport.smtp.sasl.saslprep import saslprep
from purport.smtp.server import Profile


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


def make_customers(settings: Settings) -> tuple[Customer, ...]:
    """Whose hosts may come for which domains' mail."""
    return tuple(
        Customer(saslprep(table.user), frozenset(map(normal_domain, table.domains)), table.seconds)
        for table in settings.odmr
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
