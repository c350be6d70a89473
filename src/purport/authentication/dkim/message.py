"""A whole message at once, for commands and programs: the server hashes bodies while they come.

results = await verify_dkim(message, resolver=resolver, now=time.time())
results[0].result, results[0].domain, results[0].problem
"""

from __future__ import annotations

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dkim.signature import signatures
from purport.authentication.dkim.verify import DEFAULT, DkimPolicy, verify
from purport.dns.lookup import Evaluation, Gather, Resolver, run
from purport.mail.header import read_header


def verify_message(octets: bytes, now: float, policy: DkimPolicy = DEFAULT) -> Evaluation[tuple[DkimResult, ...]]:
    """What became of the signatures of a message, the topmost first. `now` is in seconds since 1970. A message whose
    lines all end with LF is read as it would go over the wire."""
    if b"\r\n" not in octets:
        octets = octets.replace(b"\n", b"\r\n")
    header = read_header(octets)
    found = signatures(header)
    hashes = hash_body((octets[header.length :],), *(signature.form for signature in found))
    return (yield from verify(found, header, hashes, now, policy))


async def verify_dkim(
    message: bytes, *, resolver: Resolver, now: float, policy: DkimPolicy = DEFAULT, gather: Gather | None = None
) -> tuple[DkimResult, ...]:
    """The same, its questions answered by `resolver`; `gather=asyncio.gather` asks for all keys together."""
    return await run(verify_message(message, now, policy), resolver, gather)
