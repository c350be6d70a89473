"""DANE on the way to other hosts (RFC 7672): what TLSA records ask for holds, or nothing goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.delivery.failure import Judgement
from purport.delivery.pool import PoolSettings
from purport.delivery.tls_policy import NO_TLS_RULES, Level, TlsPolicy, TlsRules
from purport.dns.zone import StaticResolver
from purport.net.client_tls import ClientContexts
from purport.net.resolver import Resolver
from support.certificates import Authority, chain_in, shows, tlsa
from support.dns_server import dns_server
from support.outside import Outside
from support.scripted_server import ScriptedServer, on_loop

DOMAIN = "mx:company.com.example"
OTHER = "3 1 1 " + "ab" * 32  # of a key that nobody has


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def zone(port: int, *records: str, mx=("SIGNED",), host=("SIGNED",), signed=("SIGNED",)) -> StaticResolver:
    """company.com.example with one MX host on a port of loopback, which has these TLSA records."""
    return StaticResolver(
        {
            "company.com.example": [*mx, {"MX": [10, "mx.hoster.example"]}],
            "mx.hoster.example": [*host, {"A": "127.0.0.1"}],
            f"_{port}._tcp.mx.hoster.example": [*signed, *({"TLSA": record} for record in records)],
        }
    )


def outside(server: ScriptedServer, resolver: StaticResolver, tls: TlsRules = NO_TLS_RULES) -> Outside:
    return Outside(resolver, PoolSettings(port=server.port), tls=tls, dane=True)


async def outcome(pool: Outside, next_hop: str = DOMAIN) -> tuple[Judgement, str]:
    pool.send(next_hop)
    return (await pool.outcomes())["bob"]


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
@pytest.mark.parametrize("expired", [False, True])
@on_loop
async def test_a_certificate_that_a_record_names_is_all_that_is_asked_for(authority, selector, matching, expired):
    """DANE-EE: neither its names nor its dates nor who issued it (RFC 7672 section 3.1.1)."""
    path = authority.issue("nobody.example", expired=expired)
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        records = zone(server.port, OTHER, tlsa(chain_in(path)[0], 3, selector, matching))
        async with outside(server, records) as pool:
            assert (await outcome(pool))[0] is Judgement.RELAYED
            answer = pool.settled[0][2]
            assert answer.policy.startswith("dane (dane: TLSA 3 ")
            assert answer.tls.startswith("TLSv1.3 ")
            (report,) = pool.reported
            assert (report.policy_type, report.result) == ("tlsa", "")
            assert report.host == "mx.hoster.example"
            assert (report.address, report.local_address) == ("127.0.0.1", "127.0.0.1")
            assert len(report.policy_strings) == 2


@on_loop
async def test_a_certificate_that_no_record_names_gets_nothing_and_never_in_clear(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("mx.hoster.example")))
    async with server, outside(server, zone(server.port, OTHER)) as pool:
        judgement, reason = await outcome(pool)
        assert judgement is Judgement.DEFERRED
        assert reason.startswith("450 4.7.5 TLS handshake with mx.hoster.example[127.0.0.1]:")
        assert reason.endswith("the certificate matches none of the TLSA records")
        assert len(server.connections) == 1
        assert server.commands == ["EHLO client.example", "STARTTLS"]
        assert [report.result for report in pool.reported] == ["validation-failure"]
        transcript = pool.settled[0][2].transcript.splitlines()
        assert transcript[0].startswith("T: asked for dane (dane: TLSA 3 1 1 at _")
        assert "S: 220 2.0.0 Ready" in transcript


@on_loop
async def test_a_weaker_digest_that_fits_beside_a_stronger_one_that_does_not_proves_nothing(authority):
    path = authority.issue("mx.hoster.example")
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        records = zone(server.port, tlsa(chain_in(path)[0], 3, 1, 1), "3 1 2 " + "cd" * 64)
        async with outside(server, records) as pool:
            assert (await outcome(pool))[0] is Judgement.DEFERRED


@on_loop
async def test_a_host_with_records_and_without_tls_gets_nothing():
    """Somebody between could have taken STARTTLS out of the reply (RFC 7672 section 1.3.1)."""
    server = ScriptedServer("PIPELINING")
    async with server, outside(server, zone(server.port, OTHER)) as pool:
        assert await outcome(pool) == (Judgement.DEFERRED, "450 4.7.4 TLS is required, but was not offered")
        assert [report.result for report in pool.reported] == ["starttls-not-supported"]


@pytest.mark.parametrize(
    ("name", "complete", "judgement", "result"),
    [
        ("mx.hoster.example", True, Judgement.RELAYED, ""),
        ("company.com.example", True, Judgement.RELAYED, ""),
        ("another.example", True, Judgement.DEFERRED, "certificate-host-mismatch"),
        ("mx.hoster.example", False, Judgement.DEFERRED, "certificate-not-trusted"),
    ],
)
@on_loop
async def test_an_authority_that_a_record_names_has_to_be_in_the_chain_of_a_certificate_with_the_right_name(
    authority, name, complete, judgement, result
):
    path = authority.issue_below(name)
    if complete:
        authority.add_itself(path)
    server = ScriptedServer("STARTTLS", tls=shows(path))
    async with server, outside(server, zone(server.port, tlsa(authority.certificate, 2, 0, 1))) as pool:
        assert (await outcome(pool))[0] is judgement
        assert [report.result for report in pool.reported] == [result]


@on_loop
async def test_the_server_is_asked_for_the_tlsa_base_domain(authority):
    """RFC 7672 section 8.1: a server with several certificates is to show the right one."""
    asked: list[str | None] = []
    path = authority.issue("mx.hoster.example")
    context = shows(path)
    context.sni_callback = lambda _tls, name, _context: asked.append(name)
    async with ScriptedServer("STARTTLS", tls=context) as server:
        records = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, "alias.company.com.example"]}],
                "alias.company.com.example": ["SIGNED", {"CNAME": "mx.hoster.example"}],
                "mx.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
                f"_{server.port}._tcp.mx.hoster.example": ["SIGNED", {"TLSA": tlsa(chain_in(path)[0])}],
            }
        )
        async with outside(server, records) as pool:
            assert (await outcome(pool))[0] is Judgement.RELAYED
            assert asked == ["mx.hoster.example"]


@pytest.mark.parametrize("record", ["0 0 1 " + "ab" * 32, "1 1 1 " + "ab" * 32, "3 1 9 ab", "3 1 1 ab"])
@pytest.mark.parametrize("offers", [("STARTTLS",), ()])
@on_loop
async def test_records_of_which_none_is_usable_ask_for_tls_and_for_no_proof(authority, record, offers):
    server = ScriptedServer(*offers, tls=shows(authority.issue("nobody.example")))
    async with server, outside(server, zone(server.port, record)) as pool:
        assert (await outcome(pool))[0] is (Judgement.RELAYED if offers else Judgement.DEFERRED)
        (report,) = pool.reported
        assert report.policy_type == "tlsa"
        assert report.result == ("tlsa-invalid" if offers else "starttls-not-supported")


@pytest.mark.parametrize(
    "insecure",
    [{"mx": ()}, {"host": ()}, {"signed": ()}],
    ids=["MX records", "addresses", "TLSA records"],
)
@on_loop
async def test_what_nobody_signed_asks_for_nothing(insecure):
    server = ScriptedServer("PIPELINING")
    async with server, outside(server, zone(server.port, OTHER, **insecure)) as pool:
        assert (await outcome(pool))[0] is Judgement.RELAYED
        assert pool.settled[0][2].policy == ""
        (report,) = pool.reported
        assert (report.policy_type, report.result) == ("no-policy-found", "starttls-not-supported")


@on_loop
async def test_a_host_whose_records_cannot_be_asked_for_is_not_used():
    """RFC 7672 section 2.1.2: who makes the question fail could be who wants the mail."""
    server = ScriptedServer("PIPELINING")
    async with server, outside(server, zone(server.port, signed=("SERVFAIL",))) as pool:
        judgement, reason = await outcome(pool)
        assert judgement is Judgement.DEFERRED
        name = f"_{server.port}._tcp.mx.hoster.example"
        assert reason == f"451 4.4.3 DNS lookup for {name} (TLSA) failed: mx.hoster.example is not used"
        assert not server.connections
        assert [report.result for report in pool.reported] == ["dnssec-invalid"]


@on_loop
async def test_the_next_host_is_tried_in_place_of_one_that_cannot_be_used(authority):
    path = authority.issue("nobody.example")
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        records = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, "a.hoster.example"]}, {"MX": [20, "b.hoster.example"]}],
                "a.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
                "b.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
                f"_{server.port}._tcp.a.hoster.example": ["SERVFAIL"],
                f"_{server.port}._tcp.b.hoster.example": ["SIGNED", {"TLSA": tlsa(chain_in(path)[0])}],
            }
        )
        async with outside(server, records) as pool:
            assert (await outcome(pool))[0] is Judgement.RELAYED
            assert pool.settled[0][2].host.startswith("b.hoster.example[")


@on_loop
async def test_a_host_that_cannot_be_used_is_reported_once_and_takes_no_place_of_others(authority):
    """However many addresses it has."""
    path = authority.issue("nobody.example")
    async with ScriptedServer("STARTTLS", tls=shows(path)) as server:
        records = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, "a.hoster.example"]}, {"MX": [20, "b.hoster.example"]}],
                "a.hoster.example": ["SIGNED", *({"A": f"127.0.1.{number}"} for number in range(1, 20))],
                "b.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
                f"_{server.port}._tcp.a.hoster.example": ["SERVFAIL"],
            }
        )
        async with outside(server, records) as pool:
            assert (await outcome(pool))[0] is Judgement.RELAYED
            assert [report.result for report in pool.reported] == ["dnssec-invalid", ""]


@on_loop
async def test_a_host_of_the_settings_is_checked_by_its_records_too(authority):
    """RFC 7672 section 2.2.2."""
    path = authority.issue("nobody.example")
    for record, judgement in ((tlsa(chain_in(path)[0]), Judgement.RELAYED), (OTHER, Judgement.DEFERRED)):
        server = ScriptedServer("STARTTLS", tls=shows(path))
        async with server, outside(server, zone(server.port, record)) as pool:
            assert (await outcome(pool, f"smtp:mx.hoster.example:{server.port}"))[0] is judgement
            assert pool.reported == []


# The settings


@on_loop
async def test_what_the_settings_say_of_a_domain_goes_before_its_records(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("nobody.example")))
    rules = TlsRules(by_name={"company.com.example": TlsPolicy(Level.ENCRYPT)})
    async with server, outside(server, zone(server.port, OTHER), rules) as pool:
        assert (await outcome(pool))[0] is Judgement.RELAYED
        assert pool.settled[0][2].policy == "encrypt (settings)"


@on_loop
async def test_records_raise_what_the_settings_ask_of_all(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("nobody.example")))
    async with server, outside(server, zone(server.port, OTHER), TlsRules(TlsPolicy(Level.ENCRYPT))) as pool:
        assert (await outcome(pool))[0] is Judgement.DEFERRED


@pytest.mark.parametrize("records", [(), (OTHER,), ("0 0 1 " + "ab" * 32,)])
@on_loop
async def test_level_dane_sends_nothing_without_records(authority, records):
    """RFC 7672 section 6."""
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("company.com.example")))
    rules = TlsRules(by_name={"company.com.example": TlsPolicy(Level.DANE)})
    contexts = ClientContexts(authority.bundle)
    async with server:
        settings = PoolSettings(port=server.port)
        async with Outside(zone(server.port, *records), settings, tls=rules, contexts=contexts) as pool:
            judgement, reason = await outcome(pool)
            assert judgement is Judgement.DEFERRED
            if records != (OTHER,):
                expected = "DANE is required, but mx.hoster.example has no validated TLSA record that is usable"
                assert reason == f"450 4.7.5 {expected}"
                assert [report.result for report in pool.reported] == ["dane-required"]


# A resolver that validates


@pytest.mark.parametrize(("trust", "judgement"), [("loopback", Judgement.DEFERRED), ("never", Judgement.RELAYED)])
@on_loop
async def test_records_count_that_a_resolver_on_this_machine_says_it_validated(authority, trust, judgement):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("mx.hoster.example")))
    async with server:
        records = {
            "company.com.example": ["SIGNED", {"MX": [10, "mx.hoster.example"]}],
            "mx.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
            f"_{server.port}._tcp.mx.hoster.example": ["SIGNED", {"TLSA": OTHER}],
        }
        with dns_server(records) as names:
            resolver = Resolver([names.address], trust_ad=trust)
            async with Outside(resolver, PoolSettings(port=server.port), dane=True) as pool:
                assert (await outcome(pool))[0] is judgement
