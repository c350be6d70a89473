"""Writing Authentication-Results: whatever stands in it, it reads back as what was meant."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from purport.authentication.authres.reader import read
from purport.authentication.authres.results import (
    TEXT_OCTETS,
    AuthenticationResults,
    MethodResult,
    cleaned,
)
from purport.authentication.authres.writer import KEPT_LENGTH, field, field_again
from purport.mail.address import parse_reverse_path
from support.suites import SUITES, not_there

ESPOOFER = SUITES / "smtp" / "espoofer.yml"
NAME = b"Authentication-Results:"

# What other grammars use, what ends lines, and plain text between, so that runs of it meet.
DANGEROUS = "()'\";=@.,<>[]\\/ \t\r\n\0\x1b\x7f\x85\u2028\u202eüß\U0001f600\ud800"
TEXT = st.text(st.one_of(st.sampled_from(DANGEROUS), st.characters()), max_size=40) | st.text(max_size=700)
ADDRESSES = st.from_regex(r"[a-z.'(\"]{0,4}@?[a-zü.'(-]{1,9}(\.[a-z]{1,4})?", fullmatch=True)
KEYWORD = st.from_regex(r"[A-Za-z0-9-]{0,8}[A-Za-z0-9]", fullmatch=True)
PROPERTY = st.tuples(KEYWORD, KEYWORD, TEXT | ADDRESSES)
RESULT = st.builds(
    MethodResult,
    KEYWORD,
    KEYWORD,
    TEXT,
    st.lists(PROPERTY, max_size=4).map(tuple),
    TEXT,
    st.integers(0, 999999999),
)
SAID = st.builds(AuthenticationResults, TEXT | ADDRESSES, st.lists(RESULT, max_size=4).map(tuple))


def read_back(octets: bytes) -> AuthenticationResults:
    assert octets.startswith(NAME)
    assert octets.endswith(b"\r\n")
    return read(octets.removeprefix(NAME).decode())


@given(SAID, st.booleans())
@example(AuthenticationResults("mx.example", (MethodResult("spf", "pass", " a  b " * 60, (), "  ( " * 30),)), False)
def test_what_is_written_reads_back_exactly(said: AuthenticationResults, utf8: bool) -> None:
    octets = field(said, utf8=utf8)
    assert read_back(octets) == cleaned(said, utf8=utf8)
    assert utf8 or octets.isascii()
    lines = octets[:-2].split(b"\r\n")
    assert all(line.strip() and len(line) <= 998 for line in lines)
    assert all(line.startswith(b" ") for line in lines[1:])
    assert not any(b"\r" in line or b"\n" in line or b"\0" in line for line in lines)


@given(SAID, st.booleans())
def test_what_is_clean_stays_as_it_is(said: AuthenticationResults, utf8: bool) -> None:
    once = cleaned(said, utf8=utf8)
    assert cleaned(once, utf8=utf8) == once


@given(st.text(st.sampled_from("ab ()\\\"';=@.ü"), max_size=60))
def test_text_without_control_characters_is_not_changed(text: str) -> None:
    result = MethodResult("spf", "fail", text, (("smtp", "mailfrom", text),), text)
    assert read_back(field(AuthenticationResults("mx.example", (result,)), utf8=True)).results == (result,)


ATTACKS = [
    "legitimate.com(.attack.com",
    "legitimate.com'.attack.com",
    'legitimate.com".attack.com',
    "legitimate.com;dkim=pass header.d=legitimate.com",
    "legitimate.com; dkim=pass (",
    'x" ; dkim=pass header.d=legitimate.com ; x="',
    "x\r\nAuthentication-Results: mx.example; dkim=pass",
    "x\0; dkim=pass",
    "x) dkim=pass",
    "x\\",
    "a=b",
    "any@legitimate.com(a.attack.com",
    "any@legitimate.com'@a.attack.com",
    "\u202emoc.elgoog",
]


@pytest.mark.parametrize("text", ATTACKS)
@pytest.mark.parametrize("place", ["value", "reason", "comment"])
def test_a4_a5_s6_nothing_breaks_out_of_its_place(text: str, place: str) -> None:
    properties = (("header", "d", text if place == "value" else "attack.com"),)
    result = MethodResult("dkim", "fail", text * (place == "reason"), properties, text * (place == "comment"))
    octets = field(AuthenticationResults("mx.example", (result, MethodResult("dmarc", "fail"))))
    assert octets.count(b"\r\n") == octets.count(b"\r\n ") + 1
    assert [(one.method, one.result) for one in read_back(octets).results] == [("dkim", "fail"), ("dmarc", "fail")]


def test_what_has_another_meaning_to_others_is_quoted() -> None:
    results = (
        MethodResult("dkim", "pass", properties=(("header", "d", "legitimate.com'a.attack.com"),)),
        MethodResult("iprev", "pass", properties=(("policy", "iprev", "2001:db8::1"),)),
        MethodResult("auth", "pass", properties=(("smtp", "auth", '"john doe"@example.com'),)),
    )
    assert field(AuthenticationResults("mx.example", results)) == (
        b"Authentication-Results: mx.example;\r\n"
        b' dkim=pass header.d="legitimate.com\'a.attack.com";\r\n'
        b' iprev=pass policy.iprev="2001:db8::1";\r\n'
        b' auth=pass smtp.auth="john doe"@example.com\r\n'
    )


def test_one_result_a_line_and_no_line_longer_than_it_must_be() -> None:
    reason = "the signature covers a header field that is not there any more, or that was changed on its way"
    results = (
        MethodResult("spf", "pass", properties=(("smtp", "mailfrom", "example.com"),)),
        MethodResult("dkim", "fail", reason, (("header", "d", "x." * 40 + "example"), ("header", "s", "one"))),
    )
    lines = field(AuthenticationResults("mx.example", results)).split(b"\r\n")
    assert lines[0] == b"Authentication-Results: mx.example;"
    assert lines[1] == b" spf=pass smtp.mailfrom=example.com;"
    assert [len(line) > 78 for line in lines[2:]] == [False, False, True, False, False]


def test_nothing_was_checked() -> None:
    assert field(AuthenticationResults("mx.example")) == b"Authentication-Results: mx.example; none\r\n"


def test_an_internationalized_message_has_u_labels_and_another_one_has_a_labels() -> None:
    result = MethodResult("auth", "pass", properties=(("smtp", "auth", "élise@bücher.example"),))
    said = AuthenticationResults("bücher.example", (result,))
    assert field(said, utf8=True) == (
        "Authentication-Results: bücher.example;\r\n auth=pass smtp.auth=élise@bücher.example\r\n".encode()
    )
    assert field(said) == (
        b"Authentication-Results: xn--bcher-kva.example;\r\n auth=pass smtp.auth=?lise@xn--bcher-kva.example\r\n"
    )


@pytest.mark.parametrize("word", ["", "a b", "a;b", "a=", "a-", "é", "a" * 65, "a\n"])
def test_words_of_the_program_itself_are_not_made_fit(word: str) -> None:
    for result in (
        MethodResult(word, "pass"),
        MethodResult("spf", word),
        MethodResult("spf", "pass", properties=((word, "mailfrom", "x"),)),
        MethodResult("spf", "pass", properties=(("smtp", word, "x"),)),
        MethodResult("spf", "pass", version=-1),
    ):
        with pytest.raises(ValueError, match="not a"):
            field(AuthenticationResults("mx.example", (result,)))


def test_values_are_bounded() -> None:
    result = MethodResult("spf", "fail", "é" * 1000, (("smtp", "mailfrom", '"' * 1000),), "(" * 1000)
    written = read_back(field(AuthenticationResults("mx.example", (result,) * 500), utf8=True)).results
    assert 10 < len(written) < 100
    back = written[0]
    assert len(back.reason.encode()) == len(back.comment) == len(back.properties[0][2]) == TEXT_OCTETS


def espoofer() -> list[Any]:
    if not ESPOOFER.exists():
        return not_there(ESPOOFER)
    found = yaml.safe_load(ESPOOFER.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in found if case["id"].startswith("server_")]


@pytest.mark.parametrize("case", espoofer())
def test_a4_a5_of_espoofer_no_result_speaks_for_the_forged_domain(case: dict[str, Any]) -> None:
    """Each domain the attacker chose, in the field as it was given, were it ever to get there."""
    path = case["mail_from"]
    domain = case.get("dkim", {}).get("d", "attack.com")
    results = (
        MethodResult("spf", "pass", properties=(("smtp", "mailfrom", path[1:-1]),)),
        MethodResult("spf", "pass", properties=(("smtp", "helo", case["helo"]),)),
        MethodResult("dkim", "pass", properties=(("header", "d", domain),)),
    )
    octets = field(AuthenticationResults("victim.com", results))
    assert read_back(octets).results == results
    assert not any(
        one.properties[0][2] in ("legitimate.com", "any@legitimate.com") for one in read_back(octets).results
    )
    if case["id"] == "server_a7":
        reverse_path, _ = parse_reverse_path(path.encode())
        assert str(reverse_path) == "'any@attack.com"  # the route is dropped (RFC 5321 appendix C)
    elif case["id"] in ("server_a2", "server_a5"):
        with pytest.raises(ValueError, match=r".+"):
            parse_reverse_path(path.encode())


def test_what_is_said_again_is_the_same_field() -> None:
    said = AuthenticationResults("mx.example", (MethodResult("spf", "pass"),))
    other = AuthenticationResults("mx.example", (MethodResult("spf", "fail", "why"),))
    long = AuthenticationResults("mx.example", (MethodResult("spf", "fail", "x" * (KEPT_LENGTH + 1)),))
    for one in (said, other, long, said, other, long):
        assert field_again(one) == field(one)
