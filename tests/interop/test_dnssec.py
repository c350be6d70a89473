"""DNSSEC and DANE with a resolver that validates: Unbound, over a zone that the test signs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.delivery.failure import Judgement
from purport.delivery.pool import PoolSettings
from purport.dns.lookup import Answer, Question, Status
from purport.net.resolver import Resolver
from support.certificates import Authority, chain_in, shows, tlsa
from support.outside import Outside
from support.scripted_server import ScriptedServer, on_loop
from support.unbound import unbound

pytestmark = pytest.mark.peer

RECORDS = """
company.com IN MX 10 mx.hoster
mx.hoster IN A 127.0.0.1
alias.hoster IN CNAME mx.hoster
to-plain IN CNAME mx.plain.
forged IN A 192.0.2.1
_25._tcp.mx.hoster IN TLSA 3 1 1 abababababababababababababababababababababababababababababababab
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("unbound")
    plain = "mx IN A 127.0.0.1\nto-signed IN CNAME mx.hoster.example.\n"
    with unbound(folder, RECORDS, forged=("192.0.2.1", "192.0.2.2"), plain=plain) as running:
        yield running


def ask(address: str, name: str, kind: str) -> Answer:
    return asyncio.run(Resolver([address], timeout=5).resolve(Question(name, kind)))


@pytest.mark.parametrize(
    ("name", "kind", "status", "secure", "alias"),
    [
        ("company.com.example", "MX", Status.FOUND, True, ""),
        ("company.com.example", "A", Status.EMPTY, True, ""),
        ("nowhere.example", "MX", Status.MISSING, True, ""),
        ("mx.hoster.example", "A", Status.FOUND, True, ""),
        ("_25._tcp.mx.hoster.example", "TLSA", Status.FOUND, True, ""),
        ("alias.hoster.example", "A", Status.FOUND, True, "mx.hoster.example"),
        ("to-plain.example", "A", Status.FOUND, False, "mx.plain"),
        ("to-plain.example", "CNAME", Status.FOUND, True, ""),
        ("mx.plain", "A", Status.FOUND, False, ""),
        ("nowhere.plain", "A", Status.MISSING, False, ""),
        ("to-signed.plain", "A", Status.FOUND, False, "mx.hoster.example"),
        ("forged.example", "A", Status.FAILED, False, ""),
    ],
)
def test_what_is_validated_and_what_is_not(
    address: str, name: str, kind: str, status: Status, secure: bool, alias: str
) -> None:
    found = ask(address, name, kind)
    assert (found.status, found.secure, found.alias) == (status, secure, alias)


@pytest.mark.parametrize("forged", [False, True])
@on_loop
async def test_a_record_that_was_changed_on_its_way_stops_the_mail_and_a_true_one_lets_it_go(
    tmp_path: Path, forged: bool
) -> None:
    path = Authority(tmp_path / "authority").issue("nobody.example")
    record = tlsa(chain_in(path)[0])
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        records = f"{RECORDS}\n_{server.port}._tcp.mx.hoster IN TLSA {'3 1 1 ' + 'cd' * 32 if forged else record}\n"
        change = ("cd" * 32, record.split()[-1]) if forged else ("", "")
        with unbound(tmp_path / "unbound", records, forged=change) as address:
            resolver = Resolver([address], timeout=5)
            async with Outside(resolver, PoolSettings(port=server.port), dane=True) as outside:
                outside.send("mx:company.com.example")
                judgement, reason = (await outside.outcomes())["bob"]
                assert judgement is (Judgement.DEFERRED if forged else Judgement.RELAYED)
                assert ("(TLSA) failed" in reason) is forged
