"""Domain names and address literals (RFC 5321 section 4.1.2 and 4.1.3, RFC 5890)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.domain import a_label_form, is_address_literal, is_domain_name, normal_domain

LONGEST_LABEL = "a" * 63


@pytest.mark.parametrize(
    "text",
    [
        "example.com",
        "EXAMPLE.com",
        "localhost",
        "3com.example",
        "a-b.example",
        "xn--bcher-kva.example",
        "1.2.3.4",
        LONGEST_LABEL,
        ".".join([LONGEST_LABEL] * 3 + ["a" * 61]),
    ],
)
def test_a_domain_name_is_one(text: str) -> None:
    assert is_domain_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "example.",
        ".example",
        "a..b",
        "-a.example",
        "a-.example",
        "a_b.example",
        "a b",
        "a\n",
        "bücher.example",
        "[192.0.2.1]",
        LONGEST_LABEL + "a",
        ".".join([LONGEST_LABEL] * 4 + ["a"]),
    ],
)
def test_what_is_no_domain_name_is_none(text: str) -> None:
    assert not is_domain_name(text)


@pytest.mark.parametrize(
    "text", ["[192.0.2.1]", "[IPv6:2001:db8::1]", "[ipv6:::1]", "[IPv6:::ffff:192.0.2.1]", "[tag:x.y]"]
)
def test_an_address_literal_is_one(text: str) -> None:
    assert is_address_literal(text)


@pytest.mark.parametrize(
    "text",
    [
        "192.0.2.1",
        "[]",
        "[192.0.2]",
        "[192.0.2.256]",
        "[::1]",
        "[IPv6:]",
        "[IPv6:1]",
        "[tag-:x]",
        "[tag:x y]",
        "[tag:]",
        "[tag:[x]]",
        "[192.0.2.1",
        "[tag:é]",
        f"[tag:{'x' * 255}]",
        "[IPv6:fe80::1%eth0]",
    ],
)
def test_what_is_no_address_literal_is_none(text: str) -> None:
    assert not is_address_literal(text)


def test_an_address_literal_smuggles_nothing_in_its_zone() -> None:
    """Python reads `fe80::1%` and any characters as an IPv6 address with a zone."""
    assert not is_address_literal("[IPv6:fe80::1%\r\nRCPT TO:<x@example.com>]")


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Example.COM", "example.com"),
        ("example.com.", "example.com"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("bücher.example.", "xn--bcher-kva.example"),
        ("bu\u0308cher.example", "xn--bcher-kva.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("例え.テスト", "xn--r8jz45g.xn--zckzah"),
        ("BÜCHER.example", "xn--bcher-kva.example"),
        ("büch\u200ber.example", "büch\u200ber.example"),
        ("[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"),
        ("é é", "é é"),
        ("", ""),
    ],
)
def test_domains_are_compared_in_one_form(text: str, normal: str) -> None:
    assert normal_domain(text) == normal


@given(st.text(max_size=80))
@settings(deadline=None)
def test_any_text_has_a_form_to_be_compared_in(text: str) -> None:
    normal = normal_domain(text)
    assert not is_domain_name(text) or is_domain_name(normal)


@given(st.text(max_size=80))
@settings(deadline=None)
def test_any_text_is_a_domain_name_or_an_error(text: str) -> None:
    try:
        name = a_label_form(text)
    except ValueError:
        return
    assert is_domain_name(name)
    assert normal_domain(text) == name.lower()


@pytest.mark.parametrize(
    "character", ["\u200b", "\u00ad", "\u2060", "\ufeff", "\u202e", "\ufe0f", "ａ", "。", " ", "\x00"]
)
def test_a_character_that_is_not_seen_or_not_meant_makes_no_domain_name(character: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        a_label_form(f"ex{character}ample.com")


@pytest.mark.parametrize(
    "text", ["é" * 256, "xn--é.example", "a\u200b b.example", "\ud800.example", "é..example", "é.", "例え。テスト"]
)
def test_what_becomes_no_domain_name_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        a_label_form(text)
