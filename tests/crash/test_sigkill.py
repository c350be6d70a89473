"""The server is killed with SIGKILL at random moments under load, again and again; nothing acknowledged is lost.

Every acknowledged message must be whole, in its recipient's Maildir, once, or at the next hop. There it may be twice: a
server that dies between the next hop's 250 and its own record of it sends again (the crash table in docs/queue.md).
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import threading
from pathlib import Path

import pytest

from support.peers import free_port, wait_for
from support.purport_server import PurportServer

DOMAINS = (b"company.com.example", b"elsewhere.example")
LINES = (2, 2, 2, 50, 50, 900, 5000)  # of bodies: the last is one that the store keeps in a file of its own
KILLS = 50
SENDERS = 8
SEED = 4405
LINE = b"x" * 70 + b"\r\n"
WRITTEN = re.compile(rb"^X-Number: (\d+)\r?\nX-Lines: (\d+)\r?\nX-To: (\S+)\r?\n\r?\n", re.MULTILINE)

SETTINGS = """
[[domain]]
name = "company.com.example"
deliver = "maildir"

[[domain]]
name = "elsewhere.example"
deliver = "smtp:127.0.0.1:{sink}"

[queue]
min_backoff = 1
max_backoff = 2

[dns]
zone = "zone.json"
"""


def read(message: bytes) -> tuple[int, str]:
    """The number and the recipient that stand in a message, if all of it is there."""
    found = WRITTEN.search(message)
    assert found, f"the header is not whole: {message[:500]!r}"
    body = message[found.end() :].replace(b"\r\n", b"\n")
    assert body == LINE.replace(b"\r\n", b"\n") * int(found[2]), f"message {found[1]!r} is not whole"
    return int(found[1]), found[3].decode()


class Sink:
    """A next hop that notes the number of every message it acknowledged."""

    def __init__(self) -> None:
        self.port = free_port()
        self.numbers: set[int] = set()
        self.faults: list[AssertionError] = []
        self._loop = asyncio.new_event_loop()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)

        async def main() -> None:
            await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=2**20)
            started.set()

        self._loop.run_until_complete(main())
        self._loop.run_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(b"220 sink ESMTP\r\n")
            while line := await reader.readline():
                verb = line[:4].upper()
                if verb == b"EHLO":
                    writer.write(b"250-sink\r\n250-PIPELINING\r\n250 SUBMITTER\r\n")
                elif verb == b"RCPT":
                    forward_path = line[line.index(b"<") + 1 : line.index(b">")].decode()
                    writer.write(b"250 2.1.5 Ok\r\n")
                elif verb == b"DATA":
                    writer.write(b"354 go\r\n")
                    number, recipient = read((await reader.readuntil(b"\r\n.\r\n"))[:-3])
                    assert recipient == forward_path
                    self.numbers.add(number)
                    writer.write(b"250 2.0.0 Ok\r\n")
                elif verb == b"QUIT":
                    writer.write(b"221 bye\r\n")
                    break
                else:
                    writer.write(b"250 2.0.0 Ok\r\n")
        except (OSError, asyncio.IncompleteReadError):
            pass  # the server was killed
        except AssertionError as fault:
            self.faults.append(fault)
        writer.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class Sender(threading.Thread):
    """Sends one message after another until told to stop, and notes what was acknowledged."""

    def __init__(self, port: int, first: int, stop: threading.Event, seed: int) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._next = first
        self._stop_asked = stop
        self._random = random.Random(seed)
        self.acknowledged: set[int] = set()

    def run(self) -> None:
        while not self._stop_asked.is_set():
            try:
                self._session()
            except OSError:
                self._stop_asked.wait(0.02)  # the server is down at this moment

    def _session(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), 10) as connection:
            reader = connection.makefile("rb")
            self._expect(reader.readline(), b"220")
            connection.sendall(b"EHLO client.example\r\n")
            while reader.readline()[3:4] == b"-":
                pass
            while not self._stop_asked.is_set():
                number = self._next
                self._next += SENDERS
                recipient = b"user%d@%s" % (number % 5, self._random.choice(DOMAINS))
                lines = self._random.choice(LINES)
                message = b"From: alice@example.com\r\nX-Number: %d\r\nX-Lines: %d\r\nX-To: %s\r\n\r\n%s" % (
                    number,
                    lines,
                    recipient,
                    LINE * lines,
                )
                connection.sendall(b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<%s>\r\nDATA\r\n" % recipient)
                for code in (b"250", b"250", b"354"):
                    self._expect(reader.readline(), code)
                connection.sendall(message + b".\r\n")
                self._expect(reader.readline(), b"250")
                self.acknowledged.add(number)

    @staticmethod
    def _expect(line: bytes, code: bytes) -> None:
        if not line.startswith(code):
            raise OSError(f"wanted {code!r}, got {line!r}")


def in_maildirs(state_dir: Path) -> set[int]:
    """The numbers of the messages that were delivered; each is whole, in the right place, and there once."""
    numbers: set[int] = set()
    for place in (state_dir / "maildir").glob("*/*/new/*"):
        number, recipient = read(place.read_bytes())
        assert recipient == f"{place.parts[-3]}@{place.parts[-4]}"
        assert number not in numbers, f"message {number} was delivered twice"
        numbers.add(number)
    return numbers


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_no_acknowledged_message_is_lost_in_fifty_kills(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text('{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}')
    sink = Sink()
    server = PurportServer(tmp_path, SETTINGS.format(sink=sink.port))
    chance = random.Random(SEED)
    stop = threading.Event()
    senders = [Sender(server.port, number, stop, SEED + number) for number in range(SENDERS)]
    try:
        server.start()
        for sender in senders:
            sender.start()
        for _ in range(KILLS):
            stop.wait(chance.uniform(0.02, 0.5))
            server.kill()
            server.start()
        stop.set()
        for sender in senders:
            sender.join(20)
        acknowledged = set().union(*(sender.acknowledged for sender in senders))
        assert len(acknowledged) > KILLS, "hardly anything was sent: the test proves nothing"

        def lost() -> set[int]:
            return acknowledged - sink.numbers - in_maildirs(server.state_dir)

        wait_for(lambda: sink.faults or not lost(), 60, "every acknowledged message at its place")
        wait_for(lambda: not server.command("queue", "list", "--json").stdout, 20, "an empty queue")
        assert server.stop() == 0
        assert not sink.faults
    finally:
        stop.set()
        if server.process is not None and server.process.poll() is None:
            server.kill()
        sink.stop()
    assert not list((tmp_path / "state").glob("**/tmp/*")), "temporary files stay in the Maildirs"
