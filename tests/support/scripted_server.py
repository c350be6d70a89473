"""An SMTP server that says what a test wants it to say, on a free port of 127.0.0.1."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections import deque
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field

import uvloop

DROP = "drop"  # close the connection instead of answering
HANG = "hang"  # say nothing
OUT_OF_ORDER = "503 5.5.1 Bad sequence of commands"
NO_RECIPIENTS = "554 5.5.1 No valid recipients"


def on_loop(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """A test that needs an event loop gets one of its own, of the kind that the server runs on."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        uvloop.run(test(*arguments, **named))

    return run


@dataclass
class Seen:
    """What one connection brought."""

    commands: list[str] = field(default_factory=list)
    messages: list[bytes] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)  # of the message that is being sent
    secured: bool = False  # whether TLS came after STARTTLS


class ScriptedServer:
    """Answers 2yz (354 to DATA) unless a script says otherwise.

    `on("RCPT TO:<bob", "450 4.2.0 Later", "250 Ok")`: the commands that begin so get these replies in turn, the last
    one from then on. "GREETING" and "." (the end of data) stand for what is no command. A reply may hold several
    lines, and octets where it must not be a reply at all.
    """

    def __init__(
        self,
        *offers: str,
        address: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        tls_first: bool = False,
    ) -> None:
        """`tls`: what STARTTLS is answered with; `tls_first`: TLS from the first octet."""
        self.offers = offers
        self.tls = tls
        self.tls_first = tls_first
        self.address = address
        self.port = port
        self.connections: list[Seen] = []
        self.peers: list[str] = []  # the addresses that connections came from
        self.open = 0
        self.most_open = 0
        self._scripts: list[tuple[str, deque[str | bytes]]] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._changed = asyncio.Event()

    def on(self, beginning: str, *replies: str | bytes) -> ScriptedServer:
        self._scripts.append((beginning, deque(replies)))
        return self

    def drop_scripts(self) -> None:
        """Say yes to everything from now on."""
        self._scripts.clear()

    async def __aenter__(self) -> ScriptedServer:
        first = self.tls if self.tls_first else None
        self._server = await asyncio.start_server(self._serve, self.address, self.port, ssl=first)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in tuple(self._writers):
            writer.transport.abort()

    @property
    def commands(self) -> list[str]:
        """All commands of all connections."""
        return [command for seen in self.connections for command in seen.commands]

    @property
    def messages(self) -> list[bytes]:
        return [message for seen in self.connections for message in seen.messages]

    async def until(self, condition) -> None:
        """Return once `condition()` holds; it is looked at whenever a connection brings or loses something."""
        async with asyncio.timeout(10):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _reply(self, beginning: str, usual: str) -> str | bytes:
        for start, replies in self._scripts:
            if beginning.upper().startswith(start.upper()):
                return replies.popleft() if len(replies) > 1 else replies[0]
        return usual

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = Seen()
        self.peers.append(writer.get_extra_info("peername")[0])
        self.connections.append(seen)
        self._writers.add(writer)
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            await self._session(seen, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()
            self._changed.set()

    async def _session(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self._say(writer, self._reply("GREETING", "220 mx.test ESMTP")):
            return
        transaction: list[str] = []  # the accepted commands of it
        while True:
            command = (await reader.readuntil(b"\r\n"))[:-2].decode("latin-1")
            seen.commands.append(command)
            self._changed.set()
            verb = command.partition(" ")[0].upper()
            if verb == "BDAT":
                if not await self._chunk(seen, command, reader, writer):
                    return
                continue
            usual = {"EHLO": "\n".join(("250 mx.test", *(f"250 {offer}" for offer in self.offers)))}
            usual |= {"STARTTLS": "220 2.0.0 Ready"}
            usual |= {"QUIT": "221 2.0.0 Bye", "DATA": "354 Go ahead" if "RCPT" in transaction else NO_RECIPIENTS}
            usual |= {} if "MAIL" in transaction else {"RCPT": OUT_OF_ORDER, "DATA": OUT_OF_ORDER}
            out_of_order = usual.get(verb, "").startswith("503")
            said = usual[verb] if out_of_order else self._reply(command, usual.get(verb, "250 2.0.0 Ok"))
            if str(said).startswith("2"):
                transaction = [verb] if verb in ("MAIL", "EHLO", "HELO", "RSET") else [*transaction, verb]
            if not await self._say(writer, said) or verb == "QUIT":
                return
            if verb == "STARTTLS" and str(said).startswith("220"):
                assert self.tls is not None
                transaction = []
                await writer.start_tls(self.tls)
                seen.secured = True
            if verb == "DATA" and str(said).startswith("354"):
                transaction = []
                if not await self._data(seen, reader, writer):
                    return

    async def _chunk(
        self, seen: Seen, command: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        _, size, *last = command.split(" ")
        seen.chunks.append(await reader.readexactly(int(size)))
        said = self._reply(command, "250 2.0.0 Ok")
        if last and str(said).startswith("2"):
            seen.messages.append(b"".join(seen.chunks))
        if last or not str(said).startswith("2"):
            seen.chunks = []
        self._changed.set()
        return await self._say(writer, said)

    async def _data(self, seen: Seen, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        lines: list[bytes] = []
        while (line := await reader.readuntil(b"\r\n")) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        seen.messages.append(b"".join(lines))
        self._changed.set()
        return await self._say(writer, self._reply(".", "250 2.0.0 Ok: taken"))

    async def _say(self, writer: asyncio.StreamWriter, said: str | bytes) -> bool:
        if said == HANG:
            await writer.wait_closed()
            return False
        if said == DROP:
            return False
        if isinstance(said, str):
            lines = said.split("\n")
            said = b"".join(
                (line if number == len(lines) - 1 else line.replace(" ", "-", 1)).encode("latin-1") + b"\r\n"
                for number, line in enumerate(lines)
            )
        writer.write(said)
        await writer.drain()
        return True
