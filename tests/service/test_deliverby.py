"""DELIVERBY end to end (RFC 2852): over two of our servers, and to a host that is away until the time is over."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

ZONE = '{"here.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
MESSAGE = b"From: alice@here.example\r\nSubject: t\r\n\r\nHello\r\n"
THERE = '[[domain]]\nname = "there.example"\n\n[queue]\nleast_by_time = 30\n\n[dns]\nzone = "zone.json"\n'


def here(port: int) -> str:
    return (
        '[[domain]]\nname = "here.example"\n\n'
        f'[[domain]]\nname = "there.example"\ndeliver = "smtp:127.0.0.1:{port}"\n\n[dns]\nzone = "zone.json"\n'
    )


def folder(tmp_path: Path, name: str) -> Path:
    place = tmp_path / name
    place.mkdir()
    (place / "zone.json").write_text(ZONE)
    return place


def send(server: PurportServer, by: str, forward_path: str = "bob@there.example") -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        client.sendmail("alice@here.example", forward_path, MESSAGE, mail_options=[f"BY={by}"])


def reports(server: PurportServer) -> list[str]:
    new = server.state_dir / "maildir/here.example/alice/new"
    return [file.read_text() for file in new.iterdir()] if new.exists() else []


@pytest.mark.parametrize(
    ("by", "told"),
    [
        ("60;R", ""),
        ("60;N", ""),
        ("60;RT", "Action: relayed\nStatus: 2.0.0\n"),
        ("20;R", "Action: failed\nStatus: 5.4.7\n"),
    ],
)
def test_a_message_over_two_servers_that_keep_the_time(tmp_path: Path, by: str, told: str) -> None:
    """The second takes nothing that leaves it less than 30 seconds; T asks the first to tell of it (section 4.1.4)."""
    with (
        purport_server(folder(tmp_path, "there"), THERE, "mx.there.example") as second,
        purport_server(folder(tmp_path, "here"), here(second.port), "mx.here.example") as first,
    ):
        with smtplib.SMTP("127.0.0.1", second.port) as client:
            client.ehlo("client.example")
            assert client.esmtp_features["deliverby"] == "30"
            code, text = client.mail("alice@here.example", ["BY=29;R"])
            assert (code, text) == (555, b"5.5.4 BY time is below the minimum")
        send(first, by)
        if told:
            wait_for(lambda: reports(first), what="the report")
            assert told in reports(first)[0]
        if "failed" not in told:
            wait_for(lambda: (second.state_dir / "maildir/there.example/bob/new").exists(), what="the message")
            wait_for(lambda: ": removed" in first.log(), what="the end of it here")
            assert len(reports(first)) == bool(told)


@pytest.mark.slow
def test_a_host_that_is_away_until_the_time_is_over(tmp_path: Path) -> None:
    """Two seconds of real time: tried at once and shortly before the end, and then returned."""
    with purport_server(folder(tmp_path, "here"), here(free_port()), "mx.here.example") as server:
        send(server, "2;R")
        wait_for(lambda: reports(server), what="the report")
        (report,) = reports(server)
        assert "Action: failed\nStatus: 5.4.7\n" in report
        assert "554 5.4.7 Delivery time expired; at last: 450 4.4.1 connect to 127.0.0.1" in report
        assert 1 <= server.log().count("status=deferred") <= 2


def test_the_time_of_a_message_survives_a_restart(tmp_path: Path) -> None:
    server = PurportServer(folder(tmp_path, "here"), here(free_port()), "mx.here.example")
    server.start()
    try:
        send(server, "1;R")
        wait_for(lambda: "status=deferred" in server.log(), what="the first attempt")
        server.kill()
        server.start()
        wait_for(lambda: reports(server), what="the report")
        assert "Action: failed\nStatus: 5.4.7\n" in reports(server)[0]
    finally:
        server.stop()
