"""The checks for Python programs: one await, one result.

result = await check_host("192.0.2.3", "example.com", "alice@example.com", helo="mx.example.net", resolver=resolver)
result.result, result.mechanism, result.explanation, result.trace
"""

from __future__ import annotations

from typing import Literal

from purport.authentication.sender_id.check import check_sender_id as sender_id
from purport.authentication.spf.check_host import UNKNOWN
from purport.authentication.spf.check_host import check_host as spf
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Gather, Resolver, run


async def check_host(
    ip: str,
    domain: str,
    sender: str,
    *,
    helo: str = "",
    resolver: Resolver,
    receiver: str = UNKNOWN,
    now: float = 0.0,
    gather: Gather | None = None,
) -> SpfResult:
    """SPF (RFC 7208): may `ip` send for `domain`, the domain of `sender`?

    An empty `sender` checks the HELO domain. `now`, in seconds since 1970, and `receiver` are what the domain owner's
    explanation may quote; `gather=asyncio.gather` asks independent questions together. Whatever the DNS says is a
    result; raises ValueError for an `ip` that is no address.
    """
    scope: Literal["mfrom", "helo"] = "mfrom" if sender else "helo"
    return await run(spf(ip, domain, sender, helo, receiver=receiver, scope=scope, now=now), resolver, gather)


async def check_sender_id(
    ip: str,
    address: str,
    *,
    scope: Literal["pra", "mfrom"] = "pra",
    helo: str = "",
    resolver: Resolver,
    receiver: str = UNKNOWN,
    now: float = 0.0,
    gather: Gather | None = None,
) -> SpfResult:
    """Sender ID (RFC 4406): may `ip` send mail that `address` is responsible for?

    The other arguments are those of `check_host`. Raises ValueError for an `ip` that is no address.
    """
    return await run(sender_id(ip, address, helo, scope=scope, receiver=receiver, now=now), resolver, gather)
