"""Messages for hosts that take 7-bit lines alone: what is converted, what stays, and what is read after it."""

from __future__ import annotations

import contextlib
import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.conversion import CannotConvert, is_7bit, to_7bit

TEXT = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
POLICY = email.policy.compat32


def message(header: str, body: str | bytes) -> bytes:
    octets = body if isinstance(body, bytes) else body.encode()
    return f"From: alice@example.com\r\nMIME-Version: 1.0\r\n{header}\r\n".encode() + octets


def leaves(octets: bytes) -> list[tuple[str, bytes]]:
    """What a reader sees of each part."""
    found = []
    for part in email.message_from_bytes(octets, policy=POLICY).walk():
        if not part.is_multipart():
            payload = part.get_payload(decode=True)
            assert isinstance(payload, bytes)
            found.append((part.get_content_type(), payload))
    return found


def test_text_becomes_quoted_printable():
    converted = to_7bit(message(TEXT, "Grüße\r\nan alle = =\r\n"))
    assert converted == message(TEXT.replace("8bit", "quoted-printable"), "Gr=C3=BC=C3=9Fe\r\nan alle =3D =3D\r\n")


def test_what_is_mostly_beyond_ascii_becomes_base64():
    body = "例え用户नमस्ते\r\n" * 20
    converted = to_7bit(message(TEXT, body))
    assert b"Content-Transfer-Encoding: base64\r\n" in converted
    assert leaves(converted) == [("text/plain", body.encode())]


def test_what_is_7bit_stays_as_it_is_to_the_octet():
    plain = message(TEXT, "Hello\r\n")
    assert to_7bit(plain) == plain


def test_a_message_that_is_not_mime_is_made_so():
    converted = to_7bit(b"From: a@b.example\r\nSubject: t\r\n\r\nGr\xfc\xdfe an alle, die dies lesen\r\n")
    assert converted == (
        b"From: a@b.example\r\nSubject: t\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/plain; charset=unknown-8bit\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Gr=FC=DFe an alle, die dies lesen\r\n"
    )


MIXED = 'Content-Type: multipart/mixed; boundary="b 1"\r\nContent-Transfer-Encoding: 8bit\r\n'
PARTS = (
    "preamble\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nplain\r\n--b 1  \r\n"
    + TEXT
    + "\r\nGrüße\r\n--b 1\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "From: x@y.example\r\nSubject: inner\r\n"
    + TEXT
    + "\r\ninnere Grüße an alle\r\n--b 1--\r\nepilogue\r\n"
)


def test_each_part_is_converted_by_itself():
    converted = to_7bit(message(MIXED, PARTS))
    assert is_7bit(converted)
    expected = message(MIXED, PARTS)
    expected = expected.replace(b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: 7bit", 1)
    expected = expected.replace(
        b"message/rfc822\r\nContent-Transfer-Encoding: 8bit", b"message/rfc822\r\nContent-Transfer-Encoding: 7bit"
    )
    expected = expected.replace(b"8bit", b"quoted-printable")
    expected = expected.replace("ü".encode(), b"=C3=BC").replace("ß".encode(), b"=C3=9F")
    assert converted == expected
    assert leaves(converted) == leaves(message(MIXED, PARTS))


def test_any_octets_become_base64():
    body = bytes(range(256)) * 9 + b"\r\n\n\r\0"
    header = "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n"
    converted = to_7bit(message(header, body))
    assert is_7bit(converted)
    assert leaves(converted) == [("application/octet-stream", body)]
    assert max(map(len, converted.split(b"\r\n"))) <= 76


def test_text_with_bare_line_ends_or_long_lines_is_made_of_lines_again():
    for body in (b"a\nb\rc\0" * 3, b"x" * 5000, "ü".encode() * 1200):
        converted = to_7bit(message(TEXT, body))
        assert is_7bit(converted)
        assert leaves(converted) == [("text/plain", body)]


@pytest.mark.parametrize(
    ("octets", "status", "reason"),
    [
        (message("Subject: Grüße\r\n" + TEXT, "Grüße\r\n"), "5.6.3", "a header holds octets"),
        (
            message('Content-Type: multipart/signed; boundary="b"\r\n', "--b\r\n\r\nü\r\n--b--\r\n"),
            "5.6.2",
            "multipart/signed",
        ),
        (message("Content-Type: multipart/mixed\r\n", "ü\r\n"), "5.6.3", "no boundary"),
        (message('Content-Type: multipart/mixed; boundary="b"\r\n', "ü\r\n--b--\r\n"), "5.6.3", "before or behind"),
        (message('Content-Type: multipart/mixed; boundary="b"\r\n', "--b\r\n\r\nü\r\n"), "5.6.3", "no end"),
        (message("Content-Type: message/global\r\n", "Subject: ü\r\n\r\n"), "5.6.3", "message/global"),
        (message("Content-Transfer-Encoding: base64\r\n", "ü\r\n"), "5.6.3", "not encoded as it says"),
        (message("Content-Transfer-Encoding: x-uu\r\n", "ü\r\n"), "5.6.3", "not encoded as it says"),
    ],
)
def test_what_stays_as_it_is(octets, status, reason):
    with pytest.raises(CannotConvert, match=reason) as refused:
        to_7bit(octets)
    assert refused.value.reply.status == status


def test_parts_in_parts_come_to_an_end():
    body = "ü\r\n"
    header = TEXT
    for number in range(60):
        body = f"--b{number}\r\n{header}\r\n{body}\r\n--b{number}--\r\n"
        header = f"Content-Type: multipart/mixed; boundary=b{number}\r\n"
    with pytest.raises(CannotConvert, match="too many parts"):
        to_7bit(message(header, body))


BODIES = st.one_of(
    st.text(alphabet="aü=\t .-", max_size=200).map(lambda text: text.encode()),
    st.binary(max_size=200),
    st.lists(st.sampled_from(["Grüße", "", ".", "From x", "a" * 90, "=", "x "]), max_size=6).map(
        lambda lines: "\r\n".join(lines).encode()
    ),
)


@given(BODIES, st.booleans())
def test_a_reader_sees_the_same_in_every_leaf(body, text):
    kind = "text/plain" if text else "image/png"
    original = message(f"Content-Type: {kind}\r\nContent-Transfer-Encoding: binary\r\n", body)
    converted = to_7bit(original)
    assert is_7bit(converted)
    assert leaves(converted) == [(kind, body)]


@given(st.lists(BODIES, min_size=1, max_size=4), st.booleans())
def test_a_reader_sees_the_same_in_every_part(bodies, nested):
    bodies = [body.replace(b"--", b"-") for body in bodies]
    parts = b"".join(b"--b\r\nContent-Type: application/x\r\n\r\n" + body + b"\r\n" for body in bodies) + b"--b--\r\n"
    header = "Content-Type: multipart/mixed; boundary=b\r\n"
    if nested:
        parts = f"--o\r\n{header}\r\n".encode() + parts + b"\r\n--o--\r\n"
        header = "Content-Type: multipart/mixed; boundary=o\r\n"
    converted = to_7bit(message(header, parts))
    assert is_7bit(converted)
    assert [payload for _, payload in leaves(converted)] == bodies


@given(st.binary(max_size=300))
def test_no_octets_make_it_raise_anything_else(octets):
    with contextlib.suppress(CannotConvert):
        assert is_7bit(to_7bit(b"Content-Type: multipart/mixed; boundary=b\r\n" + octets))
