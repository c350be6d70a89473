"""Chains that are not what they should be, and those that are (RFC 8617 section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.arc.chain import validate
from purport.authentication.arc.result import NO_CHAIN
from purport.authentication.arc.sets import SETS_LIMIT, body_forms, instance_of
from purport.authentication.authres.reader import read
from purport.authentication.dkim.body import BodyForm, hash_body
from purport.dns.lookup import Answer, Question, Status
from purport.mail.header import HEADER_LIMIT, read_header
from support.arc_chains import DMARC_PASS, MESSAGE, NOW, answers_for, sealed, validated

A, B, C = "a.example", "b.example", "c.example"
ALL = answers_for(A, B, C)


@pytest.fixture(scope="module")
def three() -> bytes:
    return sealed(sealed(sealed(MESSAGE, A, DMARC_PASS), B), C)


def test_a_message_without_a_chain() -> None:
    assert validated(MESSAGE, {}) is NO_CHAIN


def test_a_chain_says_who_sealed_and_what_each_found(three: bytes) -> None:
    result = validated(three, ALL)
    assert (result.result, result.instance, result.sealers, result.oldest_pass) == ("pass", 3, (A, B, C), 0)
    assert result.problem == ""
    said = [hop.said for hop in result.hops]
    assert [one.authserv_id for one in said if one is not None] == ["mx.a.example", "mx.b.example", "mx.c.example"]
    assert said[0] is not None
    assert said[0].of("dmarc") == (DMARC_PASS,)
    assert [one.of("arc")[0].result for one in said if one is not None] == ["none", "pass", "pass"]
    assert all(hop.intact and hop.covers_from for hop in result.hops)


def test_all_keys_are_asked_for_at_once(three: bytes) -> None:
    header = read_header(three)
    evaluation = validate(header, hash_body([three[header.length :]], *body_forms(header)), NOW)
    questions = next(evaluation)
    assert sorted(question.name for question in questions) == [f"s1._domainkey.{domain}" for domain in (A, B, C)]
    with pytest.raises(StopIteration) as stop:
        evaluation.send(tuple(ALL[question] for question in questions))
    assert stop.value.value.result == "pass"


def test_since_when_nothing_was_changed() -> None:
    def as_a_list(octets: bytes) -> bytes:
        return octets.replace(b"\r\nSubject: ", b"\r\nSubject: [list] ").replace(b"all.", b"all.\r\n-- \r\nThe list")

    again = sealed(sealed(MESSAGE, A), B, change=as_a_list)
    assert validated(again, ALL).oldest_pass == 2
    third = validated(sealed(again, C), ALL)
    assert (third.result, third.oldest_pass) == ("pass", 2)
    assert [hop.intact for hop in third.hops] == [False, True, True]


def test_a_key_that_is_gone_of_an_older_signature_fails_its_seal_too(three: bytes) -> None:
    result = validated(three, answers_for(B, C))
    assert (result.result, result.problem) == (
        "fail",
        "the seal of a.example: the DNS did not answer the question for the key",
    )


CHANGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "body": (lambda octets: octets.replace(b"all.", b"you."), "the body was changed behind the message signature of c"),
    "header": (lambda octets: octets.replace(b"Dinner", b"Lunch"), "the message signature of c.example does not fit"),
    "a second From": (lambda octets: b"From: x@y.example\r\n" + octets, "the message signature of c.example does not"),
    "results": (lambda octets: octets.replace(b"dmarc=pass", b"dmarc=fail"), "the seal of a.example does not fit"),
    "set missing": (lambda octets: without(octets, b"i=2"), "arc-authentication-results of instance 2 is missing"),
    "seal missing": (lambda octets: without(octets, b"i=2", b"ARC-Seal"), "arc-seal of instance 2 is missing"),
    "newest set missing": (lambda octets: without(octets, b"i=3"), ""),
    "cv": (lambda octets: octets.replace(b"cv=pass", b"cv=none", 1), "cv= of instance 3 is not what a chain has there"),
    "cv failed": (lambda octets: octets.replace(b"cv=pass", b"cv=fail", 1), "the chain had failed already before"),
    "twice": (lambda octets: octets[: octets.index(b"\r\nARC-Message") + 2] + octets, "stands there twice"),
    "h=": (lambda octets: octets.replace(b"cv=pass", b"h=from; cv=pass", 1), "h= has no place in a seal"),
    "i=51": (lambda octets: octets.replace(b"i=3;", b"i=51;"), "has no instance (i=) from 1 to 50"),
    "i=0": (lambda octets: octets.replace(b"i=1;", b"i=0;"), "has no instance"),
    "no i=": (
        lambda octets: octets.replace(b"Results: i=1;", b"Results:"),
        "arc-authentication-results has no instance",
    ),
}


def without(octets: bytes, instance: bytes, name: bytes = b"ARC-") -> bytes:
    header = read_header(octets)
    kept = [
        field.raw for field in header if not (field.raw.startswith(name) and re.search(rb"[ ]" + instance, field.raw))
    ]
    return b"".join(kept) + octets[sum(len(field.raw) for field in header) :]


@pytest.mark.parametrize(("change", "problem"), CHANGES.values(), ids=CHANGES)
def test_what_was_changed_fails_and_says_what(three: bytes, change: Callable[[bytes], bytes], problem: str) -> None:
    changed = change(three)
    assert changed != three
    result = validated(changed, ALL)
    assert result.result == ("fail" if problem else "pass")
    assert problem in result.problem


def chain_of(count: int) -> bytes:
    """A message with so many sets that nobody signed."""
    sets = [
        f"ARC-Seal: i={number}; a=rsa-sha256; cv={'pass' if number > 1 else 'none'}; d=a{number}.example; s=s;"
        f" b=MTIz\r\n"
        f"ARC-Message-Signature: i={number}; a=rsa-sha256; c=relaxed/relaxed; d=a{number}.example; s=s; h=from;"
        f" bh=MTIz; b=MTIz\r\n"
        f"ARC-Authentication-Results: i={number}; mx.example; none\r\n"
        for number in range(count, 0, -1)
    ]
    return "".join(sets).encode() + MESSAGE


@pytest.mark.parametrize("count", [51, 60, 600])
def test_s19_more_than_fifty_sets_fail_without_a_question(count: int) -> None:
    octets = chain_of(count)
    header = read_header(octets)
    with pytest.raises(StopIteration) as stop:
        next(validate(header, {}, NOW))
    assert (stop.value.value.result, stop.value.value.instance) == ("fail", SETS_LIMIT)
    assert body_forms(header) == ()


def test_s19_fifty_sets_whose_newest_cannot_hold_cost_no_question() -> None:
    octets = chain_of(50)
    header = read_header(octets)
    with pytest.raises(StopIteration) as stop:
        next(validate(header, hash_body([b""], *body_forms(header)), NOW))
    assert stop.value.value.result == "fail"


def test_fifty_sets_pass() -> None:
    octets = MESSAGE
    for _ in range(50):
        octets = sealed(octets, A, answers=ALL)
    result = validated(octets, ALL)
    assert (result.result, result.instance, result.oldest_pass) == ("pass", 50, 0)
    assert sealed(octets, A, answers=ALL) == octets  # a fifty-first is not made (RFC 8617 section 4.2.1)


def test_a_header_that_is_not_known_to_its_end_fails() -> None:
    header = read_header(b"X: " + b"y" * HEADER_LIMIT + b"\r\n" + MESSAGE)
    assert not header.complete
    with pytest.raises(StopIteration) as stop:
        next(validate(header, {}, NOW))
    assert stop.value.value.result == "fail"


def test_a_seal_over_the_seal_of_another_is_no_message_signature(three: bytes) -> None:
    result = validated(re.sub(rb"(ARC-Message-Signature: i=3;.*?; h=)", rb"\1arc-seal: ", three, flags=re.DOTALL), ALL)
    assert result.problem == "the message signature of c.example covers a seal"


def test_a_message_signature_that_leaves_a_part_of_the_body_unsigned_fails(three: bytes) -> None:
    octets = three.replace(b"c=relaxed/relaxed;", b"c=relaxed/relaxed; l=3;", 1)
    header = read_header(octets)
    assert BodyForm(relaxed=True, length=3) in body_forms(header)
    assert validated(octets, ALL).result == "fail"


def test_a_message_signature_ends_with_its_time(three: bytes) -> None:
    octets = three.replace(b"c=relaxed/relaxed;", b"c=relaxed/relaxed; x=1795500001;", 1)
    result = validated(octets, ALL, now=NOW + 3600)
    assert result.problem == "the message signature of c.example has expired (x=)"


def test_the_forms_of_a_body_are_few_however_many_sets_there_are() -> None:
    octets = chain_of(50)
    for number in range(1, 51):
        hash_of = b"bh=" + b"A" * 43 + b"="
        octets = octets.replace(b"bh=MTIz", b"l=%d; " % number + hash_of, 1)
    assert body_forms(read_header(octets)) == (BodyForm(relaxed=True, length=1),)


def test_what_a_sealer_wrote_that_cannot_be_read_is_nothing_and_breaks_no_chain() -> None:
    first = sealed(MESSAGE, A)
    broken = first.replace(b"mx.a.example;", b"mx.a.example = = ;", 1)
    assert validated(broken, ALL).result == "fail"  # somebody changed it
    result = validated(first, ALL)
    assert result.hops[0].said is not None


@pytest.mark.parametrize("instance", ["i=1;", " i = 1 ;", "(first) i=1 (of \\( one);", "i=01;"])
def test_an_instance_may_have_comments_around_it(instance: str) -> None:
    (field,) = read_header(f"ARC-Authentication-Results: {instance} mx.example; none\r\n".encode())
    assert instance_of(field) == 1


PIECES = [
    "ARC-Seal: ",
    "ARC-Message-Signature: ",
    "ARC-Authentication-Results: ",
    "i=1; ",
    "i=2; ",
    "i=; ",
    "a=ed25519-sha256; ",
    "a=rsa-sha1; ",
    "cv=none; ",
    "cv=pass; ",
    "d=a.example; ",
    "s=s1; ",
    "h=from; ",
    "bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; ",
    "b=MTIz; ",
    "mx.example; none",
    "\r\n",
    "\r\n ",
    "\0",
    "é",
]


@given(st.lists(st.sampled_from(PIECES), max_size=40))
def test_no_header_makes_it_raise(pieces: list[str]) -> None:
    result = validated("".join(pieces).encode("latin-1"), ALL)
    assert (result.result == "fail") == bool(result.problem)
    assert result.problem.isprintable()


def test_a_dns_failure_is_final(three: bytes) -> None:
    answers = ALL | {Question("s1._domainkey.c.example", "TXT"): Answer(Status.FAILED)}
    assert validated(three, answers).result == "fail"


def test_what_strangers_wrote_is_read_when_somebody_asks() -> None:
    """What fifty sealers can write into one header takes a tenth of a second to read."""
    [hop] = validated(sealed(MESSAGE, A, DMARC_PASS), ALL).hops
    assert hop.results is not None
    assert hop.said == read(hop.results, lax=True)
    assert replace(hop, results="no results").said is None
    assert replace(hop, results=None).said is None
