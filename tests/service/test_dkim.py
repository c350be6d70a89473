"""DKIM at a running server: what users submit is signed, and so are the server's own reports."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest

from purport.authentication.dkim.result import DkimResult
from support.dkim_keys import ed25519_key, ed25519_pem, rsa_key, rsa_pem, zone
from support.dkim_suites import check, crlf
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["alice", "bob"]

[[user]]
name = "alice"
password = "open sesame"
addresses = ["alice@company.com.example", "@other.example"]

[[dkim]]
domain = "company.com.example"
selector = "r1"
key = "r1.pem"

[[dkim]]
domain = "company.com.example"
selector = "e1"
key = "e1.pem"

[dkim_tables]
key_table = "refile:KeyTable"
signing_table = "refile:SigningTable"
"""
LISTENER = 'service = "submission"\nauth_without_tls = true'
ALICE = "alice@company.com.example"
DOMAIN = "company.com.example"
ZONE = zone(rsa_key(), "r1", DOMAIN) | zone(ed25519_key(), "e1", DOMAIN) | zone(ed25519_key(), "t1", "other.example")
MESSAGE = b"From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello\r\n"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PurportServer]:
    (tmp_path / "r1.pem").write_bytes(rsa_pem(2048))
    (tmp_path / "e1.pem").write_bytes(ed25519_pem())
    (tmp_path / "KeyTable").write_text("other other.example:t1:./e1.pem\n")
    (tmp_path / "SigningTable").write_text("*@other.example other\n")
    with purport_server(tmp_path, SETTINGS, listener=LISTENER) as server:
        yield server


def submit(server: PurportServer, message: bytes, reverse_path: str = ALICE, to: str = f"bob@{DOMAIN}") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", "open sesame")
        client.sendmail(reverse_path, to, message)


def delivered(folder: Path, local_part: str) -> bytes:
    new = folder / "state" / "maildir" / DOMAIN / local_part / "new"
    wait_for(lambda: new.exists() and list(new.iterdir()))
    (file,) = new.iterdir()
    return crlf(file.read_bytes())


def results(folder: Path, local_part: str = "bob") -> list[DkimResult]:
    return check(delivered(folder, local_part), ZONE, 1e11)


def told(found: list[DkimResult]) -> list[tuple[str, str, str]]:
    return [(result.result, result.domain, result.selector) for result in found]


def test_a_submission_is_signed_with_every_key_of_the_domain(server: PurportServer, tmp_path: Path) -> None:
    submit(server, MESSAGE)
    found = results(tmp_path)
    assert told(found) == [("pass", DOMAIN, "r1"), ("pass", DOMAIN, "e1")]
    assert found[0].covered.count("date") == 2  # the server added it, and signed it


def test_the_log_and_explain_say_which_keys_signed_a_submission(server: PurportServer) -> None:
    submit(server, MESSAGE.replace(b"Hello", b"One"))
    submit(server, MESSAGE.replace(b"From: alice@", b"From: ceo@sub."))
    wait_for(lambda: server.log().count("(queue active)") == 2)
    signed, unsigned = [line for line in server.log().splitlines() if line.endswith("(queue active)")]
    assert signed.endswith(f", signed={DOMAIN}/r1, signed={DOMAIN}/e1 (queue active)")
    assert "signed=" not in unsigned
    first, second = [line.split(": ")[1] for line in (signed, unsigned)]
    assert f"  signed     by {DOMAIN}/r1, {DOMAIN}/e1" in server.command("explain", first).stdout.splitlines()
    assert "  signed  " not in server.command("explain", second).stdout


@pytest.mark.parametrize("size", [100_000, 3_000_000])
def test_a_large_body_is_hashed_while_it_arrives(server: PurportServer, tmp_path: Path, size: int) -> None:
    submit(server, MESSAGE + b"line  of text \r\n" * (size // 16) + b"\r\n\r\n")
    assert told(results(tmp_path)) == [("pass", DOMAIN, "r1"), ("pass", DOMAIN, "e1")]


def test_opendkims_tables_sign_for_their_patterns(server: PurportServer, tmp_path: Path) -> None:
    submit(server, MESSAGE.replace(b"From: alice@company.com", b"From: sales@other"), "sales@other.example")
    assert told(results(tmp_path)) == [("pass", "other.example", "t1")]


# S14, A17: a login may be let say what it does not own, and the domain does not answer for that
def test_what_the_login_does_not_own_is_not_signed(server: PurportServer, tmp_path: Path) -> None:
    submit(server, MESSAGE.replace(b"From: alice@", b"From: ceo@sub."))
    assert results(tmp_path) == []


def test_what_another_server_sends_is_not_signed(tmp_path: Path, server: PurportServer) -> None:
    text = server.settings.read_text()
    server.settings.write_text(text.replace('service = "submission"', 'service = "mx"'))
    server.reload()
    wait_for(lambda: "the settings were read again" in server.log())
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail(ALICE, f"bob@{DOMAIN}", MESSAGE)
    assert results(tmp_path) == []


# The key of the parent domain signs for mailer-daemon@mx.company.com.example
def test_a_report_is_a_receipt_with_a_signature(server: PurportServer, tmp_path: Path) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", "open sesame")
        client.sendmail(ALICE, f"bob@{DOMAIN}", MESSAGE, rcpt_options=["NOTIFY=SUCCESS"])
    found = results(tmp_path, "alice")
    assert told(found) == [("pass", DOMAIN, "r1"), ("pass", DOMAIN, "e1")]
    assert {"from", "auto-submitted", "content-type"} <= set(found[0].covered)


def test_keys_change_with_a_reload(server: PurportServer, tmp_path: Path) -> None:
    text = server.settings.read_text()
    table = text[text.index('[[dkim]]\ndomain = "company.com.example"\nselector = "r1"') :].partition("[[dkim]]\n")[2]
    table = "[[dkim]]\n" + table.partition("[")[0]
    assert 'selector = "r1"' in table
    off = text.replace(table, "").replace("[[user]]", "[dkim_sign]\nreports = false\n\n[[user]]", 1)
    server.settings.write_text(off)
    server.reload()
    wait_for(lambda: "the settings were read again" in server.log())
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", "open sesame")
        client.sendmail(ALICE, f"bob@{DOMAIN}", MESSAGE, rcpt_options=["NOTIFY=SUCCESS"])
    assert told(results(tmp_path)) == [("pass", DOMAIN, "e1")]
    assert results(tmp_path, "alice") == []


def test_a_key_that_cannot_be_read_leaves_the_old_settings_in_force(server: PurportServer, tmp_path: Path) -> None:
    (tmp_path / "r1.pem").write_text("no key")
    server.reload()
    wait_for(lambda: "the old settings stay in force" in server.log())
    assert "r1.pem: it holds no private key in PEM" in server.log()
    submit(server, MESSAGE)
    assert told(results(tmp_path))[0] == ("pass", DOMAIN, "r1")
    checked = server.command("check")
    assert checked.returncode == 78
    assert "dkim[0].key" in checked.stderr
