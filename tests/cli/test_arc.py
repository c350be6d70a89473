"""`purport arc verify`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from support.arc_chains import DMARC_FAIL, DMARC_PASS, MESSAGE, key_of, sealed
from support.cli import purport

A, B = "a.example", "b.example"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    zone = {f"s1._domainkey.{domain}": [{"TXT": key_of(domain).record}] for domain in (A, B)}
    (tmp_path / "zone.json").write_text(json.dumps(zone))
    octets = sealed(sealed(MESSAGE, A, DMARC_PASS), B, DMARC_FAIL)
    (tmp_path / "pass.eml").write_bytes(octets)
    (tmp_path / "unix.eml").write_bytes(octets.replace(b"\r\n", b"\n"))
    (tmp_path / "fail.eml").write_bytes(octets.replace(b"Hi", b"Ho"))
    (tmp_path / "none.eml").write_bytes(MESSAGE)
    return tmp_path


def test_a_chain_is_told_hop_by_hop(folder: Path) -> None:
    ran = purport("arc", "verify", "pass.eml", "--zone", "zone.json", "--trust", A, "--trust", B)
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [
        "pass",
        "sealed by a.example, b.example; nothing was changed since instance 1",
        "  1 a.example: dmarc=pass header.from=example.com; arc=none smtp.remote-ip=192.0.2.1",
        "  2 b.example: dmarc=fail header.from=example.com; arc=pass smtp.remote-ip=192.0.2.1 header.oldest-pass=0",
        "trusted ARC sealer a.example (i=1) found pass",
    ]


def test_a_file_of_lines_that_end_with_lf_is_the_same_message(folder: Path) -> None:
    assert purport("arc", "verify", "unix.eml", "--zone", "zone.json").lines[0] == "pass"
    octets = (folder / "pass.eml").read_bytes()
    assert purport("arc", "verify", "-", "--zone", "zone.json", stdin=octets).lines[0] == "pass"


def test_a_chain_that_does_not_hold_says_why(folder: Path) -> None:
    ran = purport("arc", "verify", "fail.eml", "--zone", "zone.json", "--trust", A)
    assert (ran.code, ran.lines) == (1, ["fail", "the body was changed behind the message signature of b.example"])


def test_a_message_without_a_chain(folder: Path) -> None:
    ran = purport("arc", "verify", "none.eml", "--zone", "zone.json")
    assert (ran.code, ran.lines) == (6, ["none"])


def test_json_has_what_each_sealer_found(folder: Path) -> None:
    told = json.loads(purport("arc", "verify", "pass.eml", "--zone", "zone.json", "--json", "--trust", B).out)
    assert (told["result"], told["instance"], told["oldest_pass"], told["problem"]) == ("pass", 2, 0, None)
    assert told["vouched"] == {"sealer": B, "instance": 2}
    first = told["hops"][0]
    assert (first["sealer"], first["selector"], first["authserv_id"]) == (A, "s1", "mx.a.example")
    assert first["results"][0] == {
        "method": "dmarc",
        "result": "pass",
        "reason": "",
        "properties": [{"type": "header", "name": "from", "value": "example.com"}],
    }
    failed = json.loads(purport("arc", "verify", "fail.eml", "--zone", "zone.json", "--json").out)
    assert (failed["result"], failed["vouched"]) == ("fail", None)
    assert failed["problem"]


def test_a_file_that_is_not_there_exits_with_66(folder: Path) -> None:
    assert purport("arc", "verify", "nothing.eml", "--zone", "zone.json").code == 66


def test_what_a_message_says_does_not_command_the_terminal() -> None:
    octets = b"ARC-Seal: i=1; a=\x1b[2J; d=\x1b[2J; s=s; b=MTIz\nARC-Message-Signature: i=1\n"
    ran = purport("arc", "verify", "-", stdin=octets + b"ARC-Authentication-Results: i=1; x; none\n\n")
    assert ran.code == 1
    assert "\x1b" not in ran.out
