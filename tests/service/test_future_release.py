"""FUTURERELEASE end to end (RFC 4865): a submission waits for its time in the queue, and leaves it then."""

from __future__ import annotations

import json
import smtplib
import time
from pathlib import Path

import pytest

from support.cli import purport
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
MESSAGE = b"From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello\r\n"
SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["alice", "bob"]

[dns]
zone = "zone.json"

[relay]
networks = ["127.0.0.0/8"]

[future_release]
max_seconds = 864000

[[user]]
name = "alice"
password = "open sesame"
addresses = ["@company.com.example"]

[[listener]]
service = "submission"
auth_without_tls = true
bind = ["127.0.0.1:{port}"]
"""


@pytest.fixture
def port() -> int:
    """Where submissions are taken."""
    return free_port()


def submit(port: int, *parameters: str, reverse_path: str = "alice@company.com.example") -> str:
    """The last reply to a message, or to the command that was refused."""
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo("client.example")
        if client.has_extn("AUTH"):
            client.login("alice", "open sesame")
        code, text = client.mail(reverse_path, parameters)
        if code == 250:
            client.rcpt("bob@company.com.example")
            code, text = client.data(MESSAGE)
        return f"{code} {text.decode()}"


def listed(server: PurportServer) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.command("queue", "list", "--json").stdout.splitlines()]


def delivered(folder: Path) -> list[str]:
    new = folder / "state" / "maildir" / "company.com.example" / "bob" / "new"
    return [file.read_text() for file in new.iterdir()] if new.exists() else []


def started(folder: Path, port: int) -> PurportServer:
    (folder / "zone.json").write_text(ZONE)
    return PurportServer(folder, SETTINGS.format(port=port))


def test_a_message_leaves_when_its_time_has_come_and_not_before(tmp_path: Path, port: int) -> None:
    server = started(tmp_path, port)
    server.start()
    try:
        sent = time.time()
        assert submit(port, "HOLDFOR=2").startswith("250 ")
        (entry,) = listed(server)
        assert entry["queue_name"] == "scheduled"
        wait_for(lambda: delivered(tmp_path), 10)
        assert 2 <= time.time() - sent < 6
        assert entry["release_time"] == pytest.approx(sent + 2, abs=1)
        assert "HOLDFOR" not in delivered(tmp_path)[0]
        assert ", release=20" in server.log()
    finally:
        server.stop()


def test_a_message_waits_over_a_kill_and_an_operator_can_send_it(tmp_path: Path, port: int) -> None:
    server = started(tmp_path, port)
    server.start()
    try:
        queue_id = submit(port, "HOLDFOR=3600").split()[-1]
        server.kill()
        server.start()
        shown = server.command("queue", "show", queue_id).stdout
        assert f"{queue_id}+ " in shown
        assert "(to be released at " in shown
        refused = server.command("queue", "retry", "ALL")
        assert refused.returncode != 0
        assert "it waits for the time that its sender named" in refused.stderr
        assert not delivered(tmp_path)
        assert server.command("queue", "release", queue_id).returncode == 0
        wait_for(lambda: delivered(tmp_path), 10)
        assert listed(server) == []
    finally:
        server.stop()


def test_what_is_refused_and_where_it_is_not_offered(tmp_path: Path, port: int) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS.format(port=port)) as server:
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.ehlo("client.example")
            longest, last = client.esmtp_features["futurerelease"].split()
            midnight = time.time() // 86400 * 86400
            assert longest == "864000"
            assert last == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(midnight + 864000))
        assert submit(port, "HOLDFOR=864001").startswith("501 5.5.4 ")
        assert submit(port, "HOLDUNTIL=2020-01-01T00:00:00Z") == "501 5.5.4 HOLDUNTIL is not in the future"
        assert submit(port, "HOLDFOR=60", reverse_path="").startswith("501 5.5.4 ")
        assert submit(port, "HOLDFOR=60", f"HOLDUNTIL={last}").startswith("501 5.5.4 ")
        assert submit(port, f"HOLDUNTIL={last}").startswith("250 ")
        assert submit(server.port, "HOLDFOR=60").startswith("555 5.5.4 ")
        assert [entry["queue_name"] for entry in listed(server)] == ["scheduled"]


def test_a_sender_may_have_only_so_many_of_them(tmp_path: Path, port: int) -> None:
    settings = SETTINGS.replace("max_seconds = 864000", "max_seconds = 864000\nper_sender = 2\ntotal = 3")
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, settings.format(port=port)) as server:
        for _ in range(2):
            assert submit(port, "HOLDFOR=600").startswith("250 ")
        server.stop()
        server.start()
        assert submit(port, "HOLDFOR=600").startswith("552 5.7.16 ")
        assert submit(port).startswith("250 ")
        assert submit(port, "HOLDFOR=600", reverse_path="bob@company.com.example").startswith("250 ")
        assert submit(port, "HOLDFOR=600", reverse_path="bob@company.com.example").startswith("552 5.7.17 ")
        assert "not held (552 5.7.16 " in server.log()


def test_our_client_asks_for_it(tmp_path: Path, port: int) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    send = ["send", "--to", "bob@company.com.example", "--from", "alice@company.com.example", "--hide-data"]
    login = ["--auth-user", "alice", "--auth-password", "open sesame", "--auth-without-tls"]
    with purport_server(tmp_path, SETTINGS.format(port=port)) as server:
        held = purport(*send, *login, "--server", f"127.0.0.1:{port}", "--hold-for", "600", "--priority", "2")
        assert held.code == 0
        assert " MT-PRIORITY=2 HOLDFOR=600 " in held.out
        (entry,) = listed(server)
        assert (entry["queue_name"], entry["priority"]) == ("scheduled", 2)
        too_long = purport(*send, *login, "--server", f"127.0.0.1:{port}", "--hold-until", "2999-01-01T00:00:00Z")
        assert too_long.code == 69
        assert "Not sent: 501 5.5.4 That is longer than messages are held here" in too_long.out
        nowhere = purport(*send, "--server", f"127.0.0.1:{server.port}", "--hold-for", "600")
        assert nowhere.code == 69
        assert "the server lacks FUTURERELEASE" in nowhere.out
        assert len(listed(server)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["--hold-for", "60", "--hold-until", "2999-01-01T00:00:00Z"],
        ["--hold-until", "tomorrow"],
        ["--hold-until", "２999-01-01T00:00:00Z"],
        ["--hold-for", "0"],
        ["--hold-for", "60", "--from", "<>"],
        ["--priority", "10"],
    ],
)
def test_our_client_sends_no_nonsense(wrong: list[str]) -> None:
    ran = purport("send", "--to", "bob@company.com.example", "--server", "127.0.0.1:1", *wrong)
    assert ran.code in (2, 64)
