"""`purport spf check`: spfquery's exit codes and shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import purport

ZONE = {
    "example.com": [{"TXT": "v=spf1 include:_net.example.com exp=why.example.com -all"}],
    "_net.example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32"}],
    "why.example.com": [{"TXT": "ask postmaster@%{d} about %{i}"}],
    "soft.example": [{"TXT": "v=spf1 ~all"}],
    "neutral.example": [{"TXT": "v=spf1 ?all"}],
    "broken.example": [{"TXT": "v=spf1 nonsense"}],
    "slow.example": ["TIMEOUT"],
    "pra.example": [{"TXT": "spf2.0/pra ip4:192.0.2.0/24 -all"}],
}


@pytest.fixture
def zone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    return "zone.json"


@pytest.mark.parametrize(
    ("domain", "ip", "result", "code"),
    [
        ("example.com", "192.0.2.1", "pass", 0),
        ("example.com", "198.51.100.1", "fail", 1),
        ("soft.example", "192.0.2.1", "softfail", 2),
        ("neutral.example", "192.0.2.1", "neutral", 3),
        ("broken.example", "192.0.2.1", "permerror", 4),
        ("slow.example", "192.0.2.1", "temperror", 5),
        ("none.example", "192.0.2.1", "none", 6),
    ],
)
def test_the_exit_codes_are_those_of_spfquery(zone: str, domain: str, ip: str, result: str, code: int) -> None:
    ran = purport("spf", "check", "--id", f"alice@{domain}", "--ip", ip, "--helo", "mx.example.net", "--zone", zone)
    assert (ran.code, ran.lines[0], ran.err) == (code, result, "")
    assert ran.lines[-1].startswith(f"Received-SPF: {result} ({domain}: ")
    assert ran.lines[-1].isprintable()


def test_a_fail_is_told_with_what_decided_and_what_the_owner_says(zone: str) -> None:
    ran = purport("spf", "check", "--id", "alice@example.com", "--ip", "198.51.100.1", "--helo", "h", "--zone", zone)
    assert ran.lines[:3] == [
        "fail",
        "example.com: -all of example.com decided",
        "the domain's owner says: ask postmaster@example.com about 198.51.100.1",
    ]
    assert 'envelope-from="alice@example.com"; helo=h;' in ran.lines[3]


def test_the_trace_has_every_step_with_includes_indented(zone: str) -> None:
    ran = purport("spf", "check", "--id", "a@example.com", "--ip", "192.0.2.1", "--zone", zone, "--trace")
    assert ran.lines[2:-1] == [
        "  example.com: TXT -> v=spf1 include:_net.example.com exp=why.example.com -all",
        "    _net.example.com: TXT -> v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32",
        "    _net.example.com: ip4:192.0.2.0/24 -> pass",
        "  example.com: include:_net.example.com -> pass",
    ]


@pytest.mark.parametrize(
    ("scope", "identity", "result"),
    [("pra", "alice@pra.example", "fail"), ("mfrom", "alice@pra.example", "none"), ("helo", "example.com", "fail")],
)
def test_the_scope_says_which_record_is_asked(zone: str, scope: str, identity: str, result: str) -> None:
    ran = purport("spf", "check", "--scope", scope, "--id", identity, "--ip", "198.51.100.1", "--zone", zone, "--json")
    told = json.loads(ran.out)
    assert (told["result"], told["scope"]) == (result, scope)
    assert "trace" not in told


def test_json_has_the_trace_when_it_is_asked_for(zone: str) -> None:
    words = ("--id", "a@example.com", "--ip", "2001:db8::1", "--zone", zone, "--json", "--trace")
    told = json.loads(purport("spf", "check", *words).out)
    assert (told["mechanism"], told["mechanism_domain"]) == ("include:_net.example.com", "example.com")
    assert told["trace"][-1] == {"domain": "example.com", "term": "include:_net.example.com", "outcome": "pass"}


def test_the_settings_name_the_zone_and_the_receiver(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("purport.toml").write_text(
        f'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n[dns]\nzone = "{zone}"\n'
    )
    ran = purport("spf", "check", "--id", "alice@example.com", "--ip", "192.0.2.1", "--config", "purport.toml")
    assert ran.code == 0
    assert "receiver=mx.company.com.example;" in ran.lines[-1]


def test_an_address_with_a_zone_is_the_address(zone: str) -> None:
    ran = purport("spf", "check", "--id", "a@example.com", "--ip", "fe80::1%eth0", "--zone", zone, "--json")
    assert json.loads(ran.out)["client_address"] == "fe80::1"


def test_wrong_words_are_usage_errors_and_no_question_is_asked(zone: str) -> None:
    assert purport("spf", "check", "--id", "a@example.com", "--ip", "192.0.2.256", "--zone", zone).code == 64
    assert purport("spf", "check", "--id", "", "--ip", "192.0.2.1", "--zone", zone).code == 64
    assert purport("spf", "check", "--scope", "from", "--id", "a", "--ip", "192.0.2.1").code == 64
    assert purport("spf", "check", "--id", "a@example.com", "--ip", "192.0.2.1", "--zone", "none.json").code == 66
    Path("bad.json").write_text("[]")
    assert purport("spf", "check", "--id", "a@example.com", "--ip", "192.0.2.1", "--zone", "bad.json").code == 65


def test_the_field_cannot_be_broken_out_of(zone: str) -> None:
    words = ("--id", 'a"; x="@none.example\r\nX: y', "--ip", "192.0.2.1", "--helo", "h)\x1b[2J", "--zone", zone)
    ran = purport("spf", "check", *words)
    assert ran.lines[-1].startswith("Received-SPF: ")
    assert ran.lines[-1].isprintable()
    assert ran.lines[-1].split(") ", 1)[1].startswith("client-ip=192.0.2.1; ")
