"""`purport dkim`: keys, records, signatures."""

from __future__ import annotations

import json
import re
import stat
from pathlib import Path

import pytest

from support.cli import purport
from support.dkim_keys import MESSAGE, ed25519_key, ed25519_pem, rsa_key, rsa_pem, signed, zone

HEAD = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:2525"]\n'


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "message.eml").write_bytes(MESSAGE)
    (tmp_path / "e.pem").write_bytes(ed25519_pem())
    (tmp_path / "r.pem").write_bytes(rsa_pem(2048))
    (tmp_path / "zone.json").write_text(json.dumps(zone(ed25519_key()) | zone(rsa_key(), "r1")))
    return tmp_path


@pytest.mark.parametrize("kind", ["rsa", "ed25519"])
def test_a_new_key_signs_and_its_record_verifies(folder: Path, kind: str) -> None:
    ran = purport("dkim", "keygen", "Example.com", "S1", "--type", kind)
    assert ran.code == 0
    file = folder / "s1.example.com.pem"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert ran.out.startswith("s1._domainkey.example.com. IN TXT ")
    record = "".join(re.findall(r'"([^"]*)"', ran.out))
    (folder / "zone.json").write_text(json.dumps({"s1._domainkey.example.com": [{"TXT": record}]}))
    (folder / "purport.toml").write_text(HEAD + ran.err.partition("\n\n")[2])
    octets = purport("dkim", "sign", "message.eml").out
    (folder / "signed.eml").write_bytes(octets.encode())
    shown = purport("dkim", "verify", "signed.eml", "--zone", "zone.json")
    bits = "ed25519-sha256, 256 bits" if kind == "ed25519" else "rsa-sha256, 2048 bits"
    assert (shown.code, shown.out) == (0, f"pass: example.com; s1; {bits}\n")


def test_a_key_is_never_written_over(folder: Path) -> None:
    assert purport("dkim", "keygen", "example.com", "s1", "--type", "ed25519").code == 0
    before = (folder / "s1.example.com.pem").read_bytes()
    ran = purport("dkim", "keygen", "example.com", "s1", "--type", "ed25519")
    assert ran.code == 73
    assert "File exists" in ran.err
    assert (folder / "s1.example.com.pem").read_bytes() == before


def test_a_key_of_other_size_in_another_file(folder: Path) -> None:
    assert purport("dkim", "keygen", "example.com", "s1", "--bits", "1024", "--out", "other.pem").code == 0
    assert len(purport("dkim", "txt", "other.pem").out) < 300


@pytest.mark.parametrize("words", [("a b", "s1"), ("example.com", "s/1"), ("example.com", "s1", "--bits", "512")])
def test_what_is_no_name_or_too_short_is_a_mistake(words: tuple[str, ...]) -> None:
    assert purport("dkim", "keygen", *words).code == 64


def test_a_record_is_printed_in_strings_of_255_octets() -> None:
    parts = re.findall(r'"([^"]*)"', purport("dkim", "txt", "r.pem").out)
    assert len(parts[0]) == 255
    assert "".join(parts) == rsa_key().record
    assert purport("dkim", "txt", "e.pem").out == f'"{ed25519_key().record}"\n'
    named = purport("dkim", "txt", "r.pem", "--name", "r1._domainkey.example.com.").out
    assert named.startswith("r1._domainkey.example.com. IN TXT ( ")
    assert named.endswith(" )\n")
    assert purport("dkim", "txt", "message.eml").code == 65
    assert purport("dkim", "txt", "missing.pem").code == 66


def test_verify_tells_what_became_of_each_signature(folder: Path) -> None:
    octets = signed(signed(key=rsa_key(), selector="r1"), selector="gone")
    (folder / "two.eml").write_bytes(octets)
    ran = purport("dkim", "verify", "two.eml", "--zone", "zone.json")
    assert ran.code == 0
    assert ran.lines == [
        "permerror: example.com; gone; ed25519-sha256; there is no key in the DNS",
        "pass: example.com; r1; rsa-sha256, 2048 bits",
    ]
    both = purport("dkim", "verify", "two.eml", "message.eml", "--zone", "zone.json")
    assert both.code == 1
    assert both.lines[-2:] == ["message.eml:", "no signature"]


def test_verify_as_json(folder: Path) -> None:
    (folder / "changed.eml").write_bytes(signed().replace(b"bob.", b"Bob."))
    ran = purport("dkim", "verify", "changed.eml", "--json", "--zone", "zone.json")
    assert ran.code == 1
    told = json.loads(ran.out)
    assert told["file"] == "changed.eml"
    [one] = told["signatures"]
    assert (one["result"], one["problem"], one["key_bits"]) == ("fail", "the body was changed", 256)
    assert one["covered"][:2] == ["from", "from"]


def test_a_key_that_is_tried_out_is_told(folder: Path) -> None:
    (folder / "zone.json").write_text(json.dumps(zone(ed25519_key(), t="y")))
    (folder / "signed.eml").write_bytes(signed())
    assert "only tries it out (t=y)" in purport("dkim", "verify", "signed.eml", "--zone", "zone.json").out


def test_a_message_of_a_file_keeps_its_line_ends(folder: Path) -> None:
    plain = MESSAGE.replace(b"\r\n", b"\n")
    ran = purport("dkim", "sign", "-", "--key", "e.pem", "--selector", "s1", stdin=plain)
    assert ran.code == 0
    assert "\r" not in ran.out
    assert ran.out.endswith(plain.decode())
    verified = purport("dkim", "verify", "-", "--zone", "zone.json", stdin=ran.out.encode())
    assert verified.code == 0


def test_a_signature_of_another_domain(folder: Path) -> None:
    out = purport("dkim", "sign", "message.eml", "--key", "e.pem", "--domain", "list.example", "--selector", "x").out
    assert re.search(r"d=list\.example;\s+s=x;", out)


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--key", "e.pem"), 64, "--selector is missing"),
        (("--selector", "s1"), 64, "go with --key"),
        (("--key", "message.eml", "--selector", "s1"), 65, "no private key"),
        ((), 65, "there is no key for alice@example.com"),
    ],
)
def test_what_cannot_be_signed(folder: Path, words: tuple[str, ...], code: int, told: str) -> None:
    (folder / "purport.toml").write_text(HEAD)
    ran = purport("dkim", "sign", "message.eml", *words)
    assert ran.code == code
    assert told in ran.err


def test_a_message_without_one_author() -> None:
    ran = purport("dkim", "sign", "-", "--key", "e.pem", "--selector", "s1", stdin=b"Subject: t\n\n")
    assert (ran.code, ran.err) == (65, "the message has no author: there is no From field, or are several\n")
