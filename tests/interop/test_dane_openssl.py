"""Our reading of TLSA records beside that of OpenSSL, which has its own (`openssl s_client -dane_tlsa_rrdata`)."""

from __future__ import annotations

import asyncio
import ssl
import time
from itertools import combinations
from pathlib import Path

import pytest

from purport.dns.tlsa import strongest, usable
from purport.net.client_tls import ClientContexts
from purport.net.dane import dane_flaw
from support.certificates import Authority, chain_in, shows, tlsa
from support.peers import require_peer
from support.scripted_server import on_loop

pytestmark = pytest.mark.peer

NAME = "mx.example.com"
OTHER = "ab" * 32
OTHER_LONG = "cd" * 64


def chains(folder: Path) -> dict[str, Path]:
    """Files of key and chain, by what they are."""
    authority = Authority(folder)
    return {
        "whole": authority.add_itself(authority.issue_below(NAME, file="whole.pem")),
        "without its authority": authority.issue_below(NAME, file="without.pem"),
        "another name": authority.add_itself(authority.issue("another.example", file="name.pem")),
        "expired": authority.add_itself(authority.issue(NAME, expired=True, file="expired.pem")),
        "wildcard": authority.add_itself(authority.issue("*.example.com", file="wildcard.pem")),
    }


def records(chain: list[bytes], authority: bytes) -> list[str]:
    """Records of each usage, selector and matching type, right ones and wrong ones."""
    found = [tlsa(chain[0], 3, selector, matching) for selector in (0, 1) for matching in (0, 1, 2)]
    found += [tlsa(authority, 2, selector, matching) for selector in (0, 1) for matching in (1, 2)]
    found += [tlsa(chain[1], 2, 0, 1)] if len(chain) > 1 else []
    return [*found, f"3 1 1 {OTHER}", f"3 1 2 {OTHER_LONG}", f"2 0 1 {OTHER}", tlsa(chain[0], 2, 1, 1)]


async def openssl_says(port: int, texts: tuple[str, ...]) -> bool:
    """Whether OpenSSL takes the server on this port for the one that the records name."""
    words = ["-connect", f"127.0.0.1:{port}", "-servername", NAME, "-dane_tlsa_domain", NAME, "-verify_return_error"]
    words += [word for text in texts for word in ("-dane_tlsa_rrdata", text)]
    words += ["-dane_ee_no_namechecks"]
    process = await asyncio.create_subprocess_exec(
        require_peer("openssl"),
        "s_client",
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return b"Verification: OK" in said or b"Verify return code: 0 (ok)" in said


async def we_say(port: int, texts: tuple[str, ...]) -> bool:
    """Whether we do."""
    protection = ClientContexts().trusting(NAME)
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=protection.context, server_hostname=NAME)
    try:
        tls = writer.get_extra_info("ssl_object")
        assert isinstance(tls, ssl.SSLObject)
        return dane_flaw(tls, strongest(usable(texts)), (NAME,), time.time()) is None
    finally:
        writer.close()


async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


@pytest.mark.parametrize("kind", ["whole", "without its authority", "another name", "expired", "wildcard"])
@on_loop
async def test_both_take_the_same_hosts_for_right(tmp_path: Path, kind: str) -> None:
    require_peer("openssl")
    path = chains(tmp_path)[kind]
    authority = ssl.PEM_cert_to_DER_cert((tmp_path / "authority.pem").read_text())
    texts = records(chain_in(path), authority)
    pairs = combinations([texts[4], texts[5], *texts[-4:-1]], 2)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=shows(path))
    port = server.sockets[0].getsockname()[1]
    verdicts = {
        chosen: (await openssl_says(port, chosen), await we_say(port, chosen))
        for chosen in [*((text,) for text in texts), *pairs]
    }
    server.close()
    assert {theirs for theirs, _ in verdicts.values()} == {True, False}
    assert [chosen for chosen, (theirs, ours) in verdicts.items() if theirs is not ours] == []
