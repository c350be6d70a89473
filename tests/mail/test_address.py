"""Mailboxes and paths (RFC 5321 section 4.1.2, RFC 6531 section 3.3)."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox, matches, parse_forward_path, parse_mailbox, parse_reverse_path
from support.suites import SUITES, not_there

PATHS = SUITES / "smtp" / "path-parsing.yml"
LONGEST = "a" * 64

ascii_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=64)
wide_text = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x2FF, exclude_characters="\x7f"), max_size=30)
domains = st.sampled_from(["example.com", "A.Example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "xn--bcher-kva.example"])


@given(ascii_text, domains)
@settings(deadline=None)
def test_every_mailbox_is_read_back_as_it_was_written(local_part: str, domain: str) -> None:
    mailbox = Mailbox(local_part, domain)
    assert parse_mailbox(str(mailbox)) == mailbox
    assert parse_reverse_path(f"<{mailbox}> SIZE=1".encode()) == (mailbox, b" SIZE=1")


@given(wide_text.map(lambda text: "".join(c for c in text if not "\x80" <= c < "\xa0")), domains)
@settings(deadline=None)
def test_every_internationalized_mailbox_is_read_back_as_it_was_written(local_part: str, domain: str) -> None:
    mailbox = Mailbox(local_part, domain)
    if len(local_part.encode()) <= 64:
        assert parse_mailbox(str(mailbox), utf8=True) == mailbox


@given(st.text(max_size=60) | st.from_regex(r"<?[a\"\\ .@\[\]>:,é-]{0,30}>?", fullmatch=True), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_text_is_a_mailbox_or_an_error(text: str, utf8: bool) -> None:
    try:
        mailbox = parse_mailbox(text, utf8=utf8)
    except ValueError:
        return
    assert parse_mailbox(str(mailbox), utf8=utf8) == mailbox
    assert not set("\x00\r\n") & set(str(mailbox))


@given(st.binary(max_size=60) | st.from_regex(rb"<[a\"\\ .@\[\]>:,\xc3\xa9-]{0,30}>", fullmatch=True), st.booleans())
@settings(deadline=None, max_examples=300)
def test_any_octets_are_a_path_or_an_error(octets: bytes, utf8: bool) -> None:
    for parse in (parse_reverse_path, parse_forward_path):
        try:
            _, rest = parse(octets, utf8=utf8)
        except ValueError:
            continue
        assert octets.endswith(rest)
        assert octets[: len(octets) - len(rest)].endswith(b">")


@pytest.mark.parametrize(
    ("text", "local_part"),
    [
        ("alice@example.com", "alice"),
        ("alice+tag=x@example.com", "alice+tag=x"),
        ('"alice"@example.com', "alice"),
        (r'"a\lice"@example.com', "alice"),
        ('"a b"@example.com', "a b"),
        (r'"a\"b\\"@example.com', 'a"b\\'),
        ('"a@b"@example.com', "a@b"),
        ('""@example.com', ""),
        ('".a"@example.com', ".a"),
        (f"{LONGEST}@example.com", LONGEST),
    ],
)
def test_quotes_are_no_part_of_a_local_part(text: str, local_part: str) -> None:
    assert parse_mailbox(text) == Mailbox(local_part, "example.com")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@",
        "alice",
        "alice@",
        "@example.com",
        "a b@example.com",
        "a@b@example.com",
        ".a@example.com",
        "a.@example.com",
        "a..b@example.com",
        "<a@example.com>",
        "a@example.com ",
        " a@example.com",
        "a@example.com\n",
        "a@example.com.",
        "a@-b.example",
        "a@b_c.example",
        "a@[192.0.2.1",
        "a@[::1]",
        '"a"b@example.com',
        '"a@example.com',
        '"a\n"@b.example',
        "a\x00@example.com",
        "a\r\n@example.com",
        "é@example.com",
        "a@é.example",
        f"{LONGEST}a@example.com",
        f'"{LONGEST} "@example.com',
        "a@" + ".".join(["b" * 63] * 5),
        "a@[IPv6:fe80::1%\r\nRCPT TO:<b@c.example>]",
    ],
)
def test_what_is_no_mailbox_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_mailbox(text)


def test_text_outside_ascii_stands_only_in_internationalized_mail() -> None:
    assert parse_mailbox("jörg@bücher.example", utf8=True) == Mailbox("jörg", "bücher.example")
    assert parse_mailbox('"j ö"@example.com', utf8=True) == Mailbox("j ö", "example.com")
    assert parse_mailbox(f"{'ö' * 32}@example.com", utf8=True).local_part == "ö" * 32
    with pytest.raises(ValueError):
        parse_mailbox(f"{'ö' * 33}@example.com", utf8=True)  # the limit counts octets


@pytest.mark.parametrize(
    ("octets", "written", "rest"),
    [
        (b"<alice@example.com>", "alice@example.com", b""),
        (b"<alice@example.com> SIZE=5 X", "alice@example.com", b" SIZE=5 X"),
        (b"<alice@example.com>SIZE=5", "alice@example.com", b"SIZE=5"),
        (b'<"a>b"@example.com> X', '"a>b"@example.com', b" X"),
        (b'<"a\\">b"@example.com>', '"a\\">b"@example.com', b""),
        (b"<@relay.example:alice@example.com>", "alice@example.com", b""),
        (b"<@a.example,@[192.0.2.1],@b.example:alice@example.com> X", "alice@example.com", b" X"),
    ],
)
def test_a_path_ends_at_its_bracket(octets: bytes, written: str, rest: bytes) -> None:
    for parse in (parse_reverse_path, parse_forward_path):
        path, after = parse(octets)
        assert (str(path), after) == (written, rest)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b" <alice@example.com>",
        b"alice@example.com",
        b"<alice@example.com",
        b"<",
        b"< >",
        b"<alice>",
        b"<<a@b.example>>",
        b"< alice@example.com>",
        b"<alice@example.com >",
        b'<"alice@example.com>',
        b"<@relay.example>",
        b"<:a@b.example>",
        b"<@a.example,b.example:c@d.example>",
        b"<@a.example;c@d.example>",
        b"<\xc3\xa9@example.com>",
        b"<" + b"a" * 65 + b"@example.com>",
        b"<a@" + b".".join([b"b" * 63] * 4) + b">",
        b"<" + b"@relay.example," * 20 + b"@relay.example:a@example.com>",
    ],
)
def test_what_is_no_path_is_refused(octets: bytes) -> None:
    for parse in (parse_reverse_path, parse_forward_path):
        with pytest.raises(ValueError):
            parse(octets)


def test_a_path_in_internationalized_mail_is_utf8() -> None:
    assert parse_reverse_path("<jörg@example.com>".encode(), utf8=True) == (Mailbox("jörg", "example.com"), b"")
    with pytest.raises(ValueError):
        parse_reverse_path("<jörg@example.com>".encode("latin-1"), utf8=True)


def test_only_a_reverse_path_may_be_null() -> None:
    assert parse_reverse_path(b"<> SIZE=1") == (NULL, b" SIZE=1")
    assert str(NULL) == ""
    with pytest.raises(ValueError):
        parse_forward_path(b"<>")


def test_only_a_forward_path_may_be_a_bare_postmaster() -> None:
    assert parse_forward_path(b"<PostMaster> X") == (Mailbox("PostMaster", ""), b" X")
    assert str(Mailbox("PostMaster", "")) == "PostMaster"
    with pytest.raises(ValueError):
        parse_reverse_path(b"<Postmaster>")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.com", "alice@EXAMPLE.com"),
        ('"alice"@example.com', "alice@example.com"),
        ("alice@bücher.example", "alice@XN--bcher-kva.example"),
        ("a@[IPv6:2001:db8::1]", "a@[ipv6:2001:DB8::1]"),
    ],
)
def test_the_same_mailbox_may_be_written_in_several_ways(one: str, other: str) -> None:
    assert matches(parse_mailbox(one, utf8=True), parse_mailbox(other, utf8=True))


def test_a_trailing_dot_is_no_difference() -> None:
    assert matches(Mailbox("alice", "example.com."), Mailbox("alice", "example.com"))


def test_local_parts_are_compared_octet_for_octet_unless_told_otherwise() -> None:
    one, other = Mailbox("Mailer-Daemon", "example.com"), Mailbox("mailer-daemon", "example.com")
    assert not matches(one, other)
    assert matches(one, other, ignore_local_part_case=True)
    assert not matches(one, Mailbox("mailer-daemon", "example.net"), ignore_local_part_case=True)


def path_cases() -> list[object]:
    if not PATHS.exists():
        return not_there(PATHS)
    cases = yaml.safe_load(PATHS.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case.get("line", case.get("argument"))) for case in cases]


@pytest.mark.parametrize("case", path_cases())
def test_the_path_suite_passes(case: dict[str, object]) -> None:
    """Cases marked liberal are outside of RFC 5321 section 4.1.2, whose Path has angle brackets: they get 501."""
    parse = parse_forward_path if str(case.get("line", "")).startswith("RCPT") else parse_reverse_path
    argument = str(case["argument"] if "argument" in case else str(case["line"]).partition(":")[2]).encode()
    expected = case["path"] if "path" in case else case["parsed"]
    if expected is None or case.get("liberal"):
        with pytest.raises(ValueError):
            parse(argument)
        return
    path, rest = parse(argument)
    if isinstance(expected, list):
        assert [f"<{path}>", *rest.decode().split()] == expected
    else:
        assert (str(path), rest.decode()) == (expected, case["rest"])
