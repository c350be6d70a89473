"""The client logs in before its first transaction (RFC 4954), and believes no server that only says yes."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import Recipient
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Ready, Unusable
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.sasl.credentials import Credentials
from purport.smtp.sasl.login import ClientLogin

GREETING = b"220 mx ESMTP\r\n"
# RFC 7677 section 3.
NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def credentials(**named: object) -> Credentials:
    return Credentials("user", "pencil", **named)  # type: ignore[arg-type]


class Dialogue:
    """A session that heard a greeting and an EHLO reply with these mechanisms."""

    def __init__(
        self,
        offer: str | None,
        login: Credentials | None = None,
        *,
        secure: bool = False,
        bindings: Mapping[str, bytes] | None = None,
    ) -> None:
        self.login = ClientLogin(login or credentials(), NONCE, bindings)
        self.session = ClientSession("client.example", ALL, self.login)
        self.session.secure = secure
        self.events: list[object] = []
        self.hear(GREETING)
        self.sent = self.hear(b"250 mx\r\n" if offer is None else b"250-mx\r\n250 AUTH " + offer.encode() + b"\r\n")

    def hear(self, octets: bytes) -> bytes:
        self.session.receive(octets)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        return b"".join(self.session.to_send())

    def challenge(self, octets: bytes) -> bytes:
        return self.hear(b"334 " + base64.b64encode(octets) + b"\r\n")

    @property
    def refusal(self) -> str:
        (event,) = self.events
        assert isinstance(event, Unusable)
        assert event.stage is Stage.AUTH
        assert self.session.closed
        return str(event.reply)


def b64(octets: bytes) -> bytes:
    return base64.b64encode(octets) + b"\r\n"


def test_plain_goes_with_the_command_under_tls() -> None:
    dialogue = Dialogue("PLAIN LOGIN", secure=True)
    assert dialogue.sent == b"AUTH PLAIN " + b64(b"\0user\0pencil")
    assert dialogue.hear(b"235 2.7.0 Welcome\r\n") == b""
    assert dialogue.events == [Ready()]
    assert dialogue.session.authenticated


def test_login_says_the_name_and_the_password() -> None:
    dialogue = Dialogue("LOGIN", secure=True)
    assert dialogue.sent == b"AUTH LOGIN\r\n"
    assert dialogue.challenge(b"Username:") == b64(b"user")
    assert dialogue.challenge(b"Password:") == b64(b"pencil")
    dialogue.hear(b"235 Ok\r\n")
    assert dialogue.events == [Ready()]


def test_scram_is_used_where_it_is_offered() -> None:
    dialogue = Dialogue("PLAIN SCRAM-SHA-256 SCRAM-SHA-1")
    assert dialogue.sent == b"AUTH SCRAM-SHA-256 " + b64(b"n,,n=user,r=" + NONCE.encode())
    assert dialogue.challenge(SERVER_FIRST) == b64(CLIENT_FINAL)
    assert dialogue.challenge(SERVER_FINAL) == b"\r\n"
    assert dialogue.hear(b"235 2.7.0 Ok\r\n") == b""
    assert dialogue.events == [Ready()]


def test_plus_is_used_where_the_channel_can_be_bound() -> None:
    dialogue = Dialogue("SCRAM-SHA-256 SCRAM-SHA-256-PLUS", secure=True, bindings={"tls-exporter": b"x"})
    assert dialogue.sent == b"AUTH SCRAM-SHA-256-PLUS " + b64(b"p=tls-exporter,,n=user,r=" + NONCE.encode())


def test_a_server_that_lets_everybody_in_is_not_believed() -> None:
    dialogue = Dialogue("SCRAM-SHA-256")
    assert dialogue.hear(b"235 2.7.0 Come in\r\n") == b"QUIT\r\n"
    assert "did not prove" in dialogue.refusal
    assert not dialogue.session.authenticated


@pytest.mark.parametrize(
    ("challenge", "why"),
    [
        (b"334 =AAA\r\n", "not base64"),
        (b"334 AAAA AAAA\r\n", "not base64"),
        (b"334-AAAA\r\n334 =\r\n", "not base64"),
        (b"334 " + b64(b"r=other,s=AAAA,i=4096"), "nonce"),
        (b"334 " + b64(b"r=" + NONCE.encode() + b"x,s=AAAA,i=999999999"), "iterations"),
    ],
)
def test_an_odd_challenge_is_cancelled(challenge: bytes, why: str) -> None:
    dialogue = Dialogue("SCRAM-SHA-256")
    assert dialogue.hear(challenge) == b"*\r\n"
    assert dialogue.hear(b"501 5.7.0 Cancelled\r\n") == b"QUIT\r\n"
    assert why in dialogue.refusal
    assert dialogue.refusal.startswith("450 ")


def test_a_server_that_never_ends_is_cancelled() -> None:
    dialogue = Dialogue("PLAIN", secure=True)
    assert dialogue.challenge(b"") == b"*\r\n"
    for _ in range(20):
        dialogue.challenge(b"")
    assert not dialogue.session.ready


@pytest.mark.parametrize("refusal", ["535 5.7.8 Wrong", "454 4.7.0 Later", "504 5.5.4 What", "530 5.7.0 TLS first"])
def test_what_the_server_says_is_the_reason(refusal: str) -> None:
    dialogue = Dialogue("PLAIN", secure=True)
    assert dialogue.hear(refusal.encode() + b"\r\n") == b"QUIT\r\n"
    assert dialogue.refusal == refusal


@pytest.mark.parametrize("answer", [b"250 Ok\r\n", b"354 Go\r\n", b"220 Hello\r\n"])
def test_an_accepting_reply_that_is_none_to_auth_is_not_believed(answer: bytes) -> None:
    dialogue = Dialogue("PLAIN", secure=True)
    dialogue.hear(answer)
    assert "is no reply to AUTH" in dialogue.refusal


@pytest.mark.parametrize(
    ("offer", "why"),
    [(None, "does not offer AUTH"), ("", "no AUTH mechanism"), ("GSSAPI", "no AUTH"), ("PLAIN LOGIN", "no AUTH")],
)
def test_nothing_is_said_where_there_is_no_safe_way(offer: str | None, why: str) -> None:
    dialogue = Dialogue(offer)
    assert dialogue.sent == b"QUIT\r\n"
    assert why in dialogue.refusal


def test_the_password_may_go_in_clear_where_it_was_told_to() -> None:
    assert Dialogue("PLAIN", credentials(without_tls=True)).sent.startswith(b"AUTH PLAIN ")


def test_a_long_token_waits_for_a_challenge() -> None:
    dialogue = Dialogue("OAUTHBEARER", Credentials("user", token="t" * 600), secure=True)
    assert dialogue.sent == b"AUTH OAUTHBEARER\r\n"
    assert base64.b64decode(dialogue.challenge(b"")).startswith(b"n,a=user,\x01auth=Bearer ttt")


def test_a_refused_token_is_agreed_to() -> None:
    dialogue = Dialogue("OAUTHBEARER", Credentials("user", token="t"), secure=True)
    assert dialogue.challenge(b'{"status":"invalid_token"}') == b64(b"\x01")
    dialogue.hear(b"535 5.7.8 No\r\n")
    assert dialogue.refusal == "535 5.7.8 No"


def test_mail_says_nobody_after_a_login() -> None:
    dialogue = Dialogue("PLAIN", secure=True)
    dialogue.hear(b"235 Ok\r\n")
    message = Outgoing(100, authenticated=dialogue.session.authenticated)
    recipients = [Recipient(Mailbox("bob", "b.example"))]
    dialogue.session.begin(Transaction(Mailbox("alice", "example.com"), recipients, message))
    assert dialogue.hear(b"") == b"MAIL FROM:<alice@example.com> AUTH=<>\r\n"


def test_the_dialogue_that_is_kept_holds_no_secret() -> None:
    for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
        dialogue = Dialogue(mechanism, secure=True)
        dialogue.challenge(b"Username:")
        dialogue.challenge(b"Password:")
        dialogue.hear(b"535 5.7.8 Wrong\r\n")
        told = "\n".join(dialogue.session.hello_dialogue)
        assert f"C: AUTH {mechanism} ..." in told
        for secret in (b"pencil", base64.b64encode(b"pencil"), base64.b64encode(b"\0user\0pencil")):
            assert secret.decode("latin-1") not in told


def test_421_in_the_middle_of_a_login_ends_it() -> None:
    dialogue = Dialogue("LOGIN", secure=True)
    dialogue.hear(b"421 4.3.2 Going down\r\n")
    assert dialogue.refusal == "421 4.3.2 Going down"


@given(
    st.lists(st.sampled_from([b"334 \r\n", b"334 AAAA\r\n", b"235 Ok\r\n", b"535 No\r\n", b"250 Ok\r\n"]), max_size=14)
)
def test_whatever_the_server_says_the_session_is_ready_only_after_235(replies: list[bytes]) -> None:
    dialogue = Dialogue("SCRAM-SHA-256")
    for said in replies:
        if dialogue.events:
            break
        dialogue.hear(said)
    assert not dialogue.session.authenticated  # nobody here knows the password
