"""The npm package smtp-server as the next hop of Purport, which tells what it was sent to the parameter."""

from __future__ import annotations

import email
import email.policy
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.certificates import Authority
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server
from support.scripts import SmtpServer, nodemailer, smtp_server

pytestmark = pytest.mark.peer

ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
ALICE = "alice@company.com.example"
BOB = "bob@elsewhere.example"
MESSAGE = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: Grüße\r\nMIME-Version: 1.0\r\n".encode()
MESSAGE += "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n.Grüße\r\n.\r\n".encode()
PLAIN = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: plain\r\n\r\nHello.\r\n.\r\n..dots\r\n".encode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("localhost", "127.0.0.1")
    return authority


@contextmanager
def relaying(folder: Path, next_hop: str, more: str = "") -> Iterator[PurportServer]:
    (folder / "zone.json").write_text(ZONE)
    settings = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n\n'
    relay = f'[relay]\ndefault = "{next_hop}"\nnetworks = ["127.0.0.0/8"]\n{more}'
    with purport_server(folder, settings + relay) as running:
        yield running


def submit(
    server: PurportServer, message: bytes, *to: str, mail: tuple[str, ...] = (), rcpt: tuple[str, ...] = ()
) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        client.command_encoding = "utf-8"
        client.mail(ALICE, mail)
        for address in to or (BOB,):
            assert client.rcpt(address, rcpt)[0] == 250
        code, text = client.data(message)
        assert code == 250, text


def report(server: PurportServer) -> str:
    """The one report that Alice got."""
    folder = server.state_dir / "maildir/company.com.example/alice/new"
    wait_for(lambda: folder.exists() and list(folder.iterdir()), what="the report")
    (place,) = folder.iterdir()
    return place.read_text()


def first(there: SmtpServer) -> dict[str, object]:
    wait_for(there.taken, what="the message at smtp-server")
    return there.taken()[0]


def test_under_tls_logged_in_and_with_dsn(tmp_path: Path, authority: Authority) -> None:
    (tmp_path / "password").write_text("let me in\n")
    login = 'user = "relay"\npassword_file = "password"\n'
    tls = f'tls = "verify"\nauthorities = "{authority.bundle}"\n'
    with (
        smtp_server(authority.folder / "server.pem", {"relay": "let me in"}) as there,
        relaying(tmp_path, f"smtp:localhost:{there.port}", tls + login) as ours,
    ):
        submit(ours, PLAIN, mail=("RET=HDRS", "ENVID=QQ+2B1"), rcpt=("NOTIFY=SUCCESS", f"ORCPT=rfc822;{BOB}"))
        taken = first(there)
        assert (taken["secure"], taken["user"], taken["transmissionType"]) == (True, "relay", "ESMTPSA")
        assert taken["dsn"] == {"ret": "HDRS", "envid": "QQ+1"}
        (recipient,) = taken["rcptTo"]
        assert recipient["dsn"] == {"notify": ["SUCCESS"], "orcpt": f"rfc822;{BOB}"}
        assert taken["mailFrom"]["args"]["AUTH"] == "<>"
        assert taken["octets"].endswith(PLAIN)
        wait_for(lambda: "status=sent" in ours.log(), what="the delivery in our log")
        assert not (ours.state_dir / "maildir").exists(), "it took over the duty to report"


def test_eight_bits_go_as_they_are_where_they_are_taken(tmp_path: Path) -> None:
    with smtp_server() as there, relaying(tmp_path, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, MESSAGE, mail=("BODY=8BITMIME", "SMTPUTF8"))
        taken = first(there)
        assert (taken["bodyType"], taken["smtpUtf8"]) == ("8bitmime", True)
        assert taken["octets"].endswith(MESSAGE)


def test_eight_bits_are_encoded_where_they_are_not(tmp_path: Path) -> None:
    message = MESSAGE.replace("Subject: Grüße".encode(), b"Subject: greetings")
    with smtp_server(hide8BITMIME=True) as there, relaying(tmp_path, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, message, mail=("BODY=8BITMIME",))
        taken = first(there)
        assert taken["bodyType"] == "7bit"
        assert taken["octets"].isascii()
        assert email.message_from_bytes(taken["octets"], policy=email.policy.default).get_content() == ".Grüße\r\n.\r\n"


def test_addresses_in_utf8_go_where_they_are_taken_alone(tmp_path: Path) -> None:
    with smtp_server() as there, relaying(tmp_path, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, PLAIN, "élise@elsewhere.example", mail=("SMTPUTF8",))
        taken = first(there)
        assert [recipient["address"] for recipient in taken["rcptTo"]] == ["élise@elsewhere.example"]
    other = tmp_path / "other"
    other.mkdir()
    with smtp_server(hideSMTPUTF8=True) as there, relaying(other, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, PLAIN, "élise@elsewhere.example", BOB, mail=("SMTPUTF8",))
        assert [recipient["address"] for recipient in first(there)["rcptTo"]] == [BOB]
        assert "Status: 5.6.7" in report(ours)


def test_who_does_not_report_is_reported_about(tmp_path: Path) -> None:
    """RFC 3461 section 5.2.2."""
    with smtp_server(hideDSN=True) as there, relaying(tmp_path, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, PLAIN, mail=("ENVID=QQ1",), rcpt=("NOTIFY=SUCCESS",))
        taken = first(there)
        assert "ENVID" not in str(taken["mailFrom"])
        assert "Action: relayed" in report(ours)


def test_a_message_over_its_size_is_not_sent(tmp_path: Path) -> None:
    with smtp_server(size=4096) as there, relaying(tmp_path, f"smtp:127.0.0.1:{there.port}") as ours:
        submit(ours, PLAIN + b"x" * 70 * 100)
        assert "Status: 5.3.4" in report(ours)
        assert there.taken() == []


def test_lmtp_has_a_reply_for_each_recipient(tmp_path: Path) -> None:
    with smtp_server(lmtp=True) as there, relaying(tmp_path, f"lmtp:127.0.0.1:{there.port}") as ours:
        submit(ours, PLAIN, "bob@elsewhere.example", "carol@elsewhere.example")
        taken = first(there)
        assert taken["transmissionType"] == "LMTPS"  # its own certificate, and we look at none with tls = "may"
        assert taken["octets"].endswith(PLAIN)
        wait_for(lambda: ours.log().count("status=sent") == 2, what="both deliveries in our log")


def test_tls_all_the_way_is_passed_on_or_the_message_returns(tmp_path: Path, authority: Authority) -> None:
    """RFC 8689, from Nodemailer over us to smtp-server, and to one that does not offer it."""
    chain = authority.folder / "server.pem"
    tls = f'tls = "verify"\nauthorities = "{authority.bundle}"\n[[certificate]]\nchain = "{chain}"\n'
    message = {"from": ALICE, "to": BOB, "subject": "TLS", "text": "t", "requireTLSExtensionEnabled": True}
    for hidden in (False, True):
        folder = tmp_path / str(hidden)
        folder.mkdir()
        with (
            smtp_server(authority.folder / "server.pem", hideREQUIRETLS=hidden) as there,
            relaying(folder, f"smtp:127.0.0.1:{there.port}", tls) as ours,
        ):
            transport = {"host": "localhost", "port": ours.port, "tls": {"ca": authority.bundle.read_text()}}
            (told,) = nodemailer(transport, message)
            assert told["accepted"] == [BOB], told
            if hidden:
                assert "Status: 5.7.30" in report(ours)
                assert there.taken() == []
            else:
                assert first(there)["requireTLS"] is True
