"""Mail libraries of other languages submit to Purport: Perl's Net::SMTP, and Nodemailer."""

from __future__ import annotations

import base64
import email
import email.message
import email.policy
import hashlib
from collections.abc import Iterator
from typing import Any

import pytest

from support.certificates import Authority
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server
from support.scripts import net_smtp, nodemailer

pytestmark = pytest.mark.peer

SETTINGS = """
[[domain]]
name = "company.com.example"

[dns]
zone = "zone.json"

[[user]]
name = "alice"
password = "open sesame"
addresses = ["alice@company.com.example", "jérôme@company.com.example"]

[auth]
delay = 0.0
max_delay = 0.0
failures_per_client = 1000
failures_per_login = 1000

[[certificate]]
chain = "{chain}"
"""
ALICE = "alice@company.com.example"
BOB = "bob@company.com.example"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    authority.issue("localhost")
    return authority


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("libraries")
    (folder / "zone.json").write_text("{}")
    settings = SETTINGS.format(chain=authority.folder / "server.pem")
    with purport_server(folder, settings, listener='service = "submission"\ntls = "require"') as running:
        yield running


def expect(server: PurportServer, subject: str) -> email.message.EmailMessage:
    """The one message with this subject, from the Maildir."""

    def arrived() -> list[email.message.EmailMessage]:
        places = (server.state_dir / "maildir").glob("**/new/*")
        read = [email.message_from_bytes(place.read_bytes(), policy=email.policy.default) for place in places]
        return [message for message in read if message["Subject"] == subject]

    wait_for(arrived, what=f"{subject!r} in the Maildir")
    (message,) = arrived()
    return message


def reported(server: PurportServer, text: str) -> bool:
    places = (server.state_dir / "maildir/company.com.example/alice/new").glob("*")
    return any(
        b"Content-Type: multipart/report" in place.read_bytes() and text in place.read_text() for place in places
    )


def to_nodemailer(server: PurportServer, authority: Authority, **more: Any) -> dict[str, Any]:
    return {
        "host": "localhost",
        "port": server.port,
        "name": "client.example",
        "requireTLS": True,
        "tls": {"ca": authority.bundle.read_text()},
        "auth": {"user": "alice", "pass": "open sesame"},
        **more,
    }


def test_net_smtp_submits_under_tls_logged_in_with_dsn(server: PurportServer, authority: Authority) -> None:
    text = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: Net::SMTP\r\n\r\nHello.\r\n.\r\n..dots\r\n"
    *said, sent = net_smtp(
        server.port,
        ["offered", "AUTH"],
        ["starttls", {"SSL_ca_file": str(authority.bundle)}],
        ["offered", "AUTH"],
        ["auth", "alice", "open sesame"],
        ["mail", ALICE, {"Size": len(text), "Bits": 8, "Return": "HDRS", "Envelope": "QQ1"}],
        ["recipient", BOB, {"Notify": ["SUCCESS", "FAILURE"], "ORcpt": f"rfc822;{BOB}"}],
        ["data", text],
    )
    assert said[0]["answer"] is None, "AUTH in clear"
    assert said[2]["answer"].split() == ["SCRAM-SHA-256", "PLAIN"]
    assert [step["code"] for step in said[3:]] == [235, 250, 250]
    assert sent["code"] == 250
    message = expect(server, "Net::SMTP")
    assert message.get_content() == "Hello.\n.\n..dots\n"
    assert "with ESMTPSA" in message["Received"]
    wait_for(lambda: reported(server, "Original-Envelope-Id: QQ1"), what="the report of delivery")


def test_net_smtp_is_not_let_in_with_a_wrong_password(server: PurportServer, authority: Authority) -> None:
    said = net_smtp(
        server.port,
        ["starttls", {"SSL_ca_file": str(authority.bundle)}],
        ["auth", "alice", "open barley"],
        ["mail", ALICE],
    )
    assert [step["code"] for step in said[1:]] == [535, 530]


def test_nodemailer_submits_under_tls_logged_in_with_dsn(server: PurportServer, authority: Authority) -> None:
    (told,) = nodemailer(
        to_nodemailer(server, authority),
        {
            "from": ALICE,
            "to": [BOB, "carol@company.com.example"],
            "subject": "Nodemailer",
            "text": "Hello.\n.\n..dots\n",
            "dsn": {"id": "QQ2", "return": "headers", "notify": ["success"], "recipient": ALICE},
        },
    )
    assert told["accepted"] == [BOB, "carol@company.com.example"]
    assert "queued as" in told["response"]
    places = [place for place in told["said"] if place.startswith(("MAIL FROM", "RCPT TO", "250 2.1.0", "DATA"))]
    assert places[0].startswith("MAIL FROM:<alice@company.com.example> RET=HDRS ENVID=QQ2")
    assert "NOTIFY=SUCCESS ORCPT=rfc822;alice@company.com.example" in places[1]
    assert places[2].startswith("RCPT TO:<carol@"), "PIPELINING: the next command before the first reply"
    wait_for(lambda: reported(server, "Original-Envelope-Id: QQ2"), what="the report of delivery")


def test_nodemailer_sends_addresses_in_utf8(server: PurportServer, authority: Authority) -> None:
    (told,) = nodemailer(
        to_nodemailer(server, authority),
        {
            "from": "Jérôme <jérôme@company.com.example>",
            "to": "élise@company.com.example",
            "subject": "Grüße",
            "text": "é",
        },
    )
    assert told["accepted"] == ["élise@company.com.example"], told
    assert any(line.startswith("MAIL FROM:<jérôme@company.com.example> SMTPUTF8") for line in told["said"])
    message = expect(server, "Grüße")
    assert "with UTF8SMTPSA" in message["Received"]
    assert "élise@company.com.example" in message["To"]


def test_nodemailer_sends_a_large_attachment(server: PurportServer, authority: Authority) -> None:
    content = b"".join(hashlib.sha256(b"%d" % number).digest() for number in range(1 << 18))  # 8 MiB
    (told,) = nodemailer(
        to_nodemailer(server, authority),
        {
            "from": ALICE,
            "to": BOB,
            "subject": "large",
            "text": "See below.",
            "attachments": [{"filename": "large.bin", "content": base64.b64encode(content).decode()}],
        },
    )
    assert told["accepted"] == [BOB]
    (attachment,) = expect(server, "large").iter_attachments()
    assert attachment.get_content() == content


def test_nodemailer_is_told_why_not(server: PurportServer, authority: Authority) -> None:
    ceo = {"from": "ceo@company.com.example", "to": BOB, "subject": "no", "text": "no"}
    (told,) = nodemailer(to_nodemailer(server, authority), ceo)
    assert (told["code"], told["command"]) == (550, "MAIL FROM")
    assert "5.7.1 alice may not send as ceo@company.com.example" in told["response"]
    wrong = {"auth": {"user": "alice", "pass": "open barley"}}
    (told,) = nodemailer(to_nodemailer(server, authority, **wrong), ceo)
    assert (told["error"], told["code"]) == ("EAUTH", 535)


def test_nodemailer_asks_for_tls_all_the_way(server: PurportServer, authority: Authority) -> None:
    """RFC 8689."""
    message = {"from": ALICE, "to": BOB, "subject": "TLS all the way", "text": "t", "requireTLSExtensionEnabled": True}
    (told,) = nodemailer(to_nodemailer(server, authority), message)
    assert told["accepted"] == [BOB], told
    assert any(line.startswith("MAIL FROM:") and line.endswith(" REQUIRETLS") for line in told["said"])
    expect(server, "TLS all the way")
