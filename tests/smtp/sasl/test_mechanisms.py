"""The mechanisms, both sides: the examples of their RFCs, each side against the other, and what each refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.smtp.sasl import cram_md5, oauthbearer, plain, scram
from purport.smtp.sasl.credentials import ClientFault, ClientMechanism, Credentials
from purport.smtp.sasl.encoding import decode
from purport.smtp.sasl.exchange import (
    Challenge,
    DigestCheck,
    Exchange,
    Given,
    KeysWanted,
    PasswordCheck,
    Refused,
    TokenCheck,
)
from purport.smtp.sasl.keys import ScramKeys, is_password, keys_of_password, read_keys
from purport.smtp.sasl.mechanisms import (
    ALL,
    CRAM_MD5,
    LOGIN,
    OAUTHBEARER,
    PLAIN,
    SCRAM,
    SCRAM_PLUS,
    ServerContext,
    choose,
    client_mechanism,
    server_exchange,
)

# RFC 7677 section 3.
SALT = decode(b"W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_NONCE = "rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SERVER_FIRST = f"r={CLIENT_NONCE}{SERVER_NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096".encode()
CLIENT_FINAL = f"c=biws,r={CLIENT_NONCE}{SERVER_NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=".encode()
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="
KEYS = keys_of_password("pencil", SALT, 4096)
NO_CHANNEL = scram.Channel({}, plus_offered=False)
BOUND = scram.Channel({"tls-exporter": b"\x01" * 32}, plus_offered=True)


class Users:
    """Answers what a mechanism asks."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def answer(self, question: object) -> Given:
        self.asked.append(question)
        match question:
            case PasswordCheck(name, password):
                known = {("alice", "secret"), ("tim", "tanstaaftanstaaf"), ("user", "pencil")}
                return name if (name, password) in known else None
            case KeysWanted(name):
                return KEYS if name == "user" else keys_of_password("?", b"another salt", 4096)
            case DigestCheck(name, asked, digest):
                return name if (name, digest) == ("user", cram_md5.digest("pencil", asked)) else None
            case TokenCheck(token):
                return "user@example.com" if token.startswith("vF9dft4qmTc2") else None
        raise AssertionError(question)


def step(exchange: Exchange, value: Given, users: Users | None = None) -> bytes | str:
    """The next challenge, or the name at the end."""
    users = users or Users()
    try:
        asked = exchange.send(value)
        while not isinstance(asked, Challenge):
            asked = exchange.send(users.answer(asked))
    except StopIteration as stop:
        return str(stop.value)
    return asked.octets


def converse(client: ClientMechanism, exchange: Exchange, initial: bytes | None) -> str:
    """Both sides to the end; the name."""
    said: bytes | str = step(exchange, None)
    if initial is None and isinstance(said, bytes) and (first := client.initial()) is not None:
        said = step(exchange, first)
    while isinstance(said, bytes):
        said = step(exchange, client.respond(said))
    return said


# PLAIN and LOGIN


@pytest.mark.parametrize(
    "response", [b"\0tim\0tanstaaftanstaaf", b"tim\0tim\0tanstaaftanstaaf", b"\0t\xc2\xadim\0tanstaaftanstaaf"]
)
def test_the_plain_example_of_rfc_4616(response: bytes) -> None:
    assert step(plain.server(response), None) == "tim"


def test_plain_without_an_initial_response_asks_with_an_empty_challenge() -> None:
    exchange = plain.server(None)
    assert step(exchange, None) == b""
    assert step(exchange, b"\0alice\0secret") == "alice"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"", 501),
        (b"alice\0secret", 501),
        (b"\0alice\0secret\0", 501),
        (b"\0al\xffice\0secret", 501),
        (b"\0\0secret", 535),
        (b"\0alice\0", 535),
        (b"\0\xc2\xad\0secret", 535),
        (b"\0alice\0wrong", 535),
        (b"\0alice\0\x07", 535),
        (b"bob\0alice\0secret", 535),  # Kurt's login for Ursel (RFC 4616 section 4) is not for us
    ],
)
def test_what_plain_refuses(response: bytes, code: int) -> None:
    with pytest.raises(Refused) as refused:
        step(plain.server(response), None)
    assert refused.value.reply.code == code
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(refused.value)


