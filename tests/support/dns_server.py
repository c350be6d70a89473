"""A name server on loopback for a test: it answers from zone data, or misbehaves as it is told.

It sets the AD bit, as a resolver that validates signatures does, for names with the word SIGNED.

It runs in a thread of its own, so that a server under test in this process or in another can ask it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

Zone = Mapping[str, Any]  # name to a list of records, as purport.dns.zone has them
# Takes the query and the true response; what it gives back is sent instead, in order.
Misbehaviour = Callable[[bytes, bytes], list[bytes]]

TTL = 300
MINIMUM = 60  # of the SOA that stands in negative answers


class DnsServer:
    """`address` is "127.0.0.1:port", for UDP and TCP; `asked` lists what was asked, as (transport, name, type)."""

    def __init__(self, zone: Zone, *, ttl: int = TTL, misbehave: Misbehaviour | None = None) -> None:
        self.zone = {name.rstrip(".").lower(): records for name, records in zone.items()}
        self.ttl = ttl
        self.misbehave = misbehave
        self.asked: list[tuple[str, str, str]] = []
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        async def listen() -> None:
            tcp = await asyncio.start_server(self._serve_tcp, "127.0.0.1", 0)
            self.port = tcp.sockets[0].getsockname()[1]
            await self._loop.create_datagram_endpoint(lambda: _Udp(self), ("127.0.0.1", self.port))

        self._loop.run_until_complete(listen())
        self._ready.set()
        self._loop.run_forever()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()

    async def _serve_tcp(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            length = int.from_bytes(await reader.readexactly(2), "big")
            for response in self.respond("tcp", await reader.readexactly(length)):
                writer.write(len(response).to_bytes(2, "big") + response)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def respond(self, transport: str, query: bytes) -> list[bytes]:
        question = dns.message.from_wire(query)
        name = question.question[0].name
        kind = question.question[0].rdtype
        self.asked.append((transport, _plain(name), dns.rdatatype.to_text(kind)))
        response = self.answer(question, name, kind)
        if response is None:
            return []
        octets = response.to_wire(max_size=65535)
        if transport == "udp" and len(octets) > max(question.payload, 512):
            response.answer.clear()
            response.flags |= dns.flags.TC
            octets = response.to_wire()
        return [octets] if self.misbehave is None else self.misbehave(query, octets)

    def answer(
        self, question: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
    ) -> dns.message.Message | None:
        response = dns.message.make_response(question, recursion_available=True)
        if question.flags & dns.flags.AD:
            response.flags |= dns.flags.AD
        for _ in range(12):
            records = self.zone.get(_plain(name))
            if "SIGNED" not in (records or ()):  # one link of the chain that nobody validated is enough
                response.flags &= ~dns.flags.AD
            if records is None:
                response.set_rcode(dns.rcode.NXDOMAIN)
                break
            wanted, words = _select(records, dns.rdatatype.to_text(kind))
            if wanted:
                response.answer.append(self._rrset(name, dns.rdatatype.to_text(kind), wanted))
                return response
            if "TIMEOUT" in words:
                return None
            if "SERVFAIL" in words:
                response.set_rcode(dns.rcode.SERVFAIL)
                return response
            alias, _ = _select(records, "CNAME")
            if not alias:
                break
            response.answer.append(self._rrset(name, "CNAME", alias))
            name = dns.name.from_text(str(alias[0]))
        soa = f"ns.invalid. hostmaster.invalid. 1 3600 600 86400 {MINIMUM}"
        response.authority.append(dns.rrset.from_text(dns.name.root, self.ttl, "IN", "SOA", soa))
        return response

    def _rrset(self, name: dns.name.Name, kind: str, values: Sequence[object]) -> dns.rrset.RRset:
        return dns.rrset.from_text_list(name, self.ttl, "IN", kind, [_text(kind, value) for value in values])


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, octets: bytes, address: tuple[str, int]) -> None:
        for response in self._server.respond("udp", octets):
            self._transport.sendto(response, address)


def _select(records: Sequence[object], kind: str) -> tuple[list[object], set[str]]:
    """The values of this type, and the words (TIMEOUT, SERVFAIL) that hold where there is none."""
    values = [
        value for record in records if isinstance(record, Mapping) for key, value in record.items() if key == kind
    ]
    words = {record for record in records if isinstance(record, str)}
    words |= {str(value) for value in values if value in ("TIMEOUT", "SERVFAIL")}
    return [value for value in values if value not in ("TIMEOUT", "SERVFAIL")], words


def _text(kind: str, value: object) -> str:
    if kind == "MX":
        assert isinstance(value, Sequence)
        return f"{value[0]} {str(value[1]).rstrip('.')}."
    if kind in ("TXT", "SPF"):
        strings = [value] if isinstance(value, str) else value
        assert isinstance(strings, Sequence)
        cut = [str(text)[start : start + 255] for text in strings for start in range(0, len(str(text)) or 1, 255)]
        return " ".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in cut)
    return f"{str(value).rstrip('.')}." if kind in ("PTR", "CNAME", "NS") else str(value)


def _plain(name: dns.name.Name) -> str:
    return b".".join(name.labels).rstrip(b".").lower().decode("latin-1")


@contextmanager
def dns_server(zone: Zone, *, ttl: int = TTL, misbehave: Misbehaviour | None = None) -> Iterator[DnsServer]:
    """A name server for the length of a `with` block."""
    server = DnsServer(zone, ttl=ttl, misbehave=misbehave)
    server.start()
    try:
        yield server
    finally:
        server.stop()
