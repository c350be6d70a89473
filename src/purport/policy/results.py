"""What goes on top of an accepted message: the results of our checks (RFC 8601), for who delivers it and who reads it.

Authentication-Results: mx.company.com.example;
 spf=pass smtp.mailfrom=example.com;
 dkim=pass (2048-bit key) header.d=example.com header.i=@example.com
 header.a=rsa-sha256 header.s=mail header.b=dzdVyOfA;
 dmarc=pass (p=reject dis=none) header.from=example.com policy.dmarc=none
"""

from __future__ import annotations

from purport.authentication import methods
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.authres.writer import field, field_again
from purport.policy.dmarc import DmarcPolicy, disposition
from purport.policy.facts import MessageFacts
from purport.policy.spf import received_spf as received_spf_field


def results_fields(
    authserv_id: str, facts: MessageFacts, policy: DmarcPolicy, *, received_spf: str | None = None
) -> bytes:
    """The Authentication-Results field, above it Received-SPF of the host `received_spf`, if there is one. Nothing of a
    client that logged in: nothing was asked about it, and who it is concerns nobody behind us."""
    if facts.mail.client.login is not None or facts.mail.spf is None:
        return b""
    said, found = results(authserv_id, facts, policy), facts.authentication
    if found is not None and (found.dkim or found.arc.result != "none"):
        written = field(said)  # what is said of signatures is never said again
    else:
        written = field_again(said)
    return written if received_spf is None else received_spf_field(received_spf, facts.mail) + written


def results(authserv_id: str, facts: MessageFacts, policy: DmarcPolicy) -> AuthenticationResults:
    """All that was found, for our field and for our seal."""
    mail, pra, authentication = facts.mail, facts.pra, facts.authentication
    found: list[MethodResult] = []  # in methods.ORDER
    if mail.client.iprev is not None:
        found.append(methods.iprev(mail.client.iprev.result, mail.client.address))
    if mail.helo is not None:
        found.append(methods.spf(mail.helo, mail.reverse_path))
    if mail.spf is not None:
        found.append(methods.spf(mail.spf, mail.reverse_path))
    if authentication is not None:
        found += methods.dkim(authentication.dkim)
        done = disposition(policy, authentication.dmarc, facts.override)
        found.append(methods.dmarc(authentication.dmarc, done, facts.override.reason if facts.override else ""))
        if authentication.arc.result != "none":
            found.append(methods.arc(authentication.arc, mail.client.address))
    checked = mail.sender_id or facts.sender_id
    if checked is not None and pra is not None:
        found.append(methods.sender_id(checked, pra, mail.submitter))
    return AuthenticationResults(authserv_id, tuple(found))
