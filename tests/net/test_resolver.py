"""The network resolver against a name server on loopback, well-behaved and not."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.dns.lookup import UNANSWERED, Answer, Evaluation, Question, Status, run, start
from purport.net.resolver import (
    Resolver,
    TrustAd,
    Unusable,
    encode_query,
    is_loopback,
    matches,
    parse_server,
    read_answer,
    system_servers,
)
from support.dns_server import DnsServer, dns_server

T = TypeVar("T")

ZONE = {
    "example.com": [
        {"TXT": ["v=spf1 ", "mx -all"]},
        {"TXT": "a b\\c \xe4"},
        {"MX": [10, "MX1.Example.com."]},
        {"MX": [20, "mx2.example.com"]},
        {"A": "192.0.2.1"},
        {"AAAA": "2001:db8::1"},
    ],
    "null.example.com": [{"MX": [0, ""]}],
    "1.2.0.192.in-addr.arpa": [{"PTR": "Mail.Example.com"}],
    "alias.example.com": [{"CNAME": "hop.example.com"}],
    "hop.example.com": [{"CNAME": "example.com"}],
    "lost.example.com": [{"CNAME": "nowhere.example.com"}],
    "loop.example.com": [{"CNAME": "loop.example.com"}],
    "broken.example.com": ["SERVFAIL"],
    "slow.example.com": ["TIMEOUT"],
    "long.example.com": [{"TXT": "x" * 3000}],
    "signed.example.com": ["SIGNED", {"A": "192.0.2.9"}],
    "to-signed.example.com": ["SIGNED", {"CNAME": "signed.example.com"}],
    "from-plain.example.com": [{"CNAME": "signed.example.com"}],
    "_25._tcp.signed.example.com": ["SIGNED", {"TLSA": f"3 1 1 {'Ab' * 32}"}, {"TLSA": f"3 0 0 {'cd' * 300}"}],
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def server() -> Iterator[DnsServer]:
    with dns_server(ZONE) as running:
        yield running


def at_once(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


def ask(server: DnsServer, name: str, kind: str) -> Answer:
    return at_once(resolver(server).resolve(Question(name, kind)))


def resolver(server: DnsServer, timeout: float = 0.2, attempts: int = 2, clock: Clock | None = None) -> Resolver:
    return Resolver([server.address], timeout=timeout, attempts=attempts, clock=clock or Clock())


def unused_address() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{sock.getsockname()[1]}"


# Answers


def test_strings_of_one_record_are_joined_octet_for_octet(server: DnsServer) -> None:
    answer = ask(server, "example.com", "TXT")
    # The zone's text goes out as UTF-8, and an answer has one character per octet.
    assert set(answer.records) == {"v=spf1 mx -all", "a b\\c \xc3\xa4"}
    assert answer.ttl == 300


def test_names_are_lower_case_without_a_trailing_dot(server: DnsServer) -> None:
    assert set(ask(server, "example.com", "MX").records) == {"10 mx1.example.com", "20 mx2.example.com"}
    assert ask(server, "1.2.0.192.in-addr.arpa", "PTR").records == ("mail.example.com",)


def test_a_null_mx_is_a_dot(server: DnsServer) -> None:
    assert ask(server, "null.example.com", "MX").records == ("0 .",)


def test_addresses_are_text(server: DnsServer) -> None:
    assert ask(server, "example.com", "A").records == ("192.0.2.1",)
    assert ask(server, "example.com", "AAAA").records == ("2001:db8::1",)


def test_aliases_are_followed_within_the_answer(server: DnsServer) -> None:
    assert ask(server, "alias.example.com", "A").records == ("192.0.2.1",)


def test_an_alias_to_nowhere_is_missing_and_a_loop_has_failed(server: DnsServer) -> None:
    assert ask(server, "lost.example.com", "A").status is Status.MISSING
    assert ask(server, "loop.example.com", "A").status is Status.FAILED


def test_no_record_and_no_name_are_told_apart(server: DnsServer) -> None:
    assert ask(server, "null.example.com", "A") == Answer(Status.EMPTY, ttl=60)
    assert ask(server, "nowhere.example.com", "A") == Answer(Status.MISSING, ttl=60)


@pytest.mark.parametrize(
    "name", ["a..example.com", f"{'a' * 64}.example.com", ".".join(["a" * 60] * 5), "\udcff.example"]
)
def test_what_cannot_be_a_name_is_missing_without_a_question(server: DnsServer, name: str) -> None:
    asked = len(server.asked)
    assert ask(server, name, "A").status is Status.MISSING
    assert len(server.asked) == asked


def test_a_backslash_in_a_name_is_a_backslash(server: DnsServer) -> None:
    assert dns.message.from_wire(encode_query(Question("a\\b.example.com", "A"))).question[0].name.labels[0] == b"a\\b"


def test_a_long_answer_comes_over_tcp(server: DnsServer) -> None:
    assert ask(server, "long.example.com", "TXT").records == ("x" * 3000,)
    assert server.asked[-2:] == [("udp", "long.example.com", "TXT"), ("tcp", "long.example.com", "TXT")]


# Failure


def test_servfail_is_asked_once_of_each_server_and_fails(server: DnsServer) -> None:
    assert ask(server, "broken.example.com", "A").status is Status.FAILED
    assert server.asked.count(("udp", "broken.example.com", "A")) == 1


def test_silence_is_asked_again_and_fails(server: DnsServer) -> None:
    answer = at_once(resolver(server, timeout=0.05, attempts=3).resolve(Question("slow.example.com", "A")))
    assert answer.status is Status.FAILED
    assert server.asked.count(("udp", "slow.example.com", "A")) == 3


def test_a_failure_is_kept_for_seconds_only(server: DnsServer) -> None:
    clock = Clock()
    asking = resolver(server, clock=clock)
    question = Question("broken.example.com", "MX")
    at_once(asking.resolve(question))
    assert asking.cached(question) is not None
    clock.now += 5
    assert asking.cached(question) is None


def test_a_server_that_is_down_gives_its_turn_to_the_next(server: DnsServer) -> None:
    asking = Resolver([unused_address(), server.address], timeout=1.0)
    assert at_once(asking.resolve(Question("example.com", "A"))).records == ("192.0.2.1",)


def test_nobody_there_is_a_failure() -> None:
    assert at_once(Resolver([unused_address()]).resolve(Question("example.com", "A"))).status is Status.FAILED


def other_id(query: bytes, response: bytes) -> list[bytes]:
    return [bytes([response[0] ^ 1]) + response[1:]]


def other_question(query: bytes, response: bytes) -> list[bytes]:
    return [response.replace(b"\x07example", b"\x07exbmple")]


def the_query_back(query: bytes, response: bytes) -> list[bytes]:
    return [query]


def cut_short(query: bytes, response: bytes) -> list[bytes]:
    return [response[:-7]]


def nothing_but_nulls(query: bytes, response: bytes) -> list[bytes]:
    return [b"", b"\0" * 600]


def refused(query: bytes, response: bytes) -> list[bytes]:
    return [response[:3] + bytes([response[3] & 0xF0 | dns.rcode.REFUSED]) + response[4:]]


def always_truncated_and_wrong(query: bytes, response: bytes) -> list[bytes]:
    return [response[:2] + bytes([response[2] | 2]) + response[3:-4]]


@pytest.mark.parametrize(
    "misbehave",
    [
        other_id,
        other_question,
        the_query_back,
        cut_short,
        nothing_but_nulls,
        refused,
        always_truncated_and_wrong,
    ],
)
def test_a_server_that_lies_or_sends_garbage_is_a_failure(misbehave: object) -> None:
    with dns_server(ZONE, misbehave=misbehave) as lying:  # type: ignore[arg-type]
        answer = at_once(resolver(lying, timeout=0.05).resolve(Question("example.com", "TXT")))
    assert answer.status is Status.FAILED


def test_the_true_answer_counts_though_a_forged_one_came_before() -> None:
    with dns_server(ZONE, misbehave=lambda query, response: [*other_id(query, response), response]) as server:
        assert ask(server, "example.com", "A").records == ("192.0.2.1",)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_no_response_raises_but_as_unusable(data: st.DataObject) -> None:
    question = Question("example.com", "TXT")
    query = dns.message.from_wire(encode_query(question))
    response = bytearray(DnsServer(ZONE).answer(query, query.question[0].name, query.question[0].rdtype).to_wire())  # type: ignore[union-attr]
    for _ in range(data.draw(st.integers(1, 6))):
        response[data.draw(st.integers(0, len(response) - 1))] = data.draw(st.integers(0, 255))
    matches(encode_query(question), bytes(response))
    with contextlib.suppress(Unusable):
        read_answer(question, bytes(response))


def test_a_null_octet_in_a_name_does_not_end_the_comparison() -> None:
    query = encode_query(Question("a\0b.example.com", "A"))
    response = query[:2] + b"\x81\x80" + query[4:]
    assert matches(query, response)
    assert not matches(query, response.replace(b"example", b"exbmple"))


def test_a_name_no_host_can_have_is_no_answer() -> None:
    question = Question("1.2.0.192.in-addr.arpa", "PTR")
    query = encode_query(question)
    target = b"\x03a.b\x07example\0"
    record = b"\xc0\x0c" + struct.pack("!HHIH", 12, 1, 300, len(target)) + target
    response = query[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + query[12:-11] + record
    assert matches(query, response)
    with pytest.raises(Unusable):
        read_answer(question, response)


# Cache and flights


def test_the_cache_gives_what_is_left_of_the_ttl(server: DnsServer) -> None:
    clock = Clock()
    asking = resolver(server, clock=clock)
    question = Question("example.com", "A")
    assert asking.cached(question) is None
    at_once(asking.resolve(question))
    clock.now += 100.5
    assert asking.cached(question) == Answer(Status.FOUND, ("192.0.2.1",), 199)
    clock.now += 200
    assert asking.cached(question) is None


def test_all_who_ask_the_same_at_a_time_wait_for_one_question() -> None:
    async def many(asking: Resolver) -> list[Answer]:
        return await asyncio.gather(*[asking.resolve(Question("example.com", "A")) for _ in range(50)])

    with dns_server(ZONE) as server:
        answers = at_once(many(resolver(server)))
        assert {answer.records for answer in answers} == {("192.0.2.1",)}
        assert len(server.asked) == 1


def test_who_stops_waiting_does_not_stop_the_question_of_others(server: DnsServer) -> None:
    async def impatient() -> tuple[Answer, Answer]:
        asking = Resolver([server.address], timeout=0.2, attempts=1)
        question = Question("slow.example.com", "MX")
        return tuple(await asyncio.gather(asking.within(0.01).resolve(question), asking.resolve(question)))  # type: ignore[return-value]

    in_time, to_the_end = at_once(impatient())
    assert in_time == UNANSWERED
    assert to_the_end == Answer(Status.FAILED, ttl=5)


def test_once_the_time_is_over_only_the_cache_answers(server: DnsServer) -> None:
    clock = Clock()
    asking = resolver(server, clock=clock)
    known, unknown = Question("example.com", "A"), Question("example.com", "MX")
    at_once(asking.resolve(known))
    view = asking.within(20)
    assert view.cached(unknown) is None
    clock.now += 21
    assert view.cached(unknown) == UNANSWERED
    assert at_once(view.resolve(unknown)) == UNANSWERED
    found = view.cached(known)
    assert found is not None
    assert found.status is Status.FOUND


def test_a_closed_resolver_fails_those_who_wait_and_those_who_come(server: DnsServer) -> None:
    async def close() -> tuple[Answer, Answer]:
        asking = Resolver([server.address], timeout=5)
        waiting = asyncio.ensure_future(asking.resolve(Question("slow.example.com", "A")))
        await asyncio.sleep(0)
        asking.close()
        return await waiting, await asking.resolve(Question("example.com", "A"))

    assert at_once(close()) == (UNANSWERED, UNANSWERED)


def test_an_evaluation_runs_over_the_network(server: DnsServer) -> None:
    def evaluation() -> Evaluation[list[tuple[str, ...]]]:
        answers = yield (Question("example.com", "A"), Question("example.com", "AAAA"))
        return [answer.records for answer in answers]

    asking = resolver(server)
    expected = [("192.0.2.1",), ("2001:db8::1",)]
    assert at_once(run(evaluation(), asking, asyncio.gather)) == expected
    assert start(evaluation(), asking) == expected


# Servers


def test_servers_are_addresses_with_or_without_a_port() -> None:
    assert parse_server("192.0.2.1") == (socket.AF_INET, ("192.0.2.1", 53))
    assert parse_server("192.0.2.1:5353") == (socket.AF_INET, ("192.0.2.1", 5353))
    assert parse_server("2001:db8::1") == (socket.AF_INET6, ("2001:db8::1", 53, 0, 0))
    assert parse_server("[2001:db8::1]:5353") == (socket.AF_INET6, ("2001:db8::1", 5353, 0, 0))


@pytest.mark.parametrize("text", ["ns.example.com", "192.0.2.1:", "192.0.2.1:0", "[::1", "[::1]x", "", "1.2.3.4:99999"])
def test_what_is_no_address_of_a_server_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_server(text)


def test_the_system_names_its_servers_in_resolv_conf(tmp_path: Path) -> None:
    place = tmp_path / "resolv.conf"
    place.write_text("# comment\nsearch example.com\nnameserver 192.0.2.1\nnameserver 2001:db8::1\noptions edns0\n")
    assert system_servers(place) == ("192.0.2.1", "2001:db8::1")
    place.write_text("search example.com\n")
    assert system_servers(place) == ("127.0.0.1",)
    assert system_servers(tmp_path / "missing") == ("127.0.0.1",)


# DNSSEC


@pytest.mark.parametrize(
    ("name", "kind", "secure", "alias"),
    [
        ("signed.example.com", "A", True, ""),
        ("signed.example.com", "MX", True, ""),
        ("example.com", "A", False, ""),
        ("to-signed.example.com", "A", True, "signed.example.com"),
        ("from-plain.example.com", "A", False, "signed.example.com"),
        ("to-signed.example.com", "CNAME", True, ""),
    ],
)
def test_an_answer_says_whether_it_was_validated_and_where_its_aliases_led(
    server: DnsServer, name: str, kind: str, secure: bool, alias: str
) -> None:
    answer = ask(server, name, kind)
    assert (answer.secure, answer.alias) == (secure, alias)


def test_tlsa_records_are_hexadecimal_in_one_piece(server: DnsServer) -> None:
    records = set(ask(server, "_25._tcp.signed.example.com", "TLSA").records)
    assert records == {f"3 1 1 {'ab' * 32}", f"3 0 0 {'cd' * 300}"}


def test_the_cache_remembers_that_an_answer_was_validated(server: DnsServer) -> None:
    clock = Clock()
    known = resolver(server, clock=clock)

    async def ask_twice() -> tuple[Answer, Answer | None]:
        question = Question("to-signed.example.com", "A")
        first = await known.resolve(question)
        clock.now += 10.5
        return first, known.cached(question)

    first, second = at_once(ask_twice())
    assert second is not None
    assert second.ttl < first.ttl
    assert (second.secure, second.alias) == (True, "signed.example.com")


@pytest.mark.parametrize(("trust", "secure"), [("loopback", True), ("always", True), ("never", False)])
def test_the_bit_is_believed_of_whom_the_settings_say(server: DnsServer, trust: TrustAd, secure: bool) -> None:
    asked = Resolver([server.address], timeout=0.2, trust_ad=trust)
    assert at_once(asked.resolve(Question("signed.example.com", "A"))).secure is secure


@pytest.mark.parametrize(
    ("server", "near"),
    [("127.0.0.1:53", True), ("127.7.7.7", True), ("[::1]:53", True), ("192.0.2.1", False), ("2001:db8::1", False)],
)
def test_which_servers_nobody_stands_between(server: str, near: bool) -> None:
    assert is_loopback(parse_server(server)) is near


def test_validation_is_asked_for_without_the_signatures_themselves() -> None:
    query = dns.message.from_wire(encode_query(Question("example.com", "A")))
    assert query.flags & dns.flags.AD
    assert not query.flags & dns.flags.CD
    assert query.edns == 0
    assert not query.ednsflags & dns.flags.DO
