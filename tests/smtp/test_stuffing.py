"""Mail data on its way out (RFC 5321 section 4.5.2)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.smtp.stuffing import DataWriter


def written(*pieces: bytes) -> bytes:
    writer = DataWriter()
    sent = b"".join(part for piece in pieces for part in writer.feed(piece))
    return sent + writer.end()


@pytest.mark.parametrize(
    ("message", "sent"),
    [
        (b"a\r\n", b"a\r\n.\r\n"),
        (b"a", b"a\r\n.\r\n"),
        (b"", b".\r\n"),
        (b".\r\n", b"..\r\n.\r\n"),
        (b".a\r\n.\r\n..\r\nb.\r\n", b"..a\r\n..\r\n...\r\nb.\r\n.\r\n"),
        (b"a\r", b"a\r\n.\r\n"),
        (b"a\n.\nb\r.\rc", b"a\r\n..\r\nb\r\n..\r\nc\r\n.\r\n"),
        (b"\n\n\r\r\r\n", b"\r\n" * 5 + b".\r\n"),
    ],
)
def test_s11_dots_are_doubled_and_lines_end_with_crlf(message, sent):
    assert written(message) == sent


def test_a_piece_that_needs_nothing_is_not_copied():
    message = b"From: a@example.com\r\n\r\nHello.\r\n"
    (piece,) = DataWriter().feed(message)
    assert piece is message


OCTETS = st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n.", b"\r\n.\r\n"]), max_size=30).map(
    b"".join
)


@settings(deadline=None, max_examples=300)
@given(message=OCTETS, cuts=st.lists(st.integers(0, 60), max_size=6))
def test_any_cut_gives_the_same_octets_and_none_of_them_ends_the_data_early(message, cuts):
    edges = sorted({0, len(message), *(cut for cut in cuts if cut < len(message))})
    sent = written(*(message[begin:end] for begin, end in pairwise(edges)))
    assert sent == written(message)
    assert (b"\r\n" + sent).index(b"\r\n.\r\n") == len(sent) - 3
    assert sent.count(b"\r") == sent.count(b"\n") == sent.count(b"\r\n")
