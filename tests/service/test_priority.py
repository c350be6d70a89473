"""MT-PRIORITY end to end (RFC 6710): asked for, granted or not, told, and passed on."""

from __future__ import annotations

import smtplib
from pathlib import Path

from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

DOMAIN = '[[domain]]\nname = "company.com.example"\nmailboxes = ["alice", "bob"]\n\n[dns]\nzone = "zone.json"\n'
ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
MESSAGE = b"From: alice@company.com.example\r\nTo: bob@company.com.example\r\nSubject: t\r\n\r\nHello\r\n"


def submitted(server: PurportServer, *parameters: str, to: str = "bob@company.com.example") -> str:
    """The reply to MAIL of a message that is sent."""
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        assert client.esmtp_features["mt-priority"] == "MIXER"
        code, text = client.mail("alice@company.com.example", parameters)
        assert client.rcpt(to)[0] == 250
        assert client.data(MESSAGE)[0] == 250
        return f"{code} {text.decode()}"


def delivered(folder: Path) -> list[str]:
    new = folder / "state" / "maildir" / "company.com.example" / "bob" / "new"
    return [file.read_text() for file in sorted(new.iterdir())] if new.exists() else []


def test_a_stranger_may_lower_a_priority_and_not_raise_it(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, DOMAIN) as server:
        assert submitted(server, "MT-PRIORITY=4") == "250 2.3.6 0 is the new priority of this message"
        assert submitted(server, "MT-PRIORITY=-4") == "250 2.1.0 Ok"
        assert submitted(server) == "250 2.1.0 Ok"
        wait_for(lambda: len(delivered(tmp_path)) == 3)
        clauses = [text.partition("PRIORITY ")[2].partition(";")[0] for text in delivered(tmp_path)]
        assert sorted(clauses) == ["", "-4", "4"], "the Received field has what was asked for (RFC 6710 section 10)"
        wait_for(lambda: server.log().count("queue active") == 3)
        assert ", priority=0 (asked for 4) (queue active)" in server.log()
        assert ", priority=-4 (queue active)" in server.log()


def test_a_client_that_is_known_gets_its_priority_up_to_the_highest(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    settings = DOMAIN + '[priority]\nnetworks = ["127.0.0.0/8"]\nhighest = 6\n'
    with purport_server(tmp_path, settings) as server:
        assert submitted(server, "MT-PRIORITY=4") == "250 2.1.0 Ok"
        assert submitted(server, "MT-PRIORITY=9") == "250 2.3.6 6 is the new priority of this message"


def test_the_next_server_hears_it_and_believes_whom_it_knows(tmp_path: Path) -> None:
    for place in ("mx", "relay"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "zone.json").write_text(ZONE)
    with purport_server(tmp_path / "mx", f'{DOMAIN}[priority]\nnetworks = ["127.0.0.0/8"]\n') as mx:
        settings = f'[relay]\ndefault = "smtp:127.0.0.1:{mx.port}"\nnetworks = ["127.0.0.0/8"]\n'
        settings += '[dns]\nzone = "zone.json"\n'
        with purport_server(tmp_path / "relay", settings, "relay.example") as relay:
            assert submitted(relay, "MT-PRIORITY=3") == "250 2.1.0 Ok"
            wait_for(lambda: delivered(tmp_path / "mx"))
            (text,) = delivered(tmp_path / "mx")
            assert text.count("PRIORITY 3;") == 2, "both servers"
            assert ", priority=3 (queue active)" in mx.log()


def test_a_held_message_shows_its_priority(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, f"{DOMAIN}[queue]\nhold = true\n") as server:
        submitted(server, "MT-PRIORITY=-4")
        assert '"priority": -4' in server.command("queue", "list", "--json").stdout
        assert "(priority -4)" in server.command("queue", "list").stdout
