"""Logins under TLS: what is offered where, what STARTTLS forgets, and other people's clients on both ports."""

from __future__ import annotations

import json
import re
import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from support.certificates import Authority
from support.peers import free_port, require_peer, wait_for
from support.purport_server import PurportServer

HOSTNAME = "mx.company.com.example"
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

[oauth]
jwks = "keys.json"
audience = "smtp"
claim = "sub"
"""
KEY = ec.generate_private_key(ec.SECP256R1())
MESSAGE = "From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: %s\r\n\r\nHello.\r\n"
PASSWORD = "open sesame"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[PurportServer]:
    """Submission with STARTTLS on `port`, with TLS from the first octet on `implicit`."""
    folder = tmp_path_factory.mktemp("submission")
    (folder / "zone.json").write_text("{}")
    key = {**json.loads(ECAlgorithm.to_jwk(KEY.public_key())), "kid": "one", "alg": "ES256"}
    (folder / "keys.json").write_text(json.dumps({"keys": [key]}))
    running = PurportServer(folder, SETTINGS, listener='service = "submission"\ntls = "require"')
    running.implicit = free_port()  # type: ignore[attr-defined]
    certificate = authority.issue(HOSTNAME, "127.0.0.1")
    with running.settings.open("a") as settings:
        settings.write(f'\n[[listener]]\nservice = "submission"\nbind = ["127.0.0.1:{running.implicit}"]\n')  # type: ignore[attr-defined]
        settings.write(f'tls = "implicit"\n[[certificate]]\nchain = "{certificate}"\n')
    running.start()
    yield running
    running.stop()


def context(authority: Authority) -> ssl.SSLContext:
    made = ssl.create_default_context()
    authority.ca.configure_trust(made)
    return made


def expect(server: PurportServer, subject: str, mechanism: str) -> None:
    def arrived() -> list[bytes]:
        places = (server.state_dir / "maildir").glob("**/new/*")
        return [octets for place in places if f"Subject: {subject}".encode() in (octets := place.read_bytes())]

    wait_for(arrived, what=f"{subject!r} in the Maildir")
    assert re.search(rb"with ESMTPSA id \w+", arrived()[0])
    assert f"sasl_method={mechanism}, sasl_username=alice" in server.log()
    assert "proto=ESMTPSA, " in server.log()
    assert "proto=ESMTPS," not in server.log()


def test_auth_is_offered_after_starttls_alone(server: PurportServer, authority: Authority) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH", "PLAIN AGFsaWNlAG9wZW4gc2VzYW1l")[0] == 538
        assert client.mail("alice@company.com.example")[1] == b"5.7.0 Must issue a STARTTLS command first"
        client.starttls(context=context(authority))
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["SCRAM-SHA-256", "OAUTHBEARER", "PLAIN"]
        assert client.mail("alice@company.com.example")[1] == b"5.7.0 Authentication required"
        client.login("alice", PASSWORD)
        client.sendmail("alice@company.com.example", ["bob@company.com.example"], MESSAGE % "starttls")
    expect(server, "starttls", "PLAIN")


def test_tls_from_the_first_octet_needs_no_more(server: PurportServer, authority: Authority) -> None:
    port: int = server.implicit  # type: ignore[attr-defined]
    with smtplib.SMTP_SSL("127.0.0.1", port, timeout=10, context=context(authority)) as client:
        client.login("alice", PASSWORD)
        client.sendmail("alice@company.com.example", ["bob@company.com.example"], MESSAGE % "implicit")
    expect(server, "implicit", "PLAIN")


def test_what_a_gateway_said_in_clear_is_no_login_under_tls(server: PurportServer, authority: Authority) -> None:
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        assert client.docmd("XCLIENT", "LOGIN=alice")[0] == 220
        client.ehlo()
        client.starttls(context=context(authority))
        client.ehlo()
        assert client.mail("alice@company.com.example")[0] == 530


@pytest.mark.peer
@pytest.mark.parametrize("tls", ["--tls", "--tls-on-connect"])
def test_swaks_logs_in_under_tls(server: PurportServer, tls: str) -> None:
    swaks = require_peer("swaks")
    port: int = server.implicit if tls == "--tls-on-connect" else server.port  # type: ignore[attr-defined]
    words = [swaks, "--server", f"127.0.0.1:{port}", tls, "--from", "alice@company.com.example", "--auth", "PLAIN"]
    words += ["--to", "bob@company.com.example", "--header", f"Subject: swaks {tls}", "--auth-user", "alice"]
    ran = subprocess.run([*words, "--auth-password", PASSWORD], capture_output=True, text=True, timeout=60)
    if "TLS not available" in ran.stdout + ran.stderr or "requirements" in ran.stdout + ran.stderr:
        pytest.skip("this swaks has no TLS: Net::SSLeay is missing")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    expect(server, f"swaks {tls}", "PLAIN")


@pytest.mark.peer
@pytest.mark.parametrize("mechanism", ["plain", "scram-sha-256"])
def test_msmtp_logs_in_under_tls(server: PurportServer, authority: Authority, mechanism: str) -> None:
    msmtp = require_peer("msmtp")
    if "scram-sha-256" not in subprocess.run([msmtp, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("this msmtp was built without SCRAM-SHA-256")
    words = [msmtp, "--host=127.0.0.1", f"--port={server.port}", "--tls=on", f"--tls-trust-file={authority.bundle}"]
    words += [f"--auth={mechanism}", "--user=alice", f"--passwordeval=echo {PASSWORD}"]
    message = (MESSAGE % f"msmtp {mechanism}").encode().replace(b"\r\n", b"\n")
    words += ["--from=alice@company.com.example", "bob@company.com.example"]
    ran = subprocess.run(words, input=message, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    expect(server, f"msmtp {mechanism}", "PLAIN" if mechanism == "plain" else "SCRAM-SHA-256")


@pytest.mark.peer
def test_curl_logs_in_under_tls(server: PurportServer, authority: Authority, tmp_path: Path) -> None:
    curl = require_peer("curl")
    (tmp_path / "message").write_bytes((MESSAGE % "curl").encode())
    port: int = server.implicit  # type: ignore[attr-defined]
    words = [curl, "-sS", f"smtps://127.0.0.1:{port}", "--cacert", str(authority.bundle), "--user", f"alice:{PASSWORD}"]
    words += ["--mail-from", "alice@company.com.example", "--mail-rcpt", "bob@company.com.example"]
    ran = subprocess.run([*words, "-T", str(tmp_path / "message")], capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    expect(server, "curl", "PLAIN")


def token(audience: str = "smtp") -> str:
    return jwt.encode({"sub": "alice", "aud": audience, "exp": 4_000_000_000}, KEY, "ES256", {"kid": "one"})


@pytest.mark.peer
def test_curl_logs_in_with_a_token(server: PurportServer, authority: Authority, tmp_path: Path) -> None:
    curl = require_peer("curl")
    (tmp_path / "message").write_bytes((MESSAGE % "a token").encode())
    port: int = server.implicit  # type: ignore[attr-defined]
    words = [curl, "-sS", f"smtps://127.0.0.1:{port}", "--cacert", str(authority.bundle), "--user", "alice:"]
    words += ["--mail-from", "alice@company.com.example", "--mail-rcpt", "bob@company.com.example", "--sasl-ir"]
    words += ["-T", str(tmp_path / "message"), "--login-options", "AUTH=OAUTHBEARER", "--oauth2-bearer"]
    ran = subprocess.run([*words, token()], capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    expect(server, "a token", "OAUTHBEARER")
    ran = subprocess.run([*words, token("imap")], capture_output=True, timeout=60)
    assert ran.returncode == 67, ran.stderr
    assert "SASL OAUTHBEARER authentication failed: a token that is not valid" in server.log()
    assert token()[:40] not in server.log()


@pytest.mark.peer
def test_msmtp_logs_in_with_a_token(server: PurportServer, authority: Authority) -> None:
    msmtp = require_peer("msmtp")
    if "oauthbearer" not in subprocess.run([msmtp, "--version"], capture_output=True, text=True).stdout:
        pytest.skip("this msmtp was built without OAUTHBEARER")
    words = [msmtp, "--host=127.0.0.1", f"--port={server.port}", "--tls=on", f"--tls-trust-file={authority.bundle}"]
    words += ["--auth=oauthbearer", "--user=alice", f"--passwordeval=echo {token()}"]
    words += ["--from=alice@company.com.example", "bob@company.com.example"]
    message = (MESSAGE % "msmtp and a token").encode().replace(b"\r\n", b"\n")
    ran = subprocess.run(words, input=message, capture_output=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    expect(server, "msmtp and a token", "OAUTHBEARER")
