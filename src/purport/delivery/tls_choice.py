"""Which policy holds for one host: the settings, TLSA records, the MTA-STS policy, and what the message asks for.

1. `[[tls_policy]]` for the domain       what it says; its level `dane` asks for TLSA records
2. TLSA records (RFC 7672)               dane; where none is usable, encrypt at least
3. an MTA-STS policy (RFC 8461)          verify, in mode testing only as far as it comes about
4. `relay.tls`                           what it says: the least of all this

A message with REQUIRETLS (RFC 8689) raises that to verify, and needs somebody who vouches for the host. For one with
`TLS-Required: No` steps 2 and 3 are left out.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace
from typing import Final, final

from purport.delivery.route import Target
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.sts_policy import StsPolicy
from purport.delivery.tls_outcome import TlsOutcome
from purport.delivery.tls_policy import CLEAR, Level, TlsPolicy, TlsRules
from purport.dns.lookup import Resolver, run
from purport.dns.tlsa import TlsaFailure, TlsaRecords, tlsa_records
from purport.mail.reply import Reply, reply
from purport.net.client_tls import ClientContexts, Protection
from purport.net.dane import USAGES, dane_flaw
from purport.smtp.extensions.requiretls import Demand

SHOWN: Final = 3  # TLSA records that are told of


class Unprotected(Exception):
    """A host is not to be used, as what is asked of the connection cannot come about; `outcome` is for a report."""

    def __init__(self, reply: Reply, outcome: TlsOutcome | None = None) -> None:
        super().__init__(str(reply))
        self.reply = reply
        self.outcome = outcome


@final
class TlsChoice:
    """Finds the policy for a host. `dane`, `sts`: whether what domains publish is asked for."""

    def __init__(self, rules: TlsRules, resolver: Resolver, *, dane: bool = False, sts: StsPolicies | None = None):
        self._rules = rules
        self._resolver = resolver
        self._dane = dane
        self._sts = sts

    async def policy(
        self, next_hop: str, target: Target, demand: Demand = Demand.NOTHING, *, secret: bool = False
    ) -> TlsPolicy:
        """The policy for one host of a next hop; `secret`: we tell it a password. Raises Unprotected."""
        if target.socket:  # of this machine: there is nobody between
            return CLEAR
        named = self._rules.named(next_hop, target.host)
        least = self._rules.policy(next_hop, target.host, secret=secret)
        if target.tls_first:
            least = least.at_least(Level.ENCRYPT)
        if named is not None and named.level is Level.DANE:
            return await self._mandatory(target)
        if demand is Demand.REQUIRE_TLS and not target.lmtp:
            return await self._strict(target, () if named is None else named.names)
        if named is not None or least.level is Level.NONE or target.lmtp or demand is Demand.IGNORE_POLICIES:
            return replace(least, vouched=target.vouched)  # what is published was not asked for: nothing to report
        return await self._published(target, least)

    async def _published(self, target: Target, least: TlsPolicy) -> TlsPolicy:
        """What the domain asks for, and what we do at least. Raises Unprotected."""
        least = replace(least, vouched=target.vouched)
        records = await self._tlsa(target) if self._dane else None
        if records is not None and records.usable:
            return by_tlsa(target, records)
        if records is not None:
            why = f"no usable TLSA record at {records.name}"
            outcome = tlsa_outcome(target, records.texts, "tlsa-invalid", why)
            least = replace(least.at_least(Level.ENCRYPT), source="dane", why=why, outcome=outcome)
        domain, sts = await self._sts_policy(target)
        if sts is None:
            return least if records is not None else replace(least, outcome=without_policy(target))
        return by_sts(target, domain, sts, least)

    async def _mandatory(self, target: Target) -> TlsPolicy:
        """What TLSA records ask for where the settings want such (RFC 7672 section 6). Raises Unprotected."""
        records = await self._tlsa(target)
        if records is None or not records.usable:
            text = f"DANE is required, but {target.host} has no validated TLSA record that is usable"
            raise Unprotected(reply(450, "4.7.5", text), tlsa_outcome(target, (), "dane-required", text))
        return by_tlsa(target, records)

    async def _strict(self, target: Target, names: tuple[str, ...]) -> TlsPolicy:
        """What REQUIRETLS asks for (RFC 8689 section 4.2.1). Raises Unprotected."""
        records = await self._tlsa(target) if self._dane else None
        if records is not None and records.usable:
            return by_tlsa(target, records)
        domain, sts = await self._sts_policy(target)
        outcome = without_policy(target) if sts is None else sts_outcome(domain, sts)
        if sts is not None and not sts.allows(target.host) and sts.enforced:
            raise Unprotected(*not_allowed(target, domain, sts))
        if not target.vouched and (sts is None or not sts.allows(target.host)):
            text = f"Encryption needed: neither DNSSEC nor MTA-STS vouches for {target.host}"
            raise Unprotected(reply(550, "5.7.10", text))
        return TlsPolicy(Level.VERIFY, names, source="requiretls", vouched=True, outcome=outcome)

    async def _tlsa(self, target: Target) -> TlsaRecords | None:
        """The TLSA records of a host, where nobody can have put it in another's place. Raises Unprotected."""
        if not target.vouched or is_address(target.host):
            return None
        found = await run(
            tlsa_records(target.host, target.port, secure=target.secure, alias=target.alias, usages=USAGES),
            self._resolver,
        )
        if isinstance(found, TlsaFailure):
            text = f"DNS lookup for {found.question.name} ({found.question.type}) failed: {target.host} is not used"
            raise Unprotected(reply(451, "4.4.3", text), tlsa_outcome(target, (), "dnssec-invalid", text))
        return found

    async def _sts_policy(self, target: Target) -> tuple[str, StsPolicy | None]:
        """The MTA-STS policy that is about a host, and its domain: that of the recipients, or the host of a route (RFC
        8461 section 3.4)."""
        domain = target.domains[0] if target.domains else target.host
        if self._sts is None or is_address(domain) or "." not in domain:
            return domain, None
        policy = await self._sts.policy(domain)
        return domain, None if policy is None or policy.mode == "none" else policy


