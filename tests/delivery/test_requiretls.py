"""Messages with REQUIRETLS and with TLS-Required: No on the way to other hosts (RFC 8689 section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from purport.delivery.failure import Judgement
from purport.delivery.pool import PoolSettings
from purport.delivery.sts_cache import StsPolicies
from purport.delivery.tls_policy import NO_TLS_RULES, Level, TlsPolicy, TlsRules
from purport.dns.zone import StaticResolver
from purport.mail.address import NULL
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.net.client_tls import ClientContexts
from purport.smtp.extensions.requiretls import MARK, REQUIRED
from support.certificates import Authority, chain_in, shows, tlsa
from support.outside import ALICE, Outside, a_message
from support.scripted_server import DROP, ScriptedServer, on_loop

DOMAIN = "mx:company.com.example"
HOST = "mx.company.com.example"
OFFERS = ("STARTTLS", "REQUIRETLS")
IGNORED = Parameters((MARK,))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def zone(port: int, *, signed: bool = True, sts: bool = False, record: str = "") -> StaticResolver:
    mark = ["SIGNED"] if signed else []
    return StaticResolver(
        {
            "company.com.example": [*mark, {"MX": [10, HOST]}],
            HOST: [*mark, {"A": "127.0.0.1"}],
            "_mta-sts.company.com.example": [{"TXT": "v=STSv1; id=1"}] if sts else [],
            f"_{port}._tcp.{HOST}": [*mark, {"TLSA": record}] if record else [],
        }
    )


def sending(
    server: ScriptedServer,
    authority: Authority,
    resolver: StaticResolver | None = None,
    policy: Sequence[str] = ("mode: enforce", f"mx: {HOST}"),
    tls: TlsRules = NO_TLS_RULES,
) -> Outside:
    resolver = resolver or zone(server.port)

    async def fetch(_domain: str) -> bytes:
        return "\n".join(("version: STSv1", *policy, "max_age: 604800")).encode()

    sts = StsPolicies(authority.folder / "mta-sts", resolver, fetch)
    contexts = ClientContexts(authority.bundle)
    return Outside(resolver, PoolSettings(port=server.port), tls=tls, contexts=contexts, dane=True, sts=sts)


async def outcome(
    outside: Outside, parameters: Parameters = REQUIRED, next_hop: str = DOMAIN, *, report: bool = False
) -> tuple[Judgement, str]:
    outside.send(next_hop, a_message(parameters=parameters, reverse_path=NULL if report else ALICE))
    return (await outside.outcomes())["bob"]


def mail(server: ScriptedServer) -> list[str]:
    return [command for command in server.commands if command.startswith("MAIL")]


@on_loop
async def test_it_goes_with_the_parameter_to_a_host_that_offers_it_and_proves_its_name(authority):
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
    async with server, sending(server, authority) as outside:
        assert (await outcome(outside))[0] is Judgement.RELAYED
        assert mail(server) == ["MAIL FROM:<alice@example.com> REQUIRETLS"]
        assert outside.settled[0][2].policy == "verify (requiretls)"


@on_loop
async def test_a_message_without_it_goes_as_ever_beside_it(authority):
    server = ScriptedServer("PIPELINING")
    async with server, sending(server, authority) as outside:
        assert (await outcome(outside, NO_PARAMETERS))[0] is Judgement.RELAYED
        assert mail(server) == ["MAIL FROM:<alice@example.com>"]


@on_loop
async def test_messages_with_it_never_share_a_connection_with_others(authority):
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue("nobody.example")))
    async with server, sending(server, authority) as outside:
        assert (await outcome(outside, NO_PARAMETERS))[0] is Judgement.RELAYED
        outside.settled.clear()
        assert (await outcome(outside))[0] is Judgement.FAILED
        assert len(server.connections) == 2
        assert len(mail(server)) == 1


# Who vouches for the host


@pytest.mark.parametrize(
    ("signed", "sts", "policy", "judgement"),
    [
        (True, False, ["mode: enforce", f"mx: {HOST}"], Judgement.RELAYED),
        (False, True, ["mode: enforce", f"mx: {HOST}"], Judgement.RELAYED),
        (False, True, ["mode: testing", f"mx: {HOST}"], Judgement.RELAYED),
        (False, True, ["mode: testing", "mx: another.example"], Judgement.FAILED),
        (False, True, ["mode: none"], Judgement.FAILED),
        (False, False, [], Judgement.FAILED),
    ],
)
@on_loop
async def test_dnssec_or_mta_sts_has_to_vouch_for_the_host(authority, signed, sts, policy, judgement):
    """RFC 8689 section 4.2.1 (2)."""
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
    async with server, sending(server, authority, zone(server.port, signed=signed, sts=sts), policy) as outside:
        found, reason = await outcome(outside)
        assert found is judgement
        if judgement is Judgement.FAILED:
            assert reason == f"550 5.7.10 Encryption needed: neither DNSSEC nor MTA-STS vouches for {HOST}"
            assert not server.connections


@on_loop
async def test_a_domain_without_mx_records_and_a_host_of_the_settings_vouch_for_themselves(authority):
    resolver = StaticResolver({HOST: [{"A": "127.0.0.1"}]})
    for next_hop in (f"mx:{HOST}", f"smtp:{HOST}:{{}}"):
        server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
        async with server, sending(server, authority, resolver) as outside:
            assert (await outcome(outside, next_hop=next_hop.format(server.port)))[0] is Judgement.RELAYED


@on_loop
async def test_tlsa_records_prove_the_host_in_place_of_an_authority(authority):
    path = authority.issue("nobody.example")
    for record, judgement in ((tlsa(chain_in(path)[0]), Judgement.RELAYED), (f"3 1 1 {'ab' * 32}", Judgement.FAILED)):
        server = ScriptedServer(*OFFERS, tls=shows(path))
        async with server, sending(server, authority, zone(server.port, record=record)) as outside:
            assert (await outcome(outside))[0] is judgement


@on_loop
async def test_what_the_settings_say_is_raised_and_their_names_count(authority):
    rules = TlsRules(by_name={"company.com.example": TlsPolicy(Level.VERIFY, (".hoster.example",))})
    for name, judgement in (("a.hoster.example", Judgement.RELAYED), (HOST, Judgement.FAILED)):
        server = ScriptedServer(*OFFERS, tls=shows(authority.issue(name)))
        async with server, sending(server, authority, tls=rules) as outside:
            assert (await outcome(outside))[0] is judgement
    rules = TlsRules(TlsPolicy(Level.NONE))
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
    async with server, sending(server, authority, tls=rules) as outside:
        assert (await outcome(outside))[0] is Judgement.RELAYED
        assert outside.settled[0][2].tls


# Where it cannot go


@on_loop
async def test_a_host_that_does_not_offer_it_under_tls_returns_the_message(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(HOST)))
    async with server, sending(server, authority) as outside:
        assert await outcome(outside) == (Judgement.FAILED, "550 5.7.30 REQUIRETLS support required")
        assert mail(server) == []
        await server.until(lambda: "QUIT" in server.commands)
        assert "T: asked for verify (requiretls)" in outside.settled[0][2].transcript


@pytest.mark.parametrize(
    ("offers", "name", "reason"),
    [
        ((), HOST, "TLS is required, but was not offered"),
        (("STARTTLS",), "another.example", "Hostname mismatch"),
    ],
)
@on_loop
async def test_a_host_without_protection_that_will_do_returns_the_message(authority, offers, name, reason):
    server = ScriptedServer(*offers, tls=shows(authority.issue(name)))
    async with server, sending(server, authority) as outside:
        judgement, told = await outcome(outside)
        assert judgement is Judgement.FAILED
        assert told.startswith("550 5.7.10 Encryption needed: ")
        assert reason in told
        assert len(server.connections) == 1


@pytest.mark.parametrize("said", ["454 4.7.0 TLS not available", DROP])
@on_loop
async def test_what_may_be_better_tomorrow_returns_nothing(authority, said):
    server = ScriptedServer("STARTTLS").on("STARTTLS", said)
    async with server, sending(server, authority) as outside:
        assert (await outcome(outside))[0] is Judgement.DEFERRED


@on_loop
async def test_a_question_that_failed_returns_nothing(authority):
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
    async with server:
        resolver = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, HOST]}],
                HOST: ["SIGNED", {"A": "127.0.0.1"}],
                f"_{server.port}._tcp.{HOST}": ["SERVFAIL"],
            }
        )
        async with sending(server, authority, resolver) as outside:
            assert (await outcome(outside))[0] is Judgement.DEFERRED


@on_loop
async def test_every_host_is_tried_before_it_returns(authority):
    """RFC 8689 section 4.2.1: "repeat steps 2-5 with each host"."""
    plain = ScriptedServer("STARTTLS", tls=shows(authority.issue("a.company.com.example")), address="127.0.0.2")
    async with plain:
        server = ScriptedServer(*OFFERS, tls=shows(authority.issue("b.company.com.example")), port=plain.port)
        async with server:
            resolver = StaticResolver(
                {
                    "company.com.example": [
                        "SIGNED",
                        {"MX": [10, "a.company.com.example"]},
                        {"MX": [20, "b.company.com.example"]},
                    ],
                    "a.company.com.example": ["SIGNED", {"A": "127.0.0.2"}],
                    "b.company.com.example": ["SIGNED", {"A": "127.0.0.1"}],
                }
            )
            async with sending(server, authority, resolver) as outside:
                assert (await outcome(outside))[0] is Judgement.RELAYED
                assert mail(plain) == []
                assert mail(server) == ["MAIL FROM:<alice@example.com> REQUIRETLS"]


@pytest.mark.parametrize("addresses", [("127.0.0.9", "127.0.0.1"), ("127.0.0.1", "127.0.0.9")])
@on_loop
async def test_an_address_that_is_dead_does_not_keep_the_message_of_a_host_that_cannot_have_it(authority, addresses):
    """As the IPv6 address of many a host is."""
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(HOST)))
    async with server:
        resolver = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, HOST]}],
                HOST: ["SIGNED", *({"A": address} for address in addresses)],
            }
        )
        async with sending(server, authority, resolver) as outside:
            assert await outcome(outside) == (Judgement.FAILED, "550 5.7.30 REQUIRETLS support required")


@on_loop
async def test_a_host_that_is_not_there_may_be_one_that_can_have_it(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(HOST)))
    async with server:
        resolver = StaticResolver(
            {
                "company.com.example": ["SIGNED", {"MX": [10, HOST]}, {"MX": [20, "b.company.com.example"]}],
                HOST: ["SIGNED", {"A": "127.0.0.1"}],
                "b.company.com.example": ["SIGNED", {"A": "127.0.0.9"}],
            }
        )
        async with sending(server, authority, resolver) as outside:
            assert (await outcome(outside))[0] is Judgement.DEFERRED


# Reports


@on_loop
async def test_a_report_goes_with_the_parameter_where_it_can(authority):
    server = ScriptedServer(*OFFERS, tls=shows(authority.issue(HOST)))
    async with server, sending(server, authority) as outside:
        assert (await outcome(outside, report=True))[0] is Judgement.RELAYED
        assert mail(server) == ["MAIL FROM:<> REQUIRETLS"]


@pytest.mark.parametrize(
    ("offers", "name", "signed"),
    [(("STARTTLS",), HOST, True), (OFFERS, "nobody.example", True), ((), HOST, True), (OFFERS, HOST, False)],
)
@on_loop
async def test_a_report_goes_without_it_where_it_cannot_go_with_it(authority, offers, name, signed):
    """RFC 8689 section 5: it "SHOULD NOT cause a bounce message to be discarded"."""
    server = ScriptedServer(*offers, tls=shows(authority.issue(name)))
    async with server, sending(server, authority, zone(server.port, signed=signed)) as outside:
        assert (await outcome(outside, report=True))[0] is Judgement.RELAYED
        assert mail(server) == ["MAIL FROM:<>"]


# Delivery


@on_loop
async def test_lmtp_is_delivery_and_asks_for_nothing(authority):
    server = ScriptedServer("PIPELINING").on("LHLO", "250 lmtp.test")
    async with server, sending(server, authority) as outside:
        found, _ = await outcome(outside, next_hop=f"lmtp:127.0.0.1:{server.port}")
        assert found is Judgement.DELIVERED
        assert mail(server) == ["MAIL FROM:<alice@example.com>"]


# TLS-Required: No


@pytest.mark.parametrize(
    "published",
    [{"record": f"3 1 1 {'ab' * 32}"}, {"record": "SERVFAIL"}, {"sts": True, "signed": False}],
    ids=["another key", "a question that fails", "MTA-STS"],
)
@pytest.mark.parametrize("offers", [("STARTTLS",), ()])
@on_loop
async def test_what_the_domain_publishes_is_not_insisted_on(authority, published, offers):
    server = ScriptedServer(*offers, tls=shows(authority.issue("nobody.example", expired=True)))
    async with server, sending(server, authority, zone(server.port, **published)) as outside:
        assert (await outcome(outside, NO_PARAMETERS))[0] is Judgement.DEFERRED
        outside.settled.clear()
        assert (await outcome(outside, IGNORED))[0] is Judgement.RELAYED
        assert mail(server) == ["MAIL FROM:<alice@example.com>"]
        assert bool(outside.settled[0][2].tls) is bool(offers)


@on_loop
async def test_what_our_own_settings_say_holds_for_such_messages_too(authority):
    server = ScriptedServer("PIPELINING")
    async with server, sending(server, authority, tls=TlsRules(TlsPolicy(Level.ENCRYPT))) as outside:
        assert (await outcome(outside, IGNORED))[0] is Judgement.DEFERRED