def test_login_asks_for_the_name_and_the_password() -> None:
    exchange = plain.login_server(None)
    assert step(exchange, None) == b"Username:"
    assert step(exchange, b"alice") == b"Password:"
    assert step(exchange, b"secret") == "alice"


def test_login_takes_the_name_as_initial_response() -> None:
    exchange = plain.login_server(b"alice")
    assert step(exchange, None) == b"Password:"
    with pytest.raises(Refused):
        step(exchange, b"wrong")


# SCRAM


def test_the_example_of_rfc_7677_as_server() -> None:
    exchange = scram.server(f"n,,n=user,r={CLIENT_NONCE}".encode(), SERVER_NONCE, NO_CHANNEL, plus=False)
    assert step(exchange, None) == SERVER_FIRST
    assert step(exchange, CLIENT_FINAL) == SERVER_FINAL
    assert step(exchange, b"") == "user"


def test_the_example_of_rfc_7677_as_client() -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), CLIENT_NONCE)
    assert client.initial() == f"n,,n=user,r={CLIENT_NONCE}".encode()
    assert client.respond(SERVER_FIRST) == CLIENT_FINAL
    assert not client.complete
    assert client.respond(SERVER_FINAL) == b""
    assert client.complete


def test_the_keys_as_postgresql_writes_them() -> None:
    assert read_keys(KEYS.written()) == KEYS
    assert KEYS.written().startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXk")
    assert is_password("pencil", KEYS)
    assert not is_password("pencils", KEYS)
    assert "WG5d" not in repr(KEYS)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SCRAM-SHA-256$0:AA==$AA==:AA==",
        "SCRAM-SHA-256$4096:AA==$AA==:AA==",
        "SCRAM-SHA-1$4096:AA==$AA==:AA==",
        "SCRAM-SHA-256$4096:A$AA==:AA==",
        "SCRAM-SHA-256$4096",
    ],
)
def test_what_are_no_keys(text: str) -> None:
    with pytest.raises(ValueError):
        read_keys(text)


FIRST = b"n,,n=user,r=abc"


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"x,,n=user,r=abc",
        b"n,n=user,r=abc",
        b"n,,n=,r=abc",
        b"n,,n=user,r=",
        b"n,,n=user,r=a,b",
        b"n,,r=abc,n=user",
        b"n,,m=ext,n=user,r=abc",
        b"n,,n=us=er,r=abc",
        b"n,,n=us=2cer,r=abc",
        b"p=,,n=user,r=abc",
        b"n,,n=u\xffr,r=abc",
    ],
)
def test_malformed_first_messages_are_refused(first: bytes) -> None:
    with pytest.raises(Refused) as refused:
        step(scram.server(first, "srv", NO_CHANNEL, plus=False), None)
    assert refused.value.reply.code == 501


@pytest.mark.parametrize(
    "final",
    [
        CLIENT_FINAL.replace(b"p=d", b"p=e"),  # another proof
        CLIENT_FINAL.replace(b"p=dHzb", b"p="),  # a short one
        CLIENT_FINAL.replace(b"c=biws", b"c=eSws"),  # another header than before: y,,
        CLIENT_FINAL.replace(SERVER_NONCE.encode(), b"mine"),
        CLIENT_FINAL.replace(CLIENT_NONCE.encode(), b"mine"),
        CLIENT_FINAL.partition(b",p=")[0],
        b"",
        b"\x01",
    ],
)
def test_a_final_message_that_proves_nothing_is_refused(final: bytes) -> None:
    exchange = scram.server(f"n,,n=user,r={CLIENT_NONCE}".encode(), SERVER_NONCE, NO_CHANNEL, plus=False)
    step(exchange, None)
    with pytest.raises(Refused):
        step(exchange, final)


def test_a_login_for_somebody_else_is_refused_with_the_right_password_only_then() -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), "abc")
    exchange = scram.server(b"n,a=bob,n=user,r=abc", "srv", NO_CHANNEL, plus=False)
    client._gs2, client._bound = "n,a=bob,", b"n,a=bob,"
    challenge = step(exchange, None)
    assert isinstance(challenge, bytes)
    with pytest.raises(Refused, match="somebody else"):
        step(exchange, client.respond(challenge))


