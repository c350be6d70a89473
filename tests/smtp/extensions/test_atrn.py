"""ATRN (RFC 2645): what such a listener is for, who may say it, and what may not stand behind it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.reply import OK, Rejected, Reply, reply
from purport.smtp.event import Atrn, Auth, Event
from purport.smtp.extensions import ALL
from purport.smtp.extensions.atrn import BESIDE, ELSEWHERE, NO_MAIL, NOT_YOURS, REVERSING, SENT_AHEAD, command, read
from purport.smtp.server import JUNK, Profile, ServerSession
from purport.smtp.state import State

EHLO = b"EHLO mail.company.com.example\r\n"
AUTH = b"AUTH PLAIN AGEAYg==\r\n"
SUCCESS = reply(235, "2.7.0", "Authentication successful")
EXTENSIONS = tuple(one for one in ALL if one.keyword in (*BESIDE, "ATRN"))


def session(*, service: str = "odmr", tls_required: bool = False, secure: bool = False) -> ServerSession:
    profile = Profile(
        "mx.provider.example",
        extensions=EXTENSIONS if service == "odmr" else ALL,
        service=service,  # type: ignore[arg-type]
        mechanisms=("PLAIN",),
        auth_without_tls=not tls_required,
        starttls=tls_required,
        tls_required=tls_required,
    )
    made = ServerSession(profile, secure=secure)
    made.greet()
    made.to_send()
    return made


def answered(event: Event, to_atrn: Reply) -> Reply:
    if isinstance(event, Atrn):
        return to_atrn
    return SUCCESS if isinstance(event, Auth) else OK


def hear(server: ServerSession, octets: bytes, to_atrn: Reply = REVERSING) -> list[str]:
    """What a server says that lets everybody in; each reply's last line."""
    server.receive(octets)
    while (event := server.next_event()) is not None:
        server.answer(answered(event, to_atrn)) if type(event).__name__ != "Quit" else None
    return [line for line in server.to_send().decode().split("\r\n")[:-1] if line[3] == " "]


def test_the_session_of_the_rfc() -> None:
    """RFC 2645 section 6."""
    server = session()
    server.receive(b"EHLO example.org\r\n")
    assert server.next_event() is not None
    server.answer(OK)
    assert server.to_send() == (b"250-mx.provider.example\r\n250-ENHANCEDSTATUSCODES\r\n250-AUTH PLAIN\r\n250 ATRN\r\n")
    assert hear(server, AUTH) == [str(SUCCESS)]
    server.receive(b"ATRN example.org,example.com\r\n")
    assert server.next_event() == Atrn(("example.org", "example.com"))
    server.answer(REVERSING)
    assert server.to_send() == b"250 2.0.0 OK, now reversing the connection\r\n"
    assert server.state is State.REVERSED
    assert not server.closed
    server.receive(b"220 example.org ready to receive email\r\n")
    assert server.next_event() is None
    assert server.to_send() == b""


@pytest.mark.parametrize("verb", sorted(ELSEWHERE), ids=lambda verb: verb.decode())
@pytest.mark.parametrize("before", [b"", EHLO, EHLO + AUTH], ids=["first", "hello", "login"])
def test_nothing_else_is_done_there(before: bytes, verb: bytes) -> None:
    """RFC 2645 section 5.4."""
    server = session()
    hear(server, before)
    assert hear(server, verb + b" FROM:<a@b.example>\r\n")[0].startswith("502 5.5.1 ")


@pytest.mark.parametrize("before", [b"", EHLO], ids=["first", "hello"])
def test_it_needs_a_login(before: bytes) -> None:
    """RFC 2645 section 5.2.1."""
    server = session()
    hear(server, before)
    assert hear(server, b"ATRN\r\n") == ["530 5.7.0 Authentication required"]
    assert server.state is not State.REVERSED


def test_where_tls_comes_first_it_comes_first() -> None:
    server = session(tls_required=True)
    assert hear(server, EHLO + b"ATRN\r\n")[-1] == "530 5.7.0 Must issue a STARTTLS command first"


def test_no_other_listener_offers_it() -> None:
    server = session(service="mx")
    server.receive(EHLO)
    assert server.next_event() is not None
    server.answer(OK)
    assert b"ATRN" not in server.to_send()
    assert hear(server, b"ATRN\r\n") == ["500 5.5.1 Command not recognized"]


@pytest.mark.parametrize("answer", [NO_MAIL, NOT_YOURS], ids=str)
def test_a_refusal_leaves_the_session_as_it_was(answer: Reply) -> None:
    server = session()
    assert hear(server, EHLO + AUTH + b"ATRN\r\nNOOP\r\nATRN\r\nQUIT\r\n", answer)[2:] == [
        str(answer),
        "250 2.0.0 Ok",
        str(answer),
        "221 2.0.0 Bye",
    ]


@pytest.mark.parametrize("behind", [b"NOOP\r\n", b"220 mail.company.com.example ESMTP\r\n", b"E"])
@pytest.mark.parametrize("late", [False, True], ids=["at once", "while it waits"])
def test_s12_what_was_sent_ahead_keeps_the_roles_as_they_are(behind: bytes, late: bool) -> None:
    """Whoever sent it, it was not for the one who would read it."""
    server = session()
    hear(server, EHLO + AUTH)
    server.receive(b"ATRN\r\n" + (b"" if late else behind))
    assert server.next_event() == Atrn()
    if late:
        server.receive(behind)
    server.answer(REVERSING)
    assert server.state is State.READY
    assert server.to_send() == SENT_AHEAD.octets()


@pytest.mark.parametrize(
    ("argument", "domains"),
    [
        (b"", ()),
        (b"a.example", ("a.example",)),
        (b"A.Example,b-2.example", ("A.Example", "b-2.example")),
        (b"a.b.c.example,d.example,e.example", ("a.b.c.example", "d.example", "e.example")),
    ],
)
def test_what_may_be_asked_for(argument: bytes, domains: tuple[str, ...]) -> None:
    assert read(argument) == Atrn(domains)
    assert command(domains) == b" ".join(filter(None, (b"ATRN", argument))) + b"\r\n"


@pytest.mark.parametrize(
    "argument",
    [
        b"example",
        b"a.example,",
        b",a.example",
        b"a.example, b.example",
        b"a.example b.example",
        b"a..example",
        b"-a.example",
        b"a_b.example",
        b"@a.example",
        b"#queue",
        b"[192.0.2.1]",
        "bücher.example".encode(),
    ],
)
def test_what_may_not(argument: bytes) -> None:
    """The ABNF of RFC 2645 section 5.2.1: at least two labels each, and no space."""
    with pytest.raises(Rejected) as caught:
        read(argument)
    assert str(caught.value.reply).startswith("501 5.5.4 ")


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_whatever_is_asked_for_is_a_domain_or_refused(argument: bytes) -> None:
    try:
        event = read(argument)
    except Rejected:
        return
    assert all(domain.isascii() and domain.isprintable() and "." in domain for domain in event.domains)


def test_a_client_that_asks_on_and_on_is_cut_off() -> None:
    server = session()
    hear(server, EHLO + AUTH)
    hear(server, b"ATRN\r\n" * (JUNK + 50), NO_MAIL)
    assert server.closed
