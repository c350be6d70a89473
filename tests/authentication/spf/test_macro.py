"""Macros (RFC 7208 section 7)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.spf.errors import PermError
from purport.authentication.spf.macro import (
    MacroString,
    parse_domain_spec,
    parse_macro_string,
    shown,
    target_name,
)

VALUES = {
    "s": "strong-bad@email.example.com",
    "l": "strong-bad",
    "o": "email.example.com",
    "d": "email.example.com",
    "i": "192.0.2.3",
    "v": "in-addr",
    "h": "mx.example.org",
    "p": "mx.example.org",
    "c": "192.0.2.3",
    "r": "mail.example.net",
    "t": "1400000000",
}

# RFC 7208 section 7.4
EXAMPLES = {
    "%{s}": "strong-bad@email.example.com",
    "%{o}": "email.example.com",
    "%{d}": "email.example.com",
    "%{d4}": "email.example.com",
    "%{d3}": "email.example.com",
    "%{d2}": "example.com",
    "%{d1}": "com",
    "%{dr}": "com.example.email",
    "%{d2r}": "example.email",
    "%{l}": "strong-bad",
    "%{l-}": "strong.bad",
    "%{lr}": "strong-bad",
    "%{lr-}": "bad.strong",
    "%{l1r-}": "strong",
    "%{ir}.%{v}._spf.%{d2}": "3.2.0.192.in-addr._spf.example.com",
    "%{lr-}.lp._spf.%{d2}": "bad.strong.lp._spf.example.com",
    "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}": "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
    "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}": "3.2.0.192.in-addr.strong.lp._spf.example.com",
    "%{d2}.trusted-domains.example.net": "example.com.trusted-domains.example.net",
}


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_rfc(text: str) -> None:
    assert parse_macro_string(text).expand(VALUES.__getitem__) == EXAMPLES[text]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("%%%_%-", "% %20"),
        ("%{S}", "strong-bad%40email.example.com"),
        ("%{D}", "email.example.com"),
        ("%{d007}", "email.example.com"),
        ("%{d99999999999999999999}", "email.example.com"),
        ("%{l-+,}", "strong.bad"),
    ],
)
def test_other_expansions(text: str, expanded: str) -> None:
    assert parse_macro_string(text).expand(VALUES.__getitem__) == expanded


@pytest.mark.parametrize(
    "text", ["%", "%{", "%{d", "%{x}", "%{d0}", "%{d000}", "%{dr2}", "%a", "a b", "%{c}", "ä", "\0"]
)
def test_what_is_no_macro_string_is_a_permerror(text: str) -> None:
    with pytest.raises(PermError):
        parse_macro_string(text)


def test_spaces_and_more_letters_are_for_explanations() -> None:
    explanation = parse_macro_string("%{c} may not, says %{r} at %{t}", explanation=True)
    assert explanation.expand(VALUES.__getitem__) == "192.0.2.3 may not, says mail.example.net at 1400000000"


@pytest.mark.parametrize(
    "text", ["example.com", "example.com.", "a.b-c", "x.1a", "x.1-2", "%{d}", "a.%{d}", "x%%", ".com"]
)
def test_domains_end_in_a_top_label_or_a_macro(text: str) -> None:
    parse_domain_spec(text)


@pytest.mark.parametrize(
    "text", ["", "com", "com.", "a.1", "a.-b", "a.b-", "%{d}com", "a.b}", "a..", "a.b/24", "%%{d}"]
)
def test_other_ends_are_a_permerror(text: str) -> None:
    with pytest.raises(PermError):
        parse_domain_spec(text)


def test_a_long_name_loses_labels_on_the_left() -> None:
    name = ".".join(["a" * 50] * 6)
    assert target_name(name) == ".".join(["a" * 50] * 4)


@pytest.mark.parametrize("name", ["a..b", ".a", "a" * 64 + ".b", "a" * 300, "ä.example", "a\0b.example", ""])
def test_what_the_dns_cannot_hold_is_no_name(name: str) -> None:
    assert target_name(name) is None


def test_names_are_lower_case_without_a_trailing_dot() -> None:
    assert target_name("A b.Example.") == "a b.example"


def test_what_is_shown_of_a_stranger_is_short_and_printable() -> None:
    assert shown("ä\n" + "x" * 100).isascii()
    assert shown("ä\n" + "x" * 100).isprintable()
    assert len(shown("x" * 100_000)) < 80


@settings(deadline=None, max_examples=300)
@given(st.text(alphabet="%{}slodipvhcrtSLx0129r.-+,/_= aä", max_size=40), st.booleans())
def test_any_text_is_parsed_or_a_permerror(text: str, explanation: bool) -> None:
    try:
        macros = parse_macro_string(text, explanation=explanation)
    except PermError:
        return
    assert isinstance(macros, MacroString)
    assert isinstance(macros.expand(VALUES.__getitem__), str)
    if "%" not in text:
        assert macros.constant == text
