"""Forwarding over real sockets: what the next hop is told and sent, and what finds its way back."""

from __future__ import annotations

import json
import re
import smtplib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail.header import read_header
from support.next_hop import NextHop, Received, next_hop
from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

DOMAIN = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "dave", "postmaster"]
{domain}

[domain.forwards]
carol = ["carol@elsewhere.example"]
erin = ["erin@elsewhere.example"]
team = ["bob", "carol", "frank@elsewhere.example"]
kept = ["kept", "kept@elsewhere.example"]
two = ["a@elsewhere.example", "b@other.example"]
lost = ["nobody", "bob"]
gone = ["nobody"]
a = ["b"]
b = ["a"]

[relay]
default = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"

[queue]
min_backoff = 1
max_backoff = 2
{more}
"""
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "_dmarc.bank.example": [{"TXT": "v=DMARC1; p=reject"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "_dmarc.lax.example": [{"TXT": "v=DMARC1; p=none"}],
    "lax.example": [{"TXT": "v=spf1 -all"}],
}
MESSAGE = b"From: alice@example.com\r\nSubject: hello\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
SENDER = "alice@example.com"


@contextmanager
def running(folder: Path, more: str = "", domain: str = "", **options: str) -> Iterator[tuple[PurportServer, NextHop]]:
    (folder / "zone.json").write_text(json.dumps(ZONE))
    with next_hop() as hop:
        settings = DOMAIN.format(port=hop.port, more=more, domain=domain)
        with purport_server(folder, settings, **options) as server:
            yield server, hop


def send(
    server: PurportServer, *recipients: str, message: bytes = MESSAGE, sender: str = SENDER, **options: list[str]
) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.sendmail(sender, recipients, message, **options)  # type: ignore[arg-type]


def rcpt(server: PurportServer, recipient: str, sender: str = "") -> tuple[int, bytes]:
    """The reply to RCPT."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        client.docmd(f"MAIL FROM:<{sender}>")
        return client.docmd(f"RCPT TO:<{recipient}>")


def received(hop: NextHop, count: int) -> list[Received]:
    wait_for(lambda: len(hop.transactions) >= count, what=f"{count} messages at the next hop")
    return sorted(hop.transactions, key=lambda one: one.recipients)


def delivered(server: PurportServer, local_part: str) -> list[bytes]:
    place = server.state_dir / "maildir" / "company.com.example" / local_part / "new"
    return [file.read_bytes() for file in sorted(place.iterdir())] if place.exists() else []


def names(message: bytes) -> list[str]:
    return [field.name for field in read_header(message)]


