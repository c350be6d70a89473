"""The control socket: how `purport queue` tells a running server that it changed something.

One request a line, one reply a line, both JSON, over a Unix socket that only the server's user may open:

    {"command": "refresh"}
    {"ok": true, "text": ""}
    {"command": "report", "kind": "tls", "day": "2026-11-27", "domain": "example.com"}
    {"ok": true, "text": "sent: queued as 08XFKQY11Q9KQ for tls-reports@example.com"}
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec

REQUEST_LIMIT: Final = 4096  # octets of one request
IDLE_SECONDS: Final = 10.0  # a tool asks at once or not at all


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A verb. `refresh`: the queue was changed from beside; what is due is tried now. `fetch`: what waits at the
    provider `argument`, or at all of them, is fetched now, and answered when it is here. `report`: a report of that
    `kind` to that `domain` about that `day` is sent now, and answered when it is."""

    command: str
    argument: str = ""
    kind: str = ""
    day: str = ""
    domain: str = ""


class Response(msgspec.Struct, frozen=True):
    """Whether it was done, and what to tell the operator."""

    ok: bool
    text: str = ""


Handler = Callable[[Request], Awaitable[Response]]


class ControlServer:
    """Serves requests on `state_dir/control` until it is closed."""

    def __init__(self, where: Path, handler: Handler) -> None:
        self._where = where
        self._handler = handler
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Take the socket's place; one left behind by a server that was killed is removed."""
        self._where.unlink(missing_ok=True)
        umask = os.umask(0o177)
        try:
            self._server = await asyncio.start_unix_server(self._serve, str(self._where), limit=REQUEST_LIMIT)
        finally:
            os.umask(umask)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        if self._server is not None:
            self._server.close()
            self._where.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), IDLE_SECONDS)
            try:
                response = await self._handler(msgspec.json.decode(line, type=Request))
            except msgspec.DecodeError as error:
                response = Response(False, f"not a request: {error}")
            writer.write(msgspec.json.encode(response) + b"\n")
            await writer.drain()
        except (OSError, ValueError, TimeoutError):
            return  # the tool went away, or sent an endless line: nothing to tell anybody
        finally:
            writer.close()
