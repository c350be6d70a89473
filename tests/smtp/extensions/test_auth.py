"""AUTH (RFC 4954): the dialogues of the RFC, the state that an exchange is, the parameter of MAIL."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox, parse_mailbox
from purport.mail.reply import OK, SENDER_OK, START_MAIL_INPUT, Reply
from purport.smtp.event import Auth, AuthResponse, Data, Event, Mail, Quit
from purport.smtp.extension import Outgoing, Service
from purport.smtp.extensions.auth import (
    AUTH,
    EXTENSION,
    RESPONSE_OCTETS,
    SUCCESS,
    challenge,
    decode,
    encode,
    outbound,
)
from purport.smtp.sasl import mechanisms
from purport.smtp.sasl.exchange import Challenge, Exchange, Given, KeysWanted, Refused
from purport.smtp.sasl.keys import keys_of_password
from purport.smtp.sasl.scram import Channel
from purport.smtp.server import Profile, ServerSession
from purport.smtp.state import State

ALL = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256", "OAUTHBEARER", "PLAIN")
PLAIN = b"AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=\r\n"  # RFC 4954 section 4.1
KEYS = keys_of_password("1234", b"salt", 4096)
EHLO = b"EHLO client.example.com\r\n"


@dataclass
class Shell:
    """Answers a session as a server would where the user is `test` with the password `1234`."""

    session: ServerSession
    events: list[Event] = field(default_factory=list)
    exchange: Exchange | None = None

    def say(self, octets: bytes) -> str:
        self.session.receive(octets)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
            if not isinstance(event, Quit):
                self.session.answer(self.decide(event))
        return self.session.to_send().decode("ascii")

    def decide(self, event: Event) -> Reply:
        match event:
            case Auth():
                context = mechanisms.ServerContext("srv", Channel({}, plus_offered=False))
                self.exchange = mechanisms.server_exchange(event.mechanism, event.initial, context)
                return self.step(None)
            case AuthResponse():
                return event.fault or self.step(event.octets)
            case Mail():
                return SENDER_OK
            case Data():
                return START_MAIL_INPUT
        return OK

    def step(self, value: Given) -> Reply:
        assert self.exchange is not None
        try:
            asked = self.exchange.send(value)
            while not isinstance(asked, Challenge):
                asked = self.exchange.send(
                    KEYS
                    if isinstance(asked, KeysWanted)
                    else "test"
                    if getattr(asked, "password", "") == "1234"
                    else None
                )
            return challenge(asked.octets)
        except StopIteration:
            return SUCCESS
        except Refused as refused:
            return refused.reply


def shell(
    service: Service = "submission",
    offered: tuple[str, ...] = ALL,
    *,
    secure: bool = False,
    without_tls: bool = True,
    xclient: bool = False,
) -> Shell:
    profile = Profile("smtp.example.com", service=service, mechanisms=offered, auth_without_tls=without_tls)
    session = ServerSession(profile, xclient_allowed=xclient)
    if secure:
        session._terms = profile.terms(secure=True, bound=True)
        session._dialect = profile.dialect(session._terms, extended=True)
        session._enter(State.START)
    return Shell(session)


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets) + b"\r\n"


# What is offered


def test_the_mechanisms_are_offered_the_strongest_first() -> None:
    assert "250-AUTH SCRAM-SHA-256 OAUTHBEARER PLAIN\r\n" in shell().say(EHLO)


def test_plus_is_offered_where_the_channel_is_known() -> None:
    assert "250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER PLAIN\r\n" in shell(secure=True).say(EHLO)


def test_nothing_is_offered_in_clear_and_auth_is_told_why() -> None:
    clear = shell(without_tls=False)
    assert "AUTH" not in clear.say(EHLO)
    assert clear.say(PLAIN).startswith("538 5.7.11 ")
    assert "AUTH" in shell(without_tls=False, secure=True).say(EHLO)


def test_a_listener_without_mechanisms_does_not_know_auth() -> None:
    mx = shell("mx", ())
    assert "AUTH" not in mx.say(EHLO)
    assert mx.say(PLAIN).startswith("500 5.5.1 ")
    assert mx.say(b"MAIL FROM:<a@b.example> AUTH=<>\r\n").startswith("555 5.5.4 ")


# RFC 4954 section 4.1


def test_plain_with_an_initial_response() -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(PLAIN) == "235 2.7.0 Authentication successful\r\n"
    assert client.session.terms.authenticated


def test_plain_without_an_initial_response() -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(b"AUTH PLAIN\r\n") == "334 \r\n"
    assert client.session.state is State.LOGIN
    assert client.say(b"dGVzdAB0ZXN0ADEyMzQ=\r\n") == "235 2.7.0 Authentication successful\r\n"
    assert client.session.state is State.READY


def test_an_equals_sign_is_an_initial_response_without_octets() -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(b"AUTH PLAIN =\r\n").startswith("501 5.5.2 ")  # PLAIN has to say something
    assert client.events[-1] == Auth("PLAIN", b"")
    assert client.say(b"AUTH PLAIN\r\n") == "334 \r\n"
    assert client.events[-1] == Auth("PLAIN", None)


@pytest.mark.parametrize("mechanism", ["plain", "Plain", "PLAIN"])
def test_the_case_of_a_mechanism_does_not_matter(mechanism: str) -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(b"auth " + mechanism.encode() + b" dGVzdAB0ZXN0ADEyMzQ=\r\n").startswith("235 ")


def test_a_second_login_is_a_bad_sequence() -> None:
    client = shell()
    client.say(EHLO + PLAIN)
    assert client.say(PLAIN).startswith("503 5.5.1 ")
    assert client.say(EHLO).startswith("250-")  # allowed, and the login stays
    assert client.say(PLAIN).startswith("503 5.5.1 ")
    assert client.say(b"MAIL FROM:<a@b.example>\r\n").startswith("250 ")


@pytest.mark.parametrize(
    "before", [b"", EHLO + b"MAIL FROM:<a@b.example>\r\n"], ids=["before EHLO", "in a transaction"]
)
def test_auth_has_its_place(before: bytes) -> None:
    client = shell("mx")
    client.say(before)
    assert client.say(PLAIN).startswith("503 5.5.1 ")


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (b"", "501 5.5.4 "),
        (b" ", "501 5.5.4 "),
        (b" PLAIN!", "501 5.5.4 "),
        (b" GSSAPI", "504 5.5.4 "),
        (b" CRAM-MD5", "534 5.7.9 "),
        (b" LOGIN", "534 5.7.9 "),
        (b" PLAIN =AAA", "501 5.5.2 "),
        (b" PLAIN AAA=BBB", "501 5.5.2 "),
        (b" PLAIN AAAA AAAA", "501 5.5.2 "),
        (b" PLAIN dGVzdAB0ZXN0ADEyMzU=", "535 5.7.8 "),
        (b" SCRAM-SHA-256-PLUS", "504 5.5.4 "),
    ],
)
def test_what_auth_refuses(argument: bytes, said: str) -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(b"AUTH" + argument + b"\r\n").startswith(said)
    assert client.session.state is State.READY
    assert not client.session.terms.authenticated
    assert client.say(PLAIN).startswith("235 ")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"*\r\n", "501 5.7.0 "),
        (b"=AAA\r\n", "501 5.5.2 "),
        (b"=\r\n", "501 5.5.2 "),
        (b"dGVz dAB0\r\n", "501 5.5.2 "),
        (b"NOOP\r\n", "501 5.5.2 "),  # four characters of base64, but no PLAIN
        (b"QUIT\r\n", "501 5.5.2 "),
        (b"dGVzdAB0ZXN0ADEyMzQ=\n\r\n", "500 5.5.2 "),
        (b"dGVzdAB0ZXN0\rADEyMzQ=\r\n", "501 5.5.2 "),
        (b"A" * (RESPONSE_OCTETS - 1) + b"\r\n", "500 5.5.6 "),
        (b"A" * 100_000 + b"\r\n", "500 5.5.6 "),
    ],
)
def test_a_response_that_ends_the_exchange(line: bytes, said: str) -> None:
    client = shell()
    client.say(EHLO + b"AUTH PLAIN\r\n")
    assert client.say(line).startswith(said)
    assert client.session.state is State.READY
    assert client.say(b"NOOP\r\n") == "250 2.0.0 Ok\r\n"  # in step, and nothing of the line was run


def test_the_longest_response_is_read() -> None:
    client = shell()
    client.say(EHLO + b"AUTH OAUTHBEARER\r\n")
    line = b"A" * (RESPONSE_OCTETS - 4) + b"\r\n"
    assert client.say(line).startswith("501 5.5.2 ")
    assert client.events[-1] == AuthResponse(base64.b64decode(line))


def test_a_long_token_may_be_an_initial_response() -> None:
    client = shell()
    client.say(EHLO)
    client.say(b"AUTH OAUTHBEARER " + b"A" * 8000 + b"\r\n")
    assert client.events[-1] == Auth("OAUTHBEARER", b"\0" * 6000)
    assert client.say(b"AUTH OAUTHBEARER " + b"A" * 12288 + b"\r\n").startswith("500 5.5.")
    assert client.say(b"NOOP " + b"A" * 600 + b"\r\n").startswith("500 5.5.6 ")


def test_a_421_ends_the_session_in_the_middle_of_an_exchange() -> None:
    client = shell()
    client.say(EHLO + b"AUTH PLAIN\r\n")
    client.session.receive(b"AAAA\r\n")
    assert isinstance(client.session.next_event(), AuthResponse)
    client.session.answer(Reply(421, "4.7.0", ("Go",)))
    assert client.session.closed


@given(st.integers(1, 7), st.sampled_from(["PLAIN", "SCRAM-SHA-256"]))
def test_any_cut_gives_the_same_dialogue(cut: int, mechanism: str) -> None:
    said = EHLO + b"AUTH " + mechanism.encode() + b"\r\n" + b64(b"n,,n=user,r=abc") + b"*\r\n" + PLAIN + b"NOOP\r\n"
    whole, pieces = shell(), shell()
    expected = whole.say(said)
    assert "".join(pieces.say(said[at : at + cut]) for at in range(0, len(said), cut)) == expected


# Submission


@pytest.mark.parametrize("command", [b"MAIL FROM:<a@b.example>", b"VRFY bob", b"EXPN list"])
def test_submission_needs_a_login(command: bytes) -> None:
    client = shell()
    client.say(EHLO)
    assert client.say(command + b"\r\n") == "530 5.7.0 Authentication required\r\n"
    assert client.say(b"RCPT TO:<a@b.example>\r\n").startswith("503 ")
    for verb in (b"NOOP", b"RSET", b"HELP"):
        assert client.say(verb + b"\r\n")[0] == "2"
    client.say(PLAIN)
    assert client.say(command + b"\r\n")[0] in "25"
    assert "530" not in client.say(command + b"\r\n")


def test_mx_needs_none() -> None:
    client = shell("mx")
    client.say(EHLO)
    assert client.say(b"MAIL FROM:<a@b.example>\r\n").startswith("250 ")


def test_a_login_can_be_taken_back() -> None:
    client = shell()
    client.say(EHLO)
    client.session.log_in()
    assert client.say(b"MAIL FROM:<a@b.example>\r\nRSET\r\n").startswith("250 ")
    client.session.log_in(False)
    assert client.say(b"MAIL FROM:<a@b.example>\r\n").startswith("530 ")


# The parameter


@pytest.mark.parametrize(
    ("value", "identity"),
    [
        (b"e+3Dmc2@example.com", parse_mailbox("e=mc2@example.com")),  # RFC 4954 section 5.1
        (b"<>", NULL),
        (b"+3C+3E", NULL),
        (b"alice@example.com", parse_mailbox("alice@example.com")),
    ],
)
def test_the_examples_of_the_parameter(value: bytes, identity: object) -> None:
    client = shell("mx")
    client.say(EHLO)
    assert client.say(b"MAIL FROM:<e=mc2@example.com> AUTH=" + value + b"\r\n").startswith("250 ")
    mail = client.events[-1]
    assert isinstance(mail, Mail)
    assert mail.parameters.get(AUTH) == identity


@pytest.mark.parametrize(
    "value", [b"", b"=", b"=alice", b"=<alice@example.com>", b"=a+zz@b.example", b"=a+0D@b.example", b"=<> AUTH=<>"]
)
def test_a_bad_value_is_a_syntax_error(value: bytes) -> None:
    client = shell("mx")
    client.say(EHLO)
    assert client.say(b"MAIL FROM:<a@b.example> AUTH" + value + b"\r\n").startswith("501 5.5.4 ")


LOCAL_PARTS = st.text(st.sampled_from("abc+=!#%&*.-_"), min_size=1, max_size=20).filter(
    lambda text: not text.startswith(".") and not text.endswith(".") and ".." not in text
)


@given(LOCAL_PARTS)
def test_an_identity_travels(local_part: str) -> None:
    identity = Mailbox(local_part, "example.com")
    assert decode(encode(identity)) == identity
    assert decode(encode(NULL)) is NULL


def test_the_line_of_mail_may_be_500_octets_longer() -> None:
    assert EXTENSION.mail_octets == 500  # RFC 4954 section 3 (6)
    client = shell("mx")
    client.say(EHLO)
    value = b"+61" * 64 + b"@" + b"a" * 60 + b".example"
    assert client.say(b"MAIL FROM:<" + b"a" * 64 + b"@b.example> AUTH=" + value + b"\r\n").startswith("250 ")


@pytest.mark.parametrize(
    ("authenticated", "offer", "added"), [(True, "PLAIN", {"AUTH": b"<>"}), (False, "PLAIN", {}), (True, None, {})]
)
def test_the_client_says_nobody_where_it_logged_in(
    authenticated: bool, offer: str | None, added: Mapping[str, bytes]
) -> None:
    assert outbound(Outgoing(100, authenticated=authenticated), offer) == added


def test_secrets_stand_in_no_repr() -> None:
    client = shell()
    client.say(EHLO + b"AUTH PLAIN\r\n")
    client.say(b"dGVzdAB0ZXN0ADEyMzQ=\r\n")
    client = shell()
    client.say(EHLO + PLAIN)
    assert "1234" not in repr(client.events)
    assert "dGVz" not in repr(client.events)