def test_r12_t17_a_forward_names_the_forwarder_and_keeps_the_reverse_path(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(server, "carol@company.com.example")
        (one,) = received(hop, 1)
        assert one.mail.startswith("MAIL FROM:<alice@example.com> ")
        assert "SUBMITTER=carol@company.com.example" in one.mail
        assert one.recipients == ["RCPT TO:<carol@elsewhere.example>"]
        found = names(one.message)
        assert found[:3] == ["resent-from", "resent-date", "resent-message-id"]
        assert found.index("authentication-results") == 3
        assert found.count("received") == 1
        assert str(purported_responsible_address(one.message).address) == "carol@company.com.example"
        assert b"\tfor <carol@company.com.example>" in one.message
        assert one.message.endswith(MESSAGE), "what was sent is not touched"
        queue_id = re.search(rb" id (\w+)", one.message)
        assert queue_id is not None
        assert f"Resent-Message-ID: <{queue_id[1].decode()}@mx.company.com.example>".encode() in one.message
        wait_for(lambda: "removed" in server.log())
        assert "orig_to=<carol@company.com.example>, relay=" in server.log()
        told = server.command("explain", "--last").stdout
        assert "forwarded for carol@company.com.example" in told
        assert "<carol@elsewhere.example> sent via" in told


def test_t18_s25_two_aliases_of_one_transaction_become_two_transactions(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(server, "carol@company.com.example", "erin@company.com.example", "bob@company.com.example")
        carol, erin = received(hop, 2)
        for one, who in ((carol, "carol"), (erin, "erin")):
            assert f"SUBMITTER={who}@company.com.example" in one.mail
            assert one.recipients == [f"RCPT TO:<{who}@elsewhere.example>"]
            assert f"Resent-From: {who}@company.com.example\r\n".encode() in one.message
        assert b"carol" not in erin.message, "nobody learns of another's forward"
        wait_for(lambda: delivered(server, "bob"))
        (kept,) = delivered(server, "bob")
        assert b"Resent-" not in kept
        wait_for(lambda: not server.command("queue", "list", "--json").stdout)
        accepted = re.findall(r"forwarded as (\w+), orig_to=<(\w+)@", server.log())
        assert sorted(who for _, who in accepted) == ["carol", "erin"]
        for queue_id, who in accepted:
            told = server.command("explain", queue_id).stdout
            assert f"forwarded for {who}@company.com.example" in told


def test_an_alias_reaches_mailboxes_here_and_addresses_elsewhere_once(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(
            server,
            "team@company.com.example",
            "bob@company.com.example",
            "carol@company.com.example",
            "kept@company.com.example",
        )
        carol, frank, kept = received(hop, 3)
        assert carol.recipients == ["RCPT TO:<carol@elsewhere.example>"]
        assert "SUBMITTER=team@company.com.example" in frank.mail
        assert "SUBMITTER=kept@company.com.example" in kept.mail
        wait_for(lambda: delivered(server, "bob") and delivered(server, "kept"))
        assert len(delivered(server, "bob")) == 1


def test_recipients_of_one_forwarder_share_a_transaction(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        send(
            server,
            "two@company.com.example",
            rcpt_options=["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;two@company.com.example"],
            mail_options=["ENVID=X1"],
        )
        wait_for(lambda: len(hop.transactions) >= 2)
        report, one = sorted(hop.transactions, key=lambda one: len(one.recipients))
        # RFC 3461 section 5.2.7.3 (c): no SUCCESS goes on, and the sender is told here.
        assert [line.partition(" NOTIFY")[2] for line in one.recipients] == [
            "=FAILURE ORCPT=rfc822;two@company.com.example"
        ] * 2
        assert "ENVID=X1" in one.mail
        assert report.mail.startswith("MAIL FROM:<>")
        assert report.recipients == ["RCPT TO:<alice@example.com>"]
        assert b"Action: expanded" in report.message
        assert b"Original-Envelope-Id: X1" in report.message


def test_a_forward_to_one_address_carries_the_requests_for_reports_on(tmp_path: Path) -> None:
    """RFC 3461 section 5.2.7.2."""
    with running(tmp_path) as (server, hop):
        send(
            server,
            "carol@company.com.example",
            rcpt_options=["NOTIFY=SUCCESS", "ORCPT=rfc822;Carol@company.com.example"],
            mail_options=["ENVID=X2", "RET=HDRS"],
        )
        (one,) = received(hop, 1)
        assert one.recipients == [
            "RCPT TO:<carol@elsewhere.example> NOTIFY=SUCCESS ORCPT=rfc822;Carol@company.com.example"
        ]
        assert "RET=HDRS" in one.mail
        assert "ENVID=X2" in one.mail
        wait_for(lambda: "removed" in server.log())
        assert len(hop.transactions) == 1, "nobody is told of an alias that is passed on"


def test_srs_leads_back_and_nowhere_else(tmp_path: Path) -> None:
    with running(tmp_path, '[forwarding]\nrepair = "both"') as (server, hop):
        send(server, "carol@company.com.example")
        (one,) = received(hop, 1)
        address = re.search(r"<(SRS0=[^>]+)>", one.mail)
        assert address is not None, one.mail
        srs = address[1]
        assert srs.endswith("=example.com=alice@company.com.example")
        assert "SUBMITTER=carol@company.com.example" in one.mail
        # S16: bad MAC, a sender who is no report, SRS of nobody.
        assert rcpt(server, srs, "eve@example.net") == (550, b"5.7.1 This address takes delivery reports alone")
        assert rcpt(server, srs.replace("=alice", "=eve"))[0] == 550
        assert rcpt(server, "SRS0=abcd=AA=example.com=alice@company.com.example")[1].startswith(
            b"5.7.1 SRS address refused"
        )
        assert rcpt(server, srs.replace("company.com.example", "elsewhere.example"))[0] == 554, "not for relaying"
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("<>", [srs.lower()], b"From: mailer-daemon@elsewhere.example\r\n\r\nfailed\r\n")
        back = received(hop, 2)[0]
        assert back.mail.startswith("MAIL FROM:<>")
        assert back.recipients == ["RCPT TO:<alice@example.com>"]
        assert b"Resent-From" not in back.message


def test_a_copy_that_fails_here_is_reported_to_the_sender_behind_srs(tmp_path: Path) -> None:
    with running(tmp_path, '[forwarding]\nrepair = "srs"') as (server, hop):
        hop.server.on("RCPT TO:<carol", "550 5.1.1 Nobody")
        send(server, "carol@company.com.example")
        wait_for(lambda: hop.server.messages)
        (report,) = hop.server.messages
        assert "RCPT TO:<alice@example.com>" in hop.server.commands
        assert b"5.1.1" in report


def test_srs_of_srs_keeps_the_first_forwarder(tmp_path: Path) -> None:
    with running(
        tmp_path, '[forwarding]\nrepair = "srs"\nsrs_domain = "bounces.company.com.example"\nsrs_separator = "+"'
    ) as (server, hop):
        send(server, "carol@company.com.example", sender="SRS0=abcd=AA=example.com=alice@fwd.example")
        (one,) = received(hop, 1)
        found = re.search(
            r"<(SRS1\+....=fwd.example==abcd=AA=example.com=alice@bounces.company.com.example)>", one.mail
        )
        assert found is not None, one.mail
        assert names(one.message)[0] == "delivered-to"
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("<>", [found[1]], b"From: mailer-daemon@elsewhere.example\r\n\r\nfailed\r\n")
        back = received(hop, 2)[0]
        assert back.recipients == ["RCPT TO:<SRS0=abcd=AA=example.com=alice@fwd.example>"]


@pytest.mark.parametrize("repair", ["none", "resent", "srs", "both"])
def test_s18_a_message_that_comes_back_is_refused(tmp_path: Path, repair: str) -> None:
    with running(tmp_path, f'[forwarding]\nrepair = "{repair}"') as (server, hop):
        send(server, "carol@company.com.example")
        (one,) = received(hop, 1)
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.4\.6 Mail forwarding loop for carol@"):
            send(server, "carol@company.com.example", message=one.message)
        assert rcpt(server, "carol@company.com.example")[0] == 250
        send(server, "carol@company.com.example", "bob@company.com.example", message=one.message)
        wait_for(lambda: delivered(server, "bob"))
        report = received(hop, 2)[0]
        assert b"5.4.6" in report.message, "and with others it fails for him alone"
        (line,) = server.command("explain", "--last", "2", "--json").stdout.splitlines()[1:]
        record = json.loads(line)
        assert record["decided_again"]["decision"] == record["decision"]


def test_what_leads_nowhere_is_refused_or_waits(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        assert rcpt(server, "a@company.com.example", SENDER) == (
            451,
            b"4.3.5 Forwarding of this mailbox is not set up correctly",
        )
        assert rcpt(server, "gone@company.com.example", SENDER) == (550, b"5.1.1 No such mailbox here")
        send(server, "lost@company.com.example")
        wait_for(lambda: delivered(server, "bob"))
        (report,) = received(hop, 1)
        assert b"5.1.1" in report.message
        assert b"nobody@company.com.example" in report.message


SCRIPT = """\
#!{python}
import sys
address = sys.stdin.readline().strip()
open({calls!r}, "a").write(address + "\\n")
if address.startswith("-x"):
    print("option@elsewhere.example")
elif address.startswith("gina@"):
    print("gina@elsewhere.example\\nbob")
elif address.startswith("broken@"):
    sys.exit(1)
"""


def test_a_program_is_asked_without_a_shell_and_its_answers_are_kept(tmp_path: Path) -> None:
    program, calls = tmp_path / "lookup", tmp_path / "calls"
    program.write_text(SCRIPT.format(python=sys.executable, calls=str(calls)))
    program.chmod(0o755)
    with running(tmp_path, domain=f'forward_command = ["{program}"]') as (server, hop):
        send(server, "gina@company.com.example")
        send(server, "gina@company.com.example", "-x`id`$HOME@company.com.example")
        wait_for(lambda: len(hop.transactions) >= 3)
        assert {one.recipients[0] for one in hop.transactions} == {
            "RCPT TO:<gina@elsewhere.example>",
            "RCPT TO:<option@elsewhere.example>",
        }
        wait_for(lambda: len(delivered(server, "bob")) == 2)
        assert rcpt(server, "nobody@company.com.example", SENDER)[0] == 550
        assert rcpt(server, "dave@company.com.example", SENDER)[0] == 250
        assert rcpt(server, "broken@company.com.example", SENDER) == (
            451,
            b"4.3.0 Forwarding of this mailbox cannot be looked up",
        )
        assert rcpt(server, "carol@company.com.example", SENDER)[0] == 250
        asked = calls.read_text().splitlines()
        assert asked.count("gina@company.com.example") == 1
        assert "carol@company.com.example" not in asked, "the settings come first"
        assert "exit code 1" in server.log()


def test_alias_files_are_read_and_read_again(tmp_path: Path) -> None:
    aliases = tmp_path / "aliases"
    aliases.write_text("hal: hal@elsewhere.example\n")
    with running(tmp_path, domain='aliases = "aliases"') as (server, hop):
        send(server, "HAL@company.com.example")
        assert received(hop, 1)[0].recipients == ["RCPT TO:<hal@elsewhere.example>"]
        aliases.write_text("ian: |/usr/bin/vacation\n")
        checked = server.command("check")
        assert checked.returncode == 78
        assert f"{aliases}:1: ian: mail is not handed to a program" in checked.stderr
        server.reload()
        wait_for(lambda: "the old settings stay in force" in server.log())
        aliases.write_text("ian: ian@elsewhere.example\n")
        server.reload()
        wait_for(lambda: "the settings were read again" in server.log())
        send(server, "ian@company.com.example")
        assert received(hop, 2)[1].recipients == ["RCPT TO:<ian@elsewhere.example>"]
        assert rcpt(server, "hal@company.com.example", SENDER)[0] == 550


def test_rfc4405_5_4_a_service_for_guests_answers_for_them(tmp_path: Path) -> None:
    listener = 'service = "mx"\nguest = "guest.services@company.com.example"'
    more = '[[domain]]\nname = "unused.example"'
    with running(tmp_path, more, listener=listener) as (server, hop):
        text = server.settings.read_text().replace("[relay]", '[relay]\nnetworks = ["127.0.0.0/8"]')
        server.settings.write_text(text)
        server.stop()
        server.start()
        send(server, "bob@almamater.edu.example")
        (one,) = received(hop, 1)
        assert one.mail.startswith("MAIL FROM:<alice@example.com> ")
        assert "SUBMITTER=guest.services@company.com.example" in one.mail
        assert names(one.message)[:4] == ["resent-from", "resent-date", "resent-message-id", "authentication-results"]


def test_large_messages_and_held_ones_go_on_too(tmp_path: Path) -> None:
    message = MESSAGE + b"x" * 70 * 10_000 + b"\r\n" + (b"y" * 70 + b"\r\n") * 8000
    with running(tmp_path) as (server, hop):
        lines = MESSAGE + (b"y" * 70 + b"\r\n") * 8000
        send(server, "carol@company.com.example", "erin@company.com.example", "bob@company.com.example", message=lines)
        one, two = received(hop, 2)
        assert one.message.endswith(lines)
        assert two.message.endswith(lines)
        wait_for(lambda: delivered(server, "bob"))
        assert len(message) > 2**18
        wait_for(lambda: not server.command("queue", "list", "--json").stdout)
        text = server.settings.read_text().replace("[queue]", "[queue]\nhold = true")
        server.settings.write_text(text)
        server.stop()
        server.start()
        send(server, "carol@company.com.example", "bob@company.com.example")
        entries = [json.loads(line) for line in server.command("queue", "list", "--json").stdout.splitlines()]
        assert len(entries) == 2
        (forwarded,) = [entry for entry in entries if entry.get("forwarded_for")]
        assert forwarded["forwarded_for"] == "carol@company.com.example"
        shown = server.command("queue", "show", forwarded["queue_id"]).stdout
        assert "(forwarded for carol@company.com.example)" in shown


BANK = b"From: ceo@bank.example\r\nSubject: forged\r\n\r\nPay.\r\n"


@pytest.mark.parametrize(
    ("dmarc_fail", "domain", "taken"),
    [
        ("policy", "bank.example", False),
        ("policy", "lax.example", True),
        ("refuse", "lax.example", False),
        ("forward", "bank.example", True),
        ("policy", "none.example", True),
    ],
)
def test_s17_what_fails_dmarc_is_not_laundered(tmp_path: Path, dmarc_fail: str, domain: str, taken: bool) -> None:
    """Also where mail for mailboxes here is only marked (on_fail = "tag")."""
    more = f'[forwarding]\ndmarc_fail = "{dmarc_fail}"\nrepair = "both"\n\n[dmarc]\non_fail = "tag"'
    with running(tmp_path, more) as (server, hop):
        forged = BANK.replace(b"bank.example", domain.encode())
        send(server, "bob@company.com.example", message=forged)
        if taken:
            send(server, "carol@company.com.example", "bob@company.com.example", message=forged)
            received(hop, 1)
            return
        for recipients in (["carol@company.com.example"], ["carol@company.com.example", "bob@company.com.example"]):
            with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 Not forwarded: DMARC of (bank|lax)\.example is"):
                send(server, *recipients, message=forged)
        record = json.loads(server.command("explain", "--last", "--json").stdout)
        assert record["rule"] == "forwarding-dmarc"
        assert record["decided_again"] == {key: record[key] for key in ("decision", "rule", "reply")}
        wait_for(lambda: delivered(server, "bob"))
        assert not hop.transactions
        assert len(delivered(server, "bob")) == 1


def test_s17_two_froms_are_no_author_that_could_be_forwarded(tmp_path: Path) -> None:
    with running(tmp_path, '[dmarc]\non_fail = "tag"') as (server, hop):
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1 Not forwarded: the From field"):
            send(server, "carol@company.com.example", message=b"From: alice@example.com\r\n" + BANK)
        assert not hop.transactions


@pytest.mark.parametrize(
    ("domain", "repair"), [("example.com", "none"), ("hard.example", "both"), ("opt-out.example", "srs")]
)
def test_the_least_repair_is_planned_and_the_reply_stands_beside_it(tmp_path: Path, domain: str, repair: str) -> None:
    more = '[forwarding]\nrepair = "least"\naddresses = ["192.0.2.25"]'
    with running(tmp_path, more) as (server, hop):
        text = server.settings.read_text().replace("[queue]", '[submitter]\nreject_at = "data"\n\n[queue]')
        server.settings.write_text(text)
        (tmp_path / "zone.json").write_text(
            json.dumps(
                {
                    "company.com.example": [{"TXT": "v=spf1 ip4:192.0.2.25 -all"}],
                    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 ip4:127.0.0.1 -all"}],
                    "hard.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
                    "opt-out.example": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}, {"TXT": "spf2.0/pra ?all"}],
                }
            )
        )
        server.stop()
        server.start()
        send(
            server,
            "carol@company.com.example",
            sender=f"alice@{domain}",
            message=MESSAGE.replace(b"example.com", domain.encode()),
        )
        (one,) = received(hop, 1)
        assert (f"<alice@{domain}>" in one.mail) is (repair in ("none", "resent"))
        assert ("resent-from" in names(one.message)) is (repair in ("resent", "both"))
        wait_for(lambda: "removed" in server.log())
        assert f"repair={repair}" in server.log()
        told = server.command("explain", "--last").stdout
        assert f"repaired by {repair}; {repair}: pass expected (SPF pass" in told
        assert "as expected" in told


def test_connections_come_from_the_address_that_is_set(tmp_path: Path) -> None:
    with running(tmp_path) as (server, hop):
        text = server.settings.read_text().replace("[relay]", '[relay]\nsource = ["127.0.0.77"]')
        server.settings.write_text(text)
        server.stop()
        server.start()
        send(server, "carol@company.com.example")
        received(hop, 1)
        assert hop.server.peers == ["127.0.0.77"]
