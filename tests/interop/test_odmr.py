"""On-demand mail relay with other people's programs as the customer (RFC 2645): fetchmail, which hands what it gets to
a server beside it, and smtplib until the roles are reversed, aiosmtpd from then on."""

from __future__ import annotations

import asyncio
import os
import smtplib
import subprocess
from pathlib import Path

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from support.certificates import Authority
from support.peers import free_port, require_peer, wait_for
from support.purport_server import PurportServer

pytestmark = pytest.mark.peer

PROVIDER = """
[[domain]]
name = "company.com.example"
deliver = "odmr"

[[domain]]
name = "sub.company.com.example"
deliver = "odmr"

[[user]]
name = "company"
password = "open sesame"

[[odmr]]
user = "company"
domains = ["company.com.example", "sub.company.com.example"]
seconds = 0

[auth]
mechanisms = ["CRAM-MD5"]
delay = 0.0

[dns]
zone = "zone.json"
"""
LISTENER = """
[[listener]]
service = "odmr"
bind = ["127.0.0.1:{port}"]
{tls}

[[certificate]]
chain = "{certificate}"
"""
CUSTOMER = """
[[domain]]
name = "company.com.example"

[[domain]]
name = "sub.company.com.example"

[dns]
zone = "zone.json"
"""
FETCHMAILRC = """
poll localhost with proto ODMR port {port}
    user "company" pass "{password}"
    fetchdomains company.com.example,sub.company.com.example
    smtphost "127.0.0.1/{to}" {tls}
"""
MESSAGE = b"From: alice@here.example\r\nSubject: t\r\n\r\nHello\r\n.dot\r\n"
ZONE = '{"here.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


def fetchmail(folder: Path, rc: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    file = folder / "fetchmailrc"
    file.write_text(rc)
    file.chmod(0o600)
    return subprocess.run(
        ["fetchmail", "-v", "-f", str(file), "--nosyslog"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "FETCHMAILHOME": str(folder)},
    )


class Scene:
    """A provider, the server beside its customer's fetchmail, and fetchmail's settings."""

    def __init__(self, folder: Path, *, tls: bool) -> None:
        authority = Authority(folder / "tls")
        certificate = authority.issue("localhost", common="localhost")
        self.provider = PurportServer(folder / "provider", PROVIDER, "mx.provider.example")
        self.customer = PurportServer(folder / "customer", CUSTOMER, "mail.company.com.example")
        self.home = folder / "home"
        port = self.port = free_port()
        with self.provider.settings.open("a") as settings:
            how = 'tls = "implicit"' if tls else "auth_without_tls = true"
            settings.write(LISTENER.format(port=port, tls=how, certificate=certificate))
        for server in (self.provider, self.customer):
            (server.folder / "zone.json").write_text(ZONE)
        how = f'ssl sslcertck sslcertfile "{authority.bundle}"' if tls else "sslproto ''"
        self.rc = FETCHMAILRC.format(port=port, password="open sesame", to=self.customer.port, tls=how)

    def __enter__(self) -> Scene:
        self.provider.start()
        self.customer.start()
        wait_for(lambda: "Purport is ready" in self.provider.log(), what="both listeners")
        return self

    def __exit__(self, *_: object) -> None:
        self.provider.stop()
        self.customer.stop()


@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "clear"])
def test_fetchmail_logs_in_and_hears_that_there_is_no_mail(tmp_path: Path, tls: bool) -> None:
    require_peer("fetchmail")
    with Scene(tmp_path, tls=tls) as here:
        assert "You have no mail" in fetchmail(here.home, here.rc).stderr
        assert fetchmail(here.home, here.rc.replace("sesame", "barley")).returncode
        assert "SASL CRAM-MD5 authentication failed" in here.provider.log()


def test_fetchmail_comes_for_its_mail(tmp_path: Path) -> None:
    """In clear: under TLS fetchmail 6.4 waits at the socket for lines that it has read from there already, with the
    first one of their record."""
    require_peer("fetchmail")
    with Scene(tmp_path, tls=False) as here:
        for path in ("bob@company.com.example", "erin@sub.company.com.example"):
            with smtplib.SMTP("127.0.0.1", here.provider.port) as client:
                client.sendmail("alice@here.example", path, MESSAGE)
        wait_for(lambda: here.provider.log().count("status=deferred") == 2, what="two that wait")
        ran = fetchmail(here.home, here.rc)
        assert "ODMR< 250 2.0.0 OK, now reversing the connection" in ran.stdout
        wait_for(lambda: here.provider.log().count("status=sent") == 2, what="the mail at its host")
        wait_for(lambda: here.customer.log().count("relay=maildir") == 2, what="the mail in its place")
        bob = here.customer.state_dir / "maildir/company.com.example/bob/new"
        (mail,) = [file.read_bytes() for file in bob.iterdir()]
        assert mail.endswith(b"From: alice@here.example\nSubject: t\n\nHello\n.dot\n")


class Keeper:
    """What aiosmtpd's customer does with its mail: nobody called carol is known."""

    def __init__(self) -> None:
        self.taken: list[Envelope] = []

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address.startswith("carol@"):
            return "550 5.1.1 No such person"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 2.0.0 Ok: kept"


async def serve(client: smtplib.SMTP, keeper: Keeper) -> None:
    """aiosmtpd over the connection of a client that has become the server."""
    loop = asyncio.get_running_loop()
    assert client.sock is not None
    client.sock.settimeout(None)
    ended = asyncio.Event()

    class Customer(SMTP):
        def connection_lost(self, error: Exception | None) -> None:
            super().connection_lost(error)
            ended.set()

    await loop.connect_accepted_socket(lambda: Customer(keeper, hostname="mail.company.com.example"), client.sock)
    async with asyncio.timeout(20):
        await ended.wait()


def test_smtplib_comes_for_its_mail_and_aiosmtpd_takes_it(tmp_path: Path) -> None:
    """A server without PIPELINING and CHUNKING."""
    with Scene(tmp_path, tls=False) as here:
        paths = ["bob@company.com.example", "carol@company.com.example", "erin@sub.company.com.example"]
        for path in paths:
            with smtplib.SMTP("127.0.0.1", here.provider.port) as client:
                client.sendmail("alice@here.example", path, MESSAGE)
        wait_for(lambda: here.provider.log().count("status=deferred") == 3, what="three that wait")
        keeper = Keeper()
        customer = smtplib.SMTP("127.0.0.1", here.port, timeout=20)
        customer.ehlo("mail.company.com.example")
        customer.login("company", "open sesame")
        assert customer.docmd("ATRN", "company.com.example,sub.company.com.example")[0] == 250
        asyncio.run(serve(customer, keeper))
        assert [envelope.rcpt_tos for envelope in keeper.taken] == [[paths[0]], [paths[2]]]
        assert all(envelope.content.endswith(MESSAGE) for envelope in keeper.taken)
        wait_for(lambda: here.provider.log().count("status=sent") == 2, what="the provider's notes")
        assert "to=<carol@company.com.example>" in here.provider.log()
        assert "status=bounced (550 5.1.1 No such person)" in here.provider.log()
