"""Reports by HTTPS (RFC 8460 section 5.4).

The address comes from a stranger's DNS, so it must not lead us into our own network: host names are looked up here, and
only addresses of the public internet are connected to. Redirects are not followed. A certificate that is not good is no
obstacle (RFC 8460 sections 3 and 7): who has a fault in TLS is the one who should hear of it.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from typing import Final, final

from purport.dns.addresses import addresses_of
from purport.dns.lookup import Resolver, run
from purport.net.https import asked, certificate_error
from purport.reporting.destination import ByPost

SECONDS: Final = 20.0  # for one address
ADDRESSES: Final = 2  # tried of one host
AGENT: Final = "Purport"
UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 section 2.4: all that is given out so far
NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 section 2.1


class NotPosted(Exception):
    """The receiver did not take it; the reason as text."""


def is_public(address: str) -> bool:
    """Whether an address is one of the public internet; of one that stands for an IPv4 address, whether that is."""
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        if found in NAT64:
            return is_public(str(ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)))
        if found.ipv4_mapped is not None:
            return is_public(str(found.ipv4_mapped))
        return found in UNICAST and found.sixtofour is None and found.teredo is None and found.is_global
    return found.is_global and not found.is_multicast


@final
class Poster:
    """Posts reports. `permitted` says which addresses may be connected to; `authorities` is a file of those whose
    certificates are good, the system's if empty."""

    def __init__(
        self, resolver: Resolver, *, permitted: Callable[[str], bool] = is_public, authorities: str = ""
    ) -> None:
        self._resolver = resolver
        self._permitted = permitted
        self._authorities = authorities
        self._context: ssl.SSLContext | None = None

    async def post(self, place: ByPost, octets: bytes, media_type: str) -> str:
        """Send the octets, and return what came of it. Raises NotPosted."""
        if self._context is None:  # reading the authorities takes a while
            self._context = await asyncio.to_thread(ssl.create_default_context, cafile=self._authorities or None)
        addresses = await run(addresses_of(place.host), self._resolver, asyncio.gather)
        allowed = [address for address in addresses if self._permitted(address)][:ADDRESSES]
        reason = f"{place.host} has no address that may be used" if addresses else f"{place.host} has no address"
        for address in allowed:
            try:
                return await self._try(place, address, octets, media_type, self._context)
            except NotPosted as error:
                reason = str(error)
        raise NotPosted(reason)

    async def _try(self, place: ByPost, address: str, octets: bytes, media_type: str, context: ssl.SSLContext) -> str:
        """One try at one address, and another without a look at the certificate where that was the obstacle."""
        try:
            return await _request(place, address, octets, media_type, context)
        except ssl.SSLCertVerificationError as error:
            told = await _request(place, address, octets, media_type, unchecked())
            return f"{told}, its certificate is not good: {error.verify_message}"


def unchecked() -> ssl.SSLContext:
    """TLS with anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _request(place: ByPost, address: str, octets: bytes, media_type: str, context: ssl.SSLContext) -> str:
    """Raises NotPosted, SSLCertVerificationError."""
    import httpx

    headers = {"Content-Type": media_type, "User-Agent": AGENT}
    try:
        async with (
            asyncio.timeout(SECONDS),
            asked(
                "POST",
                place.host,
                address,
                place.target,
                port=place.port,
                context=context,
                seconds=SECONDS,
                headers=headers,
                content=octets,
            ) as answer,
        ):
            if not answer.is_success:
                raise NotPosted(f"{place.host} answered {answer.status_code}")
            return f"{place.host} answered {answer.status_code}"
    except TimeoutError:
        raise NotPosted(f"{place.host} did not answer in {SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        refused = certificate_error(error)
        if refused is not None:
            raise refused from None
        raise NotPosted(f"{place.host}: {type(error).__name__}") from None