def by_tlsa(target: Target, records: TlsaRecords) -> TlsPolicy:
    """What usable TLSA records ask for."""
    names = tuple(dict.fromkeys((records.base, *(target.domains or (target.host,)))))
    shown = ", ".join(f"{one.usage} {one.selector} {one.matching}" for one in records.usable[:SHOWN])
    return TlsPolicy(
        Level.DANE,
        names,
        records.usable,
        "dane",
        f"TLSA {shown} at {records.name}",
        records.base,
        vouched=True,
        outcome=tlsa_outcome(target, records.texts),
    )


def by_sts(target: Target, domain: str, sts: StsPolicy, least: TlsPolicy) -> TlsPolicy:
    """What an MTA-STS policy asks for. Raises Unprotected where it does not name the host."""
    outcome = sts_outcome(domain, sts)
    if not sts.allows(target.host):
        refusal, failure = not_allowed(target, domain, sts)
        if sts.enforced:
            raise Unprotected(refusal, failure)
        return replace(least, why=f"MTA-STS policy of {domain} in mode testing does not name it", outcome=failure)
    why = f"policy of {domain}"
    if sts.enforced:
        return TlsPolicy(Level.VERIFY, source="mta-sts", why=why, vouched=True, outcome=outcome)
    # Mode testing: what would not come about is reported, and mail goes as if nothing were published.
    instead = replace(least, why=f"MTA-STS {why} in mode testing failed", outcome=None)
    return TlsPolicy(
        Level.VERIFY, source="mta-sts", why=f"{why} in mode testing", instead=instead, vouched=True, outcome=outcome
    )


def not_allowed(target: Target, domain: str, sts: StsPolicy) -> tuple[Reply, TlsOutcome]:
    """A host that MX records name and the MTA-STS policy does not."""
    text = f"MTA-STS policy of {domain} does not name {target.host}"
    outcome = replace(sts_outcome(domain, sts), result="validation-failure", host=target.host, reason=text)
    return reply(450, "4.7.5", text), outcome


def protection_of(
    contexts: ClientContexts, policy: TlsPolicy, target: Target, address: str, clock: Callable[[], float]
) -> Protection | None:
    """How TLS is begun with one address of a host, where it may be. `clock` gives seconds since 1970."""
    if policy.level is Level.NONE:
        return None
    host = address if is_address(target.host) else target.host
    if policy.level is Level.DANE:
        return contexts.trusting(
            policy.sni or host,
            lambda tls: dane_flaw(tls, policy.tlsa, policy.names, clock()),
            f"certificate verified by {policy.why}",
        )
    if policy.level is Level.VERIFY:
        return contexts.verifying(host, policy.names)
    return contexts.trusting(host)


def without_policy(target: Target) -> TlsOutcome | None:
    """What a report says of an attempt that no policy was found for."""
    return TlsOutcome("no-policy-found", target.domains[0], (), (), "") if target.domains else None


def tlsa_outcome(target: Target, texts: tuple[str, ...], result: str = "", reason: str = "") -> TlsOutcome | None:
    """What a report says of an attempt under TLSA records."""
    if not target.domains:
        return None
    return TlsOutcome("tlsa", target.domains[0], texts, (), result, target.host, reason=reason)


def sts_outcome(domain: str, sts: StsPolicy) -> TlsOutcome:
    """What a report says of an attempt under an MTA-STS policy."""
    return TlsOutcome("sts", domain, sts.strings, sts.mx, "")


def is_address(host: str) -> bool:
    """Whether it is an address, or a literal with one: neither TLSA records nor policies are about such."""
    try:
        ipaddress.ip_address(host.strip("[]").lower().removeprefix("ipv6:"))
    except ValueError:
        return False
    return True
