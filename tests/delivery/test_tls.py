"""TLS on the way to other hosts (RFC 3207): what each level does with each kind of host, and what is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.delivery.failure import Judgement
from purport.delivery.patience import Patience
from purport.delivery.pool import PoolSettings
from purport.delivery.tls_policy import Level, TlsPolicy, TlsRules
from purport.dns.zone import StaticResolver
from purport.net.client_tls import ClientContexts, is_presented
from purport.smtp.sasl.credentials import Credentials
from support.certificates import Authority, shows
from support.outside import Outside, here
from support.scripted_server import DROP, HANG, ScriptedServer, on_loop

LOST = "450 4.7.5 TLS handshake with 127.0.0.1[127.0.0.1]:{} failed: "


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def asks_for(level: Level, *names: str) -> TlsRules:
    return TlsRules(TlsPolicy(level, names))


@on_loop
async def test_tls_is_begun_where_it_is_offered_and_nothing_said_in_clear_counts_after_it(authority):
    server = ScriptedServer("STARTTLS", "PIPELINING", tls=shows(authority.issue("another.example")))
    async with server, Outside() as outside:
        outside.send(here(server))
        assert await outside.outcomes() == {"bob": (Judgement.RELAYED, "250 2.0.0 Ok: taken")}
        (seen,) = server.connections
        assert [command.split()[0] for command in seen.commands[:4]] == ["EHLO", "STARTTLS", "EHLO", "MAIL"]
        assert outside.settled[0][2].tls.startswith("TLSv1.3 TLS_")


@on_loop
async def test_the_transcript_tells_how_it_was_protected(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("another.example"))).on("RCPT", "450 4.2.0 Later")
    async with server, Outside() as outside:
        outside.send(here(server))
        await outside.outcomes()
        lines = outside.settled[0][2].transcript.splitlines()
        assert lines[3:5] == ["C: STARTTLS", "S: 220 2.0.0 Ready"]
        assert lines[5].startswith("T: TLSv1.3 TLS_")
        assert lines[5].endswith(" (certificate not checked)")
        assert lines[6] == "C: EHLO client.example"


@on_loop
async def test_a_host_without_tls_gets_mail_in_clear_where_that_may_be():
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert outside.settled[0][2].tls == ""


@pytest.mark.parametrize("level", [Level.ENCRYPT, Level.VERIFY])
@on_loop
async def test_where_tls_is_required_a_host_without_it_gets_nothing(level):
    async with ScriptedServer("PIPELINING") as server, Outside(tls=asks_for(level)) as outside:
        outside.send(here(server))
        expected = "450 4.7.4 TLS is required, but was not offered"
        assert await outside.outcomes() == {"bob": (Judgement.DEFERRED, expected)}
        await server.until(lambda: server.commands == ["EHLO client.example", "QUIT"])
        assert outside.settled[0][2].local


@on_loop
async def test_where_tls_is_required_a_host_that_knows_helo_alone_gets_nothing():
    async with ScriptedServer() as server, Outside(tls=asks_for(Level.ENCRYPT)) as outside:
        server.on("EHLO", "502 5.5.1 What")
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][1] == "450 4.7.4 TLS is required, but was not offered"


@on_loop
async def test_level_none_does_not_begin_it(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("another.example")))
    async with server, Outside(tls=asks_for(Level.NONE)) as outside:
        outside.send(here(server))
        await outside.outcomes()
        assert "STARTTLS" not in server.commands


@pytest.mark.parametrize(
    ("level", "judgement", "connections"),
    [(Level.MAY, Judgement.RELAYED, 2), (Level.ENCRYPT, Judgement.DEFERRED, 1)],
)
@on_loop
async def test_a_handshake_that_fails_is_made_up_for_in_clear_where_that_may_be(level, judgement, connections):
    server = ScriptedServer("STARTTLS").on("STARTTLS", "220 2.0.0 Ready\r\n220 no TLS")
    async with server, Outside(tls=asks_for(level)) as outside:
        outside.send(here(server))
        found, reason = (await outside.outcomes())["bob"]
        assert found is judgement
        assert len(server.connections) == connections
        if judgement is Judgement.DEFERRED:
            assert reason.startswith("450 4.")


@pytest.mark.parametrize("refusal", ["454 4.7.0 TLS not available", "501 5.5.4 Syntax", "502 5.5.1 Unknown"])
@on_loop
async def test_a_refused_starttls_is_no_end_where_tls_is_only_wished_for(refusal):
    async with ScriptedServer("STARTTLS").on("STARTTLS", refusal) as server, Outside() as outside:
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert len(server.connections) == 1


@on_loop
async def test_a_refused_starttls_defers_the_mail_where_tls_is_required():
    server = ScriptedServer("STARTTLS").on("STARTTLS", "454 4.7.0 TLS not available")
    async with server, Outside(tls=asks_for(Level.ENCRYPT)) as outside:
        outside.send(here(server))
        assert await outside.outcomes() == {"bob": (Judgement.DEFERRED, "454 4.7.0 TLS not available")}


@on_loop
async def test_octets_that_came_in_clear_behind_the_reply_are_not_believed(authority):
    """Somebody between could have put replies there that would be taken for those of the host under TLS."""
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("another.example")))
    server.on("STARTTLS", b"220 2.0.0 Ready\r\n250-mx.test\r\n250 AUTH PLAIN\r\n")
    async with server, Outside(tls=asks_for(Level.ENCRYPT)) as outside:
        outside.send(here(server))
        assert await outside.outcomes() == {
            "bob": (
                Judgement.DEFERRED,
                "450 4.5.0 Server protocol error: octets in clear behind the reply to STARTTLS",
            )
        }
        assert not any(command.startswith("MAIL") for command in server.commands)


@on_loop
async def test_a_handshake_that_does_not_come_is_not_waited_for_long():
    server = ScriptedServer("STARTTLS").on("*", HANG)
    server.on("STARTTLS", HANG)
    async with server, Outside(tls=asks_for(Level.ENCRYPT), patience=Patience(tls=0.1)) as outside:
        outside.send(here(server))
        judgement, reason = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert "timed out while waiting for STARTTLS" in reason


@on_loop
async def test_a_connection_that_ends_in_the_handshake_is_tried_in_clear_where_that_may_be():
    server = ScriptedServer("STARTTLS").on("STARTTLS", DROP)
    async with server, Outside() as outside:
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert len(server.connections) == 2


# Level verify


@on_loop
async def test_a_host_with_its_name_in_a_certificate_that_is_believed_gets_the_mail(authority):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue("127.0.0.1")))
    contexts = ClientContexts(authority.bundle)
    async with server, Outside(tls=asks_for(Level.VERIFY), contexts=contexts) as outside:
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED


@pytest.mark.parametrize(
    ("name", "expired", "believed", "reason"),
    [
        ("another.example", False, True, "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("127.0.0.1", True, True, "certificate has expired"),
        ("127.0.0.1", False, False, "unable to get local issuer certificate"),
    ],
)
@on_loop
async def test_a_certificate_that_does_not_prove_who_it_is_gets_nothing(
    authority, tmp_path, name, expired, believed, reason
):
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(name, expired=expired)))
    contexts = ClientContexts((authority if believed else Authority(tmp_path / "other")).bundle)
    async with server, Outside(tls=asks_for(Level.VERIFY), contexts=contexts) as outside:
        outside.send(here(server))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert told.startswith(LOST.format(server.port))
        assert reason in told
        assert not any(command.startswith("MAIL") for command in server.commands)


MX = {
    "company.com.example": [{"MX": [10, "mx.hoster.example"]}],
    "mx.hoster.example": [{"A": "127.0.0.1"}],
}


@pytest.mark.parametrize(
    ("certificate", "names", "judgement"),
    [
        ("company.com.example", (), Judgement.RELAYED),
        ("mail.company.com.example", (), Judgement.RELAYED),
        ("mx.hoster.example", (), Judgement.DEFERRED),
        ("mx.hoster.example", (".hoster.example",), Judgement.RELAYED),
        ("*.hoster.example", ("mx.hoster.example",), Judgement.RELAYED),
        ("company.com.example", (".hoster.example",), Judgement.DEFERRED),
    ],
)
@on_loop
async def test_behind_mx_records_the_certificate_must_have_the_domains_name_or_one_of_the_settings(
    authority, certificate, names, judgement
):
    """Who forges the MX records has a certificate for his own host easily."""
    server = ScriptedServer("STARTTLS", tls=shows(authority.issue(certificate)))
    rules = TlsRules(by_name={"company.com.example": TlsPolicy(Level.VERIFY, names)})
    async with server:
        settings = PoolSettings(port=server.port)
        contexts = ClientContexts(authority.bundle)
        async with Outside(StaticResolver(MX), settings, tls=rules, contexts=contexts) as outside:
            outside.send("mx:company.com.example")
            assert (await outside.outcomes())["bob"][0] is judgement


@pytest.mark.parametrize(
    ("name", "identifier", "found"),
    [
        ("mx.example.com", "mx.example.com", True),
        ("mx.example.com", "*.example.com", True),
        ("a.mx.example.com", "*.example.com", False),
        ("example.com", "*.example.com", False),
        ("mx.example.com", "*", False),
        ("mx.example.com", "m*.example.com", False),
        (".example.com", "a.b.example.com", True),
        (".example.com", "example.com", False),
        (".example.com", "badexample.com", False),
    ],
)
def test_which_names_an_identifier_stands_for(name, identifier, found):
    assert is_presented(name, identifier) is found


@on_loop
async def test_a_domain_that_is_an_address_has_that_in_its_certificate(authority):
    for name, judgement in (("127.0.0.1", Judgement.RELAYED), ("127.0.0.2", Judgement.DEFERRED)):
        server = ScriptedServer("STARTTLS", tls=shows(authority.issue(name)))
        rules = TlsRules(by_name={"[127.0.0.1]": TlsPolicy(Level.VERIFY)})
        async with server:
            settings = PoolSettings(port=server.port)
            async with Outside(None, settings, tls=rules, contexts=ClientContexts(authority.bundle)) as outside:
                outside.send("mx:[127.0.0.1]")
                assert (await outside.outcomes())["bob"][0] is judgement


# TLS from the first octet


@on_loop
async def test_tls_from_the_first_octet(authority):
    server = ScriptedServer("PIPELINING", "STARTTLS", tls=shows(authority.issue("127.0.0.1")), tls_first=True)
    async with server, Outside() as outside:
        outside.send(here(server).replace("smtp:", "smtps:"))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert "STARTTLS" not in server.commands
        assert outside.settled[0][2].tls.startswith("TLSv1.3 ")


@on_loop
async def test_tls_from_the_first_octet_is_never_made_up_for_in_clear():
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        outside.send(here(server).replace("smtp:", "smtps:"))
        judgement, reason = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert reason.startswith(LOST.format(server.port))
        assert not server.commands


# Logins


@on_loop
async def test_a_password_is_told_under_tls_alone_and_to_a_host_that_proves_its_name(authority):
    contexts = ClientContexts(authority.bundle)
    for certificate, judgement in (("127.0.0.1", Judgement.RELAYED), ("another.example", Judgement.DEFERRED)):
        server = ScriptedServer("STARTTLS", "AUTH PLAIN", tls=shows(authority.issue(certificate)))
        server.on("AUTH", "235 2.7.0 Welcome")
        async with server:
            credentials = {here(server): Credentials("relay", "secret")}
            async with Outside(credentials=credentials, contexts=contexts) as outside:
                outside.send(here(server))
                assert (await outside.outcomes())["bob"][0] is judgement
                verbs = [command.split()[0] for command in server.commands]
                assert ("AUTH" in verbs) is (judgement is Judgement.RELAYED)
                assert "AUTH" not in verbs[:2]
