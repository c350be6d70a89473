"""The one mailbox that an originator field names (RFC 5322 section 3.4 and 4.4, RFC 6854)."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.fields import VALUE_LIMIT, addr_spec, mailboxes, single_mailbox

ALICE = Mailbox("alice", "example.com")

pieces = st.sampled_from(
    [
        "alice",
        "@",
        "example.com",
        "<",
        ">",
        ",",
        ";",
        ":",
        "(",
        ")",
        '"',
        "\\",
        ".",
        " ",
        "\t",
        "[",
        "]",
        "\r\n ",
        "é",
        "\udcff",
    ]
)


@pytest.mark.parametrize(
    "value",
    [
        "alice@example.com",
        "  alice@example.com\t",
        "<alice@example.com>",
        "Alice <alice@example.com>",
        "Alice  B. Brown\t<alice@example.com>",
        "Alice<alice@example.com>",
        '"Brown, Alice" <alice@example.com>',
        '"Brown\\" <x@evil.example>" <alice@example.com>',
        '"ceo@bank.example" <alice@example.com>',
        "=?utf-8?Q?ceo=40bank=2Eexample?= <alice@example.com>",
        "Alic\u00e9 <alice@example.com>",
        "\udcff\udcfe <alice@example.com>",
        "alice@example.com (at home)",
        "(x@evil.example) alice@example.com",
        "(a (nested) one) alice (b) @ (c) example . com (d)",
        "Alice (\\) x@evil.example) <alice@example.com> (more)",
        '"alice"@example.com',
        '"al\\ice"@example.com',
        "Alice <@relay.example,@[192.0.2.1]:alice@example.com>",
        "Alice\r\n <alice@example.com>",
        ", alice@example.com,,",
    ],
)
def test_one_mailbox_is_found(value: str) -> None:
    assert single_mailbox(value) == ALICE


def test_a_local_part_may_be_quoted_and_a_domain_international() -> None:
    assert single_mailbox('"a@bank.example"@evil.example') == Mailbox("a@bank.example", "evil.example")
    assert single_mailbox('x."y z"@example.com') == Mailbox("x.y z", "example.com")
    assert single_mailbox("jörg@bücher.example") == Mailbox("jörg", "bücher.example")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("", "no address"),
        ("()", "no address"),
        (",,", "no address"),
        ("alice", "no domain"),
        ("alice@", "not complete"),
        ("@example.com", "not complete"),
        ("Alice <example.com>", "no domain"),
        ("=?utf-8?B?YWxpY2VAZXhhbXBsZS5jb20=?=", "no domain"),
        ("<>", "no domain"),
        ("alice@example.com, bob@example.com", "several"),
        ("Brown, Alice <alice@example.com>", "several"),
        ("friends: alice@example.com;", "group"),
        ("undisclosed-recipients:;", "group"),
        ("alice@example.com;", "group"),
        ("a@b@example.com", "two @"),
        ("ceo@bank.example <alice@example.com>", "no name"),
        ("<ceo@bank.example> <alice@example.com>", "no single address"),
        ("<alice@example.com> x", "no single address"),
        ("<<alice@example.com>>", "no single address"),
        ("Alice <alice@example.com", "no single address"),
        ("<a@example.com, b@example.com>", "two @"),
        ("<@relay.example alice@example.com>", "no end"),
        ("a..b@example.com", "not well formed|not complete"),
        (".a@example.com", "not complete|not well formed"),
        ("a b@example.com", "not complete|not well formed"),
        ('""@example.com', "empty"),
        ('"a\x00b"@example.com', "control"),
        ('"a\x7f"@example.com', "control"),
        ("alice@[192.0.2.1]", "literal"),
        ("alice@example_x.com", "domain name"),
        ("alice@example.com.", "not complete"),
        ('"Alice <alice@example.com>', "does not end"),
        ("(alice@example.com", "does not end"),
        ("alice@example.com)", "not well formed|not complete"),
        ("\udcff@example.com", "neither"),
        ("alice@\udcff.example", "domain name"),
        (f"{'a' * 65}@example.com", "too long"),
        (f"<{'é' * 33}@example.com>", "too long"),
        ("a@" + ".".join(["b" * 63] * 5), "too long|domain name"),
        ("a" * (VALUE_LIMIT + 1), "too long"),
    ],
)
def test_a_value_without_one_mailbox_says_why(value: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        single_mailbox(value)


@given(st.text(max_size=60) | st.lists(pieces, max_size=14).map("".join))
@settings(deadline=None, max_examples=500)
def test_any_text_is_a_mailbox_or_an_error(value: str) -> None:
    try:
        mailbox = single_mailbox(value)
    except ValueError as error:
        assert str(error)
        return
    assert single_mailbox(str(mailbox)) == mailbox
    assert not set("\r\n\x00") & set(str(mailbox))


def found(value: str) -> Mailbox | None:
    try:
        return single_mailbox(value)
    except ValueError:
        return None


@given(st.lists(pieces, max_size=10).map("".join))
@settings(deadline=None, max_examples=500)
def test_the_short_way_finds_what_the_long_way_finds(value: str) -> None:
    """A comment changes nothing but that the whole grammar is gone through."""
    assert found(value) == found(f"(){value}")


@pytest.mark.parametrize(
    "piece",
    ["(", "()", '"', '""', "<", "@", ".", "a.", "a ", " ", "\\", "[", '"a" ', "a@b,", "é.", "b-", "<a@b.example> "],
)
def test_a_hostile_field_costs_little(piece: str) -> None:
    """What takes time that grows with the square of the length takes seconds here."""
    value = "a" + piece * ((VALUE_LIMIT - 2) // len(piece)) + "b"
    fastest = 1.0
    for _ in range(3):
        began = perf_counter()
        with pytest.raises(ValueError):
            single_mailbox(value)
        fastest = min(fastest, perf_counter() - began)
    assert fastest < 0.15


@pytest.mark.parametrize("read", [single_mailbox, mailboxes, addr_spec])
def test_a_field_of_more_pieces_than_anybody_writes_is_not_read(read: Callable[[str], object]) -> None:
    """Each costs a microsecond or two, for each check that looks at the field."""
    with pytest.raises(ValueError, match="too many pieces"):
        read("a@b," * 4000)
    with pytest.raises(ValueError, match="too many pieces"):
        read("(" * 8000 + ")" * 8000 + "a@b.example")
