"""Listening sockets, and how many clients may be inside at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Final

BACKLOG: Final = 1024  # connections the kernel holds for us while a turn of the loop is busy


class Admission:
    """Counts the connections inside, in all and per client address."""

    __slots__ = ("_inside", "_per_client", "_total", "count")

    def __init__(self, total: int, per_client: int) -> None:
        self._total = total
        self._per_client = per_client
        self._inside: dict[str, int] = {}
        self.count = 0

    def limit(self, total: int, per_client: int) -> None:
        """New limits, for who comes from now on."""
        self._total = total
        self._per_client = per_client

    def enter(self, address: str) -> bool:
        """Whether there is room for one more from `address`; True counts it in, and asks for a `leave`."""
        inside = self._inside.get(address, 0)
        if self.count >= self._total or inside >= self._per_client:
            return False
        self._inside[address] = inside + 1
        self.count += 1
        return True

    def leave(self, address: str) -> None:
        """One connection from `address` is gone."""
        self.count -= 1
        inside = self._inside[address] - 1
        if inside:
            self._inside[address] = inside
        else:
            del self._inside[address]


async def listen(addresses: Sequence[tuple[str, int]], factory: Callable[[], asyncio.Protocol]) -> list[asyncio.Server]:
    """Open every address and serve each connection with a protocol of `factory`; all of them or none.

    Raises OSError, naming the address, when one cannot be opened.
    """
    loop = asyncio.get_running_loop()
    servers: list[asyncio.Server] = []
    try:
        for host, port in addresses:
            servers.append(await loop.create_server(factory, host, port, backlog=BACKLOG, reuse_address=True))
    except OSError as error:
        for server in servers:
            server.close()
        raise OSError(error.errno, f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return servers


def client_address(transport: asyncio.BaseTransport) -> tuple[str, int]:
    """Address and port of the other side; an IPv4 client of an IPv6 socket stands as IPv4."""
    name = transport.get_extra_info("peername")
    if not name or not isinstance(name, tuple):
        return "", 0
    address, port = str(name[0]), int(name[1])
    if address.startswith("::ffff:") and "." in address:
        address = address[7:]
    return address.partition("%")[0], port


def send_at_once(transport: asyncio.BaseTransport) -> None:
    """Replies are small and waited for: no Nagle."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
