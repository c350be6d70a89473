"""HTTPS to hosts whose addresses are asked of the resolvers of the settings, not of the system's.

    GET https://192.0.2.1/.well-known/mta-sts.txt   Host: mta-sts.company.com.example, and the same name in TLS

The certificate must have the host's name, though an address is connected to. No redirect is followed, no proxy of the
environment is asked, and nothing comes out of a cache.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import httpx

PORT: Final = 443


class TooLarge(Exception):
    """The body of an answer has more octets than it may."""


@asynccontextmanager
async def asked(
    method: str,
    host: str,
    address: str,
    target: str,
    *,
    port: int = PORT,
    context: ssl.SSLContext,
    seconds: float,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> AsyncIterator[httpx.Response]:
    """The answer of a host at one of its addresses, its body not read yet; `seconds` are for each step. Raises
    httpx.HTTPError, httpx.InvalidURL and OSError."""
    import httpx

    literal = f"[{address}]" if ":" in address else address
    named = {"Host": host if port == PORT else f"{host}:{port}", **headers}
    async with (
        httpx.AsyncClient(verify=context, timeout=seconds, follow_redirects=False, trust_env=False) as client,
        client.stream(
            method,
            f"https://{literal}:{port}{target}",
            content=content,
            headers=named,
            extensions={"sni_hostname": host},
        ) as answer,
    ):
        yield answer


async def limited(pieces: AsyncIterator[bytes], most: int) -> bytes:
    """A body that comes in pieces. Raises TooLarge, and reads no further."""
    found = b""
    async for piece in pieces:
        found += piece
        if len(found) > most:
            raise TooLarge
    return found


def certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """What was wrong with the certificate, where an error came of that."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None
