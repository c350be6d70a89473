"""`purport dmarc check`: what a domain publishes, looked over for its owner."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.cli import Ran, purport

ZONE = {
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com,mailto:b@collector.example"}],
    "example.com._report._dmarc.collector.example": [{"TXT": "v=DMARC1"}],
    "_dmarc.lonely.example": [{"TXT": "v=DMARC1; p=quarantine; pct=10; rua=mailto:a@victim.example"}],
    "_dmarc.bad.example": [{"TXT": "v=DMARC1; p=rejct"}],
    "_dmarc.two.example": [{"TXT": "v=DMARC1; p=none"}, {"TXT": "v=DMARC1; p=none"}],
    "_dmarc.slow.example": ["TIMEOUT"],
    "_dmarc.test.example": [{"TXT": "v=DMARC1; p=reject; t=y; rua=mailto:a@test.example; x=\x1b[31m"}],
    "_dmarc.bank": [{"TXT": "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y; rua=mailto:a@bank"}],
}


@pytest.fixture
def zone(tmp_path: Path) -> str:
    path = tmp_path / "zone.json"
    path.write_text(json.dumps(ZONE))
    return str(path)


def check(zone: str, *words: str) -> Ran:
    return purport("dmarc", "check", *words, "--zone", zone)


def test_the_policy_the_walk_and_the_places_for_reports(zone: str) -> None:
    ran = check(zone, "Example.COM.")
    assert ran.code == 0
    assert ran.lines == [
        "reject",
        "p of _dmarc.example.com applies; organizational domain example.com",
        "  _dmarc.example.com: v=DMARC1; p=reject; sp=none; rua=mailto:a@example.com,mailto:b@collector.example",
        "  _dmarc.com: no record",
        "  reports to mailto:a@example.com: the same organization",
        "  reports to mailto:b@collector.example: wants them",
        "remark: sp is weaker than p: names below the domain are easier to forge than the domain",
    ]


def test_below_the_organization_sp_applies(zone: str) -> None:
    assert check(zone, "a.mail.example.com").lines[:3] == [
        "none",
        "sp of _dmarc.example.com applies; organizational domain example.com",
        "  _dmarc.a.mail.example.com: no record",
    ]


def test_a_public_suffix(zone: str) -> None:
    assert check(zone, "giant.bank").lines[:2] == [
        "reject",
        "np of _dmarc.bank applies; organizational domain giant.bank",
    ]


def test_a_collector_that_was_not_asked_is_a_problem(zone: str) -> None:
    ran = check(zone, "lonely.example")
    assert ran.code == 65
    assert ran.lines[-2:] == [
        "problem: mailto:a@victim.example: no reports go there before v=DMARC1 stands at "
        "lonely.example._report._dmarc.victim.example",
        "remark: pct is historic, and ignored",
    ]


@pytest.mark.parametrize(
    ("domain", "code", "first", "problem"),
    [
        ("bad.example", 65, "permerror", "_dmarc.bad.example: p=rejct: not one of none, quarantine, reject"),
        ("two.example", 65, "no policy", "_dmarc.two.example: several records count as none"),
        ("nothing.example", 65, "no policy", None),
        ("slow.example", 75, "temperror", None),
    ],
)
def test_what_is_wrong_is_told_and_in_the_exit_code(
    zone: str, domain: str, code: int, first: str, problem: str | None
) -> None:
    ran = check(zone, domain)
    assert (ran.code, ran.lines[0]) == (code, first)
    assert [line for line in ran.lines if line.startswith("problem")] == ([f"problem: {problem}"] if problem else [])


def test_what_others_publish_reaches_the_terminal_escaped(zone: str) -> None:
    ran = check(zone, "test.example")
    assert ran.lines[0] == "quarantine"
    assert "\x1b" not in ran.out
    assert "remark: t=y: servers are asked for one level less than the policy" in ran.lines


def test_the_same_as_json(zone: str) -> None:
    ran = check(zone, "mail.example.com", "--json")
    told = json.loads(ran.out)
    assert told["outcome"] == "none"
    assert (told["domain"], told["policy_domain"], told["tag"]) == ("mail.example.com", "example.com", "sp")
    assert told["organizational_domain"] == "example.com"
    assert told["record"]["p"] == "reject"
    assert [step["name"] for step in told["walk"]] == ["_dmarc.mail.example.com", "_dmarc.example.com", "_dmarc.com"]
    assert told["destinations"][1] == {"uri": "mailto:b@collector.example", "acceptance": "accepted"}
    assert json.loads(check(zone, "nothing.example", "--json").out)["record"] is None


@pytest.mark.parametrize("domain", ["", "a b", "-x-", "[192.0.2.1]", "a..b"])
def test_what_is_no_domain_is_a_usage_error(zone: str, domain: str) -> None:
    assert check(zone, domain).code == 64


def test_a_domain_beyond_ascii_is_asked_about_in_a_labels(zone: str) -> None:
    assert "  _dmarc.xn--bcher-kva.example: no record" in check(zone, "bücher.example").lines
