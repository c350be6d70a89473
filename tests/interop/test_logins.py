"""Logins between Purport and other people's programs: their clients at our server, our client at their servers."""

from __future__ import annotations

import base64
import json
import smtplib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.exim import Exim
from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

SETTINGS = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[[user]]
name = "alice"
password = "open sesame"

[auth]
delay = 0.0
max_delay = 0.0
failures_per_client = 1000
failures_per_login = 1000
mechanisms = ["SCRAM-SHA-256", "PLAIN", "LOGIN"]
"""
SUBMISSION = 'service = "submission"\nauth_without_tls = true'
PASSWORD = "open sesame"
MESSAGE = "From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: %s\r\n\r\nHello.\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("logins")
    (folder / "zone.json").write_text('{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}')
    with purport_server(folder, SETTINGS, listener=SUBMISSION) as running:
        yield running


def expect(server: PurportServer, subject: str, mechanism: str) -> None:
    def arrived() -> bool:
        places = (server.state_dir / "maildir").glob("**/new/*")
        return any(f"Subject: {subject}".encode() in place.read_bytes() for place in places)

    wait_for(arrived, what=f"{subject!r} in the Maildir")
    assert f"sasl_method={mechanism}, sasl_username=alice" in server.log()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_swaks_logs_in(server: PurportServer, mechanism: str) -> None:
    swaks = require_peer("swaks")
    words = [swaks, "--server", f"127.0.0.1:{server.port}", "--from", "alice@company.com.example"]
    words += ["--to", "bob@company.com.example", "--header", f"Subject: swaks {mechanism}", "--auth", mechanism]
    ran = subprocess.run([*words, "--auth-user", "alice", "--auth-password", PASSWORD], capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stdout
    expect(server, f"swaks {mechanism}", mechanism)
    ran = subprocess.run([*words, "--auth-user", "alice", "--auth-password", "wrong"], capture_output=True, timeout=60)
    assert ran.returncode == 28, ran.stdout  # swaks: "error during authentication"
    assert b"<** 535 5.7.8 " in ran.stdout


def test_curl_logs_in(server: PurportServer, tmp_path: Path) -> None:
    curl = require_peer("curl")
    (tmp_path / "message").write_bytes((MESSAGE % "curl").encode())
    words = [curl, "-sS", f"smtp://127.0.0.1:{server.port}", "--mail-from", "alice@company.com.example"]
    words += ["--mail-rcpt", "bob@company.com.example", "-T", str(tmp_path / "message")]
    ran = subprocess.run([*words, "--user", f"alice:{PASSWORD}"], capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    expect(server, "curl", "PLAIN")
    ran = subprocess.run([*words, "--user", "alice:wrong"], capture_output=True, timeout=60)
    assert ran.returncode == 67  # curl: "login denied"


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "SCRAM-SHA-256"])
def test_msmtp_logs_in(server: PurportServer, mechanism: str) -> None:
    msmtp = require_peer("msmtp")
    if mechanism.lower() not in subprocess.run([msmtp, "--version"], capture_output=True, text=True).stdout:
        pytest.skip(f"this msmtp was built without {mechanism}")

    def send(password: str) -> subprocess.CompletedProcess[bytes]:
        words = [msmtp, "--host=127.0.0.1", f"--port={server.port}", f"--auth={mechanism.lower()}", "--user=alice"]
        words += [f"--passwordeval=echo {password}", "--from=alice@company.com.example", "bob@company.com.example"]
        message = (MESSAGE % f"msmtp {mechanism}").encode().replace(b"\r\n", b"\n")
        return subprocess.run(words, input=message, capture_output=True, timeout=60)

    ran = send(PASSWORD)
    assert ran.returncode == 0, ran.stderr
    expect(server, f"msmtp {mechanism}", mechanism)
    ran = send("wrong")
    assert ran.returncode == 77, ran.stderr  # EX_NOPERM


def test_smtplib_logs_in(server: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo()
        client.user, client.password = "alice", PASSWORD
        assert client.auth("LOGIN", client.auth_login, initial_response_ok=False)[0] == 235
        client.sendmail("alice@company.com.example", ["bob@company.com.example"], MESSAGE % "smtplib")
    expect(server, "smtplib", "LOGIN")
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.login("alice", PASSWORD)
    with smtplib.SMTP("127.0.0.1", server.port) as client, pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
        client.login("alice", "wrong")
    assert refusal.value.smtp_code == 535


EXIM_USERS = """
begin authenticators

plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${if and{{eq{$auth2}{relay}}{eq{$auth3}{let me in}}}}
  server_set_id = $auth2
  server_advertise_condition = true
"""
TO_SMARTHOST = """
[dns]
zone = "zone.json"

[relay]
default = "smtp:127.0.0.1:{port}"
networks = ["127.0.0.0/8"]
user = "{user}"
password_file = "smarthost-password"
auth_without_tls = true

[queue]
min_backoff = 3000
"""


def submit(server: PurportServer, domain: str, subject: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail("alice@company.com.example", [f"bob@{domain}"], MESSAGE % subject)


def relaying(folder: Path, port: int, user: str, password: str) -> PurportServer:
    folder.mkdir()
    (folder / "zone.json").write_text("{}")
    (folder / "smarthost-password").write_text(f"{password}\n")
    return PurportServer(folder, TO_SMARTHOST.format(port=port, user=user))


def test_purport_logs_in_at_exim(tmp_path: Path) -> None:
    require_peer("exim")
    exim = Exim("exim.example", more=EXIM_USERS)
    server = relaying(tmp_path / "relay", exim.port, "relay", "let me in")
    try:
        server.start()
        submit(server, "exim.example", "to Exim, logged in")
        wait_for(lambda: "status=sent" in server.log(), what="our delivery")
        wait_for(exim.messages, what="the message at Exim")
        assert b"Subject: to Exim, logged in" in exim.messages()[0]
        assert "A=plain:relay" in exim.log()
    finally:
        server.stop()
        exim.stop()


def test_purport_waits_where_exim_does_not_let_it_in(tmp_path: Path) -> None:
    require_peer("exim")
    exim = Exim("exim.example", more=EXIM_USERS)
    server = relaying(tmp_path / "relay", exim.port, "relay", "let me out")
    try:
        server.start()
        submit(server, "exim.example", "not let in")
        wait_for(lambda: "status=deferred" in server.log(), what="the deferral")
        assert "535" in server.log()
        (line,) = server.command("queue", "list", "--json").stdout.splitlines()
        told = server.command("queue", "show", json.loads(line)["queue_id"]).stdout
        assert "535" in told
        server.stop()
        written = b"".join(place.read_bytes() for place in server.state_dir.rglob("*") if place.is_file())
        for secret in (b"let me out", base64.b64encode(b"\0relay\0let me out")):
            assert secret not in written
            assert secret.decode() not in told
    finally:
        if server.process is not None and server.process.poll() is None:
            server.stop()
        exim.stop()


def test_purport_logs_in_at_purport_with_scram(server: PurportServer, tmp_path: Path) -> None:
    relay = relaying(tmp_path / "relay", server.port, "alice", PASSWORD)
    relay.settings.write_text(relay.settings.read_text().replace("auth_without_tls = true", 'tls = "may"'))
    relay.start()
    try:
        submit(relay, "company.com.example", "from relay to submission")
        wait_for(lambda: "status=sent" in relay.log(), what="the delivery")
    finally:
        relay.stop()
    expect(server, "from relay to submission", "SCRAM-SHA-256")
