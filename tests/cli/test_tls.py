"""`purport tls check`: what would be asked of the hosts of a domain, and what they have."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from support.certificates import Authority, chain_in, shows, tlsa
from support.cli import Ran, purport
from support.scripted_server import DROP, ScriptedServer, on_loop

OTHER = "3 1 1 " + "ab" * 32  # of a key that nobody has


def zone_file(folder: Path, port: int, record: str = "", *, signed: bool = True) -> str:
    mark = ["SIGNED"] if signed else []
    zone = {
        "company.com.example": [*mark, {"MX": [10, "mx.company.com.example"]}],
        "mx.company.com.example": [*mark, {"A": "127.0.0.1"}],
        "slow.example": ["TIMEOUT"],
        "null.example": [{"MX": [0, ""]}],
        "sts.example": [{"MX": [10, "mx.company.com.example"]}],
        "_mta-sts.sts.example": [{"TXT": "v=STSv1; id=1"}],
        f"_{port}._tcp.mx.company.com.example": [*mark, {"TLSA": record}] if record else [],
    }
    path = folder / "zone.json"
    path.write_text(json.dumps(zone))
    return str(path)


async def check(
    folder: Path, server: ScriptedServer, record: str, *words: str, domain: str = "company.com.example"
) -> Ran:
    zone = zone_file(folder, server.port, record)
    more = ("--zone", zone, "--port", str(server.port), *words)
    return await asyncio.to_thread(purport, "tls", "check", domain, *more)


@pytest.mark.parametrize("signed", [True, False])
def test_a_host_is_shown_with_what_is_asked_of_it(tmp_path: Path, signed: bool) -> None:
    ran = purport("tls", "check", "company.com.example", "--zone", zone_file(tmp_path, 25, OTHER, signed=signed))
    assert ran.code == 0
    if signed:
        assert ran.lines == [
            "mx.company.com.example:25 (127.0.0.1, validated)",
            "  dane (dane: TLSA 3 1 1 at _25._tcp.mx.company.com.example)",
        ]
    else:
        assert ran.lines == [
            "mx.company.com.example:25 (127.0.0.1)",
            "  may",
            "  its MX record is not validated",
        ]


def test_the_same_as_json(tmp_path: Path) -> None:
    ran = purport("tls", "check", "company.com.example", "--json", "--zone", zone_file(tmp_path, 25, OTHER))
    found = json.loads(ran.out)
    assert found["next_hop"] == "mx:company.com.example"
    (host,) = found["hosts"]
    assert (host["host"], host["level"], host["source"]) == ("mx.company.com.example", "dane", "dane")
    assert host["tlsa"] == [OTHER]
    assert host["names"] == ["mx.company.com.example", "company.com.example"]
    assert host["addresses_validated"] is True


def test_a_host_that_is_not_to_be_used_says_why(tmp_path: Path) -> None:
    ran = purport("tls", "check", "company.com.example", "--zone", zone_file(tmp_path, 25, "SERVFAIL"))
    assert ran.code == 69
    assert ran.lines[1].startswith("  not used: 451 4.4.3 DNS lookup for _25._tcp.mx.company.com.example (TLSA) failed")


@pytest.mark.parametrize(("signed", "code"), [(True, 0), (False, 69)])
def test_a_message_with_requiretls_asks_for_more(tmp_path: Path, signed: bool, code: int) -> None:
    zone = zone_file(tmp_path, 25, signed=signed)
    ran = purport("tls", "check", "company.com.example", "--require-tls", "--zone", zone)
    assert ran.code == code
    assert ("verify (requiretls)" in ran.out) is signed


def test_a_policy_host_that_is_down_is_a_note(tmp_path: Path) -> None:
    ran = purport("tls", "check", "sts.example", "--zone", zone_file(tmp_path, 25))
    assert ran.code == 0
    assert ran.err.startswith(
        "note: the MTA-STS policy of sts.example cannot be had (mta-sts.sts.example has no address)"
    )


@pytest.mark.parametrize(
    ("domain", "code"),
    [("slow.example", 75), ("null.example", 69), ("nowhere.example", 69), ("no domain", 64), ("", 64)],
)
def test_a_domain_without_hosts_says_so(tmp_path: Path, domain: str, code: int) -> None:
    ran = purport("tls", "check", domain, "--zone", zone_file(tmp_path, 25))
    assert (ran.code, ran.out) == (code, "")
    assert ran.err


def test_the_settings_say_where_mail_goes_and_what_is_asked_for(tmp_path: Path) -> None:
    settings = tmp_path / "purport.toml"
    settings.write_text(
        'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:2525"]\n'
        '[[domain]]\nname = "example.com"\n[[domain]]\nname = "partner.example"\ndeliver = "smtps:127.0.0.1:465"\n'
        '[[tls_policy]]\ndomains = ["company.com.example"]\nlevel = "encrypt"\n'
    )
    zone = ("--zone", zone_file(tmp_path, 25, OTHER), "--config", str(settings))
    assert "  encrypt (settings)" in purport("tls", "check", "company.com.example", *zone).lines
    assert purport("tls", "check", "partner.example", *zone).lines[0] == "127.0.0.1:465 (127.0.0.1)"
    assert purport("tls", "check", "example.com", *zone).code == 64


# Connections


@on_loop
async def test_a_host_that_proves_itself(tmp_path: Path) -> None:
    path = Authority(tmp_path).issue("nobody.example")
    async with ScriptedServer("STARTTLS", "REQUIRETLS", tls=shows(path)) as server:
        ran = await check(tmp_path, server, tlsa(chain_in(path)[0]), "--connect")
        assert ran.code == 0, ran.err
        assert ran.lines[2].startswith("  127.0.0.1: TLSv1.3 TLS_")
        assert ran.lines[2].endswith(", offers REQUIRETLS")
        await server.until(lambda: "QUIT" in server.commands)
        assert [command.split()[0] for command in server.commands] == ["EHLO", "STARTTLS", "EHLO", "QUIT"]


@pytest.mark.parametrize(
    ("offers", "record", "code", "told"),
    [
        (("STARTTLS",), OTHER, 69, "the certificate matches none of the TLSA records"),
        ((), OTHER, 69, "450 4.7.4 TLS is required, but was not offered"),
        ((), "", 0, "in clear"),
    ],
)
@on_loop
async def test_a_host_that_does_not(tmp_path: Path, offers: tuple[str, ...], record: str, code: int, told: str) -> None:
    path = Authority(tmp_path).issue("nobody.example")
    async with ScriptedServer(*offers, tls=shows(path)) as server:
        ran = await check(tmp_path, server, record, "--connect")
        assert ran.code == code
        assert told in ran.lines[2]


@on_loop
async def test_a_handshake_that_fails_where_nobody_insists_on_it_is_no_problem(tmp_path: Path) -> None:
    async with ScriptedServer("STARTTLS").on("STARTTLS", "454 4.7.0 Not now") as server:
        ran = await check(tmp_path, server, "", "--connect")
        assert (ran.code, ran.lines[2]) == (0, "  127.0.0.1: in clear")
    async with ScriptedServer("STARTTLS").on("STARTTLS", DROP) as server:
        ran = await check(tmp_path, server, "", "--connect")
        assert ran.code == 0
        assert ran.lines[2].startswith("  127.0.0.1: less than that, as may be: 450 4.4.2 ")


@on_loop
async def test_a_host_that_is_not_there(tmp_path: Path) -> None:
    async with ScriptedServer() as server:
        await server.stop()
        ran = await check(tmp_path, server, "", "--connect")
        assert ran.code == 69
        assert ran.lines[2].startswith("  127.0.0.1: ")
