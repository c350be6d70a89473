"""The network resolver: questions to recursive name servers, over UDP and TCP (RFC 1035), with a cache.

    resolver = Resolver(["127.0.0.1:5353", "[::1]:53"])
    answer = await resolver.resolve(Question("example.com", "TXT"))

What the network does wrong is an answer too (`Status.FAILED`): a server that does not answer, refuses, lies about the
question or sends garbage never raises. Whoever must be done in time asks through `within`.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final, Literal

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.rdtypes.mxbase
import dns.rdtypes.nsbase
import dns.rdtypes.tlsabase
import dns.rdtypes.txtbase
import dns.rrset

from purport.dns.cache import Cache
from purport.dns.lookup import UNANSWERED, Answer, Question, Status

PORT: Final = 53
PAYLOAD: Final = 1232  # octets of a UDP answer that reach us unfragmented on any path (DNS flag day 2020, RFC 9715)
DATAGRAM: Final = 65535  # octets read at once; a server may send more than it was told to
ALIASES: Final = 10  # CNAMEs followed in one answer; longer chains are loops in all likelihood
LONGEST: Final = 86400  # seconds an answer is kept at most: a mistake in a zone should be gone after a day
LONGEST_NEGATIVE: Final = 10800  # RFC 2308 section 5: "one to three hours have been found to work well"
FAILURE: Final = 5  # seconds a failure is kept; RFC 9520 section 3.2 asks for at least one, and at most 300
FLIGHTS: Final = 20000  # questions under way; beyond, a question fails at once instead of waiting for memory
SOCKETS: Final = 512  # of them, those that hold a socket
HEADER: Final = 12  # octets (RFC 1035 section 4.1.1)
OPT: Final = 11  # octets of the EDNS record without options that ends our queries (RFC 6891 section 6.1.2)
RESOLV_CONF: Final = Path("/etc/resolv.conf")
RD_AD: Final = dns.flags.RD | dns.flags.AD

TrustAd = Literal["loopback", "always", "never"]

# As socket.getaddrinfo gives it: with the scope of a link-local IPv6 address.
Server = tuple[socket.AddressFamily, tuple[str | int, int] | tuple[str, int, int, int] | tuple[int, bytes]]


class Unusable(Exception):
    """A response that is none: not for our question, cut off, garbage, or a server's refusal."""


