"""Sendmail between two servers of ours: what one says to it, and what it says to the other."""

from __future__ import annotations

import re
import smtplib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.cli import purport
from support.peers import require_peer, wait_for
from support.purport_server import PurportServer, purport_server
from support.sendmail import Sendmail

pytestmark = pytest.mark.peer

ALICE = "alice@here.example"
BOB = "bob@there.example"
MESSAGE = f"From: {ALICE}\r\nTo: {BOB}\r\nSubject: t\r\n\r\nHello.\r\n.\r\n..dots\r\n".encode()
ZONE = '{"here.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


@contextmanager
def chain(tmp_path: Path, mode: str = "b") -> Iterator[tuple[PurportServer, Sendmail, PurportServer]]:
    """Ours for here.example, Sendmail, ours for there.example, where Sendmail's own reports end too."""
    require_peer("sendmail")
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "zone.json").write_text(ZONE)
    last = '[[domain]]\nname = "there.example"\n\n[[domain]]\nname = "here.example"\n\n[dns]\nzone = "zone.json"\n'
    with purport_server(tmp_path / "there", last, "mx.there.example") as there:
        between = Sendmail(there.port, mode)
        try:
            first = (
                '[[domain]]\nname = "here.example"\n\n[[domain]]\nname = "there.example"\n'
                f'deliver = "smtp:127.0.0.1:{between.port}"\n\n[dns]\nzone = "zone.json"\n'
            )
            with purport_server(tmp_path / "here", first, "mx.here.example") as here:
                yield here, between, there
        finally:
            between.stop()


def submit(port: int, mail: str, rcpt: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.ehlo("client.example")
        client.sendmail(ALICE, BOB, MESSAGE, mail_options=mail.split(), rcpt_options=rcpt.split())


def messages(server: PurportServer, mailbox: str) -> list[bytes]:
    return [place.read_bytes() for place in (server.state_dir / "maildir").glob(f"*/{mailbox}/new/*")]


def test_it_keeps_the_time_that_a_message_has(tmp_path: Path) -> None:
    """RFC 2852: offered by it and by us, with what is left of the time each time."""
    with chain(tmp_path) as (here, between, there):
        submit(here.port, "BY=3600;RT")
        wait_for(lambda: messages(there, "bob"), what="the message at the end")
        heard, said = re.findall(r"MAIL F(?:ROM|rom):<alice@here\.example>.* BY=(\d+);(R)T?\b", between.log())
        assert 3595 <= int(heard[0]) <= 3600
        assert 3590 <= int(said[0]) <= int(heard[0])
        assert b"\n\nHello.\n.\n..dots\n" in messages(there, "bob")[0]
        wait_for(lambda: messages(here, "alice"), what="our report that it was passed on: T")
        assert b"Action: relayed" in messages(here, "alice")[0]


def test_it_passes_on_who_reports(tmp_path: Path) -> None:
    """RFC 3461 section 5.2.1: through us, through it, to us, who report."""
    with chain(tmp_path) as (here, _, there):
        submit(here.port, "RET=HDRS ENVID=QQ+2B1", f"NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;{BOB}")
        wait_for(lambda: messages(there, "alice"), what="the report from the last server")
        (report,) = messages(there, "alice")
        assert b"Action: delivered" in report
        assert b"Original-Envelope-Id: QQ+1" in report
        assert b"Reporting-MTA: dns; mx.there.example" in report
        assert not messages(here, "alice")


def test_it_sends_what_waits_when_we_ask_for_it(tmp_path: Path) -> None:
    """RFC 1985."""
    with chain(tmp_path, mode="q") as (here, between, there):
        submit(here.port, "")
        wait_for(between.waiting, what="the message in Sendmail's queue")
        ran = purport("etrn", f"127.0.0.1:{between.port}", "there.example", "--helo", "mx.there.example")
        assert ran.code == 0, ran.out
        assert re.search(r"^<-  25\d .*", ran.out, re.MULTILINE)
        wait_for(lambda: messages(there, "bob"), what="the message at the end")
