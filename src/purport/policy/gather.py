"""The facts of a transaction, gathered alike for the listener, for `purport judge` and for the replay of a record."""

from __future__ import annotations

from purport.authentication.sender_id.pra import PurportedResponsibleAddress
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Evaluation
from purport.mail.address import NULL, Mailbox, ReversePath
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.submitter import SubmitterPolicy


def mail_facts(
    checker: Checker,
    client: Client,
    reverse_path: ReversePath,
    submitter: Mailbox | None,
    now: float,
    *,
    check_helo: bool = False,
) -> Evaluation[MailFacts]:
    """What the DNS says about the client and the addresses of MAIL.

    SPF of the reverse-path, for a null one of postmaster at the hello domain (RFC 7208 section 2.4); SPF of the hello
    domain where `check_helo` asks for it (section 2.3); Sender ID of the submitter (RFC 4405 section 4.2). An address
    literal has no domain to be asked: its result is none.
    """
    hello_domain = client.hello_domain
    helo = (
        (yield from checker.check("helo", client.address, hello_domain, "", hello_domain, now)) if check_helo else None
    )
    if reverse_path is NULL:
        spf = yield from checker.check("mfrom", client.address, hello_domain, "", hello_domain, now)
    else:
        sender = str(reverse_path)
        spf = yield from checker.check("mfrom", client.address, reverse_path.domain, sender, hello_domain, now)
    sender_id = None
    if submitter is not None:
        domain = submitter.domain
        sender_id = yield from checker.check("pra", client.address, domain, str(submitter), hello_domain, now)
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
    if mail.submitter is None and policy.check_pra == "always" and address is not None:
        client = mail.client
        sender_id = yield from checker.check(
            "pra", client.address, address.domain, str(address), client.hello_domain, now
        )
    return MessageFacts(mail, pra, sender_id)
