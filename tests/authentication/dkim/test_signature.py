"""The DKIM-Signature field (RFC 6376 section 3.5)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dkim.body import BodyForm
from purport.authentication.dkim.signature import LOOKED_AT, Signature, read_signature, signatures
from purport.mail.header import Field, read_header

HASH = base64.b64encode(bytes(32)).decode()
TAGS = {
    "v": "1",
    "a": "rsa-sha256",
    "d": "example.com",
    "s": "brisbane",
    "h": "From : to",
    "bh": HASH,
    "b": "AA AA\r\n AAAA",
}


def field(text: str | bytes) -> Field:
    octets = text.encode() if isinstance(text, str) else text
    return read_header(b"DKIM-Signature: " + octets + b"\r\n\r\n").fields[0]


def read(**tags: str | None) -> Signature:
    """The signature of TAGS with these instead."""
    together = {**TAGS, **tags}
    return read_signature(field("; ".join(f"{name}={value}" for name, value in together.items() if value is not None)))


def test_a_signature() -> None:
    found = read(c="relaxed/simple", t="10", x="20", l="5", q="dns/txt", z="From:a|To:b", unknown="x")
    assert found.result is None, found.problem
    assert (found.domain, found.selector, found.algorithm, found.kind) == (
        "example.com",
        "brisbane",
        "rsa-sha256",
        "rsa",
    )
    assert found.identity == "@example.com"
    assert (found.relaxed, found.form) == (True, BodyForm(relaxed=False, length=5))
    assert found.signed == ("from", "to")
    assert (found.signed_at, found.expires_at) == (10, 20)
    assert found.octets == bytes(6)
    assert found.b == "AAAAAAAA"
    assert found.question.name == "brisbane._domainkey.example.com"


@pytest.mark.parametrize(
    ("c", "relaxed", "body"),
    [
        (None, False, False),
        ("simple", False, False),
        ("relaxed", True, False),
        ("relaxed/relaxed", True, True),
        ("simple/relaxed", False, True),
        ("Relaxed/Simple", True, False),
    ],
)
def test_canonical_forms(c: str | None, relaxed: bool, body: bool) -> None:
    found = read(c=c)
    assert (found.relaxed, found.form.relaxed) == (relaxed, body)


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ({"v": None}, "v= is missing"),
        ({"v": "2"}, "not of version 1"),
        ({"v": "1.0"}, "not of version 1"),
        ({"a": None}, "a= is missing"),
        ({"a": "rsa-sha1"}, "rsa-sha1 is not valid any more"),
        ({"a": "dsa-sha256"}, "algorithm is unknown"),
        ({"b": None}, "b= is missing"),
        ({"b": ""}, "b= is missing"),
        ({"b": "A"}, "b= cannot be read"),
        ({"b": "AAAA!"}, "b= cannot be read"),
        ({"b": "AA=A"}, "b= cannot be read"),
        ({"bh": None}, "bh= is missing"),
        ({"bh": "AAAA"}, "not the length of a hash"),
        ({"c": "nowsp"}, "canonicalization is unknown"),
        ({"c": "relaxed/"}, "canonicalization is unknown"),
        ({"d": None}, "d= is missing"),
        ({"d": "com"}, "top-level domain"),
        ({"s": None}, "s= is missing"),
        ({"h": None}, "h= is missing"),
        ({"h": ""}, "h= is missing"),
        ({"h": "to:subject"}, "From is not signed"),
        ({"h": "from::to"}, "no list of field names"),
        ({"h": "from:su bject"}, "no list of field names"),
        ({"h": ":".join(["from"] * 1001)}, "more than 1000"),
        ({"i": "alice"}, "i= is no address"),
        ({"i": "@example.net"}, "another domain"),
        ({"i": "@badexample.com"}, "another domain"),
        ({"i": "@com"}, "another domain"),
        ({"i": "@"}, "i= is missing"),
        ({"l": "-1"}, "l= is no number"),
        ({"l": ""}, "l= is no number"),
        ({"l": "9" * 77}, "l= is no number"),
        ({"q": "http"}, "not in the DNS"),
        ({"q": "dns/special"}, "not in the DNS"),
        ({"t": "now"}, "t= is no number"),
        ({"t": "20", "x": "20"}, "expires"),
        ({"x": "1.5"}, "x= is no number"),
        ({"V": "1", "v": None}, "v= is missing"),
    ],
)
def test_signatures_that_cannot_be_used(tags: dict[str, str | None], problem: str) -> None:
    found = read(**tags)
    assert found.result == "permerror"
    assert problem in found.problem


# A3 and S23: what reaches the DNS is a name and nothing else
@pytest.mark.parametrize(
    "name",
    [
        "attack.com.\0.any",
        "attack.com\0",
        "a/b",
        "../a",
        "a..b",
        ".a",
        "a.",
        "-a",
        "a-",
        "a b",
        "a\\.b",
        "a@b",
        "*",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "%61",
        "a:b",
        "ä\u200b",
        "a\u3002b/c",
    ],
)
def test_a3_s23_selectors_and_domains_that_are_no_names_are_never_asked_for(name: str) -> None:
    for tags in ({"s": name}, {"d": f"{name}.example.com"}, {"d": name}):
        found = read(**tags)
        assert found.result == "permerror"
        assert found.problem.isprintable()
        assert len(found.problem) <= 200
        assert "\0" not in found.domain + found.selector


@pytest.mark.parametrize("selector", ["a.b", "_a", "a_b", "18457.62be233b.k2206", "A"])
def test_selectors_that_are_used(selector: str) -> None:
    found = read(s=selector)
    assert found.result is None
    assert found.selector == selector.lower()


# RFC 8616 section 5
def test_names_beyond_ascii_are_asked_for_in_a_labels() -> None:
    found = read(d="bücher.example", s="größe", i="jürgen@post.bücher.example")
    assert found.result is None, found.problem
    assert found.question.name == "xn--gre-6ka8i._domainkey.xn--bcher-kva.example"
    assert found.identity == "j\\xfcrgen@post.xn--bcher-kva.example"


@pytest.mark.parametrize(
    ("i", "identity"),
    [
        ("alice@example.com", "alice@example.com"),
        ("a=20b=3B@eng.Example.com", "a b;@eng.example.com"),
        ("al\r\n ice@example.com", "alice@example.com"),
        ("a@b@example.com", "a@b@example.com"),
        ("=00=1B@example.com", "\\x00\\x1b@example.com"),
        ("=FF@example.com", "\\ufffd@example.com"),
    ],
)
def test_identities(i: str, identity: str) -> None:
    found = read(i=i)
    assert found.result is None, found.problem
    assert found.identity == identity


@pytest.mark.parametrize(
    "octets",
    [b"v=1; v=1; a=b", b"v", b"=1", b"v=1;;a=b", b"1v=1", b"v=1; d=\x80", b"\xff", b"", b";", b"v=1; d=a\rb"],
)
def test_what_is_no_list_of_tags(octets: bytes) -> None:
    assert read_signature(field(octets)).result == "permerror"


def test_a_number_without_measure_is_infinite() -> None:
    assert read(x="9" * 76).expires_at == 10**12


def test_an_arc_message_signature() -> None:
    text = "; ".join(f"{name}={value}" for name, value in TAGS.items() if name != "v")
    found = read_signature(field(f"i=2; {text}"), arc=True)
    assert found.result is None, found.problem
    assert (found.instance, found.domain) == (2, "example.com")
    for instance in ("0", "51", "x", ""):
        assert "no instance" in read_signature(field(f"i={instance}; {text}"), arc=True).problem


# S19
def test_ten_thousand_signatures_cost_twenty() -> None:
    one = b"DKIM-Signature: v=1\r\n"
    found = signatures(read_header(one * 10_000 + b"\r\n"))
    assert len(found) == LOOKED_AT + 1
    assert found[-1].result == "neutral"
    assert found[-1].problem == "1980 more signatures were not looked at"  # of those that a header may hold


@given(st.binary(max_size=200))
def test_nothing_raises(octets: bytes) -> None:
    for found in signatures(read_header(b"DKIM-Signature:" + octets)):
        assert found.result == "permerror"
        assert found.problem.isprintable()
