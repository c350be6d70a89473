"""The ARC set of a message that goes on (RFC 8617 section 5.1): what was found here, sealed by who passes it on."""

from __future__ import annotations

from collections.abc import Sequence

from purport.authentication.arc.seal import seal
from purport.authentication.authres.results import AuthenticationResults
from purport.authentication.dkim.body import BodyHashes
from purport.authentication.dkim.sign import FORM
from purport.authentication.dkim.signer import DomainKey
from purport.mail.header import Header
from purport.policy.facts import MessageFacts


def sealed(
    keys: Sequence[DomainKey],
    header: Header,
    hashes: BodyHashes,
    said: AuthenticationResults,
    facts: MessageFacts,
    now: float,
    *,
    utf8: bool = False,
) -> bytes:
    """The set for a message with one of the keys of the mailbox or list that it goes on for, to be put on top of all
    else; nothing where there is none, where nothing was asked about the message, or where a chain is not to be sealed.

    `header` is as it goes out, `hashes` hold that of its body in FORM, and `said` is what was found when it came in. A
    set has one signature: of keys of several types that of RSA, which everybody verifies.
    """
    body, found = hashes.get(FORM), facts.authentication
    if not keys or body is None or found is None:
        return b""
    key = min(keys, key=lambda key: key.key.kind != "rsa")
    return seal(
        header,
        body.digest,
        said,
        found.arc,
        key.key,
        domain=key.domain,
        selector=key.selector,
        now=now,
        utf8=utf8,
    )
