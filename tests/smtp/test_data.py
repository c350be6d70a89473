"""Mail data: the same message whatever way it was cut, and only one true end (RFC 5321 sections 4.1.1.4, 4.5.2)."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import BARE_LINE_ENDING_IN_DATA, MESSAGE_TOO_BIG, Reply
from purport.smtp.data import END_OF_DATA, DataReader, held_length

LIMIT = 1000


def read(pieces: list[bytes], limit: int = LIMIT) -> tuple[bytes, bool, Reply | None, bytes]:
    """The message, whether it ended, its fault, and what followed it."""
    reader = DataReader(limit)
    message = b""
    rest = b""
    for piece in pieces:
        if reader.ended:
            rest += piece
        else:
            message += reader.feed(piece)
    return message, reader.ended, reader.fault, reader.rest + rest


def by_definition(octets: bytes, limit: int = LIMIT) -> tuple[bytes, bool, Reply | None, bytes]:
    """The same, straight from the words of the RFC."""
    text, end, rest = (b"\r\n" + octets).partition(END_OF_DATA)
    lines = text.split(b"\r\n")[1:]
    message = b"".join(line.removeprefix(b".") + b"\r\n" for line in lines)
    if b"\r" in message.replace(b"\r\n", b"") or b"\n" in message.replace(b"\r\n", b""):
        return b"", bool(end), BARE_LINE_ENDING_IN_DATA, rest
    return message, bool(end), MESSAGE_TOO_BIG if len(message) > limit else None, rest


def cut(octets: bytes, lengths: list[int]) -> list[bytes]:
    pieces = []
    for length in lengths:
        pieces.append(octets[:length])
        octets = octets[length:]
    return [*pieces, octets]


stream = st.lists(
    st.sampled_from([b"\r\n", b".", b"\r", b"\n", b"\r\n.", b"x", b"\0", b"\r\n.\r\n", b"Subject: t"])
).map(b"".join)


@settings(deadline=None, max_examples=300)
@given(octets=stream, lengths=st.lists(st.integers(0, 5)))
def test_any_cut_gives_the_same_message(octets: bytes, lengths: list[int]) -> None:
    octets += END_OF_DATA
    whole = read([octets])
    _, ended, fault, rest = pieces = read(cut(octets, lengths))
    assert ended
    assert (fault, rest) == whole[2:]
    if fault is None:
        assert pieces == whole


@settings(deadline=None, max_examples=300)
@given(octets=stream)
def test_the_message_is_what_the_rfc_defines(octets: bytes) -> None:
    octets += END_OF_DATA
    expected = by_definition(octets)
    found = read([octets])
    assert found[1:] == expected[1:]
    if found[2] is None:
        assert found[0] == expected[0]


@settings(deadline=None)
@given(message=st.binary(max_size=200).filter(lambda octets: b"\r" not in octets and b"\n" not in octets))
def test_what_was_stuffed_comes_back(message: bytes) -> None:
    lines = [b".", b"..", message, b"." + message, b""]
    stuffed = b"".join((b"." if line.startswith(b".") else b"") + line + b"\r\n" for line in lines)
    assert read([stuffed + b".\r\n"]) == (b"".join(line + b"\r\n" for line in lines), True, None, b"")


@pytest.mark.parametrize("ending", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\n.\r", b"\r\n.\r"])
def test_other_endings_do_not_end_it(ending: bytes) -> None:
    _, ended, fault, _ = read([b"a" + ending, b"b"])
    assert not ended
    assert fault is BARE_LINE_ENDING_IN_DATA
    _, ended, fault, rest = read([b"a" + ending, b"b\r\n.\r\nNOOP\r\n"])
    assert (ended, fault, rest) == (True, BARE_LINE_ENDING_IN_DATA, b"NOOP\r\n")


def test_an_empty_message_is_a_message() -> None:
    assert read([b".\r\n"]) == (b"", True, None, b"")
    assert read([b".", b"\r", b"\n"]) == (b"", True, None, b"")


def test_the_limit_counts_message_octets_and_not_the_dots_of_transparency() -> None:
    assert read([b"..234567\r\n.\r\n"], limit=9) == (b".234567\r\n", True, None, b"")
    assert read([b"..234567\r\n.\r\n"], limit=8)[2] is MESSAGE_TOO_BIG


def test_a_message_that_is_too_big_is_read_to_its_end_and_not_handed_on() -> None:
    reader = DataReader(100)
    handed_on = sum(len(reader.feed(b"x" * 60 + b"\r\n")) for _ in range(1000))
    assert handed_on <= 100
    reader.feed(b".\r\nNOOP\r\n")
    assert reader.ended
    assert reader.fault is MESSAGE_TOO_BIG
    assert reader.rest == b"NOOP\r\n"


def test_of_two_faults_the_bad_line_ending_counts() -> None:
    octets = b"x" * 2000 + b"\n\r\n.\r\n"
    assert read([octets])[2] is BARE_LINE_ENDING_IN_DATA
    assert read([octets[index : index + 1] for index in range(len(octets))])[2] is BARE_LINE_ENDING_IN_DATA


@pytest.mark.parametrize("size", [0, 1, 2, 3, 100])
def test_an_end_after_a_bare_cr_is_doubtful_in_any_cut(size: int) -> None:
    octets = b"text\r\r\n.\r\n"
    reader = DataReader(LIMIT)
    for piece in [octets[index : index + size] for index in range(0, len(octets), size)] if size else [octets]:
        reader.feed(piece)
    assert reader.ended
    assert reader.doubtful
    assert reader.fault is BARE_LINE_ENDING_IN_DATA


def test_a_bare_cr_elsewhere_leaves_no_doubt_about_the_end() -> None:
    reader = DataReader(LIMIT)
    reader.feed(b"te\rxt\r\n.\r\n")
    assert reader.ended
    assert not reader.doubtful


def test_no_more_than_four_octets_are_held_back() -> None:
    assert [held_length(END_OF_DATA[:length]) for length in range(5)] == [0, 1, 2, 3, 4]
    assert held_length(b"text") == 0
    reader = DataReader(10_000_000)
    tracemalloc.start()
    try:
        for _ in range(200):
            reader.feed(b"x" * 10_000)
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 1000
