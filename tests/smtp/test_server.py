"""The server session: what it answers itself, what it asks, and what it costs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox
from purport.mail.reply import (
    BARE_LINE_ENDING_IN_DATA,
    MESSAGE_TOO_BIG,
    NO_SUCH_MAILBOX,
    OK,
    RECIPIENT_OK,
    SENDER_OK,
    START_MAIL_INPUT,
    Reply,
    reply,
)
from purport.smtp.event import Data, EndOfData, Event, Hello, Mail, MessageOctets, Quit, Rcpt, Reset
from purport.smtp.extensions import ALL, eightbitmime, pipelining, size
from purport.smtp.extensions.submitter import SUBMITTER
from purport.smtp.profile import READ_OCTETS
from purport.smtp.server import DRAIN_OCTETS, Profile, ServerSession
from purport.smtp.state import State
from support.smtp_shell import Shell

PROFILE = Profile("mx.company.com.example")
EHLO = b"EHLO client.example\r\n"
MAIL = b"MAIL FROM:<alice@example.com>\r\n"
RCPT = b"RCPT TO:<bob@company.com.example>\r\n"
BARE = "500 5.5.2 Lines end with <CR><LF>; a bare CR or LF is not allowed"
BAD_SEQUENCE = "503 5.5.1 Bad sequence of commands"


def shell(profile: Profile = PROFILE, before: bytes = EHLO) -> Shell:
    """A server that has said its greeting and answered what came before."""
    server = Shell(profile)
    server.hear(before)
    return server


# What it says by itself


def test_the_greeting_names_the_host() -> None:
    assert Shell(PROFILE).hear(b"") == [["220 mx.company.com.example ESMTP Purport"]]


def test_the_ehlo_reply_has_what_is_built_in_its_order() -> None:
    assert shell(before=b"").hear(EHLO) == [
        [
            "250-mx.company.com.example",
            "250-PIPELINING",
            "250-SIZE 52428800",
            "250-8BITMIME",
            "250-SMTPUTF8",
            "250-ENHANCEDSTATUSCODES",
            "250-DSN",
            "250-CHUNKING",
            "250-BINARYMIME",
            "250-LIMITS RCPTMAX=1000",
            "250-DELIVERBY",
            "250-RRVS",
            "250-MT-PRIORITY",
            "250 SUBMITTER",
        ]
    ]


def test_the_helo_reply_is_one_line() -> None:
    assert shell(before=b"").say(b"HELO client.example\r\n") == ["250 mx.company.com.example"]


def test_only_the_extensions_of_the_profile_are_offered() -> None:
    profile = Profile("mx.example", extensions=(pipelining.EXTENSION,))
    assert Shell(profile).hear(EHLO)[1] == ["250-mx.example", "250 PIPELINING"]
    assert shell(profile).say(b"MAIL FROM:<> SIZE=1\r\n") == ["555 5.5.4 Parameters not recognized or not implemented"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"NOOP", "250 2.0.0 Ok"),
        (b"NOOP is fine", "250 2.0.0 Ok"),
        (b"noop", "250 2.0.0 Ok"),
        (b"NOOP   ", "250 2.0.0 Ok"),
        (b"RSET", "250 2.0.0 Ok"),
        (b"VRFY bob", "252 2.0.0 "),
        (b"VRFY", "501 5.5.4 "),
        (b"EXPN list", "502 5.5.1 "),
        (b"HELP", "214 2.0.0 "),
        (b"HELP MAIL", "214 2.0.0 "),
        (b"QUIT", "221 2.0.0 Bye"),
        (b"FROB", "500 5.5.1 "),
        (b"FROB x y", "500 5.5.1 "),
        (b"", "500 5.5.1 "),
        (b"MAILFROM:<a@b.example>", "500 5.5.1 "),
        (b"STARTTLS", "500 5.5.1 "),
        (b"XCLIENT NAME=x", "500 5.5.1 "),
        (b"RSET now", "501 5.5.4 "),
        (b"QUIT now", "501 5.5.4 "),
        (b"EHLO", "501 5.5.4 "),
        (b"HELO", "501 5.5.4 "),
        (b"EHLO two words", "501 5.5.4 "),
        (b"EHLO (comment)", "501 5.5.4 "),
        (b'EHLO a"b', "501 5.5.4 "),
        (b"EHLO a;b=c", "501 5.5.4 "),
        ("EHLO élise.example".encode(), "501 5.5.4 "),
        (b"MAIL", "501 5.5.4 "),
        (b"MAIL TO:<a@b.example>", "501 5.5.4 "),
        (b"MAIL FROM: <a@b.example>", "501 5.1.7 "),
        (b"MAIL FROM <a@b.example>", "501 5.5.4 "),
        (b"MAIL FROM:a@b.example", "501 5.1.7 "),
        (b"MAIL FROM:<a@b.example", "501 5.1.7 "),
        (b"MAIL FROM:<a>", "501 5.1.7 "),
        (b"MAIL FROM:<a@b.example>>", "501 5.5.4 "),
        ("MAIL FROM:<élise@b.example>".encode(), "550 5.6.7 "),
        (b"MAIL FROM:<a@b.example>  SIZE=1", "501 5.5.4 "),
        (b"MAIL FROM:<a@b.example> SIZE=1 SIZE=1", "501 5.5.4 Parameter given twice"),
        (b"MAIL FROM:<a@b.example> SIZE=x", "501 5.5.4 Bad value of SIZE"),
        (b"MAIL FROM:<a@b.example> -X=1", "501 5.5.4 "),
        (b"MAIL FROM:<a@b.example> =1", "501 5.5.4 "),
        (b"MAIL FROM:<a@b.example> XYZZY", "555 5.5.4 "),
        (b"MAIL FROM:<a@b.example> HOLDFOR=3600", "555 5.5.4 "),
        (b"MAIL FROM:<a@b.example> MT-PRIORITY=10", "501 5.5.2 "),
        (b"MAIL FROM:<a@b.example> XYZZY=", "501 5.5.4 "),
        (b"NO\0OP", "500 5.5.2 "),
        (b"NO\rOP", BARE),
        (b"NO\nOP", BARE),
        (b"NOOP\nMAIL FROM:<a@b.example>", BARE),
    ],
    ids=repr,
)
def test_a_line_gets_one_reply_and_the_session_goes_on(line: bytes, said: str) -> None:
    server = shell()
    (found,) = server.say(line + b"\r\n")
    assert found.startswith(said)
    assert server.events == [Hello("EHLO", "client.example"), *([Quit()] if line == b"QUIT" else [])]
    if line != b"QUIT":
        assert server.say(b"NOOP\r\n") == ["250 2.0.0 Ok"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"RCPT TO:<>", "501 5.1.3 "),
        (b"RCPT TO:<bob>", "501 5.1.3 "),
        (b"RCPT TO: <bob@company.com.example>", "501 5.1.3 "),
        (b"RCPT FROM:<bob@company.com.example>", "501 5.5.4 "),
        (b"RCPT TO:<bob@company.com.example> SIZE=1", "555 5.5.4 "),
        (b"RCPT TO:<bob@company.com.example>X", "501 5.5.4 "),
        ("RCPT TO:<élise@company.com.example>".encode(), "553 5.6.7 "),
        (b"DATA now", "503 5.5.1 "),
        (b"DATA", "503 5.5.1 "),
        (b"MAIL FROM:<>", "503 5.5.1 "),
    ],
    ids=repr,
)
def test_a_line_inside_a_transaction_gets_one_reply_and_leaves_it_open(line: bytes, said: str) -> None:
    server = shell(before=EHLO + MAIL)
    (found,) = server.say(line + b"\r\n")
    assert found.startswith(said)
    assert server.say(RCPT) == ["250 2.1.5 Ok"]


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1", b"POST /", b"CONNECT x:25", b" EHLO x", b"\x16\x03\x01", b"."])
def test_what_is_not_smtp_closes(line: bytes) -> None:
    server = shell(before=b"")
    assert server.say(line + b"\r\nHost: x\r\n\r\n") == ["421 4.7.0 This is not SMTP; closing connection"]
    assert server.session.closed


def test_octets_after_quit_are_ignored() -> None:
    server = shell()
    assert server.say(b"QUIT\r\nNOOP\r\n") == ["221 2.0.0 Bye"]
    assert server.session.closed
    assert server.say(b"NOOP\r\n") == []


def test_too_many_errors_end_in_421() -> None:
    server = shell(Profile("mx.example", errors=3))
    assert server.say(b"FROB\r\n" * 4) == [
        "500 5.5.1 Command not recognized",
        "500 5.5.1 Command not recognized",
        "500 5.5.1 Command not recognized",
        "421 4.7.0 Too many errors",
    ]
    assert server.session.closed


def test_refusals_of_the_shell_count_as_errors_and_an_accepted_message_takes_them_back() -> None:
    server = Shell(Profile("mx.example", errors=3), mailboxes=frozenset(["bob"]))
    server.hear(EHLO)
    for _ in range(3):
        server.say(MAIL + b"RCPT TO:<a@company.com.example>\r\nRCPT TO:<b@company.com.example>\r\n" + RCPT)
        assert server.say(b"DATA\r\n.\r\n") == [
            "354 End data with <CR><LF>.<CR><LF>",
            "250 2.0.0 Ok",
        ]
    assert not server.session.closed


# Lines and their limits


@pytest.mark.parametrize("over", [0, 1])
@pytest.mark.parametrize(
    ("start", "limit"),
    [
        (b"NOOP ", 512),
        (b"RCPT TO:<bob@company.com.example> X=", 512 + 536 + 33),
        (b"MAIL FROM:<a@b.example> X=", 512 + 26 + 10 + 116 + 16 + 17 + 15 + 459),
    ],
    ids=["NOOP", "RCPT", "MAIL"],
)
def test_t20_a_line_may_be_as_long_as_its_extensions_say(start: bytes, limit: int, over: int) -> None:
    server = shell(before=EHLO + MAIL if start.startswith(b"RCPT") else EHLO)
    (said,) = server.say(start + b"x" * (limit + over - len(start) - 2) + b"\r\n")
    assert said.startswith("500 5.5.6 ") == bool(over)
    assert server.say(b"NOOP\r\n") == ["250 2.0.0 Ok"]


def test_t20_the_longest_submitter_fits_beside_the_longest_path() -> None:
    domain = b".".join([b"d" * 63, b"d" * 63, b"d" * 63, b"d" * 63])
    longest = b"+2B" * 64 + b"@" + domain
    server = shell()
    line = b"MAIL FROM:<" + b"a" * 64 + b"@" + domain[:180] + b"> SIZE=1000 SUBMITTER=" + longest
    assert server.say(line + b"\r\n") == ["250 2.1.0 Ok"]


@pytest.mark.parametrize("length", [READ_OCTETS - 2, READ_OCTETS - 1, 10_000, 100_000])
def test_a_line_too_long_to_be_kept_is_thrown_away_in_sync(length: int) -> None:
    said = "500 5.5.6 Line too long" if length <= READ_OCTETS - 2 else "500 5.5.2 Line too long to be read"
    for cut in (0, 1000):
        replies = shell().hear(b"x" * length + b"\r\nNOOP\r\n", cut)
        assert replies == [[said], ["250 2.0.0 Ok"]]


def test_a_line_without_an_end_costs_bounded_memory_and_ends_in_421() -> None:
    server = shell()
    tracemalloc.start()
    try:
        for _ in range(160):
            server.session.receive(b"x" * 65536)
            assert server.session.next_event() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 65536 + 10_000
    assert server.say(b"") == ["500 5.5.2 Line too long to be read", "421 4.7.0 Too many errors"]
    assert DRAIN_OCTETS < 160 * 65536


def test_nuls_alone_close() -> None:
    assert shell(before=b"").say(b"\0" * 1_000_000)[-1].startswith("421 ")


def test_a_bare_line_feed_is_answered_at_once_and_what_follows_is_not_run() -> None:
    server = shell()
    assert server.say(b"NOOP\n") == [BARE]
    assert server.say(b"NOOP\nQUIT\n") == []
    assert server.say(b"\r\nNOOP\r\n") == ["250 2.0.0 Ok"]


# What it asks


def session_after(octets: bytes, answer: Callable[[Event], Reply] = lambda _: OK) -> ServerSession:
    session = ServerSession(PROFILE)
    session.receive(octets)
    while (event := session.next_event()) is not None:
        session.answer(answer(event))
    session.to_send()
    return session


def test_an_unanswered_command_stops_the_session() -> None:
    session = session_after(EHLO)
    session.receive(MAIL + RCPT)
    assert session.next_event() == Mail(Mailbox("alice", "example.com"), session_mail_parameters(b""))
    with pytest.raises(RuntimeError, match="MAIL has not been answered"):
        session.next_event()
    session.answer(SENDER_OK)
    with pytest.raises(RuntimeError, match="nothing to answer"):
        session.answer(SENDER_OK)
    assert isinstance(session.next_event(), Rcpt)


def session_mail_parameters(octets: bytes) -> object:
    session = session_after(EHLO)
    session.receive(b"MAIL FROM:<>" + octets + b"\r\n")
    event = session.next_event()
    assert isinstance(event, Mail)
    return event.parameters


def test_replies_come_in_the_order_of_the_commands() -> None:
    server = Shell(PROFILE, mailboxes=frozenset(["bob"]))
    said = server.say(
        EHLO + MAIL + b"RCPT TO:<no@company.com.example>\r\n" + RCPT + b"DATA\r\nSubject: t\r\n.\r\nNOOP\r\nQUIT\r\n"
    )
    assert [line[:3] for line in said] == ["220", "250", "250", "550", "250", "354", "250", "250", "221"]
    assert server.messages[0].octets == b"Subject: t\r\n"


def test_the_null_reverse_path_and_the_bare_postmaster() -> None:
    server = shell()
    server.say(b"MAIL FROM:<>\r\nRCPT TO:<pOstmaster>\r\n")
    assert server.events[1:] == [
        Mail(NULL, session_mail_parameters(b"")),
        Rcpt(Mailbox("pOstmaster", ""), server.events[2].parameters),
    ]


def test_parameters_come_in_order_with_their_values_as_they_were() -> None:
    server = shell()
    assert server.say(b"MAIL FROM:<> submitter=A+2Bb@Example.com Size=10 BODY=8bitmime\r\n") == ["250 2.1.0 Ok"]
    mail = server.events[-1]
    assert isinstance(mail, Mail)
    assert list(mail.parameters) == [("SUBMITTER", b"A+2Bb@Example.com"), ("SIZE", b"10"), ("BODY", b"8bitmime")]
    assert mail.parameters.get(SUBMITTER) == Mailbox("A+b", "Example.com")
    assert mail.parameters.get(size.SIZE) == 10
    assert mail.parameters.get(eightbitmime.BODY) == "8BITMIME"


def test_rset_is_told_only_while_a_transaction_is_open() -> None:
    server = shell()
    server.say(b"RSET\r\n" + MAIL + b"RSET\r\nRSET\r\n")
    assert [type(event) for event in server.events] == [Hello, Mail, Reset]
    assert server.say(RCPT) == [BAD_SEQUENCE]


def test_ehlo_in_the_middle_resets() -> None:
    server = shell(before=EHLO + MAIL + RCPT)
    server.say(EHLO)
    assert server.say(b"DATA\r\n") == [BAD_SEQUENCE]
    assert server.say(MAIL) == ["250 2.1.0 Ok"]


def test_a_refused_ehlo_keeps_the_transaction() -> None:
    server = shell(before=EHLO + MAIL)
    assert server.say(b"EHLO two words\r\n") == ["501 5.5.4 A domain or an address literal has to follow"]
    assert server.say(RCPT) == ["250 2.1.5 Ok"]


def test_a_mail_that_the_shell_refuses_opens_no_transaction() -> None:
    session = session_after(EHLO)
    session.receive(MAIL + RCPT + b"DATA\r\n")
    assert isinstance(session.next_event(), Mail)
    session.answer(reply(450, "4.4.3", "Later"))
    assert session.next_event() is None
    assert session.to_send() == b"450 4.4.3 Later\r\n" + (BAD_SEQUENCE.encode() + b"\r\n") * 2


def test_data_is_not_taken_when_every_recipient_was_refused() -> None:
    server = Shell(PROFILE, mailboxes=frozenset())
    server.hear(EHLO + MAIL)
    assert server.say(RCPT + b"DATA\r\n") == [str(NO_SUCH_MAILBOX), BAD_SEQUENCE]


def test_data_may_be_refused_and_asked_again() -> None:
    session = session_after(EHLO + MAIL + RCPT)
    session.receive(b"DATA\r\n")
    assert session.next_event() == Data()
    session.answer(reply(451, "4.3.0", "Not now"))
    session.receive(b"DATA\r\nx\r\n.\r\n")
    assert session.next_event() == Data()
    session.answer(START_MAIL_INPUT)
    assert [session.next_event(), session.next_event()] == [MessageOctets(b"x\r\n"), EndOfData()]


def test_recipients_over_the_limit_are_for_another_transaction() -> None:
    server = shell(Profile("mx.example", recipients=2), EHLO + MAIL)
    assert server.say(RCPT * 3) == ["250 2.1.5 Ok", "250 2.1.5 Ok", "452 4.5.3 Too many recipients"]
    assert server.say(b"DATA\r\n.\r\n" + MAIL + RCPT)[-1] == "250 2.1.5 Ok"


def test_a_message_over_the_limit_is_drained_and_refused() -> None:
    server = shell(Profile("mx.example", message_octets=1000), EHLO + MAIL + RCPT)
    said = server.say(b"DATA\r\n" + b"x" * 5000 + b"\r\n.\r\nNOOP\r\n")
    assert said[1:] == [str(MESSAGE_TOO_BIG), "250 2.0.0 Ok"]
    assert server.events[-1] == EndOfData(MESSAGE_TOO_BIG)
    assert not any(isinstance(event, MessageOctets) for event in server.events)


def test_a_message_with_a_bare_line_feed_is_refused_at_its_true_end() -> None:
    server = shell(before=EHLO + MAIL + RCPT)
    said = server.say(b"DATA\r\na\n.\nMAIL FROM:<ceo@bank.example>\r\n.\r\nNOOP\r\n")
    assert said == ["354 End data with <CR><LF>.<CR><LF>", str(BARE_LINE_ENDING_IN_DATA), "250 2.0.0 Ok"]


# Any octets, in any pieces


def run(pieces: list[bytes]) -> tuple[list[Event], bytes]:
    """The events and the replies. What a message with a fault held before the fault was found is left out: how much
    of it is handed on depends on the pieces, and none of it is kept."""
    session = ServerSession(Profile("mx.example", message_octets=100), xclient_allowed=True)
    session.greet()
    events: list[Event] = []
    sent = b""
    for piece in pieces:
        session.receive(piece)
        while (event := session.next_event()) is not None:
            if isinstance(event, MessageOctets):
                if events and isinstance(events[-1], MessageOctets):
                    event = MessageOctets(events.pop().octets + event.octets)
            elif isinstance(event, EndOfData):
                if event.fault and isinstance(events[-1], MessageOctets):
                    events.pop()
                session.answer(event.fault or OK)
            elif isinstance(event, Data):
                session.answer(START_MAIL_INPUT)
            elif isinstance(event, Rcpt):
                session.answer(NO_SUCH_MAILBOX if event.forward_path.local_part == "no" else RECIPIENT_OK)
            elif not isinstance(event, Quit):
                session.answer(OK)
            events.append(event)
        sent += session.to_send()
    if session.state is State.DATA and events and isinstance(events[-1], MessageOctets):
        events.pop()  # a message that was not ended: the pieces decide how much of it is held back
    return events, sent


def cut(octets: bytes, lengths: list[int]) -> list[bytes]:
    pieces = []
    for length in lengths:
        pieces.append(octets[:length])
        octets = octets[length:]
    return [*pieces, octets]


fragments = st.sampled_from(
    [
        EHLO,
        b"HELO x\r\n",
        MAIL,
        b"MAIL FROM:<> SUBMITTER=a+2Bb@c.example SIZE=50\r\n",
        b"MAIL FROM:<> SIZE=500\r\n",
        RCPT,
        b"RCPT TO:<no@b.example>\r\n",
        b"DATA\r\n",
        b"Subject: t\r\n\r\n..text\r\n",
        b".\r\n",
        b"RSET\r\n",
        b"NOOP\r\n",
        b"FROB\r\n",
        b"XCLIENT ADDR=192.0.2.1\r\n",
        b"x" * 200,
        b"x" * 4100,
        b"\r",
        b"\n",
        b"\r\n",
        b"\0",
        b" ",
        b"QUIT\r\n",
    ]
)
transaction = EHLO + MAIL + RCPT + b"DATA\r\n"
streams = st.one_of(
    st.lists(fragments, max_size=25).map(b"".join),
    st.lists(fragments, max_size=12).map(lambda some: transaction + b"".join(some)),
    st.binary(max_size=300),
)


@settings(deadline=None, max_examples=200)
@given(octets=streams, lengths=st.lists(st.integers(0, 40), max_size=40))
def test_any_cut_gives_the_same_events_and_replies(octets: bytes, lengths: list[int]) -> None:
    assert run(cut(octets, lengths)) == run([octets])


@settings(deadline=None, max_examples=60)
@given(octets=streams)
def test_octet_by_octet_gives_the_same_events_and_replies(octets: bytes) -> None:
    assert run([b"", *(octets[index : index + 1] for index in range(len(octets)))]) == run([octets])


# What it costs


def test_ten_thousand_idle_sessions_cost_less_than_a_kibibyte_and_a_half_each() -> None:
    session_after(EHLO)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        sessions = [session_after(EHLO) for _ in range(10_000)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / len(sessions) < 1536


def test_a_large_message_passes_in_pieces() -> None:
    session = session_after(EHLO + MAIL + RCPT)
    session.receive(b"DATA\r\n")
    session.next_event()
    session.answer(START_MAIL_INPUT)
    piece = (b"x" * 70 + b"\r\n") * 910
    tracemalloc.start()
    try:
        for _ in range(100):
            session.receive(piece)
            while session.next_event() is not None:
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 5 * len(piece)


def test_every_extension_has_its_own_keyword_and_its_line_fits_into_what_is_read() -> None:
    assert len({extension.keyword for extension in ALL}) == len(ALL)
    assert max(PROFILE.dialect(PROFILE.terms(xclient_allowed=True), extended=True).limits.values()) < READ_OCTETS


@pytest.mark.parametrize("line", [b"NOOP", b"HELP", b"VRFY a", b"EHLO a.example", b"RSET"])
def test_commands_that_lead_to_no_mail_are_counted_as_errors_after_a_hundred(line: bytes) -> None:
    """As Postfix's smtpd_junk_command_limit: else one segment of 40,000 NOOPs keeps all other sessions waiting."""
    session = ServerSession(Profile("mx.company.com.example", errors=5))
    session.receive((line + b"\r\n") * 40_000)
    while (event := session.next_event()) is not None:
        assert isinstance(event, Hello)
        session.answer(Reply(250, "2.0.0", ("Ok",)))
    assert session.closed
    assert session.to_send().endswith(b"421 4.7.0 Too many errors\r\n")
