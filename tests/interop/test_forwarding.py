"""Purport forwards into other people's servers, and into itself; their reports find their way back by SRS."""

from __future__ import annotations

import json
import re
import smtplib
import socket
import subprocess
import time
from pathlib import Path

import pytest

from purport.forwarding.srs import Srs
from purport.mail.address import parse_mailbox
from purport.mail.header import read_header
from support.exim import Exim
from support.next_hop import next_hop
from support.peers import find_peer, free_port, missing, require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

MESSAGE = b"From: alice@example.com\r\nSubject: on its way\r\n\r\nHello.\r\n"
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
}
FORWARDER = """
[[domain]]
name = "company.com.example"
mailboxes = ["postmaster"]
forwards = {{ carol = ["carol@{domain}"] }}

[forwarding]
repair = "{repair}"

[relay]
default = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
"""


def forwarder(folder: Path, domain: str, port: int, repair: str = "resent") -> PurportServer:
    folder.mkdir(exist_ok=True)
    (folder / "zone.json").write_text(json.dumps(ZONE))
    server = PurportServer(folder, FORWARDER.format(domain=domain, port=port, repair=repair))
    server.start()
    return server


def send(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("alice@example.com", ["carol@company.com.example"], MESSAGE)


def names(message: bytes) -> list[str]:
    return [field.name for field in read_header(message)]


def test_exim_receives_the_resent_block_above_our_received_field(tmp_path: Path) -> None:
    require_peer("exim")
    exim = Exim("exim.example")
    server = forwarder(tmp_path, "exim.example", exim.port)
    try:
        send(server.port)
        wait_for(lambda: exim.messages(), what="the message at Exim")
        (message,) = exim.messages()
        below = names(message)[names(message).index("received") + 1 :]  # of Exim's own
        assert below[:3] == ["resent-from", "resent-date", "resent-message-id"]
        assert below.index("received") < below.index("from")
        assert b"Return-path: <alice@example.com>" in message
    finally:
        server.stop()
        exim.stop()


def test_a_report_of_postfix_comes_back_by_srs(tmp_path: Path) -> None:
    require_peer("postfix")
    with next_hop() as hop:
        hop.server.on("RCPT TO:<carol@", "550 5.1.1 No such user")
        port = free_port()
        server = forwarder(tmp_path, "away.example", port, "both")
        back = f"inline:{{company.com.example=smtp:[127.0.0.1]:{server.port}}}"
        relay = {"mydestination": "", "relayhost": f"[127.0.0.1]:{hop.port}", "transport_maps": back}
        postfix = Postfix(relay, port=port)
        try:
            send(server.port)
            # Postfix took the forward, could not deliver it, and reported to the SRS address; that led us to alice,
            # whose mail goes through Postfix too.
            wait_for(lambda: hop.server.messages, 30, "the report at the sender's server")
            assert any(command.startswith("RCPT TO:<alice@example.com>") for command in hop.server.commands)
            assert re.search(r"to=<SRS0=....=..=example.com=alice@company.com.example>.* status=sent", postfix.log())
            report = hop.server.messages[0]
            assert b"5.1.1" in report
            assert b"Resent-From: carol@company.com.example" in report, "the header it is about"
        finally:
            server.stop()
            postfix.stop()


def test_a_purport_next_hop_takes_the_forwarder_for_responsible(tmp_path: Path) -> None:
    folder = tmp_path / "next"
    folder.mkdir()
    (folder / "zone.json").write_text(json.dumps(ZONE))
    settings = '[[domain]]\nname = "elsewhere.example"\n\n[dns]\nzone = "zone.json"\n'
    with purport_server(folder, settings, hostname="mx.elsewhere.example") as last:
        server = forwarder(tmp_path / "first", "elsewhere.example", last.port)
        try:
            send(server.port)
            wait_for(lambda: "status=sent" in last.log(), what="the message in the last mailbox")
        finally:
            server.stop()
        responsible = "responsible submitter=<carol@company.com.example> pra=<carol@company.com.example> (resent-from)"
        assert f"{responsible} mailfrom=<alice@example.com>" in last.log()


def test_exim_makes_srs_addresses_that_we_carry_on(tmp_path: Path) -> None:
    require_peer("exim")
    exim = Exim("exim.example")
    try:
        program = str(exim.folder / "exim")
        expanded = subprocess.run(
            [
                program,
                "-C",
                str(exim.folder / "exim.conf"),
                "-be",
                "${srs_encode {secret}{alice@example.com}{exim.example}}",
            ],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.strip()
    finally:
        exim.stop()
    assert expanded.startswith("SRS0=")
    ours = Srs((b"ours",))
    made = ours.rewritten(parse_mailbox(expanded), "company.com.example", time.time())
    assert str(ours.original(made.local_part, time.time())) == expanded


def test_postsrsd_and_purport_read_each_others_addresses(tmp_path: Path) -> None:
    """With one secret: whoever changes from PostSRSd to Purport loses no report."""
    program = find_peer("postsrsd")
    if program is None:
        missing("postsrsd is not there")
    assert program is not None
    secret = tmp_path / "secret"
    secret.write_text("one secret for both\n")
    forward, reverse = free_port(), free_port()
    process = subprocess.Popen(
        [program, f"-s{secret}", "-dfwd.example", f"-f{forward}", f"-r{reverse}", "-l127.0.0.1"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def asked(port: int, address: str) -> str:
        with socket.create_connection(("127.0.0.1", port), 5) as connection:
            connection.sendall(f"get {address}\n".encode())
            return connection.makefile().readline().split()[1]

    def answers() -> bool:
        try:
            return bool(asked(forward, "alice@example.com"))
        except OSError:
            return False

    try:
        wait_for(answers, what="PostSRSd")
        srs = Srs((b"one secret for both",))
        theirs = asked(forward, "Alice@example.com")
        assert str(srs.original(parse_mailbox(theirs).local_part, time.time())) == "Alice@example.com"
        ours = srs.rewritten(parse_mailbox("bob@sender.example"), "fwd.example", time.time())
        assert asked(reverse, str(ours)) == "bob@sender.example"
        assert asked(forward, "SRS0=abcd=AA=example.com=alice@other.example") == str(
            srs.rewritten(parse_mailbox("SRS0=abcd=AA=example.com=alice@other.example"), "fwd.example", time.time())
        )
    finally:
        process.terminate()
        process.wait(10)
