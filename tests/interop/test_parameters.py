"""Extensions that no other program here speaks as a client, said by Perl's Net::SMTP, which passes on what it is given,
as smtplib does in the tests beside each extension; and LIMITS, offered to our client by aiosmtpd.

Offers, parameters, chunks and replies are another implementation's then, what they mean is ours alone.
"""

from __future__ import annotations

import json
import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server
from support.scripts import net_smtp

pytestmark = pytest.mark.peer

SETTINGS = """
[[domain]]
name = "company.com.example"
since = {{ bob = "2014-04-20T00:00:00Z" }}

[dns]
zone = "zone.json"

[future_release]
max_seconds = 864000

[[user]]
name = "carol"
password = "open sesame"
addresses = ["@company.com.example"]

[[listener]]
service = "submission"
auth_without_tls = true
bind = ["127.0.0.1:{submission}"]
"""
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}], "bank.example": [{"TXT": "v=spf1 -all"}]}'
TEXT = "From: alice@example.com\r\nSubject: {}\r\n\r\nHello.\r\n"


class Server:
    """One with a submission service."""

    def __init__(self, running: PurportServer, submission: int) -> None:
        self.running = running
        self.port = running.port
        self.submission = submission

    def mailbox(self, local_part: str) -> list[bytes]:
        folder = self.running.state_dir / "maildir/company.com.example" / local_part / "new"
        return [place.read_bytes() for place in folder.glob("*")]

    def queue(self) -> list[dict[str, object]]:
        listed = self.running.command("queue", "list", "--json").stdout
        return [json.loads(line) for line in listed.splitlines()]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("parameters")
    (folder / "zone.json").write_text(ZONE)
    port = free_port()
    with purport_server(folder, SETTINGS.format(submission=port)) as running:
        yield Server(running, port)


def said(port: int, *steps: tuple[object, ...]) -> list[str]:
    """What the server said to each step."""
    return [f"{told['code']} {told['text'].strip()}" for told in net_smtp(port, *steps)]


def test_net_smtp_names_a_submitter(server: Server) -> None:
    assert said(
        server.port,
        ("raw", "MAIL FROM:<alice@example.com> SUBMITTER=ceo@bank.example"),
        ("raw", "MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com"),
        ("recipient", "submitter@company.com.example"),
        ("data", TEXT.format("submitter")),
    )[:3] == ["550 5.7.1 Submitter not allowed.", "250 2.1.0 Ok", "250 2.1.5 Ok"]
    wait_for(lambda: server.mailbox("submitter"), what="the message")
    assert "responsible submitter=<alice@example.com>" in server.running.log()


def test_net_smtp_asks_for_a_priority(server: Server) -> None:
    replies = said(server.port, ("raw", "MAIL FROM:<alice@example.com> MT-PRIORITY=4"))
    assert replies == ["250 2.3.6 0 is the new priority of this message"]


def test_net_smtp_sends_by_a_time(server: Server) -> None:
    replies = said(
        server.port,
        ("raw", "MAIL FROM:<alice@example.com> BY=0;R"),
        ("raw", "MAIL FROM:<alice@example.com> BY=60;R"),
        ("recipient", "time@company.com.example"),
        ("data", TEXT.format("time")),
    )
    assert [reply[:3] for reply in replies] == ["501", "250", "250", "250"]
    wait_for(lambda: server.mailbox("time"), what="the message")


def test_net_smtp_asks_who_owned_a_mailbox(server: Server) -> None:
    assert said(
        server.port,
        ("mail", "alice@example.com"),
        ("raw", "RCPT TO:<bob@company.com.example> RRVS=2014-04-03T23:01:00Z"),
        ("raw", "RCPT TO:<bob@company.com.example> RRVS=2014-05-03T23:01:00Z"),
    ) == ["250 2.1.0 Ok", "550 5.7.17 Mailbox owner has changed", "250 2.1.5 Ok"]


def test_net_smtp_has_a_message_wait(server: Server) -> None:
    replies = said(
        server.submission,
        ("auth", "carol", "open sesame"),
        ("raw", "MAIL FROM:<carol@company.com.example> HOLDFOR=3600"),
        ("recipient", "later@company.com.example"),
        ("data", TEXT.format("later").replace("alice@example.com", "carol@company.com.example")),
    )
    assert [reply[:3] for reply in replies] == ["235", "250", "250", "250"]
    (waiting,) = server.queue()
    assert waiting["recipients"][0]["address"] == "later@company.com.example"  # type: ignore[index]
    assert not server.mailbox("later")


def test_net_smtp_sends_any_octets_in_chunks(server: Server) -> None:
    """Its own `bdat` and `bdatlast`."""
    head = "From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    body = "\0\x01\n\r\xff\xfe.\r\n.\r\nno end"
    replies = said(
        server.port,
        ("mail", "alice@example.com", {"Bits": "binary"}),
        ("recipient", "octets@company.com.example"),
        ("bdat", head[:30]),
        ("bdatlast", head[30:] + body),
    )
    assert [reply[:3] for reply in replies] == ["250", "250", "250", "250"]
    wait_for(lambda: server.mailbox("octets"), what="the message")
    assert server.mailbox("octets")[0].endswith(body.encode("latin-1"))


def test_net_smtp_reads_the_limits(server: Server) -> None:
    (told,) = net_smtp(server.port, ("offered", "LIMITS"))
    assert told["answer"] == "RCPTMAX=1000"


class Limited:
    """aiosmtpd with limits, which it holds."""

    def __init__(self) -> None:
        self.taken: list[tuple[object, list[str]]] = []

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*responses[:-1], "250-LIMITS MAILMAX=2 RCPTMAX=2", responses[-1]]

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if len(envelope.rcpt_tos) == 2:
            return "452 4.5.3 Too many recipients"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append((session.peer, list(envelope.rcpt_tos)))
        return "250 2.0.0 Ok"


def test_our_client_keeps_to_the_limits_of_aiosmtpd(tmp_path: Path) -> None:
    """RFC 9422 section 4: two recipients of a transaction, two transactions of a session."""
    limited = Limited()
    controller = Controller(limited, hostname="127.0.0.1", port=free_port())
    controller.start()
    (tmp_path / "zone.json").write_text(ZONE)
    there = f'[[domain]]\nname = "there.example"\ndeliver = "smtp:127.0.0.1:{controller.port}"\n'
    try:
        with purport_server(tmp_path, f'{there}\n[dns]\nzone = "zone.json"\n') as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                people = [f"r{number}@there.example" for number in range(9)]
                client.sendmail("alice@example.com", people, TEXT.format("limits"))
            wait_for(lambda: server.log().count("status=sent") == 9, what="nine deliveries")
            assert "452" not in server.log()
        assert sorted(len(recipients) for _, recipients in limited.taken) == [1, 2, 2, 2, 2]
        sessions = [peer for peer, _ in limited.taken]
        assert all(sessions.count(peer) <= 2 for peer in sessions)
    finally:
        controller.stop()
