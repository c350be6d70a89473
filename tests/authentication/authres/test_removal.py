"""Authentication-Results fields that claim to be ours (RFC 8601 section 5)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.authres.removal import FIELDS, removed
from purport.mail.header import read_header, without_fields

OURS = "mx.example"

GO = {
    "plain": "mx.example; spf=pass",
    "nothing checked": "mx.example; none",
    "case": "MX.eXample; spf=pass",
    "dot": "mx.example.; spf=pass",
    "dot and quotes": '"mx.example."; spf=pass',
    "quoted": '"mx.example"; spf=pass',
    "quoted-pair": '"mx\\.ex\\ample"; spf=pass',
    "quoted space": '" mx.example "; spf=pass',
    "comment": "(a (b) \\) c) mx.example (d) 1 (e); spf=pass",
    "fold": "\r\n\tmx.example\r\n ; spf=pass",
    "fold with LF": "\n mx.example; spf=pass",
    "version": "mx.example 1; spf=pass",
    "another version": "mx.example 2; spf=pass",
    "another version of another": "other.example 2; spf=pass",
    "full-width": "ｍｘ．example; spf=pass",
    "ideographic full stop": "mx。example; spf=pass",
    "no semicolon": "mx.example spf=pass",
    "nothing behind it": "mx.example",
    "broken result": "mx.example; spf = = pass",
    "broken result of a neighbour": "mx.example; x=y; header.d",
    "open quote": '"mx.example; spf=pass',
    "open comment": "(mx.example; spf=pass",
    "comment that ends for some": "(\\) mx.example; spf=pass",
    "angle brackets": "<mx.example>; spf=pass",
    "colon": ": mx.example; spf=pass",
    "NUL": "mx.example\0; spf=pass",
    "NUL inside": "mx\0.example; spf=pass",
    "slash": "mx.example/1; spf=pass",
    "no UTF-8": "mx.example; spf=pass (\udce9)",
    "encoded-word": "=?utf-8?q?mx.example?=; spf=pass",
    "words without end": f"{'é ' * 40}mx.example = pass",
    "characters without end": f"{'é' * 2000}mx.example = pass",
    "encoded-word in base64": "=?utf-8?b?bXguZXhhbXBsZTsgc3BmPXBhc3M=?=",
}
STAY = {
    "another": "other.example; spf=pass smtp.mailfrom=mx.example",
    "below": "a.mx.example; spf=pass",
    "above": "example; spf=pass",
    "longer": "mx.example.com; spf=pass",
    "hyphen": "mx.example-x; spf=pass",
    "in a comment": "(mx.example) other.example; spf=pass",
    "broken, of another": "other.example; spf = = pass",
    "without an id": "spf=pass smtp.mailfrom=mx.example; dkim=none",
    "empty": "",
}


def taken(value: str, name: str = "Authentication-Results") -> bool:
    header = read_header(f"{name}: {value}\r\n\r\n".encode("utf-8", "surrogateescape"))
    return bool(removed(header, OURS))


@pytest.mark.parametrize("value", GO.values(), ids=GO)
def test_s5_a_field_that_claims_to_be_ours_goes(value: str) -> None:
    assert taken(value)


@pytest.mark.parametrize("value", STAY.values(), ids=STAY)
def test_what_others_found_stays(value: str) -> None:
    assert not taken(value)


@pytest.mark.parametrize("name", ["AUTHENTICATION-RESULTS", "Authentication-Results ", "authentication-results\t"])
def test_s5_the_name_of_the_field_in_every_form(name: str) -> None:
    assert taken("mx.example; spf=pass", name)


@pytest.mark.parametrize(
    "name", ["\0Authentication-Results", "\ufeffAuthentication-Results", "authentication-results\xa0"]
)
def test_s5_a_line_that_is_no_field_and_that_some_readers_take_for_one_goes(name: str) -> None:
    assert taken("mx.example; spf=pass", name)
    assert taken("other.example; spf=pass", name)


@pytest.mark.parametrize("name", ["ARC-Authentication-Results", "Received-SPF", "X-Authentication-Results"])
def test_other_fields_are_not_touched(name: str) -> None:
    assert not taken("mx.example; spf=pass", name)


def test_s5_u_labels_and_a_labels_are_one_name() -> None:
    header = read_header(
        "Authentication-Results: bücher.example; none\r\n"
        "Authentication-Results: XN--BCHER-KVA.example; none\r\n"
        "Authentication-Results: BÜCHER.example; none\r\n".encode()
    )
    assert len(removed(header, "bücher.example")) == len(removed(header, "xn--bcher-kva.example")) == 3


def test_several_names_can_be_ours() -> None:
    header = read_header(b"Authentication-Results: b.example; none\r\nAuthentication-Results: c.example; none\r\n")
    assert len(removed(header, ("a.example", "b.example"))) == 1


def test_s5_fields_without_end_go_unread() -> None:
    header = read_header(b"Authentication-Results: other.example; none\r\n" * (FIELDS + 3))
    assert removed(header, OURS) == header.fields[FIELDS:]


SPACING = st.lists(st.sampled_from([" ", "\t", "\r\n ", "(x)", "((y) z)", "(\\()"]), max_size=4).map("".join)


@given(SPACING, SPACING, st.booleans(), st.lists(st.booleans(), min_size=len(OURS), max_size=len(OURS)))
def test_s5_any_spelling_that_the_grammar_allows_goes(before: str, after: str, quoted: bool, upper: list[bool]) -> None:
    spelled = "".join(letter.upper() if up else letter for letter, up in zip(OURS, upper, strict=True))
    assert taken(f"{before}{spelled if not quoted else chr(34) + spelled + chr(34)}{after}; spf=pass")


@given(st.text(max_size=60))
def test_any_text_is_decided(text: str) -> None:
    header = read_header(f"Authentication-Results: {text}\r\n".encode("utf-8", "surrogatepass"))
    removed(header, OURS)


def test_the_section_without_the_fields_is_the_rest_octet_for_octet() -> None:
    head = (
        b"Received: x\r\n"
        b"Authentication-Results: mx.example;\r\n\tspf=pass\r\n"
        b"Authentication-Results: other.example; none\r\n"
        b"no field\r\n"
        b"Authentication-Results: mx.example; none\r\n"
        b"From: a@example.com\r\n\r\nbody\r\n"
    )
    header = read_header(head)
    assert without_fields(head, header, removed(header, OURS)) == (
        b"Received: x\r\nAuthentication-Results: other.example; none\r\nno field\r\nFrom: a@example.com\r\n\r\nbody\r\n"
    )
    assert without_fields(head, header, []) is head


@given(st.lists(st.sampled_from([b"A: 1\r\n", b"B: 2\r\n\tx\r\n", b"odd\r\n", b"C: 3\n"]), max_size=8), st.data())
def test_any_fields_can_be_left_out(lines: list[bytes], data: st.DataObject) -> None:
    head = b"".join(lines) + b"\r\nbody"
    header = read_header(head)
    gone = [number for number in range(len(header)) if data.draw(st.booleans())]
    kept = without_fields(head, header, [header.fields[number] for number in gone])
    rest = [field.raw for number, field in enumerate(header) if number not in gone]
    assert kept == b"".join(rest) + b"\r\nbody"
