"""The results of our checks, each as one of an Authentication-Results field (RFC 8601 section 2.7).

spf=pass smtp.mailfrom=example.com
sender-id=pass header.resent-from=almamater.edu.example

A local part is shown only where it was proved: that of a client that logged in, and of i= in a signature that holds.
An address that SPF passed proves its domain alone (RFC 8601 section 2.7.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from purport.authentication.arc.result import ArcResult
from purport.authentication.authres.results import MethodResult, Property
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.result import DmarcResult
from purport.authentication.sender_id.pra import PurportedResponsibleAddress
from purport.authentication.spf.result import SpfResult
from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.text import safe

# The order of results in our field, so that those who read it by eye or by pattern find each in its place.
ORDER: Final = ("auth", "iprev", "spf", "dkim", "dmarc", "arc", "sender-id")


def auth(login: str, sender: Mailbox | None = None) -> MethodResult:
    """A client that logged in under a name; `sender`: the AUTH parameter of MAIL, where it was believed (RFC 8601
    section 2.7.4)."""
    properties: tuple[Property, ...] = (("smtp", "auth", login),)
    if sender is not None:
        properties += (("smtp", "mailfrom", str(sender)),)
    return MethodResult("auth", "pass", properties=properties)


def iprev(result: Literal["pass", "fail", "temperror", "permerror"], client_address: str) -> MethodResult:
    """Whether the client's address has a name that has the address (RFC 8601 section 3)."""
    return MethodResult("iprev", result, properties=(("policy", "iprev", client_address),))


def spf(result: SpfResult, reverse_path: ReversePath) -> MethodResult:
    """A result for the reverse-path or the hello domain. Only the identity that was checked is named: for a null
    reverse-path that is the hello domain (RFC 7208 section 2.4)."""
    name = "helo" if result.scope == "helo" or reverse_path is NULL else "mailfrom"
    return MethodResult("spf", result.result, _why(result), (("smtp", name, result.domain),))


def dkim(results: Sequence[DkimResult]) -> tuple[MethodResult, ...]:
    """The results of all signatures, told apart by the beginning of b= (RFC 6008); `none` where there was none."""
    return tuple(map(_signature, results)) or NO_SIGNATURE


NO_SIGNATURE: Final = (MethodResult("dkim", "none"),)


def _signature(result: DkimResult) -> MethodResult:
    identity = result.identity
    if result.result != "pass":
        identity = "".join(identity.rpartition("@")[1:])
    said = {"d": result.domain, "i": identity, "a": result.algorithm, "s": result.selector, "b": result.b}
    notes = [f"{result.key_bits}-bit key"] * bool(result.key_bits) + ["testing"] * result.testing
    properties = tuple([("header", name, value) for name, value in said.items() if value])
    return MethodResult("dkim", result.result, result.problem, properties, ", ".join(notes))


def arc(result: ArcResult, client_address: str) -> MethodResult:
    """The chain; who last sealed it, and since when nothing was changed (RFC 8617 section 6)."""
    properties: tuple[Property, ...] = (("smtp", "remote-ip", client_address),)
    if result.result != "pass":
        return MethodResult("arc", result.result, result.problem, properties)
    properties += (("header", "oldest-pass", str(result.oldest_pass)),)
    return MethodResult("arc", "pass", "", properties, f"i={result.instance} {result.sealers[-1]}")


def dmarc(result: DmarcResult, disposition: str, override: str = "") -> MethodResult:
    """The result for the author domain, and what was done about it; `override`: why not what its owner asks for
    (RFC 9989 section 9.2)."""
    properties: tuple[Property, ...] = ()
    if result.author_domain is not None:
        properties = (("header", "from", result.author_domain), ("policy", "dmarc", disposition))
    record = result.record
    policy = f"p={record.p or 'none'} dis={disposition}" if record is not None and record.usable else ""
    return MethodResult("dmarc", result.result, override or safe(result.problem or ""), properties, policy)


def sender_id(result: SpfResult, pra: PurportedResponsibleAddress, submitter: Mailbox | None = None) -> MethodResult:
    """Sender ID of the responsible address, with the field it stands in. Deprecated at IANA, and what we exist for. The
    domain that SUBMITTER named is a comment, since no property is registered for it."""
    properties = () if pra.field is None else (("header", pra.field, result.domain),)
    comment = f"submitter {submitter.domain}" if submitter is not None else ""
    return MethodResult("sender-id", result.result, _why(result), properties, comment)


def _why(result: SpfResult) -> str:
    """Why there is no verdict; a fail says it by itself, and what its domain explains is no result."""
    return safe(result.problem) if result.problem else ""
