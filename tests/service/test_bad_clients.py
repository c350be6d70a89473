"""Clients that misbehave, over real sockets: bounded time, bounded memory, nothing left behind."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "postmaster"]

[dns]
zone = "zone.json"

[limits]
command_seconds = 2
data_seconds = 2
connections = 300
connections_per_client = 200
message_size = 200000
"""
ZONE = '{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}], "broken.example": [{"TXT": "TIMEOUT"}]}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("bad")
    (folder / "zone.json").write_text(ZONE)
    with purport_server(folder, SETTINGS) as running:
        yield running


class Talk:
    """A client that sends octets and reads replies."""

    def __init__(self, server: PurportServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.reader = self.socket.makefile("rb")

    def __enter__(self) -> Talk:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def reply(self) -> bytes:
        while True:
            line = self.reader.readline()
            if line[3:4] != b"-":
                return line.rstrip(b"\r\n")

    def say(self, *lines: bytes) -> bytes:
        self.socket.sendall(b"".join(line + b"\r\n" for line in lines))
        answer = b""
        for _ in lines:
            answer = self.reply()
        return answer


def works(server: PurportServer) -> None:
    """An honest client is served as if nothing had happened."""
    with Talk(server) as talk:
        assert talk.reply().startswith(b"220 ")
        assert talk.say(b"EHLO client.example").startswith(b"250")
        assert talk.say(b"MAIL FROM:<alice@example.com>").startswith(b"250 2.1.0")
        assert talk.say(b"QUIT").startswith(b"221")


def test_octets_before_the_greeting_cost_nothing(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.socket.sendall(b"EHLO client.example\r\nNOOP\r\n")
        assert talk.reply().startswith(b"220 ")
        assert talk.reply().startswith(b"250 ")
    works(server)


def test_nuls_alone_end_in_421_or_500(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.reply()
        try:
            talk.socket.sendall(b"\0" * 1_000_000 + b"\r\n")
        except OSError:
            pass  # the server has closed already
        else:
            assert talk.reply()[:3] in (b"500", b"421")
    works(server)


def test_a_line_over_its_limit_gets_500_and_the_session_stays_in_sync(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.reply()
        talk.say(b"EHLO client.example")
        assert talk.say(b"MAIL FROM:<" + b"a" * 2000 + b"@example.com>").startswith(b"500 5.5.6")
        assert talk.say(b"MAIL FROM:<alice@example.com>").startswith(b"250 2.1.0")


def test_one_octet_at_a_time_is_cut_off_after_the_time_of_a_command(server: PurportServer) -> None:
    begun = time.monotonic()
    with Talk(server) as talk:
        talk.reply()
        talk.socket.settimeout(0.2)
        closed = b""
        while time.monotonic() - begun < 15 and not closed:
            try:
                talk.socket.sendall(b"N")
                closed = talk.socket.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
        assert closed.startswith(b"421 4.4.2")
    assert time.monotonic() - begun < 8
    works(server)


def test_a_client_that_never_reads_its_replies_is_cut_off(server: PurportServer) -> None:
    assert server.process
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    with Talk(server) as talk:
        talk.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        talk.socket.settimeout(0.2)
        begun = time.monotonic()
        closed = False
        while time.monotonic() - begun < 20 and not closed:
            try:
                talk.socket.sendall(b"HELP\r\n" * 1000)
            except TimeoutError:
                continue
            except OSError:
                closed = True
        assert closed
    assert process.memory_info().rss - before < 10 * 2**20
    works(server)


def test_a_client_that_ends_its_side_early_gets_its_replies(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.socket.sendall(
            b"EHLO client.example\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"
        )
        for _ in range(5):
            talk.reply()
        talk.socket.sendall(b"Subject: early\r\n\r\nbye\r\n.\r\n")
        talk.socket.shutdown(socket.SHUT_WR)
        assert talk.reply().startswith(b"250 2.0.0")
        assert talk.reader.readline() == b""


def test_dripping_mail_data_is_cut_off_and_leaves_nothing(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.reply()
        talk.say(b"EHLO client.example", b"MAIL FROM:<alice@example.com>", b"RCPT TO:<bob@company.com.example>")
        assert talk.say(b"DATA").startswith(b"354")
        begun = time.monotonic()
        talk.socket.settimeout(0.2)
        closed = b""
        while time.monotonic() - begun < 15 and not closed:
            try:
                talk.socket.sendall(b"x")
                closed = talk.socket.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
        assert closed.startswith(b"421 4.4.2")
    assert server.command("queue", "list", "--json").stdout == ""


def test_a_client_that_vanishes_in_data_leaves_nothing(server: PurportServer) -> None:
    for size in (100, 150_000):
        with Talk(server) as talk:
            talk.reply()
            talk.say(b"EHLO client.example", b"MAIL FROM:<alice@example.com>", b"RCPT TO:<bob@company.com.example>")
            talk.say(b"DATA")
            talk.socket.sendall(b"Subject: half\r\n\r\n" + b"x" * size)
    works(server)
    assert server.command("queue", "list", "--json").stdout == ""
    places = server.state_dir.glob("maildir/**/new/*")
    assert not [place for place in places if b"Subject: half" in place.read_bytes()]


def test_too_large_a_message_is_refused_before_and_after(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.reply()
        talk.say(b"EHLO client.example")
        assert talk.say(b"MAIL FROM:<alice@example.com> SIZE=200001").startswith(b"552 5.3.4")
        talk.say(b"MAIL FROM:<alice@example.com>", b"RCPT TO:<bob@company.com.example>")
        talk.say(b"DATA")
        talk.socket.sendall((b"x" * 78 + b"\r\n") * 3000 + b".\r\n")
        assert talk.reply().startswith(b"552 5.3.4")
        assert talk.say(b"NOOP").startswith(b"250")


def test_a_thousand_connections_are_held_to_the_limit(server: PurportServer) -> None:
    assert server.process
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    sockets = []
    try:
        for number in range(1000):
            connection = socket.socket()
            connection.bind((f"127.0.9.{number % 10 + 1}", 0))
            connection.connect(("127.0.0.1", server.port))
            sockets.append(connection)
        greetings = [connection.recv(100)[:3] for connection in sockets]
        assert greetings.count(b"220") <= 300
        assert greetings.count(b"421") >= 700
        assert process.memory_info().rss - before < 20 * 2**20
    finally:
        for connection in sockets:
            connection.close()
    wait_for(lambda: len(process.net_connections() if hasattr(process, "net_connections") else []) < 50)
    works(server)


def test_dns_that_fails_is_no_reason_to_refuse(server: PurportServer) -> None:
    with Talk(server) as talk:
        talk.reply()
        talk.say(b"EHLO client.example")
        assert talk.say(b"MAIL FROM:<a@broken.example> SUBMITTER=a@broken.example").startswith(b"250 2.1.0")
    assert "Traceback" not in server.log()
    assert "error:" not in server.log()


def test_a_full_disk_gets_452_and_keeps_what_was_accepted(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS + "\n[queue]\nhold = true\n") as server:
        assert server.process
        message = (b"From: alice@example.com\r\n\r\n" + (b"x" * 78 + b"\r\n") * 500).replace(b"\n.", b"\n..")

        def send() -> bytes:
            with Talk(server) as talk:
                talk.reply()
                talk.say(b"EHLO client.example", b"MAIL FROM:<alice@example.com>")
                talk.say(b"RCPT TO:<bob@company.com.example>")
                answer = talk.say(b"DATA")
                if not answer.startswith(b"354"):
                    return answer
                talk.socket.sendall(message + b".\r\n")
                return talk.reply()

        assert send().startswith(b"250 2.0.0")
        # From now on no file of this process grows beyond one octet: writes fail with EFBIG, as they do with ENOSPC.
        soft, hard = psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_FSIZE)
        psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_FSIZE, (1, hard))
        assert send().startswith(b"452 4.3.1")
        assert send().startswith(b"452 4.3.1")
        psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_FSIZE, (soft, hard))
        assert send().startswith(b"250 2.0.0")
        server.kill()
        server.start()
        listed = server.command("queue", "list", "--json").stdout.splitlines()
        assert len(listed) == 2
