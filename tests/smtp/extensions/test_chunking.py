"""CHUNKING in a session (RFC 3030 section 2)."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import Reply, reply
from purport.smtp.chunk import DROP_OCTETS, SMALL
from purport.smtp.event import EndOfChunk, EndOfData, Event, MessageOctets
from purport.smtp.extensions import ALL, chunking
from purport.smtp.profile import ERRORS
from purport.smtp.server import JUNK, Profile, ServerSession
from purport.smtp.state import State
from support.smtp_shell import Shell

EHLO = b"EHLO client.example\r\n"
ENVELOPE = b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@company.com.example>\r\n"
HEADER = b"From: alice@example.com\r\nSubject: hi\r\n\r\n"
OK = "250 2.0.0 Ok"
BAD_SEQUENCE = "503 5.5.1 Bad sequence of commands"
BAD_SIZE = "501 5.5.4 Syntax: BDAT octets [LAST]"
TOO_BIG = "552 5.3.4 Message size exceeds fixed limit"
BARE = "550 5.6.0 Message contains a bare CR or LF; lines end with <CR><LF>"
TOO_MANY_ERRORS = "421 4.7.0 Too many errors"


def shell(before: bytes = EHLO + ENVELOPE, **profile: int) -> Shell:
    """A server that has answered what came before."""
    server = Shell(Profile("mx.company.com.example", **profile))
    server.hear(before)
    return server


def bdat(octets: bytes, last: bool = False) -> bytes:
    return b"BDAT %d%s\r\n" % (len(octets), b" LAST" * last) + octets


def test_the_dialogues_of_the_rfc() -> None:
    """RFC 3030 sections 4.1 and 4.2."""
    server = Shell(Profile("cnri.reston.va.us"))
    assert "250-CHUNKING" in server.hear(b"EHLO ymir.claremont.edu\r\n")[1]
    message = b"To: Susan@random.com\r\nFrom: Sam@random.com\r\nSubject: This is a bodyless test message\r\n"
    assert len(message) == 86
    server.hear(ENVELOPE)
    assert server.say(bdat(message, last=True)) == [OK]
    assert server.messages[0].octets == message
    server.hear(ENVELOPE)
    assert server.say(bdat(b"x" * 100000) + bdat(b"y" * 324) + bdat(b"", last=True)) == [OK] * 3
    assert server.messages[1].octets == b"x" * 100000 + b"y" * 324
    assert server.say(b"QUIT\r\n") == ["221 2.0.0 Bye"]


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 100])
def test_a_chunk_may_hold_anything_and_come_in_any_pieces(cut: int) -> None:
    text = HEADER + b"\r\n.\r\nQUIT\r\nBDAT 5 LAST\r\nRSET\r\n"
    server = shell()
    said = server.hear(bdat(text[:20]) + bdat(text[20:], last=True) + b"NOOP\r\n", cut)
    assert [lines[0] for lines in said] == [OK, OK, OK]
    assert [message.octets for message in server.messages] == [text]


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=60), st.lists(st.integers(0, 60), max_size=5), st.integers(1, 40))
def test_every_message_arrives_in_whatever_chunks_it_came(octets: bytes, places: list[int], cut: int) -> None:
    ends = [*sorted(min(place, len(octets)) for place in places), len(octets)]
    pieces = [octets[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    server = shell()
    server.session._binary = True
    said = server.hear(b"".join(bdat(piece, last=n == len(ends) - 1) for n, piece in enumerate(pieces)), cut)
    assert said == [[OK]] * len(pieces)
    assert [message.octets for message in server.messages] == [octets]


# Bare line endings: nothing that leaves this server holds one


@pytest.mark.parametrize("octets", [b"a\nb\r\n", b"a\rb\r\n", b"a\r\r\n", b"\n", b"\r", b"a\r\n\r"])
def test_a_bare_cr_or_lf_is_refused_at_the_last_chunk(octets: bytes) -> None:
    for chunks in ([octets], [octets, b""], [octets[:1], octets[1:], b""]):
        server = shell()
        said = server.say(b"".join(bdat(chunk, last=n == len(chunks) - 1) for n, chunk in enumerate(chunks)))
        assert said == [OK] * (len(chunks) - 1) + [BARE]
        assert not server.messages
        assert server.say(ENVELOPE + bdat(HEADER, last=True))[-1] == OK


def test_a_line_ending_may_be_split_between_two_chunks() -> None:
    server = shell()
    assert server.say(bdat(b"a\r") + bdat(b"") + bdat(b"\nb\r") + bdat(b"\n", last=True)) == [OK] * 4
    assert server.messages[0].octets == b"a\r\nb\r\n"


# Chunks that are refused are read, and nothing in them is run


@pytest.mark.parametrize(
    "before", [b"", EHLO, EHLO + b"MAIL FROM:<alice@example.com>\r\n"], ids=["START", "READY", "MAIL"]
)
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 5])
def test_a_chunk_without_a_recipient_is_thrown_away(before: bytes, last: bool, cut: int) -> None:
    server = shell(before)
    said = server.hear(bdat(b"QUIT\r\nRSET\r\n", last) + b"NOOP\r\n", cut)
    assert said == [[BAD_SEQUENCE], [OK]]
    assert not any(isinstance(event, MessageOctets) for event in server.events)


def test_after_a_chunk_without_a_recipient_only_reset_helps() -> None:
    """A recipient that is accepted after it would get a message without its beginning."""
    server = shell(EHLO + b"MAIL FROM:<alice@example.com>\r\n")
    said = server.say(bdat(HEADER) + b"RCPT TO:<bob@company.com.example>\r\n" + bdat(b"x", last=True))
    assert said == [BAD_SEQUENCE] * 3
    assert server.session.state is State.FAILED
    assert server.say(b"DATA\r\nMAIL FROM:<>\r\n") == [BAD_SEQUENCE] * 2
    assert server.say(b"RSET\r\n" + ENVELOPE + bdat(HEADER, last=True))[-1] == OK


def test_a_chunk_after_the_last_needs_a_new_transaction() -> None:
    server = shell()
    assert server.say(bdat(HEADER, last=True) + bdat(b"more", last=True)) == [OK, BAD_SEQUENCE]
    assert [message.octets for message in server.messages] == [HEADER]


@pytest.mark.parametrize("refusal", [reply(550, "5.7.1", "No"), reply(452, "4.3.1", "Full")])
def test_chunks_that_were_sent_ahead_behind_a_refused_one_are_thrown_away(refusal: Reply) -> None:
    """RFC 3030 section 2: the server must be prepared to accept and discard them."""
    session = session_with(ENVELOPE + bdat(b"QUIT\r\n" * 50) * 30 + bdat(b"x", last=True) + ENVELOPE)
    events = run(session, {EndOfChunk: refusal})
    said = session.to_send().decode().split("\r\n")[:-1]
    assert said == [said[0], said[1], str(refusal), *[BAD_SEQUENCE] * 30, said[0], said[1]]
    assert sum(isinstance(event, MessageOctets) for event in events) == 1
    assert session.state is State.RCPT


def test_reset_between_chunks_drops_the_message() -> None:
    server = shell()
    assert server.say(bdat(b"old") + b"RSET\r\n") == [OK, OK]
    assert server.say(ENVELOPE + bdat(HEADER, last=True))[-1] == OK
    assert [message.octets for message in server.messages] == [HEADER]


@pytest.mark.parametrize("verb", [b"DATA", b"MAIL FROM:<>", b"RCPT TO:<bob@company.com.example>", b"XCLIENT NAME=x"])
def test_between_chunks_nothing_else_of_a_transaction_may_come(verb: bytes) -> None:
    server = shell()
    assert server.say(bdat(b"From: a@b.example\r\n") + verb + b"\r\n")[-1][:3] in ("503", "500")
    assert server.session.state is State.CHUNKS
    assert server.say(b"NOOP\r\n" + bdat(b"", last=True)) == [OK, OK]


def test_data_and_chunks_may_take_turns_in_a_session() -> None:
    server = shell()
    server.hear(
        bdat(HEADER, last=True) + ENVELOPE + b"DATA\r\n" + HEADER + b".\r\n" + ENVELOPE + bdat(HEADER, last=True)
    )
    assert [message.octets for message in server.messages] == [HEADER] * 3


# Sizes


def test_the_limit_counts_all_chunks_and_ends_the_transaction() -> None:
    server = shell(message_octets=100)
    assert server.say(bdat(b"x" * 60) + bdat(b"QUIT\r\n" * 10) + bdat(b"", last=True)) == [OK, TOO_BIG, BAD_SEQUENCE]
    assert server.say(ENVELOPE + bdat(b"x" * 100, last=True))[-1] == OK
    assert server.say(ENVELOPE + bdat(b"x" * 101, last=True))[-1] == TOO_BIG
    assert len(server.messages) == 1


def test_nothing_of_a_chunk_that_is_too_large_is_kept() -> None:
    server = shell(message_octets=100)
    server.session.receive(b"BDAT %d LAST\r\n" % DROP_OCTETS)
    tracemalloc.start()
    for _ in range(100):
        server.session.receive(b"x" * 65536)
        assert server.session.next_event() is None
    assert tracemalloc.get_traced_memory()[1] < 4 * 65536
    tracemalloc.stop()


def test_a_size_beyond_reason_is_refused_at_once() -> None:
    server = shell()
    assert server.say(b"BDAT 99999999999999999999 LAST\r\nNOOP\r\n") == [TOO_BIG, TOO_MANY_ERRORS]
    assert server.session.closed
    server = shell(EHLO)
    assert server.say(b"BDAT 99999999999999999999 LAST\r\nNOOP\r\n") == [BAD_SEQUENCE, TOO_MANY_ERRORS]


@pytest.mark.parametrize("line", [b"BDAT 6 FIRST", b"bdat 6  LAST", b"BDAT 6 LAST LAST"])
def test_a_bad_end_marker_is_refused_behind_the_octets(line: bytes) -> None:
    server = shell()
    assert server.say(line + b"\r\nQUIT\r\nNOOP\r\n") == [BAD_SIZE, OK]
    assert server.say(bdat(b"", last=True)) == [BAD_SEQUENCE]


@pytest.mark.parametrize("before", [EHLO, EHLO + ENVELOPE, EHLO + ENVELOPE + bdat(b"x")])
@pytest.mark.parametrize(
    "line",
    [
        b"BDAT",
        b"BDAT x LAST",
        b"BDAT -6 LAST",
        b"BDAT 6\x00",
        b"BDAT 6\r LAST",
        b"BDAT\t6",
        b"BDAT 6\n",
        b"BDAT 0" + b"0" * 600,
        b"bdat 0" + b"0" * 6000,
    ],
)
def test_what_follows_a_size_that_cannot_be_read_is_not_run(before: bytes, line: bytes) -> None:
    server = shell(before)
    server.session._errors = 0
    said = server.say(line + b"\r\nMAIL FROM:<evil@example.com>\r\nRSET\r\nNOOP\r\n")
    assert said[0][0] == "5"
    assert said[1:] == [TOO_MANY_ERRORS]
    assert server.session.closed


# Limits


def test_a_flood_of_small_chunks_ends_the_session() -> None:
    server = shell()
    said = server.say(bdat(b"x") * 200)
    assert said.count(OK) == JUNK + ERRORS - 2  # EHLO is one of them, and the last one is told 421
    assert said[-1] == TOO_MANY_ERRORS


def test_a_flood_of_misplaced_chunks_ends_the_session() -> None:
    server = shell(EHLO)
    said = server.say(bdat(b"x" * SMALL) * 200)
    assert said.count(BAD_SEQUENCE) < 130
    assert said[-1] == TOO_MANY_ERRORS


def test_chunks_of_a_fair_size_may_be_many() -> None:
    server = shell()
    assert server.say(bdat(b"x" * SMALL) * 500 + bdat(b"", last=True)) == [OK] * 501


def test_where_it_is_not_offered_the_verb_is_unknown() -> None:
    extensions = tuple(extension for extension in ALL if extension is not chunking.EXTENSION)
    server = Shell(Profile("mx.company.com.example", extensions=extensions))
    assert not any("CHUNKING" in line for line in server.hear(EHLO)[1])
    assert server.say(ENVELOPE + b"BDAT 0 LAST\r\nNOOP\r\n")[2:] == ["500 5.5.1 Command not recognized", OK]


# The state machine


def session_with(octets: bytes) -> ServerSession:
    session = ServerSession(Profile("mx.company.com.example"))
    session.receive(EHLO)
    run(session, {})
    session.to_send()
    session.receive(octets)
    return session


def run(session: ServerSession, answers: dict[type, Reply]) -> list[Event]:
    """Answer everything, with OK where `answers` has nothing for an event; what was asked."""
    events = []
    while (event := session.next_event()) is not None:
        events.append(event)
        if not isinstance(event, MessageOctets):
            session.answer(answers.get(type(event), reply(250, "2.0.0", "Ok")))
    return events


@pytest.mark.parametrize("code", [250, 452, 550])
@pytest.mark.parametrize("first", [b"", bdat(b"x")], ids=["RCPT", "CHUNKS"])
def test_a_chunk_leads_on_and_its_refusal_ends_the_transaction(first: bytes, code: int) -> None:
    given = reply(code, f"{code // 100}.0.0", "Said")
    session = session_with(ENVELOPE + first)
    run(session, {})
    session.receive(bdat(b"y"))
    assert run(session, {EndOfChunk: given})[-1] == EndOfChunk()
    assert session.state is (State.CHUNKS if code == 250 else State.READY)
    session = session_with(ENVELOPE + first + bdat(b"y", last=True))
    assert run(session, {EndOfData: given})[-1] == EndOfData()
    assert session.state is State.READY
    assert session.to_send().endswith(given.octets())


def test_nothing_is_read_while_a_chunk_is_unanswered() -> None:
    session = session_with(ENVELOPE + bdat(b"x") + b"NOOP\r\n")
    while not isinstance(event := session.next_event(), EndOfChunk):
        if not isinstance(event, MessageOctets):
            session.answer(reply(250, "2.0.0", "Ok"))
    with pytest.raises(RuntimeError, match="BDAT has not been answered"):
        session.next_event()