@pytest.mark.parametrize("name", ["tls-exporter", "tls-server-end-point"])
def test_plus_binds_the_channel(name: str) -> None:
    bindings = {name: b"these octets"}
    client = scram.ScramClient(Credentials("user", "pencil"), "abc", bindings, plus=True)
    initial = client.initial()
    assert initial == f"p={name},,n=user,r=abc".encode()
    exchange = scram.server(initial, "srv", scram.Channel(bindings, plus_offered=True), plus=True)
    assert converse(client, exchange, initial) == "user"


def test_plus_over_somebody_elses_tls_is_refused() -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), "abc", {"tls-exporter": b"the attacker's"}, plus=True)
    exchange = scram.server(client.initial(), "srv", BOUND, plus=True)
    challenge = step(exchange, None)
    assert isinstance(challenge, bytes)
    with pytest.raises(Refused, match="bindings do not match"):
        step(exchange, client.respond(challenge))


@pytest.mark.parametrize(
    ("first", "plus", "why"),
    [
        (b"y,,n=user,r=abc", False, "changed the EHLO reply"),  # the client was not shown -PLUS, but we offered it
        (b"p=tls-exporter,,n=user,r=abc", False, "belong to"),
        (b"p=tls-unique,,n=user,r=abc", True, "does not have"),
        (b"n,,n=user,r=abc", True, "does not have"),
        (b"y,,n=user,r=abc", True, "does not have"),
    ],
)
def test_downgrades_are_refused(first: bytes, plus: bool, why: str) -> None:
    with pytest.raises(Refused, match=why):
        step(scram.server(first, "srv", BOUND, plus=plus), None)


def test_a_client_that_could_bind_says_y_and_is_believed_where_plus_is_not_offered() -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), "abc", {"tls-exporter": b"x"})
    assert client.initial().startswith(b"y,,")
    assert converse(client, scram.server(client.initial(), "srv", NO_CHANNEL, plus=False), b"") == "user"


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (b"r=other,s=AAAA,i=4096", "nonce"),
        (b"r=abc,s=AAAA,i=4096", "nonce"),
        (b"r=abcd,s=AAAA,i=1", "iterations"),
        (b"r=abcd,s=AAAA,i=99999999", "iterations"),
        (b"r=abcd,s=A,i=4096", "base64"),
        (b"r=abcd,i=4096", "malformed"),
        (b"m=x,r=abcd,s=AAAA,i=4096", "malformed"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_client_believes_no_odd_server(first: bytes, why: str) -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), "abc")
    client.initial()
    with pytest.raises(ClientFault, match=why):
        client.respond(first)


@pytest.mark.parametrize("last", [b"v=AAAA", b"e=invalid-proof", b"", b"v="])
def test_a_client_believes_no_server_without_the_keys(last: bytes) -> None:
    client = scram.ScramClient(Credentials("user", "pencil"), CLIENT_NONCE)
    client.initial()
    client.respond(SERVER_FIRST)
    with pytest.raises(ClientFault):
        client.respond(last)
    assert not client.complete


def test_a_name_with_comma_and_equals_sign_travels_escaped() -> None:
    users = Users()
    exchange = scram.server(b"n,,n=a=2Cb=3Dc,r=abc", "srv", NO_CHANNEL, plus=False)
    step(exchange, None, users)
    assert users.asked == [KeysWanted("a,b=c")]
    assert scram.ScramClient(Credentials("a,b=c", "x"), "abc").initial() == b"n,,n=a=2Cb=3Dc,r=abc"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_no_octets_make_a_mechanism_fail_otherwise_than_by_refusing(first: bytes, second: bytes) -> None:
    for mechanism in ALL:
        exchange = server_exchange(mechanism, first, ServerContext("srv", NO_CHANNEL))
        try:
            if isinstance(step(exchange, None), bytes):
                step(exchange, second)
        except Refused:
            pass


# OAUTHBEARER

# RFC 7628 section 4.1, as an SMTP client sends it.
RFC_7628 = decode(
    b"bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcmVyIHZGOWRmd"
    b"DRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
)


def test_the_example_of_rfc_7628() -> None:
    users = Users()
    assert step(oauthbearer.server(RFC_7628), None, users) == "user@example.com"
    assert users.asked == [TokenCheck("vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==")]
    assert "vF9" not in repr(users.asked)


def test_the_failed_exchange_of_rfc_7628() -> None:
    exchange = oauthbearer.server(
        b"n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=\x01\x01", "example_scope"
    )
    challenge = step(exchange, None)
    assert isinstance(challenge, bytes)
    assert json.loads(challenge) == {"status": "invalid_token", "scope": "example_scope"}
    with pytest.raises(Refused) as refused:
        step(exchange, b"\x01")
    assert refused.value.reply.code == 535


