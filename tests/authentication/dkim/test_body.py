"""Body hashes while the body comes (RFC 6376 section 3.7)."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dkim.body import BodyForm, BodyHash, BodyHasher, MessageHasher, hash_body
from purport.authentication.dkim.canonical import MANY, CanonicalBody
from purport.mail.header import HEADER_LIMIT

BODY = b"a  b\r\n\r\nc\t\r\n\r\n"
SIMPLE, RELAXED = BodyForm(relaxed=False), BodyForm(relaxed=True)


def sha256(octets: bytes) -> bytes:
    return hashlib.sha256(octets).digest()


def test_every_form_is_hashed() -> None:
    found = hash_body([BODY], SIMPLE, RELAXED, BodyForm(relaxed=False, length=3), BodyForm(relaxed=True, length=99))
    assert found == {
        SIMPLE: BodyHash(sha256(b"a  b\r\n\r\nc\t\r\n"), 12),
        RELAXED: BodyHash(sha256(b"a b\r\n\r\nc\r\n"), 10),
        BodyForm(relaxed=False, length=3): BodyHash(sha256(b"a  "), 12),
        BodyForm(relaxed=True, length=99): BodyHash(sha256(b"a b\r\n\r\nc\r\n"), 10),
    }


# The values that RFC 6376 section 3.4.3 and 3.4.4 give
def test_the_hashes_of_an_empty_body() -> None:
    found = hash_body([], SIMPLE, RELAXED)
    assert b64encode(found[SIMPLE].digest) == b"frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY="
    assert b64encode(found[RELAXED].digest) == b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


# Twenty signatures with as many l= must not cost twenty hashes
def test_a_part_of_the_body_is_hashed_on_the_way_to_the_whole() -> None:
    lengths = [0, 1, 5, 12, 13, 500]
    whole = b"a  b\r\n\r\nc\t\r\n"
    found = hash_body([BODY], *(BodyForm(relaxed=False, length=length) for length in lengths))
    assert {form.length: one.digest for form, one in found.items()} == {n: sha256(whole[:n]) for n in lengths}
    assert {one.octets for one in found.values()} == {len(whole)}


def test_the_same_form_is_hashed_once() -> None:
    assert len(hash_body([BODY], SIMPLE, SIMPLE)) == 1
    assert BodyHasher([]).finish() == {}


@given(body=st.binary(max_size=60) | st.text("a \t\r\n", max_size=60).map(str.encode), data=st.data())
def test_any_cut_gives_the_same_hashes(body: bytes, data: st.DataObject) -> None:
    forms = [SIMPLE, RELAXED, BodyForm(relaxed=False, length=7), BodyForm(relaxed=True, length=2)]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert hash_body(pieces, *forms) == hash_body([body], *forms)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_the_body_of_a_message_in_pieces(size: int) -> None:
    message = b"From: a@b.example\r\nSubject: t\r\n\r\n" + BODY
    hasher = MessageHasher(lambda header: [SIMPLE] if header.first("from") else [])
    for at in range(0, len(message), size):
        hasher.update(message[at : at + size])
    assert hasher.finish() == hash_body([BODY], SIMPLE)
    assert hasher.header is not None
    assert [field.name for field in hasher.header] == ["from", "subject"]


def test_a_message_without_a_body() -> None:
    hasher = MessageHasher(lambda header: [SIMPLE])
    hasher.update(b"From: a@b.example\r\n")
    assert hasher.finish() == hash_body([], SIMPLE)


def test_a_header_without_end_is_not_kept() -> None:
    hasher = MessageHasher(lambda header: [SIMPLE])
    for _ in range(HEADER_LIMIT // 1000 + 2):
        hasher.update(b"X: " + b"a" * 995 + b"\r\n")
    assert hasher.header is not None
    assert not hasher.header.complete
    hasher.update(b"\r\n\r\n" + BODY)
    assert hasher.finish() == {}


@pytest.mark.parametrize("tail", [b"", b"x", b" ", b"\r", b"x\r\n\r\n"])
@pytest.mark.parametrize("head", [b"", b"a\r\n"])
@pytest.mark.parametrize("relaxed", [True, False])
def test_millions_of_empty_lines_are_the_end_or_are_not(head: bytes, tail: bytes, relaxed: bool) -> None:
    lines = 3 * MANY
    forms = [BodyForm(relaxed, length) for length in (None, 1, 3, 4, MANY, 2 * lines + 10)]
    whole = head + b"\r\n" * lines + tail
    end = b"" if tail == b" " and relaxed else tail.removesuffix(b"\r\n\r\n").removesuffix(b"\r\n")
    body = head + b"\r\n" * lines + end + b"\r\n" if end else head
    if not body and not relaxed:
        body = b"\r\n"
    pieces = [whole[at : at + 65535] for at in range(0, len(whole), 65535)]
    found = hash_body(pieces, *forms)
    assert {form.length: one for form, one in found.items()} == {
        form.length: BodyHash(sha256(body[: form.length]), len(body)) for form in forms
    }


def test_what_follows_millions_of_empty_lines_costs_no_more_than_anything_else() -> None:
    taken: list[bytes] = []
    body = CanonicalBody(taken.append, lambda: None, lambda: None, relaxed=True)
    for _ in range(100):
        body.update(b"\r\n" * MANY)
    taken.clear()
    body.update(b"x")
    assert sum(map(len, taken)) <= 2 * MANY + 1
