"""One message that the owner of a policy wants to hear of by itself: which failure that is (RFC 9989 section 4.7).

fo=0    neither SPF nor DKIM gave an aligned pass      fo=d    a signature failed, whoever made it
fo=1    one of the two did not                         fo=s    SPF failed, whatever it was asked about
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from purport.authentication.dkim.key import REVOKED
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dkim.verify import BODY_CHANGED
from purport.authentication.dmarc.result import DmarcResult
from purport.authentication.spf.result import SpfResult
from purport.mail.address import NULL, ReversePath
from purport.mail.header import Header
from purport.policy.facts import MessageFacts

FailureType = Literal["dmarc", "bodyhash", "revoked", "signature", "spf"]  # RFC 6591 section 3.3, RFC 9991
Delivery = Literal["delivered", "spam", "reject"]  # RFC 6591 section 3.2.2
Mechanism = Literal["dkim", "spf"]

BAD_SIGNATURE: Final = ("fail", "permerror")
BAD_SPF: Final = ("fail", "softfail", "permerror")
TYPES: Final[dict[str, FailureType]] = {BODY_CHANGED: "bodyhash", REVOKED: "revoked"}  # by what is wrong


@dataclass(frozen=True, slots=True)
class Failure:
    """One message, and what is reported about it. `unaligned` are the mechanisms without an aligned pass; `signature`
    is one that failed, `spf` a check that did, where they are among what is to be told."""

    type: FailureType
    author_domain: str
    policy_domain: str
    organization: str  # the organizational domain of the author, as far as it is known
    uris: tuple[str, ...]  # of ruf
    unaligned: tuple[Mechanism, ...]
    signature: DkimResult | None
    spf: SpfResult | None
    facts: MessageFacts
    header: Header
    queue_id: str
    arrived_at: float  # seconds since 1970
    delivery: Delivery
    authserv_id: str

    @property
    def path(self) -> tuple[str, str, str]:
        """What like failures have in common: what failed, for whom, and from where."""
        return self.author_domain, self.type, self.facts.mail.client.address


def failure_of(
    facts: MessageFacts, header: Header, *, queue_id: str, arrived_at: float, delivery: Delivery, authserv_id: str
) -> Failure | None:
    """What is reported about a message whose facts are complete; None where nobody wants to hear of it."""
    found = facts.authentication
    if found is None or found.dmarc.record is None or not found.dmarc.record.ruf:
        return None
    result, record = found.dmarc, found.dmarc.record
    if result.result not in ("pass", "fail") or result.author_domain is None or result.policy_domain is None:
        return None
    # A public suffix has no reports about the mail of others (RFC 9991).
    if record.psd == "y" or is_report(facts.mail.reverse_path, header):
        return None
    organization = result.organizational_domain or result.author_domain
    unaligned = unaligned_of(result)
    bad = [one for one in found.dkim if one.result in BAD_SIGNATURE and one.domain and one.selector]
    bad_spf = facts.mail.spf if facts.mail.spf is not None and facts.mail.spf.result in BAD_SPF else None
    kind = type_of(record.fo, unaligned, bad, bad_spf)
    if kind is None:
        return None
    if kind == "dmarc":  # what failed for an aligned identifier is told with it
        own = f".{organization}"
        bad = [one for one in bad if "dkim" in unaligned and f".{one.domain}".endswith(own)]
        if "spf" not in unaligned or bad_spf is None or not f".{bad_spf.domain.lower()}".endswith(own):
            bad_spf = None
    return Failure(
        kind,
        result.author_domain,
        result.policy_domain,
        organization,
        record.ruf,
        unaligned,
        bad[0] if bad and kind != "spf" else None,
        bad_spf if kind in ("dmarc", "spf") else None,
        facts,
        header,
        queue_id,
        arrived_at,
        delivery,
        authserv_id,
    )


def unaligned_of(result: DmarcResult) -> tuple[Mechanism, ...]:
    """The mechanisms that gave no aligned pass."""
    found: list[Mechanism] = []
    if not result.aligned.dkim:
        found.append("dkim")
    if result.aligned.spf is None:
        found.append("spf")
    return tuple(found)


def type_of(
    fo: Sequence[str], unaligned: Sequence[Mechanism], bad: Sequence[DkimResult], spf: SpfResult | None
) -> FailureType | None:
    """The failure that the owner asks to hear of; the one of DMARC first, as it says most."""
    if ("0" in fo and len(unaligned) == 2) or ("1" in fo and unaligned):
        return "dmarc"
    if "d" in fo and bad:
        return TYPES.get(bad[0].problem, "signature")
    return "spf" if "s" in fo and spf is not None else None


def is_report(reverse_path: ReversePath, header: Header) -> bool:
    """Whether a message is a report itself: two servers would never stop to report about their reports (RFC 9991)."""
    kind = header.first("content-type")
    if kind is not None and kind.value[:16].lower() == b"multipart/report":
        return True
    automatic = header.first("auto-submitted")
    return reverse_path is NULL and automatic is not None and automatic.value[:5].lower() == b"auto-"
