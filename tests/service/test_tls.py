"""TLS on the front door, over sockets: STARTTLS, TLS from the first octet, certificates by name and renewed ones."""

from __future__ import annotations

import re
import smtplib
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.certificates import Authority
from support.peers import free_port, require_peer, wait_for
from support.purport_server import PurportServer

DOMAIN = '[[domain]]\nname = "company.com.example"\n'
HOSTNAME = "mx.company.com.example"
MESSAGE = "From: alice@example.com\r\nSubject: in TLS\r\n\r\nHello\r\n"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tls")


@pytest.fixture
def house(tmp_path: Path, authority: Authority) -> Iterator[PurportServer]:
    """A server with two certificates, and beside its first listener one that speaks TLS at once and one that demands
    STARTTLS."""
    server = PurportServer(tmp_path / "house", DOMAIN)
    authority.issue(HOSTNAME)
    authority.issue("mail.elsewhere.example", "*.wild.example", file="other.pem")
    ports = {tls: free_port() for tls in ("implicit", "require")}
    text = server.settings.read_text()
    for tls, port in ports.items():
        text += f'\n[[listener]]\nbind = ["127.0.0.1:{port}"]\ntls = "{tls}"\n'
    text += "".join(f'\n[[certificate]]\nchain = "{authority.folder / file}"\n' for file in ("server.pem", "other.pem"))
    server.settings.write_text(text)
    server.implicit, server.require = ports["implicit"], ports["require"]  # type: ignore[attr-defined]
    server.start()
    yield server
    server.stop()


def context(authority: Authority) -> ssl.SSLContext:
    made = ssl.create_default_context()
    authority.ca.configure_trust(made)
    return made


def test_a_message_comes_in_over_starttls_and_says_so(house: PurportServer, authority: Authority) -> None:
    with smtplib.SMTP("127.0.0.1", house.port, timeout=10) as client:
        client._host = HOSTNAME  # type: ignore[attr-defined]  # the name that it asks for and checks
        client.ehlo("client.example")
        assert client.has_extn("starttls")
        client.starttls(context=context(authority))
        client.ehlo("client.example")
        assert not client.has_extn("starttls")
        client.sendmail("alice@example.com", ["bob@company.com.example"], MESSAGE)
    mails = house.state_dir / "maildir" / "company.com.example" / "bob" / "new"
    wait_for(lambda: list(mails.glob("*")))
    (mail,) = mails.glob("*")
    assert re.search(rb"with ESMTPS id \w+ tls TLS_\w+\r?\n", mail.read_bytes())
    told = house.command("explain", "--last", "1").stdout
    assert "protected  TLSv1.3 TLS_" in told
    assert "proto=ESMTPS" in house.log()


def test_the_certificate_is_chosen_by_the_name_asked_for(house: PurportServer, authority: Authority) -> None:
    for name in ("mail.elsewhere.example", "one.wild.example", HOSTNAME, None):
        with socket.create_connection(("127.0.0.1", house.implicit), 10) as raw:  # type: ignore[attr-defined]
            chosen = context(authority)
            chosen.check_hostname = name is not None
            with chosen.wrap_socket(raw, server_hostname=name) as client:
                names = [value for _, value in client.getpeercert()["subjectAltName"]]  # type: ignore[index]
                assert (name or HOSTNAME) in names or "*.wild.example" in names
                assert client.recv(100).startswith(b"220 ")


def test_tls_from_the_first_octet(house: PurportServer, authority: Authority) -> None:
    made = context(authority)
    made.check_hostname = False
    with smtplib.SMTP_SSL("127.0.0.1", house.implicit, timeout=10, context=made) as client:  # type: ignore[attr-defined]
        client.ehlo("client.example")
        assert not client.has_extn("starttls")
        assert client.sendmail("alice@example.com", ["bob@company.com.example"], MESSAGE) == {}


def test_mail_in_clear_is_refused_where_tls_is_required(house: PurportServer) -> None:
    with smtplib.SMTP("127.0.0.1", house.require, timeout=10) as client:  # type: ignore[attr-defined]
        client.ehlo("client.example")
        assert client.mail("alice@example.com") == (530, b"5.7.0 Must issue a STARTTLS command first")


def test_what_was_sent_ahead_in_clear_is_not_run_in_tls(house: PurportServer, authority: Authority) -> None:
    made = context(authority)
    with socket.create_connection(("127.0.0.1", house.port), 10) as raw:
        raw.sendall(b"EHLO client.example\r\nSTARTTLS\r\nEHLO evil.example\r\nMAIL FROM:<evil@example.com>\r\n")
        said = b""
        while b"Ready to start TLS\r\n" not in said:
            said += raw.recv(4096)
        assert said.endswith(b"220 2.0.0 Ready to start TLS\r\n")
        with made.wrap_socket(raw, server_hostname=HOSTNAME) as client:
            client.sendall(b"RCPT TO:<bob@company.com.example>\r\nQUIT\r\n")
            assert b"".join(iter(lambda: client.recv(4096), b"")).startswith(b"503 5.5.1 ")


def test_a_client_that_speaks_no_tls_after_starttls_is_logged_and_let_go(house: PurportServer) -> None:
    with socket.create_connection(("127.0.0.1", house.port), 10) as raw:
        raw.sendall(b"EHLO client.example\r\nSTARTTLS\r\n")
        while b"Ready" not in raw.recv(4096):
            pass
        raw.sendall(b"MAIL FROM:<alice@example.com>\r\n")
        while raw.recv(4096):
            pass
    wait_for(lambda: "TLS handshake failed: wrong version number" in house.log(), 5)


