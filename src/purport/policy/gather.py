"""The facts of a transaction, gathered alike for the listener, for `purport judge` and for the replay of a record."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import TypeVar

from msgspec.structs import replace as changed

from purport.authentication.arc.sets import Chain
from purport.authentication.dkim.body import BodyHashes
from purport.authentication.dkim.signature import Signature
from purport.authentication.dmarc.memory import DmarcMemory
from purport.authentication.iprev import check_iprev
from purport.authentication.message import authenticate, authenticated_before
from purport.authentication.sender_id.pra import PurportedResponsibleAddress
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import Scope, SpfResult
from purport.authentication.true_client import NO_HOPS, TrustedHops
from purport.dns.lookup import Evaluation, together
from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.header import Header
from purport.policy.arc import sealed_override
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.submitter import SubmitterPolicy
from purport.policy.trusted import client_behind

T = TypeVar("T")


def mail_facts(
    checker: Checker,
    client: Client,
    reverse_path: ReversePath,
    submitter: Mailbox | None,
    now: float,
    *,
    check_helo: bool = False,
    hops: TrustedHops = NO_HOPS,
) -> Evaluation[MailFacts]:
    """What the DNS says about the client and the addresses of MAIL.

    SPF of the reverse-path, for a null one of postmaster at the hello domain (RFC 7208 section 2.4); SPF of the hello
    domain where `check_helo` asks for it (section 2.3); Sender ID of the submitter (RFC 4405 section 4.2). An address
    literal has no domain to be asked: its result is none. Nothing is asked of a client that logged in, who is known
    better than by its address, and of one of the `hops`, before the header says who its client is (`facts_behind`).
    """
    if client.login is not None or client.address in hops.networks:
        return MailFacts(client, reverse_path, submitter, None, None, None)
    address, hello_domain = client.address, client.hello_domain
    helo = None
    if check_helo:
        helo = yield from _check(checker, "helo", address, hello_domain, "", hello_domain, now)
    if reverse_path is NULL:
        spf = yield from _check(checker, "mfrom", address, hello_domain, "", hello_domain, now)
    else:
        spf = yield from _check(checker, "mfrom", address, reverse_path.domain, str(reverse_path), hello_domain, now)
    sender_id = None
    if submitter is not None:
        sender_id = yield from _check(checker, "pra", address, submitter.domain, str(submitter), hello_domain, now)
    return MailFacts(client, reverse_path, submitter, spf, helo, sender_id)


def message_facts(
    checker: Checker,
    mail: MailFacts,
    pra: PurportedResponsibleAddress,
    now: float,
    policy: SubmitterPolicy,
) -> Evaluation[MessageFacts]:
    """What the header adds: the PRA; with `check_pra = "always"` and no submitter named, its Sender ID check too."""
    if policy.check_pra == "never":
        return MessageFacts(mail, None)
    sender_id = None
    address = pra.address
    if mail.spf is None:  # nothing is asked about this client
        return MessageFacts(mail, pra)
    if mail.submitter is None and policy.check_pra == "always" and address is not None:
        client = mail.client
        sender_id = yield from _check(
            checker, "pra", client.address, address.domain, str(address), client.hello_domain, now
        )
    return MessageFacts(mail, pra, sender_id)


def facts_behind(
    hops: TrustedHops,
    checker: Checker,
    mail: MailFacts,
    header: Header,
    pra: PurportedResponsibleAddress,
    now: float,
    policy: SubmitterPolicy,
    *,
    check_helo: bool = False,
) -> Evaluation[MessageFacts]:
    """The same; where the client is a trusted hop, of the client behind it everything is asked that would have been
    asked at MAIL. Where that is not known nothing is: a hop passes for nobody, and fails for nobody."""
    found = client_behind(hops, mail.client, header)
    if found is None:
        return (yield from message_facts(checker, mail, pra, now, policy))
    client, rule = found
    if client is not None:
        mail = yield from mail_facts(checker, client, mail.reverse_path, mail.submitter, now, check_helo=check_helo)
    return changed((yield from message_facts(checker, mail, pra, now, policy)), behind=rule)


def named(client: Client) -> Evaluation[Client]:
    """The client with the name that its address has, where that leads back to it."""
    result = yield from check_iprev(client.address)
    return replace(client, name=result.name, iprev=result)


def whole_message_facts(
    header_facts: Evaluation[MessageFacts],
    mail: MailFacts,
    header: Header,
    signatures: tuple[Signature, ...],
    hashes: BodyHashes,
    now: float,
    trusted_sealers: Collection[str] = (),
    *,
    chain: Chain | None = None,
    memory: DmarcMemory | None = None,
) -> Evaluation[MessageFacts]:
    """What the whole message adds to `header_facts`, those of its header: what its signatures prove, what the author's
    domain asks for, and whether a trusted sealer has seen that it was in order. Of a client that logged in, or is a
    server of ours, nothing is asked. `chain` and `memory` are those of `authenticate`."""
    if mail.spf is None:
        facts = yield from header_facts
        if facts.mail.spf is None:
            return facts
        authentication = yield from authenticate(
            header, signatures, hashes, facts.mail.spf, now, chain=chain, memory=memory
        )
    elif known := authenticated_before(header, signatures, mail.spf, now, chain, memory):
        facts, authentication = (yield from header_facts), known
    else:
        facts, authentication = yield from together(
            header_facts, authenticate(header, signatures, hashes, mail.spf, now, chain=chain, memory=memory)
        )
    override = sealed_override(authentication.arc, authentication.dmarc, trusted_sealers)
    return MessageFacts(facts.mail, facts.pra, facts.sender_id, authentication, override, facts.behind)


def known(facts: T) -> Evaluation[T]:
    """Facts that are there already."""
    return facts
    yield ()


def _check(
    checker: Checker, scope: Scope, client_address: str, domain: str, sender: str, hello_domain: str, now: float
) -> Evaluation[SpfResult]:
    """One check; what is known without asking costs no generator."""
    known = checker.known(scope, client_address, domain, sender, hello_domain, now)
    if known is not None:
        return known
    return (yield from checker.check(scope, client_address, domain, sender, hello_domain, now))
