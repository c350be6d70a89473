"""Reading Authentication-Results (RFC 8601 section 2.2)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.authres.reader import UnknownVersion, read
from purport.authentication.authres.results import AuthenticationResults, MethodResult


@pytest.mark.parametrize(
    "value",
    [
        "mx.example; spf=pass; none",
        "mx.example; none; spf=pass",
        "mx.example; none smtp.mailfrom=x.example",
        "mx.example;",
        "mx.example; spf=pass;",
        "mx.example;; spf=pass",
        "mx.example spf=pass",
        "; spf=pass",
        "mx.example; spf=pass smtp.mailfrom",
        "mx.example; spf=pass smtp.mailfrom=",
        "mx.example; spf=pass smtp=x.example",
        "mx.example; spf=pass action=none",
        "mx.example; spf=pass reason=a reason=b",
        "mx.example; spf=pass smtp.mailfrom=x.example reason=late",
        "mx.example; spf=pass policy.iprev=2001:db8::1",
        'mx.example; spf=pass reason="open',
        "mx.example; spf=pass (open",
        "mx.example; spf=pass (a \\",
        "mx.example; spf=pass )",
        "mx.example; spf=pass smtp.mailfrom=a@b@c",
        "mx.example; spf=pass smtp.mailfrom=a@b_c.example",
        "mx.example; spf=pass\x00",
        "mx.example; spf=pass (\x00)",
        "mx.example; spf=pass\r\nX: y",
        "mx.example; spf=pass\ndkim=pass",
        "mx.example; spf=pass (\udce9)",
        "mx.example; -=pass",
        f"mx.example; {'a' * 65}=pass",
        "mx.example" + "; spf=pass" * 101,
        "mx.example; spf=pass" + " a.b=c" * 33,
        f"mx.example; spf=pass ({'x' * 65536})",
        "mx.example; spf/x=pass",
        "mx.example; spf/1234567890=pass",
    ],
)
def test_what_does_not_follow_the_grammar_says_nothing(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(value)


@pytest.mark.parametrize("value", ["mx.example 2; spf=pass", "mx.example 2 whatever <this> means"])
def test_another_version_is_not_read_on(value: str) -> None:
    with pytest.raises(UnknownVersion):
        read(value)


def test_a_result_of_another_version_of_its_method_is_kept_and_not_counted() -> None:
    said = read("mx.example; dkim/2=pass header.d=bank.example; dkim=fail header.d=bank.example")
    assert [(one.version, one.result) for one in said.results] == [(2, "pass"), (1, "fail")]
    assert [one.result for one in said.of("dkim")] == ["fail"]


def test_comments_nest_and_that_behind_the_result_is_kept() -> None:
    said = read("mx.example; dmarc=fail (p=none (sp \\(x\\)) dis=none) (second) header.from=a.example (c)")
    assert said.results == (
        MethodResult("dmarc", "fail", "", (("header", "from", "a.example"),), "p=none (sp (x)) dis=none second"),
    )


def test_the_first_value_of_a_property() -> None:
    (result,) = read("mx.example; dkim=pass header.d=a.example header.d=b.example").results
    assert result.value("header", "d") == "a.example"
    assert result.value("header", "i") is None


@pytest.mark.parametrize(
    "value",
    [
        "mx.example 1; spf=pass smtp.mailfrom=x.example; dmarc=pass action=none header.from=x.example",
        "mx.example; spf=pass smtp.mailfrom=x.example; dmarc=pass header.from=x.example;",
    ],
)
def test_a_lax_reader_takes_what_big_mailbox_providers_write(value: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read(value)
    assert read(value, lax=True) == AuthenticationResults(
        "mx.example",
        (
            MethodResult("spf", "pass", properties=(("smtp", "mailfrom", "x.example"),)),
            MethodResult("dmarc", "pass", properties=(("header", "from", "x.example"),)),
        ),
    )


def test_a_lax_reader_takes_values_that_had_to_be_quoted() -> None:
    (result,) = read("mx.example; dkim=pass policy.iprev=2001:db8::1 header.b=a/b+c=", lax=True).results
    assert result.properties == (("policy", "iprev", "2001:db8::1"), ("header", "b", "a/b+c="))


PIECES = [
    "mx.example",
    ";",
    "spf",
    "=",
    "pass",
    "(",
    ")",
    '"',
    "\\",
    " ",
    "\r\n ",
    ".",
    "/",
    "1",
    "@",
    "none",
    "ü",
    "\0",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.booleans())
def test_nothing_but_a_value_error_comes_out(pieces: list[str], lax: bool) -> None:
    try:
        read("".join(pieces), lax=lax)
    except ValueError as error:
        assert str(error)


@pytest.mark.parametrize("piece", ["a.;", "(", "\\", '"', " ", "a@", "a b=", "; a=b", "()"])
def test_a_field_without_measure_costs_bounded_time(piece: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read("mx.example; spf=pass smtp.mailfrom=" + piece * (65536 // len(piece) - 20))