def test_a_renewed_certificate_is_used_without_a_restart(house: PurportServer, authority: Authority) -> None:
    def serial() -> int:
        made = context(authority)
        with (
            socket.create_connection(("127.0.0.1", house.implicit), 10) as raw,  # type: ignore[attr-defined]
            made.wrap_socket(raw, server_hostname=HOSTNAME) as client,
        ):
            return int(client.getpeercert()["serialNumber"], 16)  # type: ignore[index, arg-type]

    before = serial()
    (authority.folder / "server.pem").write_text("half of it")
    wait_for(lambda: "the old certificates stay in use" in house.log(), 5)
    assert serial() == before
    authority.issue(HOSTNAME)
    wait_for(lambda: "the certificates were read again" in house.log(), 5)
    assert serial() != before


def test_a_long_message_passes_in_pieces_of_any_size(house: PurportServer, authority: Authority) -> None:
    body = b"".join(b"%060d\r\n" % number for number in range(20_000))
    with smtplib.SMTP("127.0.0.1", house.port, timeout=20) as client:
        client._host = HOSTNAME  # type: ignore[attr-defined]
        client.starttls(context=context(authority))
        client.sendmail("alice@example.com", ["carol@company.com.example"], MESSAGE.encode() + body)
    mails = house.state_dir / "maildir" / "company.com.example" / "carol" / "new"
    wait_for(lambda: list(mails.glob("*")))
    (mail,) = mails.glob("*")
    assert mail.read_bytes().replace(b"\r\n", b"\n").endswith(body.replace(b"\r\n", b"\n"))


@pytest.mark.peer
@pytest.mark.parametrize("option", ["--tls", "--tls-on-connect"])
def test_swaks_sends_in_tls(house: PurportServer, option: str) -> None:
    port = house.port if option == "--tls" else house.implicit  # type: ignore[attr-defined]
    ran = subprocess.run(
        [require_peer("swaks"), option, "--server", f"127.0.0.1:{port}", "--to", "bob@company.com.example"],
        capture_output=True,
        text=True,
        timeout=30,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "TLS started with cipher" in ran.stdout


@pytest.mark.peer
def test_curl_sends_in_tls_and_checks_our_name(house: PurportServer, authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "mail").write_text(MESSAGE)
    for scheme, port in (("smtp", house.port), ("smtps", house.implicit)):  # type: ignore[attr-defined]
        ran = subprocess.run(
            [
                require_peer("curl"),
                "--silent",
                "--show-error",
                "--ssl-reqd",
                "--cacert",
                str(authority.bundle),
                "--resolve",
                f"{HOSTNAME}:{port}:127.0.0.1",
                f"{scheme}://{HOSTNAME}:{port}",
                "--mail-from",
                "alice@example.com",
                "--mail-rcpt",
                "bob@company.com.example",
                "--upload-file",
                str(tmp_path / "mail"),
            ],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert ran.returncode == 0, ran.stderr


def test_certificates_that_cannot_be_used_are_settings_errors(tmp_path: Path, authority: Authority) -> None:
    server = PurportServer(tmp_path / "house", DOMAIN)
    text = server.settings.read_text()
    authority.issue(HOSTNAME)
    other = authority.ca.issue_cert("other.example")
    other.private_key_pem.write_to_path(str(authority.folder / "other.key"))
    (authority.folder / "noise.pem").write_text("noise")
    good = authority.folder / "server.pem"
    for chain, key, problem in (
        (authority.folder / "missing.pem", "", "missing.pem: No such file or directory"),
        (authority.folder / "noise.pem", "", "noise.pem: is no certificate"),
        (good, authority.folder / "other.key", "other.key: is not the key of the certificate"),
    ):
        server.settings.write_text(f'{text}\n[[certificate]]\nchain = "{chain}"\nkey = "{key}"\n')
        for ran in (server.command("check"), server.command("serve")):
            assert ran.returncode == 78
            assert problem in ran.stderr


def test_a_certificate_that_has_expired_is_told_by_check(tmp_path: Path, authority: Authority) -> None:
    server = PurportServer(tmp_path / "house", DOMAIN)
    expired = authority.issue(HOSTNAME, expired=True)
    with server.settings.open("a") as settings:
        settings.write(f'\n[[certificate]]\nchain = "{expired}"\n')
    ran = server.command("check")
    assert ran.returncode == 0
    assert "warning: the certificate has expired" in ran.stderr


def test_tls_that_is_required_needs_a_certificate(tmp_path: Path) -> None:
    server = PurportServer(tmp_path / "house", DOMAIN)
    with server.settings.open("a") as settings:
        settings.write('tls = "implicit"\n')
    ran = server.command("check")
    assert ran.returncode == 78
    assert "needs a certificate; add a [[certificate]] table" in ran.stderr


def test_the_certificate_of_the_manual_works(tmp_path: Path) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/tls.md").read_text()
    command = re.search(r"^    \$ (openssl .+)$", page, re.MULTILINE)
    assert command is not None
    server = PurportServer(tmp_path / "house", DOMAIN)
    ran = subprocess.run(command[1], shell=True, cwd=server.folder, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    with server.settings.open("a") as settings:
        settings.write('\n[[certificate]]\nchain = "chain.pem"\nkey = "key.pem"\n')
    assert server.command("check").returncode == 0


@pytest.mark.parametrize("octets", [None, b"no certificate"])
def test_authorities_that_cannot_be_read_are_a_settings_error(tmp_path: Path, octets: bytes | None) -> None:
    server = PurportServer(tmp_path / "house", f'{DOMAIN}\n[relay]\nauthorities = "ca.pem"\n')
    if octets is not None:
        (server.folder / "ca.pem").write_bytes(octets)
    for command in ("check", "serve"):
        ran = server.command(command)
        assert ran.returncode == 78
        assert "relay.authorities: no " in ran.stderr
