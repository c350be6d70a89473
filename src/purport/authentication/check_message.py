"""A whole message checked for Python programs: one await, all results.

found = await check_message(octets, "192.0.2.3", "alice@example.com", helo="mx.example.net", resolver=resolver, now=now)
found.spf.result, found.dkim, found.dmarc.result, found.dmarc.disposition

Beside `api`, since it needs cryptography, which the checks of addresses do without.
"""

from __future__ import annotations

from dataclasses import dataclass

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.result import DmarcResult
from purport.authentication.message import MessageReader, authenticate
from purport.authentication.spf.check_host import UNKNOWN
from purport.authentication.spf.check_host import check_host as spf
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Gather, Resolver, run


@dataclass(frozen=True, slots=True)
class MessageResults:
    """What is known about a message: SPF of its reverse-path, each of its DKIM signatures, DMARC of its author."""

    spf: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult


async def check_message(
    message: bytes,
    ip: str,
    sender: str,
    *,
    helo: str = "",
    resolver: Resolver,
    receiver: str = UNKNOWN,
    now: float,
    gather: Gather | None = None,
) -> MessageResults:
    """SPF, DKIM and DMARC of a message that came from `ip` with the reverse-path `sender`, empty for the null one.

    Lines of `message` end with CRLF or LF. `now`, in seconds since 1970, decides whether a signature has expired. The
    other arguments are those of `check_host`; of a null reverse-path the hello domain is checked (RFC 7208 section
    2.4). Raises ValueError for an `ip` that is no address.
    """
    domain = sender.rpartition("@")[2] or helo
    checked = await run(spf(ip, domain, sender, helo, receiver=receiver, scope="mfrom", now=now), resolver, gather)
    reader = MessageReader()
    reader.update(message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
    hashes = reader.finish()
    header = reader.header
    assert header is not None  # there is one at the end
    found = await run(authenticate(header, reader.signatures, hashes, checked, now), resolver, gather)
    return MessageResults(checked, found.dkim, found.dmarc)
