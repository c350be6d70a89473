"""On-demand mail relay end to end (RFC 2645): a provider keeps mail, and a customer comes for it."""

from __future__ import annotations

import json
import re
import smtplib
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.certificates import Authority
from support.peers import free_port, greets, wait_for
from support.purport_server import PurportServer

PROVIDER = """
[[domain]]
name = "here.example"

[[domain]]
name = "company.com.example"
deliver = "odmr"

[[domain]]
name = "sub.company.com.example"
deliver = "odmr"

[[domain]]
name = "other.example"
deliver = "odmr"

[[user]]
name = "company"
password = "open sesame"

[[user]]
name = "other"
password = "open barley"

[[user]]
name = "nobody"
password = "open rye"

[[odmr]]
user = "company"
domains = ["company.com.example", "sub.company.com.example"]
seconds = 0

[[odmr]]
user = "other"
domains = ["other.example"]
seconds = 0

[auth]
delay = 0.0
max_delay = 0.0

[dns]
zone = "zone.json"

[queue]
warn_after = {warn_after}
"""
CUSTOMER = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "carol"]

[[domain]]
name = "sub.company.com.example"

[[fetch]]
host = "127.0.0.1:{port}"
user = "company"
password_file = "odmr.password"
tls = "{tls}"
auth_without_tls = {clear}
every = {every}

[relay]
authorities = "{authorities}"

