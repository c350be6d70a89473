"""Chunks: every octet counted, none searched for an end (RFC 3030 section 2)."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import BARE_LINE_ENDING_IN_DATA, MESSAGE_TOO_BIG, Rejected, Reply
from purport.smtp.chunk import DROP_OCTETS, ChunkReader
from purport.smtp.command import BAD_CHUNK, chunk_argument

LIMIT = 1000


def read(chunks: list[list[bytes]], *, binary: bool = False, limit: int = LIMIT) -> tuple[bytes, Reply | None]:
    """What is handed on of chunks that arrive in pieces, the last one marked, and the first fault."""
    reader = ChunkReader(limit, binary=binary)
    message = b""
    for number, pieces in enumerate(chunks):
        reader.begin(sum(map(len, pieces)), None, last=number == len(chunks) - 1)
        message += b"".join(reader.feed(piece) for piece in pieces if piece)
        assert reader.left == 0
        if reader.fault is not None:
            return message, reader.fault
    return message, None


def cut(data: st.DataObject, octets: bytes) -> list[bytes]:
    places = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
    return [octets[start:end] for start, end in zip([0, *places], [*places, len(octets)], strict=True)]


@settings(deadline=None)
@given(st.data())
def test_a_message_is_the_same_in_whatever_chunks_and_pieces(data: st.DataObject) -> None:
    octets = b"".join(data.draw(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"x", b"\0", b"\xff"]))))
    chunks = [cut(data, chunk) for chunk in cut(data, octets)]
    assert read(chunks, binary=True) == (octets, None)
    without = octets.replace(b"\r\n", b"")
    message, fault = read(chunks)
    if b"\r" in without or b"\n" in without:
        assert fault is BARE_LINE_ENDING_IN_DATA
    else:
        assert (message, fault) == (octets, None)


@pytest.mark.parametrize(("octets", "fault"), [(LIMIT, None), (LIMIT + 1, MESSAGE_TOO_BIG)])
def test_the_limit_is_for_all_chunks(octets: int, fault: Reply | None) -> None:
    assert read([[b"x" * 600], [b"x" * (octets - 600)]])[1] is fault
    assert read([[b"x" * octets], [b""]])[1] is fault


def test_a_chunk_over_the_limit_is_not_handed_on() -> None:
    assert read([[b"x" * 600], [b"x" * 200, b"x" * 400]]) == (b"x" * 600, MESSAGE_TOO_BIG)


def test_nobody_waits_for_the_end_of_what_is_far_too_large() -> None:
    reader = ChunkReader(LIMIT, binary=False)
    reader.begin(DROP_OCTETS, None, last=True)
    assert reader.left == DROP_OCTETS
    reader.begin(DROP_OCTETS + 1, None, last=True)
    assert (reader.left, reader.fault) == (0, MESSAGE_TOO_BIG)


def test_a_chunk_that_arrives_whole_is_not_copied() -> None:
    octets = (b"x" * 76 + b"\r\n") * 10000
    reader = ChunkReader(len(octets), binary=False)
    reader.begin(len(octets), None, last=True)
    tracemalloc.start()
    assert reader.feed(octets) is octets
    assert tracemalloc.get_traced_memory()[1] < 4096
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("argument", "octets", "last", "wrong"),
    [
        (b"0", 0, False, None),
        (b"86 LAST", 86, True, None),
        (b"086 last", 86, True, None),
        (b"9" * 20, 10**20 - 1, False, None),
        (b"5 FIRST", 5, False, BAD_CHUNK),
        (b"5 LAST LAST", 5, False, BAD_CHUNK),
        (b"5  LAST", 5, False, BAD_CHUNK),
        (b"5 LAST=1", 5, False, BAD_CHUNK),
    ],
)
def test_what_is_wrong_behind_a_clear_size_leaves_the_size_clear(
    argument: bytes, octets: int, last: bool, wrong: Reply | None
) -> None:
    assert chunk_argument(argument) == (octets, last, wrong)


@pytest.mark.parametrize(
    "argument", [b"", b" 5", b"LAST", b"-5", b"+5", b"5x", b"0x10", b"5,LAST", b"9" * 21, "\u0665".encode(), b"\xb2"]
)
def test_a_size_that_cannot_be_read_is_refused(argument: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        chunk_argument(argument)
    assert refusal.value.reply is BAD_CHUNK
