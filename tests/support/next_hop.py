"""A next hop in a thread of its own: what it was told and sent, transaction by transaction."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from support.scripted_server import ScriptedServer

OFFERS = ("PIPELINING", "8BITMIME", "DSN", "SUBMITTER")


@dataclass
class Received:
    """One transaction: the lines of MAIL and RCPT, and the message."""

    mail: str
    recipients: list[str] = field(default_factory=list)
    message: bytes = b""


class NextHop:
    """`port` is where it listens; every message is taken, unless `server.on` says otherwise."""

    def __init__(self, server: ScriptedServer) -> None:
        self.server = server

    @property
    def port(self) -> int:
        return self.server.port

    @property
    def transactions(self) -> list[Received]:
        """Those whose message is here, by connection."""
        found: list[Received] = []
        for seen in list(self.server.connections):
            messages = list(seen.messages)
            begun: list[Received] = []
            for command in list(seen.commands):
                if command.upper().startswith("MAIL"):
                    begun.append(Received(command))
                elif command.upper().startswith("RCPT"):
                    begun[-1].recipients.append(command)
            for transaction, message in zip(begun, messages, strict=False):
                transaction.message = message
                found.append(transaction)
        return found


@contextmanager
def next_hop(*offers: str) -> Iterator[NextHop]:
    """A hop that runs for the length of a `with` block."""
    loop = asyncio.new_event_loop()
    server = ScriptedServer(*(offers or OFFERS))
    started = threading.Event()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(server.__aenter__())
        started.set()
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield NextHop(server)
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
