"""The server is killed with SIGKILL while it forwards; of an acknowledged message no copy is lost."""

from __future__ import annotations

import random
import re
import smtplib
import threading
from pathlib import Path

import pytest

from support.next_hop import NextHop, next_hop
from support.peers import wait_for
from support.purport_server import PurportServer

KILLS = 15
SENDERS = 4
SEED = 5322
LINES = (2, 900, 5000)  # of bodies: in the row, in a shared file, in a file of its own
NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.MULTILINE)

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob"]

[domain.forwards]
team = ["bob", "carol", "dave@elsewhere.example"]
carol = ["carol@elsewhere.example"]

[forwarding]
repair = "both"

[relay]
default = "smtp:127.0.0.1:{port}"

[queue]
min_backoff = 1
max_backoff = 2

[dns]
zone = "zone.json"
"""


def sending(port: int, first: int, stop: threading.Event, acknowledged: set[int]) -> None:
    """Send one message after another until told to stop, and note what was acknowledged."""
    chance = random.Random(SEED + first)
    number = first
    while not stop.is_set():
        try:
            with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
                while not stop.is_set():
                    number += SENDERS
                    body = (b"x" * 70 + b"\r\n") * chance.choice(LINES)
                    message = b"From: alice@example.com\r\nX-Number: %d\r\n\r\n" % number + body
                    client.sendmail("alice@example.com", ["team@company.com.example"], message)
                    acknowledged.add(number)
        except (OSError, smtplib.SMTPException):
            stop.wait(0.02)  # the server is down at this moment


def relayed(hop: NextHop, recipient: str) -> set[int]:
    """The numbers of the messages that came for a recipient."""
    found = set()
    for one in hop.transactions:
        if one.recipients == [f"RCPT TO:<{recipient}>"] and (number := NUMBER.search(one.message)):
            found.add(int(number[1]))
    return found


def kept(server: PurportServer) -> set[int]:
    """The numbers in the mailbox."""
    found = set()
    for place in (server.state_dir / "maildir").glob("*/bob/new/*"):
        number = NUMBER.search(place.read_bytes())
        assert number is not None
        found.add(int(number[1]))
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_copy_of_an_acknowledged_message_is_lost(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text('{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}')
    chance = random.Random(SEED)
    stop = threading.Event()
    acknowledged: list[set[int]] = [set() for _ in range(SENDERS)]
    with next_hop() as hop:
        server = PurportServer(tmp_path, SETTINGS.format(port=hop.port))
        senders = [
            threading.Thread(target=sending, args=(server.port, number, stop, acknowledged[number]), daemon=True)
            for number in range(SENDERS)
        ]
        try:
            server.start()
            for sender in senders:
                sender.start()
            for _ in range(KILLS):
                stop.wait(chance.uniform(0.05, 0.5))
                server.kill()
                server.start()
            stop.set()
            for sender in senders:
                sender.join(20)
            sent = set().union(*acknowledged)
            assert len(sent) > KILLS, "hardly anything was sent: the test proves nothing"

            def lost() -> dict[str, set[int]]:
                places = {name: relayed(hop, f"{name}@elsewhere.example") for name in ("carol", "dave")}
                places["bob"] = kept(server)
                return {name: missing for name, found in places.items() if (missing := sent - found)}

            wait_for(lambda: not server.command("queue", "list", "--json").stdout, 60, "an empty queue")
            assert lost() == {}
            assert server.stop() == 0
        finally:
            stop.set()
            if server.process is not None and server.process.poll() is None:
                server.kill()
