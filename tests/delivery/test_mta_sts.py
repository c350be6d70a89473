"""MTA-STS on the way to other hosts (RFC 8461 section 4 and 5)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from purport.delivery.failure import Judgement
from purport.delivery.pool import PoolSettings
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_policy import NO_TLS_RULES, Level, TlsPolicy, TlsRules
from purport.dns.zone import StaticResolver
from purport.net.client_tls import ClientContexts
from purport.net.policy_host import NoPolicy
from support.certificates import Authority, chain_in, shows, tlsa
from support.outside import Outside
from support.scripted_server import ScriptedServer, on_loop

DOMAIN = "mx:company.com.example"
DANE = "3 1 1 " + "ab" * 32
ZONE = {
    "company.com.example": [{"MX": [10, "mx.hoster.example"]}],
    "mx.hoster.example": [{"A": "127.0.0.1"}],
    "_mta-sts.company.com.example": [{"TXT": "v=STSv1; id=1"}],
}


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


class Sending:
    """A pool for one server, and a policy for company.com.example."""

    def __init__(
        self,
        server: ScriptedServer,
        authority: Authority,
        mode: str = "enforce",
        mx: Sequence[str] = ("mx.hoster.example",),
        *,
        tls: TlsRules = NO_TLS_RULES,
        zone: dict[str, object] | None = None,
        domain: str = "company.com.example",
        problem: NoPolicy | None = None,
    ) -> None:
        resolver = StaticResolver({**ZONE, **(zone or {})})  # type: ignore[dict-item]
        lines = ["version: STSv1", f"mode: {mode}", *(f"mx: {pattern}" for pattern in mx), "max_age: 604800"]

        async def fetch(asked: str) -> bytes:
            assert asked == domain
            if problem is not None:
                raise problem
            return "\n".join(lines).encode()

        folder = authority.folder / "mta-sts"
        self.outside = Outside(
            resolver,
            PoolSettings(port=server.port),
            tls=tls,
            contexts=ClientContexts(authority.bundle),
            dane=True,
            sts=StsPolicies(folder, resolver, fetch),
        )

    async def __aenter__(self) -> Sending:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.outside.pool.close(0.0)

    async def outcome(self, next_hop: str = DOMAIN) -> tuple[Judgement, str]:
        self.outside.send(next_hop)
        return (await self.outside.outcomes())["bob"]

    @property
    def results(self) -> list[tuple[str, str]]:
        return [(report.policy_type, report.result) for report in self.outside.reported]


@pytest.mark.parametrize("mx", [["mx.hoster.example"], ["a.example", "*.hoster.example"]])
@on_loop
async def test_a_host_that_the_policy_names_gets_mail_with_its_name_in_a_good_certificate(authority, mx):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("mx.hoster.example")))
    async with server, Sending(server, authority, mx=mx) as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED
        assert sending.outside.settled[0][2].policy == "verify (mta-sts: policy of company.com.example)"
        (report,) = sending.outside.reported
        assert (report.policy_type, report.policy_domain, report.result) == ("sts", "company.com.example", "")
        assert report.mx_patterns == tuple(mx)
        assert report.policy_strings[1] == "mode: enforce"


@pytest.mark.parametrize(
    ("name", "expired", "result"),
    [
        ("company.com.example", False, "certificate-host-mismatch"),
        ("mx.hoster.example", True, "certificate-expired"),
    ],
)
@on_loop
async def test_a_certificate_that_does_not_prove_the_host_gets_nothing(authority, name, expired, result):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(name, expired=expired)))
    async with server, Sending(server, authority) as sending:
        judgement, reason = await sending.outcome()
        assert judgement is Judgement.DEFERRED
        assert reason.startswith("450 4.7.5 TLS handshake with mx.hoster.example[127.0.0.1]")
        assert len(server.connections) == 1
        assert sending.results == [("sts", result)]


@on_loop
async def test_an_authority_that_nobody_believes_proves_nothing(authority, tmp_path):
    other = Authority(tmp_path / "other")
    server = ScriptedServer("STARTTLS", tls=shows(other.issue("mx.hoster.example")))
    async with server, Sending(server, authority) as sending:
        assert (await sending.outcome())[0] is Judgement.DEFERRED
        assert sending.results == [("sts", "certificate-not-trusted")]


@on_loop
async def test_a_host_without_tls_gets_nothing(authority):
    server = ScriptedServer("PIPELINING")
    async with server, Sending(server, authority) as sending:
        assert await sending.outcome() == (Judgement.DEFERRED, "450 4.7.4 TLS is required, but was not offered")
        assert sending.results == [("sts", "starttls-not-supported")]


@on_loop
async def test_a_host_that_the_policy_does_not_name_is_not_connected_to(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("mx.hoster.example")))
    async with server, Sending(server, authority, mx=["*.company.com.example"]) as sending:
        expected = "450 4.7.5 MTA-STS policy of company.com.example does not name mx.hoster.example"
        assert await sending.outcome() == (Judgement.DEFERRED, expected)
        assert not server.connections
        assert sending.results == [("sts", "validation-failure")]


@on_loop
async def test_the_next_host_is_tried_in_place_of_one_that_the_policy_does_not_name(authority):
    """In the order of the MX records (RFC 8461 section 8.4)."""
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("mx.hoster.example")))
    zone = {
        "company.com.example": [{"MX": [5, "mx.evil.example"]}, {"MX": [10, "mx.hoster.example"]}],
        "mx.evil.example": [{"A": "127.0.0.1"}],
    }
    async with server, Sending(server, authority, zone=zone) as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED
        assert sending.outside.settled[0][2].host.startswith("mx.hoster.example[")


# Mode testing


@pytest.mark.parametrize(
    ("offers", "name", "mx", "result"),
    [
        (("STARTTLS",), "mx.hoster.example", "mx.hoster.example", ""),
        (("STARTTLS",), "another.example", "mx.hoster.example", "certificate-host-mismatch"),
        (("STARTTLS",), "mx.hoster.example", "another.example", "validation-failure"),
        ((), "", "mx.hoster.example", "starttls-not-supported"),
    ],
)
@on_loop
async def test_in_mode_testing_mail_goes_and_the_failure_is_reported(authority, offers, name, mx, result):
    tls = shows(authority.issue(name)) if name else None
    server = ScriptedServer(*offers, tls=tls)
    async with server, Sending(server, authority, "testing", [mx]) as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED
        assert sending.results == [("sts", result)]
        assert bool(sending.outside.settled[0][2].tls) is bool(offers)
        assert "mode testing" in sending.outside.settled[0][2].policy


@on_loop
async def test_in_mode_testing_what_the_settings_ask_for_still_holds(authority):
    server = ScriptedServer("PIPELINING")
    rules = TlsRules(TlsPolicy(Level.ENCRYPT))
    async with server, Sending(server, authority, "testing", tls=rules) as sending:
        assert (await sending.outcome())[0] is Judgement.DEFERRED


@on_loop
async def test_mode_none_asks_for_nothing(authority):
    server = ScriptedServer("PIPELINING")
    async with server, Sending(server, authority, "none") as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED
        assert sending.results == [("no-policy-found", "starttls-not-supported")]


# What cannot be had


@on_loop
async def test_without_a_policy_that_was_kept_a_policy_host_that_is_down_means_none(authority):
    """RFC 8461 section 3.3."""
    server = ScriptedServer("PIPELINING")
    problem = NoPolicy("sts-policy-fetch-error", "down")
    async with server, Sending(server, authority, problem=problem) as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED
        assert sending.outside.settled[0][2].policy == ""


# Beside DANE and the settings


@on_loop
async def test_tlsa_records_go_before_the_policy(authority):
    """RFC 8461 section 2: MTA-STS must not make up for DANE that fails, and need not hold where DANE does."""
    path = authority.issue("nobody.example")
    for record, judgement in ((tlsa(chain_in(path)[0]), Judgement.RELAYED), (DANE, Judgement.DEFERRED)):
        server = ScriptedServer("STARTTLS", tls=shows(path))
        async with server:
            zone = {
                "company.com.example": ["SIGNED", {"MX": [10, "mx.hoster.example"]}],
                "mx.hoster.example": ["SIGNED", {"A": "127.0.0.1"}],
                f"_{server.port}._tcp.mx.hoster.example": ["SIGNED", {"TLSA": record}],
            }
            async with Sending(server, authority, zone=zone) as sending:
                assert (await sending.outcome())[0] is judgement
                assert [report.policy_type for report in sending.outside.reported] == ["tlsa"]


@on_loop
async def test_what_the_settings_say_of_a_domain_goes_before_its_policy(authority):
    server = ScriptedServer("PIPELINING")
    rules = TlsRules(by_name={"company.com.example": TlsPolicy(Level.MAY)})
    async with server, Sending(server, authority, tls=rules) as sending:
        assert (await sending.outcome())[0] is Judgement.RELAYED


@on_loop
async def test_the_policy_raises_what_the_settings_ask_of_all(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("another.example")))
    async with server, Sending(server, authority, tls=TlsRules(TlsPolicy(Level.ENCRYPT))) as sending:
        assert (await sending.outcome())[0] is Judgement.DEFERRED


@on_loop
async def test_a_smarthost_has_the_policy_of_its_own_name(authority):
    """RFC 8461 section 3.4."""
    server = ScriptedServer("PIPELINING")
    zone = {"_mta-sts.mx.hoster.example": [{"TXT": "v=STSv1; id=1"}]}
    async with server, Sending(server, authority, zone=zone, domain="mx.hoster.example") as sending:
        judgement, reason = await sending.outcome(f"smtp:mx.hoster.example:{server.port}")
        assert (judgement, reason) == (Judgement.DEFERRED, "450 4.7.4 TLS is required, but was not offered")
