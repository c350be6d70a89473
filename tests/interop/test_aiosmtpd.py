"""aiosmtpd as the next hop of Purport: no PIPELINING, CHUNKING or DSN, and 555 for a parameter that it does not know.

Nobody logs in there: once it offers AUTH it still refuses `AUTH=<>`, which a relay has to say (RFC 4954 section 5).
"""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.certificates import Authority
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

pytestmark = pytest.mark.peer

ZONE = '{"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
ALICE = "alice@company.com.example"
HEADER = f"From: {ALICE}\r\nTo: bob@elsewhere.example\r\nSubject: Grüße\r\nMIME-Version: 1.0\r\n"
MESSAGE = f"{HEADER}Content-Type: text/plain; charset=utf-8\r\n\r\n.Grüße\r\n.\r\n..\r\n".encode()


class Keeper:
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.taken: list[tuple[Session, Envelope]] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append((session, envelope))
        return "250 2.0.0 Ok: kept"


@contextmanager
def aiosmtpd(**options: object) -> Iterator[tuple[int, Keeper]]:
    keeper = Keeper()
    controller = Controller(keeper, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    try:
        yield controller.port, keeper
    finally:
        controller.stop()


@contextmanager
def relaying(folder: Path, next_hop: str, more: str = "") -> Iterator[PurportServer]:
    (folder / "zone.json").write_text(ZONE)
    settings = '[[domain]]\nname = "company.com.example"\n\n[dns]\nzone = "zone.json"\n\n'
    relay = f'[relay]\ndefault = "{next_hop}"\nnetworks = ["127.0.0.0/8"]\n{more}'
    with purport_server(folder, settings + relay) as running:
        yield running


def submit(server: PurportServer, *to: str) -> None:
    with smtplib.SMTP("127.0.0.1", server.port) as client:
        client.ehlo("client.example")
        client.command_encoding = "utf-8"
        client.mail(ALICE, ["SMTPUTF8", "BODY=8BITMIME", "RET=HDRS", f"SUBMITTER={ALICE}"])
        for address in to:
            assert client.rcpt(address, ["NOTIFY=FAILURE"])[0] == 250
        assert client.data(MESSAGE)[0] == 250


def test_what_it_does_not_offer_is_not_said(tmp_path: Path) -> None:
    with aiosmtpd(enable_SMTPUTF8=True) as (port, keeper), relaying(tmp_path, f"smtp:127.0.0.1:{port}") as ours:
        submit(ours, "élise@elsewhere.example", "bob@elsewhere.example")
        wait_for(lambda: ours.log().count("status=sent") == 2, what="both deliveries in our log")
        ((_, envelope),) = keeper.taken
        assert envelope.rcpt_tos == ["élise@elsewhere.example", "bob@elsewhere.example"]
        assert sorted(option.partition("=")[0] for option in envelope.mail_options) == ["BODY", "SIZE", "SMTPUTF8"]
        assert envelope.original_content.endswith(MESSAGE)


def test_under_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.issue("localhost"))
    tls = f'tls = "verify"\nauthorities = "{authority.bundle}"\n'
    with (
        aiosmtpd(tls_context=context, require_starttls=True, enable_SMTPUTF8=True) as (port, keeper),
        relaying(tmp_path, f"smtp:localhost:{port}", tls) as ours,
    ):
        submit(ours, "bob@elsewhere.example")
        wait_for(lambda: "status=sent" in ours.log(), what="the delivery in our log")
        ((session, envelope),) = keeper.taken
        assert session.ssl is not None
        assert envelope.original_content.endswith(MESSAGE)