@pytest.mark.parametrize(
    "message",
    [
        b"\x01",
        b"",
        b"n,,\x01auth=Bearer x\x01",
        b"n,,auth=Bearer x\x01\x01",
        b"p=tls-exporter,,\x01auth=Bearer x\x01\x01",
        b"n,,\x01auth\x01\x01",
        b"n,,\x01auth=Bearer \xff\x01\x01",
    ],
)
def test_what_is_no_message_of_oauthbearer(message: bytes) -> None:
    with pytest.raises(Refused) as refused:
        step(oauthbearer.server(message), None)
    assert refused.value.reply.code == 501


def test_two_tokens_are_none() -> None:
    exchange = oauthbearer.server(b"n,,\x01auth=Bearer vF9dft4qmTc2a\x01auth=Bearer vF9dft4qmTc2b\x01\x01")
    assert isinstance(step(exchange, None), bytes)


def test_a_token_of_somebody_else_is_refused() -> None:
    with pytest.raises(Refused, match="somebody else"):
        step(oauthbearer.server(RFC_7628.replace(b"a=user", b"a=root")), None)


# Both sides together


@pytest.mark.parametrize("mechanism", ALL)
@pytest.mark.parametrize("early", [True, False], ids=["initial response", "no initial response"])
def test_our_client_logs_in_at_our_server(mechanism: str, early: bool) -> None:
    token = "vF9dft4qmTc2"
    user = "user@example.com" if mechanism == OAUTHBEARER else "user"
    credentials = Credentials(user, "pencil", token=token)
    bindings: Mapping[str, bytes] = BOUND.bindings if mechanism == SCRAM_PLUS else {}
    client = client_mechanism(mechanism, credentials, "abc", bindings)
    initial = client.initial() if early else None  # where the server speaks first there is none
    exchange = server_exchange(mechanism, initial, ServerContext("srv", BOUND))
    assert converse(client, exchange, initial) == user
    assert client.complete


@pytest.mark.parametrize("mechanism", [PLAIN, LOGIN, CRAM_MD5, OAUTHBEARER])
def test_a_client_says_no_more_than_there_is(mechanism: str) -> None:
    client = client_mechanism(mechanism, Credentials("user", "pencil", token="t"), "abc", {})
    with pytest.raises(ClientFault):
        for _ in range(3):
            client.respond(b"more")


@pytest.mark.parametrize(
    ("offered", "secure", "bound", "chosen"),
    [
        (ALL, True, True, SCRAM_PLUS),
        (ALL, True, False, SCRAM),
        (ALL, False, False, SCRAM),
        ((LOGIN, PLAIN), True, False, PLAIN),
        ((LOGIN,), True, False, LOGIN),
        ((PLAIN, LOGIN), False, False, None),  # never in clear
        ((OAUTHBEARER, PLAIN), True, False, PLAIN),  # there is no token
        ((), True, True, None),
        (("DIGEST-MD5", "GSSAPI"), True, True, None),
        ((CRAM_MD5, PLAIN), True, True, CRAM_MD5),
        ((CRAM_MD5,), False, True, None),  # a weak password is found from what is sent
    ],
)
def test_the_client_chooses_the_strongest(
    offered: tuple[str, ...], secure: bool, bound: bool, chosen: str | None
) -> None:
    assert choose(offered, Credentials("user", "pencil"), secure=secure, bound=bound) == chosen


def test_the_client_chooses_what_it_was_told() -> None:
    told = Credentials("user", "pencil", without_tls=True, mechanism=PLAIN)
    assert choose(ALL, told, secure=False, bound=False) == PLAIN
    assert choose((SCRAM,), told, secure=True, bound=False) is None
    assert choose(ALL, Credentials("user", token="t"), secure=True, bound=False) == OAUTHBEARER


def test_no_secret_stands_in_a_repr() -> None:
    for value in (
        Credentials("user", "pencil", token="pencil"),
        PasswordCheck("user", "pencil"),
        TokenCheck("pencil"),
        Challenge(b"pencil"),
        ServerContext("pencil", NO_CHANNEL),
        ScramKeys(b"", 4096, b"pencil", b"pencil"),
    ):
        assert "pencil" not in repr(value)
