"""Every command in every state does what the table says, and nothing else (RFC 5321 section 4.1.4)."""

from __future__ import annotations

import pytest

from purport.mail.reply import INSUFFICIENT_STORAGE, OK, START_MAIL_INPUT, Reply, reply
from purport.smtp.event import Event, MessageOctets
from purport.smtp.extensions import auth, xclient
from purport.smtp.server import Profile, ServerSession
from purport.smtp.state import RESPONSE, TRANSITIONS, State, with_rows

PROFILE = Profile("mx.company.com.example", mechanisms=("PLAIN",), auth_without_tls=True)
TABLE = with_rows(TRANSITIONS, [xclient.EXTENSION.verbs, auth.EXTENSION.verbs])
WAY = {
    State.START: b"",
    State.READY: b"EHLO client.example\r\n",
    State.MAIL: b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\n",
    State.RCPT: b"EHLO client.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n",
}
ARGUMENTS = {
    b"EHLO": b" client.example",
    b"HELO": b" client.example",
    b"MAIL": b" FROM:<a@b.example>",
    b"RCPT": b" TO:<c@d.example>",
    b"VRFY": b" bob",
    b"EXPN": b" list",
    b"XCLIENT": b" NAME=[UNAVAILABLE]",
    b"AUTH": b" PLAIN",
}
VERBS = sorted({verb for row in TABLE.values() for verb in row} - {b".", RESPONSE})
REFUSALS = [INSUFFICIENT_STORAGE, reply(550, "5.7.1", "No")]


def session_in(state: State) -> ServerSession:
    session = ServerSession(PROFILE, xclient_allowed=True)
    session.receive(WAY[state])
    while (event := session.next_event()) is not None:
        session.answer(accepting(event))
    session.to_send()
    assert session.state is state
    return session


def accepting(event: Event) -> Reply:
    return START_MAIL_INPUT if type(event).__name__ == "Data" else OK


def say(session: ServerSession, verb: bytes) -> Event | None:
    session.receive(verb + ARGUMENTS.get(verb, b"") + b"\r\n")
    return session.next_event()


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.decode("ascii"))
@pytest.mark.parametrize("state", WAY, ids=lambda state: state.name)
def test_every_verb_in_every_state(state: State, verb: bytes) -> None:
    session = session_in(state)
    event = say(session, verb)
    if verb not in TABLE[state]:
        assert event is None
        assert session.to_send() == b"503 5.5.1 Bad sequence of commands\r\n"
        assert session.state is state
        return
    if event is not None and verb != b"QUIT":
        assert session.to_send() == b""
        session.answer(accepting(event))
    assert session.to_send()[:3] in (b"214", b"220", b"221", b"250", b"252", b"354", b"502")
    assert session.state is TABLE[state][verb]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal.code))
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.decode("ascii"))
@pytest.mark.parametrize("state", WAY, ids=lambda state: state.name)
def test_a_refused_command_leaves_the_state_as_it_was(state: State, verb: bytes, refusal: Reply) -> None:
    session = session_in(state)
    event = say(session, verb)
    if event is None or verb == b"QUIT":
        return
    session.answer(refusal)
    assert session.to_send() == refusal.octets()
    assert session.state is state


@pytest.mark.parametrize("answer", [OK, *REFUSALS], ids=lambda answer: str(answer.code))
def test_any_reply_to_the_end_of_data_ends_the_transaction(answer: Reply) -> None:
    session = session_in(State.RCPT)
    assert say(session, b"DATA") is not None
    session.answer(START_MAIL_INPUT)
    assert session.state is State.DATA
    session.receive(b"QUIT\r\n.\r\n")
    assert session.next_event() == MessageOctets(b"QUIT\r\n")
    assert type(session.next_event()).__name__ == "EndOfData"
    session.answer(answer)
    assert session.state is State.READY


@pytest.mark.parametrize("state", WAY, ids=lambda state: state.name)
def test_421_closes_in_every_state(state: State) -> None:
    session = session_in(state)
    say(session, b"EHLO")
    session.answer(reply(421, "4.3.2", "Going down"))
    assert session.closed
    session.receive(b"NOOP\r\n")
    assert session.next_event() is None
    assert session.to_send() == b"421 4.3.2 Going down\r\n"


def test_only_data_leads_into_mail_data_and_only_its_end_leads_out() -> None:
    ways_in = {(state, verb) for state, row in TABLE.items() for verb, to in row.items() if to is State.DATA}
    assert ways_in == {(State.RCPT, b"DATA")}
    assert dict(TABLE[State.DATA]) == {b".": State.READY}
    assert not TABLE[State.CLOSED]


@pytest.mark.parametrize("answer", [reply(235, "2.7.0", "Yes"), *REFUSALS], ids=lambda answer: str(answer.code))
def test_any_answer_but_a_challenge_ends_an_auth_exchange(answer: Reply) -> None:
    session = session_in(State.READY)
    say(session, b"AUTH")
    for _ in range(2):
        session.answer(reply(334, ""))
        assert session.state is State.LOGIN
        session.receive(b"AAAA\r\n")
        assert type(session.next_event()).__name__ == "AuthResponse"
    session.answer(answer)
    assert session.state is State.READY
    assert session.terms.authenticated == answer.accepted


def test_only_auth_leads_into_an_exchange_and_nothing_but_a_response_may_come_there() -> None:
    assert dict(TABLE[State.LOGIN]) == {RESPONSE: State.READY}
    assert [state for state, row in TABLE.items() if b"AUTH" in row] == [State.READY]
