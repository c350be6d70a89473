"""MTA-STS policies over HTTPS, from the policy host of a domain (RFC 8461 section 3.3).

    GET https://mta-sts.company.com.example/.well-known/mta-sts.txt   ->   200, text/plain, at most 64 KiB, in a minute

The certificate must be one of an authority that is believed and have the name of the policy host; no redirect is
followed, nothing comes out of a cache, and whatever the host does there is an end.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, final

from purport.dns.lookup import Question, Resolver, Status
from purport.net.client_tls import flaw_of

if TYPE_CHECKING:
    import httpx

PORT: Final = 443
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
        # Addresses are asked of the resolvers of the settings, not of the system; and no proxy of the environment.
        async with httpx.AsyncClient(
            verify=self._context, trust_env=False, follow_redirects=False, timeout=self._seconds
        ) as client:
            for address in await self._addresses(host):
                try:
                    return await self._ask(client, host, address)
                except httpx.HTTPError as error:
                    problem = problem_of(host, error)
        raise problem

    async def _addresses(self, host: str) -> list[str]:
        questions = [Question(host, kind) for kind in ("AAAA", "A")]
        answers = await asyncio.gather(*map(self._resolver.resolve, questions))
        return [one for answer in answers if answer.status is Status.FOUND for one in answer.records][:ADDRESSES]

    async def _ask(self, client: httpx.AsyncClient, host: str, address: str) -> bytes:
        """The body of a right answer. Raises NoPolicy for another, and httpx.HTTPError."""
        name = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
        headers = {"Host": host, "Accept": TYPE, "Accept-Encoding": "identity"}
        url = f"https://{name}:{self._port}{PATH}"
        async with client.stream("GET", url, headers=headers, extensions={"sni_hostname": host}) as answer:
            if answer.status_code != 200:
                raise NoPolicy("sts-policy-fetch-error", f"{host} answered {answer.status_code}")
            kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != TYPE:
                raise NoPolicy("sts-policy-invalid", f"{host} sent no {TYPE}")
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise NoPolicy("sts-policy-invalid", f"{host} sent a coded policy")
            found = b""
            async for piece in answer.aiter_raw():
                found += piece
                if len(found) > OCTETS:
                    raise NoPolicy("sts-policy-invalid", f"{host} sent more than {OCTETS} octets")
            return found


def prepared(context: ssl.SSLContext | None) -> ssl.SSLContext:
    """What takes a while the first time, and is not for the event loop: the library and the authorities are read."""
    import httpx  # noqa: F401

    return ssl.create_default_context() if context is None else context


def problem_of(host: str, error: BaseException) -> NoPolicy:
    """What a request that failed comes to: a certificate is told apart from a host that is down."""
    for cause in causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NoPolicy("sts-webpki-invalid", f"{host}: {flaw_of(cause).text}")
    return NoPolicy("sts-policy-fetch-error", f"{host} cannot be reached, or speaks no HTTPS")


def causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what led to it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__
