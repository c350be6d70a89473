"""Logins at a running server: what is said, what is written down, who is kept out, and what never appears anywhere."""

from __future__ import annotations

import base64
import json
import smtplib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.dovecot import fake_dovecot
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[[user]]
name = "alice"
password = "open sesame"
addresses = ["alice@company.com.example"]

[auth]
delay = 0.0
max_delay = 0.0
failures_per_client = 5
failures_per_login = 5
mechanisms = ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
"""
SUBMISSION = 'service = "submission"\nauth_without_tls = true'
MESSAGE = "From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: %s\r\n\r\nHello.\r\n"
PASSWORD = "open sesame"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PurportServer]:
    (tmp_path / "zone.json").write_text("{}")
    with purport_server(tmp_path, SETTINGS, listener=SUBMISSION) as running:
        yield running


class Talk:
    """A client that says lines and reads replies."""

    def __init__(self, server: PurportServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.reader = self.socket.makefile("r", encoding="ascii", newline="\r\n")
        assert self.reply().startswith("220 ")

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def reply(self) -> str:
        while (line := self.reader.readline())[3:4] == "-":
            pass
        return line.rstrip("\r\n")

    def say(self, line: str) -> str:
        self.socket.sendall(line.encode() + b"\r\n")
        return self.reply()


def plain(name: str, password: str) -> str:
    return "AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()).decode()


def everything(folder: Path) -> bytes:
    """All that the server wrote, but for the settings."""
    files = [place for place in folder.rglob("*") if place.is_file() and place.name != "purport.toml"]
    return b"".join(place.read_bytes() for place in files)


def test_who_logged_in_stands_in_log_header_and_record(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", PASSWORD)
        client.sendmail("alice@company.com.example", ["bob@company.com.example"], MESSAGE % "hello")
    wait_for(lambda: "sasl_method=" in server.log(), what="the log line")
    assert ": client=unknown[127.0.0.1], sasl_method=PLAIN, sasl_username=alice, message-id=" in server.log()
    maildir = server.state_dir / "maildir"
    wait_for(lambda: list(maildir.glob("**/new/*")), what="the message")
    (message,) = maildir.glob("**/new/*")
    assert b"with ESMTPA id" in message.read_bytes()
    (told,) = server.command("explain", "--last", "--json").stdout.splitlines()
    login = {"name": "alice", "mechanism": "PLAIN", "addresses": ["alice@company.com.example"]}
    assert json.loads(told)["client"]["login"] == login
    assert "login      alice (PLAIN)" in server.command("explain", "--last").stdout


def test_no_secret_is_written_anywhere(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say(plain("alice", "guessed wrong")).startswith("535 5.7.8 ")
        assert talk.say("AUTH LOGIN").startswith("334 ")
        assert talk.say(base64.b64encode(b"alice").decode()).startswith("334 ")
        assert talk.say(base64.b64encode(PASSWORD.encode()).decode()).startswith("235 ")
        talk.say("MAIL FROM:<alice@company.com.example>")
        talk.say("RCPT TO:<nobody@elsewhere.example>")
        talk.say("QUIT")
    server.command("explain", "--last")
    server.stop()
    written = everything(server.folder)
    assert b"SASL PLAIN authentication failed" in written
    for secret in (PASSWORD, "guessed wrong"):
        for form in (secret.encode(), base64.b64encode(secret.encode()), plain("alice", secret).split()[2].encode()):
            assert form not in written


def test_a_failure_is_logged_as_postfix_does(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        talk.say(plain("alice", "wrong"))
        talk.say(plain("no\nbody", "wrong"))
    wait_for(lambda: server.log().count("authentication failed") == 2, what="the log lines")
    said = (
        "warning: unknown[127.0.0.1]: SASL PLAIN authentication failed: authentication failure, sasl_username=alice\n"
    )
    assert said in server.log()


def test_who_exists_cannot_be_found_out(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say(plain("alice", "wrong")) == talk.say(plain("nobody", "wrong"))
        shapes = []
        for name in ("alice", "nobody", "nobody"):
            first = base64.b64encode(f"n,,n={name},r=abc".encode()).decode()
            words = base64.b64decode(talk.say(f"AUTH SCRAM-SHA-256 {first}")[4:]).decode().split(",")
            shapes.append((len(words[0]), words[1], words[2]))
            talk.say("*")
    assert shapes[1] == shapes[2]  # the salt of nobody stays the same
    assert [(length, iterations) for length, _, iterations in shapes[:1]] == [(shapes[1][0], shapes[1][2])]


def test_who_fails_too_often_is_sent_away(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        said = [talk.say(plain("alice", str(number)))[:9] for number in range(5)]
        assert said == ["535 5.7.8"] * 4 + ["421 4.7.0"]
        assert talk.reader.readline() == ""
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say(plain("alice", PASSWORD)).startswith("421 4.7.0 ")
    with Talk(server) as talk:  # mail is not what they are kept from
        assert talk.say("EHLO client.example").startswith("250 ")


def test_a_name_that_is_guessed_from_everywhere_is_closed_but_for_who_got_in_before(server: PurportServer) -> None:
    def attempt(address: str, password: str) -> str:
        with Talk(server) as talk:
            talk.say(f"XCLIENT ADDR={address}")
            talk.say("EHLO client.example")
            return talk.say(plain("alice", password))[:3]

    assert attempt("192.0.2.1", PASSWORD) == "235"
    assert [attempt(f"198.51.100.{number}", "wrong") for number in range(5)] == ["535"] * 5
    assert attempt("203.0.113.9", PASSWORD) == "421"
    assert attempt("192.0.2.1", PASSWORD) == "235"


def test_a_bad_client_is_answered_later(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text("{}")
    slow = SETTINGS.replace("delay = 0.0\nmax_delay = 0.0", "delay = 0.4\nmax_delay = 0.4")
    with purport_server(tmp_path, slow, listener=SUBMISSION) as server, Talk(server) as talk, Talk(server) as other:
        talk.say("EHLO client.example")
        talk.socket.sendall(plain("alice", "wrong").encode() + b"\r\nNOOP\r\n")
        other.say("EHLO other.example")  # nobody else waits
        assert other.say(plain("alice", PASSWORD)).startswith("235 ")
        talk.socket.settimeout(0.05)
        with pytest.raises(TimeoutError):
            talk.socket.recv(1)
        talk.socket.settimeout(10)
        said = b""
        while said.count(b"\r\n") < 2:
            said += talk.socket.recv(1000)
        assert said.startswith(b"535 5.7.8 ")
        assert b"\r\n250 2.0.0 " in said


def test_a_client_that_goes_in_the_middle_of_an_exchange_leaves_nothing(server: PurportServer) -> None:
    for lines in (["AUTH PLAIN"], [plain("alice", "wrong")], ["AUTH LOGIN", "YWxpY2U="]):
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall("\r\n".join(["EHLO client.example", *lines, ""]).encode())
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say(plain("alice", PASSWORD)).startswith("235 ")
    server.stop()
    assert "error:" not in server.log()


def test_a_login_lets_mail_go_anywhere_and_no_login_lets_none_in(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say("MAIL FROM:<alice@company.com.example>").startswith("530 5.7.0 ")
        talk.say(plain("alice", PASSWORD))
        assert talk.say("MAIL FROM:<alice@company.com.example>").startswith("250 ")
        assert talk.say("RCPT TO:<bob@elsewhere.example>").startswith("250 ")
        assert talk.say("RSET").startswith("250 ")


def test_a_gateway_says_who_logged_in(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.say("EHLO gateway.example")
        talk.say("XCLIENT ADDR=192.0.2.7 LOGIN=alice")
        talk.say("EHLO client.example")
        assert talk.say("MAIL FROM:<alice@company.com.example>").startswith("250 ")
        assert talk.say("RCPT TO:<bob@elsewhere.example>").startswith("250 ")
        talk.say("RSET")
        talk.say("XCLIENT ADDR=192.0.2.8")  # somebody else, who did not
        talk.say("EHLO client.example")
        assert talk.say("MAIL FROM:<alice@company.com.example>").startswith("530 ")


def test_a_user_who_is_added_may_log_in_at_once(server: PurportServer) -> None:
    def attempt() -> str:
        with Talk(server) as talk:
            talk.say("EHLO client.example")
            return talk.say(plain("bob", "secret"))[:3]

    assert attempt() == "535"
    assert server.command("user", "add", "bob", "--password-stdin", stdin="secret\n").returncode == 0
    assert attempt() == "235"
    assert server.command("user", "delete", "bob").returncode == 0
    assert attempt() == "535"


def test_sighup_reads_the_users_of_the_settings_again(server: PurportServer) -> None:
    text = server.settings.read_text()
    server.settings.write_text(text.replace(PASSWORD, "changed"))
    server.reload()
    wait_for(lambda: "the settings were read again" in server.log())
    with Talk(server) as talk:
        talk.say("EHLO client.example")
        assert talk.say(plain("alice", PASSWORD)).startswith("535 ")
        assert talk.say(plain("alice", "changed")).startswith("235 ")
    (server.folder / "users").write_text("nonsense")
    server.reload()
    wait_for(lambda: "the old settings stay in force" in server.log())


def test_dovecot_lets_its_users_in_and_its_troubles_are_temporary(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text("{}")
    auth = tmp_path / "auth"
    settings = f'{SETTINGS}\n[users]\ndovecot = "{auth}"\n'
    with purport_server(tmp_path, settings, listener=SUBMISSION) as server, Talk(server) as talk:
        talk.socket.sendall(b"EHLO client.example\r\n")
        offered = [talk.reader.readline().strip() for _ in range(7)]
        assert "250-AUTH PLAIN LOGIN" in offered
        talk.reply()
        assert talk.say(plain("dave", "secret")).startswith("454 4.7.0 ")  # there is no Dovecot
        with fake_dovecot(auth, {"dave": "secret"}) as dovecot:
            assert talk.say(plain("broken", "secret")).startswith("454 4.7.0 ")
            assert talk.say(plain("dave", "wrong")).startswith("535 5.7.8 ")
            assert talk.say(plain("dave", "secret")).startswith("235 2.7.0 ")
        assert "rip=127.0.0.1" in dovecot.asked[0]
        assert "secured" not in dovecot.asked[0]


@pytest.mark.parametrize(("listener", "said"), [("auth = true", 538), ('service = "mx"', 500)])
def test_in_clear_nothing_is_offered(tmp_path: Path, listener: str, said: int) -> None:
    (tmp_path / "zone.json").write_text("{}")
    with purport_server(tmp_path, SETTINGS, listener=listener) as server, smtplib.SMTP("127.0.0.1", server.port) as mx:
        mx.ehlo()
        assert not mx.has_extn("auth")
        assert mx.docmd(plain("alice", PASSWORD))[0] == said
        assert mx.mail("alice@company.com.example")[0] == 250