[dns]
zone = "zone.json"
"""
MESSAGE = b"From: alice@here.example\r\nSubject: t\r\n\r\nHello\r\n"
ZONE = '{"here.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'


class Provider(PurportServer):
    """A server with an mx on `port` and a listener for on-demand mail relay on `odmr`."""

    def __init__(
        self, folder: Path, certificate: Path, *, warn_after: int = 0, tls: str = "offer", clear: bool = True
    ) -> None:
        super().__init__(folder, PROVIDER.format(warn_after=warn_after), "mx.provider.example")
        (folder / "zone.json").write_text(ZONE)
        self.odmr = free_port()
        with self.settings.open("a") as settings:
            settings.write(f'\n[[listener]]\nservice = "odmr"\nbind = ["127.0.0.1:{self.odmr}"]\ntls = "{tls}"\n')
            settings.write(f"auth_without_tls = {str(clear).lower()}\nxclient = []\n")
            settings.write(f'[[certificate]]\nchain = "{certificate}"\n')

    def wait_until_ready(self) -> None:
        super().wait_until_ready()
        wait_for(lambda: greets(self.odmr), what="the other listener's greeting")

    def send(self, *forward_paths: str, message: bytes = MESSAGE) -> None:
        """Mail that waits for its host."""
        for forward_path in forward_paths:
            with smtplib.SMTP("127.0.0.1", self.port) as client:
                client.sendmail("alice@here.example", forward_path, message)
        wait_for(lambda: all(self.status(path, "deferred") for path in forward_paths), what="the first look")

    def status(self, forward_path: str, status: str) -> bool:
        return re.search(rf"to=<{forward_path}>.*status={status}", self.log()) is not None

    def queue(self) -> list[dict[str, object]]:
        ran = self.command("queue", "list", "--json")
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]

    def login(self, user: str = "company", password: str = "open sesame") -> smtplib.SMTP:
        client = smtplib.SMTP("127.0.0.1", self.odmr, timeout=20)
        client.ehlo("mail.company.com.example")
        client.login(user, password)
        return client


def customer(folder: Path, port: int, authority: Authority, *, tls: str = "verify", every: float = 0) -> PurportServer:
    clear = str(tls == "none").lower()
    settings = CUSTOMER.format(port=port, tls=tls, clear=clear, every=every, authorities=authority.bundle)
    server = PurportServer(folder, settings, "mail.company.com.example")
    (folder / "zone.json").write_text(ZONE)
    (folder / "odmr.password").write_text("open sesame\n")
    return server


def mails(server: PurportServer, domain: str, local_part: str) -> list[bytes]:
    folder = server.state_dir / "maildir" / domain / local_part / "new"
    return [file.read_bytes() for file in folder.iterdir()] if folder.exists() else []


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def provider(tmp_path: Path, authority: Authority) -> Iterator[Provider]:
    server = Provider(tmp_path / "provider", authority.issue("127.0.0.1", "mx.provider.example"))
    server.start()
    yield server
    if server.process is not None and server.process.poll() is None:
        server.stop()


@pytest.mark.parametrize("tls", ["verify", "none"])
def test_a_customer_fetches_what_waits(provider: Provider, tmp_path: Path, authority: Authority, tls: str) -> None:
    """Two servers of ours, under TLS and in clear; what waits for somebody else goes on waiting."""
    provider.send("bob@company.com.example", "erin@sub.company.com.example", "dave@other.example")
    server = customer(tmp_path / "customer", provider.odmr, authority, tls=tls)
    server.start()
    try:
        ran = server.command("odmr")
        assert (ran.returncode, ran.stdout) == (0, f"127.0.0.1:{provider.odmr}: 2 messages\n")
        wait_for(lambda: mails(server, "company.com.example", "bob"), what="Bob's mail")
        wait_for(lambda: mails(server, "sub.company.com.example", "erin"), what="Erin's mail")
        (bob,) = mails(server, "company.com.example", "bob")
        protocol = b"ESMTPS" if tls == "verify" else b"ESMTP"
        assert b"\n\tby mail.company.com.example (Purport) with " + protocol + b" id " in bob
        asked = [line for line in bob.splitlines() if line.startswith(b"Authentication-Results: ")]
        assert len(asked) == 1  # by the provider: we know of its address alone, and have not asked about that
        assert asked[0].startswith(b"Authentication-Results: mx.provider.example;")
        wait_for(lambda: provider.status("bob@company.com.example", "sent"), what="the provider's note")
        assert ("tls=TLSv1.3, dsn=2.0.0, status=sent" in provider.log()) == (tls == "verify")
        again = server.command("odmr", f"127.0.0.1:{provider.odmr}")
        assert (again.returncode, again.stdout) == (0, f"127.0.0.1:{provider.odmr}: no messages\n")
        assert "ATRN of company: 453 4.2.0 You have no mail from unknown[127.0.0.1]" in provider.log()
    finally:
        server.stop()
    (entry,) = provider.queue()
    waits = "450 4.4.1 Waits for its host to come for it"
    assert entry["queue_name"] == "waiting"
    assert entry["recipients"] == [{"address": "dave@other.example", "delay_reason": waits}]
    assert "~ " in provider.command("queue", "list").stdout


def test_a_customer_asks_by_itself(provider: Provider, tmp_path: Path, authority: Authority) -> None:
    provider.send("bob@company.com.example")
    server = customer(tmp_path / "customer", provider.odmr, authority, every=0.1)
    server.start()
    try:
        wait_for(lambda: mails(server, "company.com.example", "bob"), what="Bob's mail")
        provider.send("carol@company.com.example")
        wait_for(lambda: mails(server, "company.com.example", "carol"), what="Carol's mail")
    finally:
        server.stop()


def test_what_the_dialogue_is_for_who_may_and_who_may_not(provider: Provider) -> None:
    provider.send("bob@company.com.example", "dave@other.example")
    with smtplib.SMTP("127.0.0.1", provider.odmr, timeout=20) as client:
        client.ehlo("mail.company.com.example")
        assert set(client.esmtp_features) == {"enhancedstatuscodes", "auth", "starttls", "atrn"}
        assert client.docmd("ATRN")[0] == 530
        assert client.mail("alice@here.example")[0] == 502
        client.login("company", "open sesame")
        assert client.docmd("ATRN other.example")[0] == 450
        assert client.docmd("ATRN company.com.example,other.example")[0] == 450
        assert client.docmd("ATRN sub.company.com.example")[0] == 453
        assert client.docmd("ATRN example")[0] == 501
    with provider.login("nobody", "open rye") as client:
        assert client.docmd("ATRN")[0] == 450
    assert "ATRN of nobody: 450 4.7.1 ATRN request refused" in provider.log()


def test_the_same_may_not_be_asked_for_all_the_time(tmp_path: Path, authority: Authority) -> None:
    server = Provider(tmp_path, authority.issue("127.0.0.1"))
    server.settings.write_text(server.settings.read_text().replace("seconds = 0\n", "seconds = 600\n"))
    server.start()
    try:
        with server.login() as client:
            assert [client.docmd(line)[0] for line in ("ATRN", "ATRN", "ATRN company.com.example")] == [453, 450, 453]
    finally:
        server.stop()


def test_in_clear_nobody_logs_in_unless_told_so(tmp_path: Path, authority: Authority) -> None:
    server = Provider(tmp_path / "provider", authority.issue("127.0.0.1"), tls="require", clear=False)
    server.start()
    try:
        server.send("bob@company.com.example")
        with smtplib.SMTP("127.0.0.1", server.odmr, timeout=20) as client:
            client.ehlo("mail.company.com.example")
            assert (client.has_extn("auth"), client.has_extn("atrn")) == (False, True)
            assert client.docmd("ATRN")[0] == 530
        for tls, code in (("none", 75), ("encrypt", 0)):
            host = customer(tmp_path / tls, server.odmr, authority, tls=tls)
            host.start()
            try:
                assert host.command("odmr").returncode == code
            finally:
                host.stop()
    finally:
        server.stop()


class Host:
    """A customer by hand: logged in, and the server once ATRN was taken."""

    def __init__(self, provider: Provider, command: bytes = b"ATRN\r\n") -> None:
        self._client = provider.login()
        assert self._client.sock is not None
        self.socket = self._client.sock
        self.socket.sendall(command)
        self._file = self.socket.makefile("rb")

    def hear(self) -> bytes:
        return self._file.readline()

    def say(self, line: str) -> None:
        self.socket.sendall(f"{line}\r\n".encode())

    def expect(self, beginning: bytes, answer: str) -> None:
        said = self.hear()
        assert said.startswith(beginning), said
        self.say(answer)

    def close(self) -> None:
        self._file.close()
        self._client.close()


def came_for_mail(provider: Provider) -> Host:
    """A host that has greeted the provider; what another one had leased may be on its way back still."""
    came: list[Host] = []

    def comes() -> bool:
        host = Host(provider)
        said = host.hear()
        if said == b"250 2.0.0 OK, now reversing the connection\r\n":
            host.say("220 mail.company.com.example ESMTP")
            came.append(host)
        else:
            assert said.startswith(b"453 ")
            host.close()
        return bool(came)

    wait_for(comes, what="mail for the host")
    return came[0]


def test_by_hand_and_dropped_in_the_middle_nothing_is_lost_or_sent_twice(provider: Provider) -> None:
    """RFC 2645 section 6, with a customer that goes at each step."""
    provider.send("bob@company.com.example", "carol@company.com.example", "erin@sub.company.com.example")
    for answers in (
        [],
        [("EHLO mx.provider.example", "250 mail.company.com.example")],
        [
            ("EHLO", "250 mail.company.com.example"),
            ("MAIL FROM:<alice@here.example>", "250 Ok"),
            ("RCPT TO:<bob@company.com.example>", "250 Ok"),
        ],
    ):
        host = came_for_mail(provider)
        for said, answer in answers:
            host.expect(said.encode(), answer)
        host.close()
    host = came_for_mail(provider)
    assert "ATRN: its host refused: EHLO: 450 4.4.2 Connection with [127.0.0.1]:" in provider.log()
    assert provider.log().count("ATRN: 0 recipients sent") == 2
    assert len(provider.queue()) == 3
    host.expect(b"EHLO ", "250 mail.company.com.example")
    host.expect(b"MAIL ", "250 Ok")
    host.expect(b"RCPT TO:<bob@company.com.example>", "250 Ok")
    host.expect(b"DATA", "354 Go on")
    while host.hear() != b".\r\n":
        pass
    host.say("250 Ok")
    host.expect(b"MAIL ", "250 Ok")
    host.expect(b"RCPT TO:<carol@company.com.example>", "550 5.1.1 No such person")
    host.expect(b"RSET", "250 Ok")
    host.expect(b"MAIL ", "250 Ok")
    host.expect(b"RCPT TO:<erin@sub.company.com.example>", "450 4.2.0 Not today")
    host.expect(b"QUIT", "221 Bye")
    assert host.hear() == b""
    host.close()
    wait_for(lambda: provider.status("carol@company.com.example", "bounced"), what="the refusal")
    wait_for(lambda: "ATRN: 1 recipients sent" in provider.log(), what="the end")
    waiting = [entry for entry in provider.queue() if entry["queue_name"] == "waiting"]
    assert [entry["recipients"] for entry in waiting] == [
        [{"address": "erin@sub.company.com.example", "delay_reason": "450 4.2.0 Not today"}]
    ]


def test_what_is_sent_behind_atrn_keeps_the_roles_as_they_are(provider: Provider) -> None:
    provider.send("bob@company.com.example")
    host = Host(provider, b"ATRN\r\nQUIT\r\n")
    assert host.hear() == b"450 4.5.0 ATRN request refused: nothing may follow ATRN before its reply\r\n"
    assert host.hear() == b"221 2.0.0 Bye\r\n"
    host.close()


def test_a_provider_that_is_killed_has_it_all_when_it_is_back(
    provider: Provider, tmp_path: Path, authority: Authority
) -> None:
    """SIGKILL while a host has a message half taken: leased, and not recorded."""
    provider.send("bob@company.com.example", "carol@company.com.example")
    host = came_for_mail(provider)
    host.expect(b"EHLO ", "250 mail.company.com.example")
    host.expect(b"MAIL ", "250 Ok")
    host.expect(b"RCPT ", "250 Ok")
    host.expect(b"DATA", "354 Go on")
    host.hear()
    provider.kill()
    host.close()
    provider.start()
    server = customer(tmp_path / "customer", provider.odmr, authority)
    server.start()
    try:
        assert "2 messages" in server.command("odmr").stdout
        wait_for(lambda: mails(server, "company.com.example", "bob"), what="Bob's mail")
        wait_for(lambda: mails(server, "company.com.example", "carol"), what="Carol's mail")
    finally:
        server.stop()


def test_a_provider_that_stops_says_so_and_keeps_the_rest(provider: Provider) -> None:
    provider.send("bob@company.com.example")
    host = came_for_mail(provider)
    host.expect(b"EHLO ", "250 mail.company.com.example")
    host.expect(b"MAIL ", "250 Ok")
    host.expect(b"RCPT ", "450 4.2.0 Later")
    host.expect(b"QUIT", "221 Bye")
    host.close()
    assert provider.stop() == 0
    assert [entry["recipients"][0]["delay_reason"] for entry in provider.queue()] == ["450 4.2.0 Later"]  # type: ignore[index]


def test_its_sender_hears_that_it_waits(tmp_path: Path, authority: Authority) -> None:
    server = Provider(tmp_path, authority.issue("127.0.0.1"), warn_after=1)
    server.start()
    try:
        server.send("bob@company.com.example")
        wait_for(lambda: mails(server, "here.example", "alice"), what="the report")
        (report,) = mails(server, "here.example", "alice")
        assert b"Action: delayed" in report
        assert b"Waits for its host to come for it" in report
        assert [entry["queue_name"] for entry in server.queue()] == ["waiting"]
    finally:
        server.stop()


def test_a_hostile_provider_gets_nothing_past_us(tmp_path: Path, authority: Authority) -> None:
    """It brings what is for us, and nothing else; what it says ahead of our greeting ends the connection."""
    host = customer(tmp_path / "customer", 1, authority, tls="none")
    for ahead in (b"", b"EHLO odmr.provider.example\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1]
            host.settings.write_text(
                re.sub(r"(?m)^host = .*$", f'host = "127.0.0.1:{port}"', host.settings.read_text())
            )
            host.start()
            try:
                with ThreadPoolExecutor(1) as pool:
                    fetching = pool.submit(host.command, "odmr")
                    connection, _ = listening.accept()
                    with connection, connection.makefile("rb") as said:
                        connection.sendall(b"220 odmr\r\n")
                        assert said.readline().startswith(b"EHLO ")
                        connection.sendall(b"250-odmr\r\n250-AUTH PLAIN\r\n250 ATRN\r\n")
                        assert said.readline().startswith(b"AUTH PLAIN ")
                        connection.sendall(b"235 2.7.0 Ok\r\n")
                        assert said.readline() == b"ATRN\r\n"
                        connection.sendall(b"250 Ok\r\n" + ahead)
                        if ahead:
                            assert said.read() == b""
                        else:
                            assert said.readline() == b"220 mail.company.com.example ESMTP Purport\r\n"
                            dialogue = (
                                (b"EHLO odmr", b"250"),
                                (b"STARTTLS", b"500"),
                                (b"ATRN", b"500"),
                                (b"AUTH PLAIN", b"500"),
                                (b"XCLIENT ADDR=192.0.2.1", b"500"),
                                (b"MAIL FROM:<spam@here.example>", b"250"),
                                (b"RCPT TO:<victim@elsewhere.example>", b"554"),
                                (b"RCPT TO:<bob@company.com.example>", b"250"),
                                (b"QUIT", b"221"),
                            )
                            for line, code in dialogue:
                                connection.sendall(line + b"\r\n")
                                while (answer := said.readline())[3:4] == b"-":
                                    pass
                                assert answer.startswith(code), (line, answer)
                    ran = fetching.result()
                assert ran.returncode == (75 if ahead else 0), ran
            finally:
                host.stop()
    assert "octets behind the reply to ATRN" in host.log()


def test_a_provider_that_refuses_is_told_of(provider: Provider, tmp_path: Path, authority: Authority) -> None:
    server = customer(tmp_path / "customer", provider.odmr, authority)
    (tmp_path / "customer" / "odmr.password").write_text("open rye\n")
    server.start()
    try:
        ran = server.command("odmr")
        assert ran.returncode == 75
        assert "AUTH: 535 5.7.8 Authentication credentials invalid" in ran.stdout
        wait_for(lambda: "warning: cannot fetch from" in server.log(), what="the warning")
    finally:
        server.stop()
    assert server.command("odmr").returncode == 69
    provider.send("bob@company.com.example")
    away = customer(tmp_path / "away", free_port(), authority)
    away.start()
    try:
        ran = away.command("odmr")
        assert ran.returncode == 75
        assert "connection: 450 4.4.1 connect to 127.0.0.1[127.0.0.1]" in ran.stdout
        assert away.command("odmr", "elsewhere.example").returncode == 64
    finally:
        away.stop()


def test_a_server_that_fetches_from_nobody_says_so(provider: Provider) -> None:
    assert provider.command("odmr").returncode == 78
