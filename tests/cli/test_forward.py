"""`purport forward plan`."""

from __future__ import annotations

import json
from pathlib import Path

from support.cli import purport

ZONE = {
    "company.com.example": [{"TXT": "v=spf1 ip4:192.0.2.25 -all"}, {"A": "192.0.2.25"}],
    "hard.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.strict.example": [{"TXT": "v=DMARC1; p=reject"}],
    "strict.example": [{"TXT": "v=spf1 -all"}],
}
MESSAGE = "Return-Path: <alice@{domain}>\nFrom: Alice <alice@{domain}>\nSubject: s\n\nHello\n"


def run(folder: Path, domain: str, *words: str) -> tuple[int, str, str]:
    (folder / "zone.json").write_text(json.dumps(ZONE))
    (folder / "message.eml").write_text(MESSAGE.format(domain=domain))
    base = [
        "forward",
        "plan",
        str(folder / "message.eml"),
        "--to",
        "carol@elsewhere.example",
        "--zone",
        str(folder / "zone.json"),
    ]
    ran = purport(*base, *words)
    return ran.code, ran.out, ran.err


def test_the_table_begins_with_what_to_do(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "hard.example", "--via", "company.com.example")
    assert code == 0
    lines = out.splitlines()
    assert lines[0] == "both: the least that elsewhere.example is expected to let pass"
    assert lines[2].split()[:4] == ["repair", "SPF", "Sender", "ID"]
    assert [line.split()[0] for line in lines[3:7]] == ["none", "resent", "srs", "both"]
    assert "risk: SPF of hard.example fails" in lines[3]


def test_where_nothing_passes_it_says_why(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "strict.example", "--via", "company.com.example", "--json")
    assert code == 1
    told = json.loads(out)
    assert not told["passes"]
    by_repair = {row["repair"]: row for row in told["repairs"]}
    assert by_repair["both"]["spf"] == "pass"
    assert by_repair["both"]["dmarc"] == "fail (p=reject)"
    assert "asks for reject" in by_repair["both"]["why"]
    assert by_repair["from"]["outcome"] == "pass"
    assert by_repair["resent"]["pra"] == "forwarder@company.com.example"


def test_our_address_may_be_named(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "hard.example", "--via", "company.com.example", "--ip", "203.0.113.1", "--json")
    assert code == 1
    assert {row["spf"] for row in json.loads(out)["repairs"]} == {"fail"}
    assert run(tmp_path, "hard.example", "--via", "company.com.example", "--ip", "x")[0] == 64


def test_a_message_that_names_nobody_needs_a_reverse_path(tmp_path: Path) -> None:
    (tmp_path / "bare.eml").write_text("Subject: s\n\n")
    words = [
        "forward",
        "plan",
        str(tmp_path / "bare.eml"),
        "--to",
        "a@b.example",
        "--via",
        "company.com.example",
        "--ip",
        "192.0.2.25",
    ]
    ran = purport(*words)
    assert ran.code == 64
    assert "--mail-from" in ran.err
