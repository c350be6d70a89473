"""MTA-STS policies over HTTPS, from the policy host of a domain (RFC 8461 section 3.3).

    GET https://mta-sts.company.com.example/.well-known/mta-sts.txt   ->   200, text/plain, at most 64 KiB, in a minute

The certificate must be one of an authority that is believed and have the name of the policy host; whatever the host
does there is an end.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, final

from purport.dns.addresses import addresses_of
from purport.dns.lookup import Resolver, run
from purport.net.client_tls import flaw_of
from purport.net.https import PORT, TooLarge, asked, certificate_error, limited

SECONDS: Final = 60.0  # RFC 8461 section 3.3 suggests both
OCTETS: Final = 65536
ADDRESSES: Final = 4  # of a policy host that are tried
PATH: Final = "/.well-known/mta-sts.txt"
TYPE: Final = "text/plain"


class NoPolicy(Exception):
    """There is no policy to be had; `result` is what RFC 8460 section 4.3 calls it."""

    def __init__(self, result: str, reason: str) -> None:
        super().__init__(reason)
        self.result = result


@final
class PolicyHosts:
    """Fetches policies. `context`: whom it believes; None: the authorities of this system."""

    def __init__(
        self,
        resolver: Resolver,
        *,
        context: ssl.SSLContext | None = None,
        port: int = PORT,
        seconds: float = SECONDS,
    ) -> None:
        self._resolver = resolver
        self._context = context
        self._port = port
        self._seconds = seconds

    async def fetch(self, domain: str) -> bytes:
        """The policy of a domain, as its host gives it. Raises NoPolicy."""
        try:
            async with asyncio.timeout(self._seconds):
                return await self._fetch(f"mta-sts.{domain}")
        except TimeoutError:
            raise NoPolicy("sts-policy-fetch-error", f"mta-sts.{domain} took too long") from None

    async def _fetch(self, host: str) -> bytes:
        self._context = await asyncio.to_thread(prepared, self._context)
        import httpx

        problem = NoPolicy("sts-policy-fetch-error", f"{host} has no address")
        for address in (await run(addresses_of(host), self._resolver, asyncio.gather))[:ADDRESSES]:
            try:
                return await self._ask(host, address, self._context)
            except httpx.HTTPError as error:
                problem = problem_of(host, error)
        raise problem

    async def _ask(self, host: str, address: str, context: ssl.SSLContext) -> bytes:
        """The body of a right answer. Raises NoPolicy for another, and httpx.HTTPError."""
        headers = {"Accept": TYPE, "Accept-Encoding": "identity"}
        async with asked(
            "GET", host, address, PATH, port=self._port, context=context, seconds=self._seconds, headers=headers
        ) as answer:
            if answer.status_code != 200:
                raise NoPolicy("sts-policy-fetch-error", f"{host} answered {answer.status_code}")
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != TYPE:
                raise NoPolicy("sts-policy-invalid", f"{host} sent no {TYPE}")
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise NoPolicy("sts-policy-invalid", f"{host} sent a coded policy")
            try:
                return await limited(answer.aiter_raw(), OCTETS)
            except TooLarge:
                raise NoPolicy("sts-policy-invalid", f"{host} sent more than {OCTETS} octets") from None


def prepared(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """What takes a while the first time, and is not for the event loop: the library and the authorities are read."""
    import httpx  # noqa: F401

    return ssl.create_default_context() if context is None else context


def problem_of(host: str, error: BaseException) -> NoPolicy:
    """What a request that failed comes to: a certificate is told apart from a host that is down."""
    refused = certificate_error(error)
    if refused is not None:
        return NoPolicy("sts-webpki-invalid", f"{host}: {flaw_of(refused).text}")
    return NoPolicy("sts-policy-fetch-error", f"{host} cannot be reached, or speaks no HTTPS")