class Resolver:
    """Asks `servers`, each "host", "host:port" or "[v6]:port", or those of /etc/resolv.conf.

    A question gets `attempts` tries of `timeout` seconds each, the next server's turn each time; a server that says it
    cannot answer is not asked twice. The cache holds up to `cache_size` answers in up to `cache_octets` of memory.
    Raises ValueError for a server that is not an address. Belongs to one event loop at a time.

    Signatures are validated by the servers, which say so with the AD bit (RFC 4035 section 3.2.3). Anybody on the way
    can set it, so that it means something only where nobody is on the way (section 4.9.3: "a secure channel"): it is
    believed of servers on loopback; `trust_ad`: of all, or of none.
    """

    def __init__(
        self,
        servers: Iterable[str] | None = None,
        *,
        timeout: float = 3.0,
        attempts: int = 3,
        cache_size: int = 65536,
        cache_octets: int = 64 * 1024 * 1024,
        trust_ad: TrustAd = "loopback",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        named = system_servers() if servers is None else tuple(servers)
        self._servers: tuple[Server, ...] = tuple([parse_server(name) for name in named])
        if not self._servers:
            raise ValueError("no name server")
        self._believed = tuple(
            [trust_ad == "always" or (trust_ad == "loopback" and is_loopback(server)) for server in self._servers]
        )
        self._timeout = timeout
        self._attempts = attempts
        self._clock = clock
        self._cache = Cache(cache_size, cache_octets)
        self._flights: dict[tuple[str, str], asyncio.Task[Answer]] = {}
        self._sockets = asyncio.Semaphore(SOCKETS)
        self._preferred = 0  # the server that answered last: one that is down costs its timeout once
        self._closed = False

    @property
    def believed(self) -> bool:
        """Whether one of the servers is believed that it validated an answer."""
        return any(self._believed)

    def cached(self, question: Question) -> Answer | None:
        """The answer with what is left of its TTL, if it is known."""
        return self._cache.get(question, self._clock())

    async def resolve(self, question: Question) -> Answer:
        """The answer, from the cache or the servers. All who ask the same at a time wait for one question."""
        known = self._cache.get(question, self._clock())
        if known is not None:
            return known
        key = question.name, question.type
        flight = self._flights.get(key)
        if flight is None:
            if self._closed or len(self._flights) >= FLIGHTS:
                return UNANSWERED
            flight = asyncio.get_running_loop().create_task(self._fly(question))
            self._flights[key] = flight
            flight.add_done_callback(lambda _: self._flights.pop(key, None))
        try:
            # Who stops waiting does not stop the question: others wait for it, and the cache gains.
            return await asyncio.shield(flight)
        except asyncio.CancelledError:
            if flight.cancelled() and self._closed:
                return UNANSWERED
            raise

    def within(self, seconds: float) -> Within:
        """This resolver for one evaluation that must be done in time (RFC 7208 section 4.6.4: 20 seconds)."""
        return Within(self, self._clock() + seconds, self._clock)

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def close(self) -> None:
        """Give up what is under way; those who wait get a failure, and so does every later question."""
        self._closed = True
        for flight in list(self._flights.values()):
            flight.cancel()

    async def _fly(self, question: Question) -> Answer:
        async with self._sockets:
            answer = await self._ask(question)
        self._cache.put(question, answer, self._clock())
        return answer

    async def _ask(self, question: Question) -> Answer:
        try:
            query = encode_query(question)
        except (dns.exception.DNSException, ValueError):
            # A label over 63 octets, an empty one, a name over 255, no UTF-8: no zone can hold it.
            return Answer(Status.MISSING, ttl=LONGEST_NEGATIVE)
        turns = list(range(len(self._servers)))
        turns = turns[self._preferred :] + turns[: self._preferred]
        for attempt in range(self._attempts):
            if not turns:
                break
            turn = turns[attempt % len(turns)]
            try:
                async with asyncio.timeout(self._timeout):
                    response = await exchange(self._servers[turn], query)
                answer = read_answer(question, response, believed=self._believed[turn])
            except Unusable:
                turns.remove(turn)
            except (TimeoutError, OSError):
                continue
            else:
                self._preferred = turn
                return answer
        return Answer(Status.FAILED, ttl=FAILURE)


class Within:
    """A resolver whose time runs out: a question that is still open then has failed."""

    __slots__ = ("_clock", "_end", "_resolver")

    def __init__(self, resolver: Resolver, end: float, clock: Callable[[], float]) -> None:
        self._resolver = resolver
        self._end = end
        self._clock = clock

    def cached(self, question: Question) -> Answer | None:
        """What the resolver knows; once the time is over, a failure for what it does not."""
        answer = self._resolver.cached(question)
        return UNANSWERED if answer is None and self._clock() >= self._end else answer

    async def resolve(self, question: Question) -> Answer:
        """The resolver's answer if it comes in time, else a failure."""
        left = self._end - self._clock()
        if left <= 0:
            return UNANSWERED
        try:
            async with asyncio.timeout(left):
                return await self._resolver.resolve(question)
        except TimeoutError:
            return UNANSWERED


# Servers


def parse_server(text: str) -> Server:
    """The socket address of "192.0.2.1", "192.0.2.1:5353", "2001:db8::1" or "[2001:db8::1]:5353".

    Raises ValueError where it is none; a name is none: there is nobody yet to ask for its address.
    """
    host, colon, port = text, "", ""
    if text.startswith("[") and "]" in text:
        host, _, rest = text[1:].partition("]")
        colon, port = rest[:1], rest[1:]
    elif text.count(":") == 1:
        host, colon, port = text.partition(":")
    try:
        if colon not in ("", ":"):
            raise ValueError
        number = int(port) if colon else PORT
        if not 0 < number < 65536:
            raise ValueError
        found = socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    except (ValueError, OSError) as error:
        raise ValueError(f"{text!r} is not the address of a name server, like 192.0.2.1 or [2001:db8::1]:53") from error
    family, _, _, _, address = found[0]
    return family, address


def is_loopback(server: Server) -> bool:
    """Whether a server is on this machine."""
    host, _, _ = str(server[1][0]).partition("%")
    return ipaddress.ip_address(host).is_loopback


def system_servers(where: Path = RESOLV_CONF) -> tuple[str, ...]:
    """The servers of resolv.conf(5), or this machine's own where it names none."""
    try:
        lines = where.read_text("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    words = (line.split() for line in lines)
    return tuple([pair[1] for pair in words if len(pair) > 1 and pair[0] == "nameserver"]) or ("127.0.0.1",)


# Messages


def encode_query(question: Question) -> bytes:
    """The query (RFC 1035 section 4.1) with a random id and EDNS. Its AD bit asks for that of the answer, without all
    the signatures that come with the DO bit (RFC 6840 section 5.7). Raises DNSException or ValueError where the name
    cannot be one."""
    # Not Name.from_text: it takes a backslash for an escape, and a name made from a macro may hold one.
    name = dns.name.Name([*question.name.encode().split(b"."), b""] if question.name else [b""])
    return dns.message.make_query(name, question.type, use_edns=0, payload=PAYLOAD, flags=RD_AD).to_wire()


def matches(query: bytes, response: bytes) -> bool:
    """Whether this is a response to that query: its id, the response bit, and the question octet for octet."""
    end = len(query) - OPT
    return (
        len(response) >= end
        and response[:2] == query[:2]
        and bool(response[2] & 0x80)
        and response[4:6] == b"\0\1"
        and response[HEADER:end] == query[HEADER:end]
    )


def is_truncated(response: bytes) -> bool:
    """The TC bit: the rest is to be had over TCP (RFC 1035 section 4.2.1)."""
    return bool(response[2] & 0x02)


def read_answer(question: Question, response: bytes, *, believed: bool = False) -> Answer:
    """What a response says to the question; `believed`: its AD bit too. Raises Unusable where it says nothing."""
    try:
        message = dns.message.from_wire(response, ignore_trailing=True)
    except (dns.exception.DNSException, ValueError) as error:
        raise Unusable(str(error)) from error
    code = message.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        raise Unusable(dns.rcode.to_text(code))
    if not message.question:
        raise Unusable("no question")
    kind = dns.rdatatype.from_text(question.type)
    asked = message.question[0].name
    found, ttl, last = _follow(message, asked, kind)
    secure = believed and bool(message.flags & dns.flags.AD)
    try:
        alias = "" if last == asked else _name(last)
    except Unusable:  # no host, but there may be a TXT record
        alias, secure = "", False
    if found is not None:
        return Answer(Status.FOUND, tuple([_text(record) for record in found]), min(ttl, found.ttl), secure, alias)
    missing = code == dns.rcode.NXDOMAIN
    ttl = min(ttl, _negative_ttl(message))
    return Answer(Status.MISSING if missing else Status.EMPTY, (), ttl, secure, alias)


def _follow(
    message: dns.message.Message, name: dns.name.Name, kind: dns.rdatatype.RdataType
) -> tuple[dns.rrset.RRset | None, int, dns.name.Name]:
    """The records at the end of the aliases, the shortest TTL on the way, and the name at their end."""
    ttl = LONGEST
    for _ in range(ALIASES + 1):
        found = message.get_rrset(message.answer, name, dns.rdataclass.IN, kind)
        if found:
            return found, ttl, name
        alias = message.get_rrset(message.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if not alias:
            return None, ttl, name
        ttl = min(ttl, alias.ttl)
        name = alias[0].target
    raise Unusable("a loop of aliases")


def _negative_ttl(message: dns.message.Message) -> int:
    """RFC 2308 section 5: the smaller of the SOA's TTL and its minimum; without a SOA the answer is not kept."""
    for records in message.authority:
        record = records[0]
        if isinstance(record, dns.rdtypes.ANY.SOA.SOA):
            return min(int(records.ttl), int(record.minimum), LONGEST_NEGATIVE)
    return 0


def _text(record: dns.rdata.Rdata) -> str:
    """The record as `Answer.records` has it."""
    match record:
        case dns.rdtypes.txtbase.TXTBase():
            return b"".join(record.strings).decode("latin-1")
        case dns.rdtypes.IN.A.A() | dns.rdtypes.IN.AAAA.AAAA():
            return str(record.address)
        case dns.rdtypes.mxbase.MXBase():
            return f"{record.preference} {_name(record.exchange) or '.'}"
        case dns.rdtypes.tlsabase.TLSABase():
            return f"{record.usage} {record.selector} {record.mtype} {record.cert.hex()}"
        case dns.rdtypes.nsbase.NSBase():  # PTR, CNAME, NS
            return _name(record.target)
    return str(record.to_text())


def _name(name: dns.name.Name) -> str:
    """Lower case, no trailing dot. A label with a dot, a blank, a control or an octet over 0x7e is no host's."""
    for label in name.labels:
        if b"." in label or any(octet <= 0x20 or octet > 0x7E for octet in label):
            raise Unusable("a name that no host can have")
    return b".".join(name.labels).rstrip(b".").lower().decode("ascii")


# Transport


async def exchange(server: Server, query: bytes) -> bytes:
    """One query, one response: over UDP, and again over TCP where the response did not fit.

    Every query has a socket of its own, so each has a random port; it is connected, so nobody else's datagrams come in
    (RFC 5452 section 9.2). Raises OSError.
    """
    response = await _over_udp(server, query)
    return await _over_tcp(server, query) if is_truncated(response) else response


async def _over_udp(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    family, address = server
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.connect(address)
        sock.send(query)
        # What does not match is forged or late: the true answer may still come.
        while not matches(query, response := await loop.sock_recv(sock, DATAGRAM)):
            pass
        return response


async def _over_tcp(server: Server, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    family, address = server
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
        await loop.sock_sendall(sock, len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await _read(sock, 2), "big")
        response = await _read(sock, length)
    if not matches(query, response):
        raise Unusable("not a response to our question")
    return response


async def _read(sock: socket.socket, count: int) -> bytes:
    loop = asyncio.get_running_loop()
    octets = b""
    while len(octets) < count:
        piece = await loop.sock_recv(sock, count - len(octets))
        if not piece:
            raise ConnectionResetError("the server closed the connection")
        octets += piece
    return octets
