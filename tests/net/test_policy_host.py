"""Policies over HTTPS from a host on loopback, well-behaved and not (RFC 8461 section 3.3)."""

from __future__ import annotations

import asyncio
import gzip
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from purport.dns.zone import StaticResolver
from purport.net.policy_host import OCTETS, NoPolicy, PolicyHosts
from support.certificates import Authority, shows
from support.scripted_server import on_loop

POLICY = b"version: STSv1\r\nmode: none\r\nmax_age: 60\r\n"
ZONE = {"mta-sts.example.com": [{"A": "127.0.0.1"}]}
ENDLESS = b"endless"
SILENT = b"silent"


def answer(body: bytes = POLICY, *, status: str = "200 OK", kind: str = "text/plain", more: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


class Host:
    """Gives the same answer to every request, and keeps what it was asked."""

    def __init__(self, said: bytes) -> None:
        self.said = said
        self.port = 0
        self.requests: list[str] = []
        self.names: list[str | None] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode("latin-1"))
            if self.said == SILENT:
                await reader.read()
            elif self.said == ENDLESS:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
                while True:
                    writer.write(b"mx: a.example\r\n" * 1000)
                    await writer.drain()
            writer.write(self.said)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def host(said: bytes, certificate: Path) -> AsyncIterator[Host]:
    running = Host(said)
    context = shows(certificate)
    context.sni_callback = lambda _tls, name, _context: running.names.append(name)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0, ssl=context)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()


def believing(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.bundle)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


async def problem(hosts: PolicyHosts) -> tuple[str, str]:
    with pytest.raises(NoPolicy) as caught:
        await hosts.fetch("example.com")
    return caught.value.result, str(caught.value)


@on_loop
async def test_a_policy_is_asked_for_at_the_place_of_the_rfc(authority):
    async with host(answer(), authority.issue("mta-sts.example.com")) as running:
        hosts = PolicyHosts(StaticResolver(ZONE), context=believing(authority), port=running.port)
        assert await hosts.fetch("example.com") == POLICY
        first, *rest = running.requests[0].split("\r\n")
        assert first == "GET /.well-known/mta-sts.txt HTTP/1.1"
        assert f"Host: mta-sts.example.com:{running.port}" in rest
        assert running.names == ["mta-sts.example.com"]


@pytest.mark.parametrize(
    ("said", "result", "reason"),
    [
        (answer(status="404 Not Found"), "sts-policy-fetch-error", "answered 404"),
        (answer(status="204 No Content", body=b""), "sts-policy-fetch-error", "answered 204"),
        (answer(status="301 Moved", more="Location: /\r\n"), "sts-policy-fetch-error", "answered 301"),
        (answer(kind="text/html"), "sts-policy-invalid", "sent no text/plain"),
        (answer(kind=""), "sts-policy-invalid", "sent no text/plain"),
        (answer(gzip.compress(POLICY), more="Content-Encoding: gzip\r\n"), "sts-policy-invalid", "coded policy"),
        (answer(b"x" * (OCTETS + 1)), "sts-policy-invalid", "more than 65536 octets"),
        (ENDLESS, "sts-policy-invalid", "more than 65536 octets"),
        (b"220 mx.example.com ESMTP\r\n", "sts-policy-fetch-error", "speaks no HTTPS"),
        (b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 100_000, "sts-policy-fetch-error", "speaks no HTTPS"),
        (b"", "sts-policy-fetch-error", "speaks no HTTPS"),
        (answer()[:-5], "sts-policy-fetch-error", "speaks no HTTPS"),
    ],
)
@on_loop
async def test_an_answer_that_is_none_says_why(authority, said, result, reason):
    async with host(said, authority.issue("mta-sts.example.com")) as running:
        hosts = PolicyHosts(StaticResolver(ZONE), context=believing(authority), port=running.port)
        found, text = await problem(hosts)
        assert found == result
        assert reason in text
        assert len(running.requests) == 1


@on_loop
async def test_a_host_that_says_nothing_is_given_up(authority):
    async with host(SILENT, authority.issue("mta-sts.example.com")) as running:
        resolver = StaticResolver(ZONE)
        hosts = PolicyHosts(resolver, context=believing(authority), port=running.port, seconds=0.2)
        assert await problem(hosts) == ("sts-policy-fetch-error", "mta-sts.example.com took too long")


@pytest.mark.parametrize("kind", ["text/plain; charset=utf-8", "Text/Plain;x=y", "text/plain"])
@on_loop
async def test_parameters_of_the_type_mean_nothing(authority, kind):
    async with host(answer(kind=kind), authority.issue("mta-sts.example.com")) as running:
        hosts = PolicyHosts(StaticResolver(ZONE), context=believing(authority), port=running.port)
        assert await hosts.fetch("example.com") == POLICY


@pytest.mark.parametrize(
    ("name", "expired", "believed", "reason"),
    [
        ("example.com", False, True, "certificate is not valid for 'mta-sts.example.com'"),
        ("127.0.0.1", False, True, "certificate is not valid for 'mta-sts.example.com'"),
        ("mta-sts.example.com", True, True, "certificate has expired"),
        ("mta-sts.example.com", False, False, "unable to get local issuer certificate"),
    ],
)
@on_loop
async def test_a_host_that_does_not_prove_its_name_has_no_policy(authority, tmp_path, name, expired, believed, reason):
    certificate = authority.issue(name, expired=expired)
    async with host(answer(), certificate) as running:
        known = authority if believed else Authority(tmp_path / "other")
        hosts = PolicyHosts(StaticResolver(ZONE), context=believing(known), port=running.port)
        result, text = await problem(hosts)
        assert result == "sts-webpki-invalid"
        assert reason in text
        assert running.requests == []


@on_loop
async def test_a_wildcard_for_the_first_label_is_good(authority):
    async with host(answer(), authority.issue("*.example.com")) as running:
        hosts = PolicyHosts(StaticResolver(ZONE), context=believing(authority), port=running.port)
        assert await hosts.fetch("example.com") == POLICY


@pytest.mark.parametrize("zone", [{}, {"mta-sts.example.com": ["SERVFAIL"]}])
@on_loop
async def test_a_host_without_an_address_has_no_policy(zone):
    assert await problem(PolicyHosts(StaticResolver(zone))) == (
        "sts-policy-fetch-error",
        "mta-sts.example.com has no address",
    )


@on_loop
async def test_the_next_address_is_tried_where_the_first_is_dead(authority):
    zone = StaticResolver({"mta-sts.example.com": [{"A": "127.0.0.9"}, {"A": "127.0.0.1"}]})
    async with host(answer(), authority.issue("mta-sts.example.com")) as running:
        hosts = PolicyHosts(zone, context=believing(authority), port=running.port)
        assert await hosts.fetch("example.com") == POLICY


THREADS = """
import asyncio, ssl, sys, threading

seen = []

def hook(event, given):
    if event == "import" and given[0] == "httpx":
        seen.append(threading.current_thread())

sys.addaudithook(hook)
from purport.dns.zone import StaticResolver
from purport.net.policy_host import NoPolicy, PolicyHosts

assert "httpx" not in sys.modules
try:
    asyncio.run(PolicyHosts(StaticResolver({})).fetch("example.com"))
except NoPolicy:
    pass
assert seen and threading.main_thread() not in seen, seen
"""


def test_what_takes_a_while_the_first_time_holds_up_nobody() -> None:
    """The library is read from the disk when it is first needed: half a second in which no client would be served."""
    ran = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
