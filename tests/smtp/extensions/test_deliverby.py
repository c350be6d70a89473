"""DELIVERBY (RFC 2852): what BY may say, what is refused, and what goes on to the next hop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import NO_PARAMETERS, Parameters, Recipient
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished, Ready
from purport.smtp.client_transaction import Transaction
from purport.smtp.event import Mail
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.deliverby import BY, EXTENSION, DeliverBy, least_by_time
from purport.smtp.server import Profile
from support.smtp_shell import Shell


def after_ehlo(least: int = 0) -> Shell:
    server = Shell(Profile("mx.company.com.example", extensions=ALL, least_by_time=least))
    server.hear(b"EHLO client.example\r\n")
    return server


def reply_to(value: str, least: int = 0) -> str:
    return after_ehlo(least).hear(f"MAIL FROM:<eljefe@bigbiz.example> {value}\r\n".encode())[-1][0]


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("BY=120;R", DeliverBy(120, returns=True)),
        ("BY=+120;r", DeliverBy(120, returns=True)),
        ("by=1;RT", DeliverBy(1, returns=True, trace=True)),
        ("BY=999999999;nt", DeliverBy(999_999_999, returns=False, trace=True)),
        ("BY=0;N", DeliverBy(0, returns=False)),
        ("BY=-999999999;NT", DeliverBy(-999_999_999, returns=False, trace=True)),
        ("BY=000000007;N", DeliverBy(7, returns=False)),
    ],
)
def test_what_a_message_may_ask_for(value: str, wanted: DeliverBy) -> None:
    server = after_ehlo()
    assert server.say(f"MAIL FROM:<eljefe@bigbiz.example> {value}\r\n".encode()) == ["250 2.1.0 Ok"]
    (mail,) = (event for event in server.events if isinstance(event, Mail))
    assert mail.parameters.get(BY) == wanted


@pytest.mark.parametrize(
    "value",
    [
        "BY",
        "BY=",
        "BY=120",
        "BY=120;",
        "BY=120;X",
        "BY=120;T",
        "BY=120;RTT",
        "BY=120;NR",
        "BY=;R",
        "BY=+;R",
        "BY=1.5;N",
        "BY=--1;N",
        "BY=1000000000;N",
        "BY=0;R",
        "BY=-0;R",
        "BY=-1;R",
        "BY=0;RT",
        "BY=12;N;T",
        "BY=12;R BY=12;R",
    ],
)
def test_what_a_message_may_not_ask_for(value: str) -> None:
    """RFC 2852 section 4: 501 and 5.5.4, also for mode R with no time or less."""
    assert reply_to(value).startswith("501 5.5.4 ")


def test_the_offer_names_the_least_time_where_there_is_one() -> None:
    profile = Profile("mx.example", extensions=(EXTENSION,), least_by_time=240)
    assert Shell(profile).hear(b"EHLO a.example\r\n")[1] == ["250-mx.example", "250 DELIVERBY 240"]
    assert Shell(Profile("mx.example", extensions=(EXTENSION,))).hear(b"EHLO a.example\r\n")[1][1] == "250 DELIVERBY"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("BY=239;R", "555 5.5.4 BY time is below the minimum"),
        ("BY=240;R", "250 2.1.0 Ok"),
        ("BY=1;N", "250 2.1.0 Ok"),
        ("BY=-5;N", "250 2.1.0 Ok"),
        ("BY=0;R", "501 5.5.4 Bad value of BY"),
    ],
)
def test_the_least_time_holds_for_messages_that_are_to_return(value: str, said: str) -> None:
    """RFC 2852 section 3: "strictly less than this limit" gets 55z."""
    assert reply_to(value, least=240) == said


@given(st.integers(-999_999_999, 999_999_999), st.booleans(), st.booleans())
@settings(deadline=None)
def test_every_value_goes_round_and_fits_the_line(seconds: int, returns: bool, trace: bool) -> None:
    wanted = DeliverBy(seconds, returns and seconds > 0, trace)
    encoded = BY.encode(wanted)
    assert encoded is not None
    assert BY.decode(encoded) == wanted
    assert len(b" BY=" + encoded) <= EXTENSION.mail_octets


@pytest.mark.parametrize(
    ("age", "left"),
    [(0.0, 120), (22.0, 98), (21.2, 98), (119.5, 0), (120.0, 0), (123.4, -4), (2e9, -999_999_999)],
)
def test_what_is_left_of_the_time_becomes_no_more_by_rounding(age: float, left: int) -> None:
    assert DeliverBy(120, returns=False).left(age) == left


@pytest.mark.parametrize(
    ("offer", "least"),
    [("", 0), ("240", 240), ("240,X-OPTION", 240), (",X-OPTION", 0), ("X", 0), ("-1", 0), ("1234567890", 0)],
)
def test_what_a_server_offers(offer: str, least: int) -> None:
    """RFC 2852 section 2 (3): options may follow, and the time may be missing."""
    assert least_by_time(offer) == least


# The next hop


def sent(offers: str, by: str, age: float = 0.0, rcpts: tuple[str, ...] = ("",)) -> Transaction:
    session = ClientSession("acme.example", ALL)
    lines = ["mail.other.example", *offers.split("|")]
    session.receive(b"220 mail.other.example\r\n")
    session.receive("".join(f"250-{line}\r\n" for line in lines).encode() + b"250 HELP\r\n")
    assert isinstance(session.next_event(), Ready)
    recipients = [Recipient(Mailbox("topbanana", "other.example"), Parameters.from_octets(r.encode())) for r in rcpts]
    message = Outgoing(100, parameters=Parameters.from_octets(by.encode()) if by else NO_PARAMETERS, age=age)
    transaction = Transaction(Mailbox("eljefe", "bigbiz.example"), recipients, message)
    session.begin(transaction)
    if transaction.local:
        assert isinstance(session.next_event(), Finished)
    return transaction


def parameters(command: bytes) -> str:
    return command.partition(b">")[2].decode().strip()


@pytest.mark.parametrize(
    ("offers", "by", "age", "said"),
    [
        ("DELIVERBY 30", "BY=120;R", 22.0, "BY=98;R"),
        ("DELIVERBY", "BY=120;RT", 119.0, "BY=1;RT"),
        ("DELIVERBY 98", "BY=120;R", 22.0, "BY=98;R"),
        ("DELIVERBY 240", "BY=120;N", 22.0, "BY=98;N"),
        ("DELIVERBY", "BY=120;NT", 150.5, "BY=-31;NT"),
        ("DSN", "BY=120;N", 0.0, ""),
        ("DELIVERBY", "", 0.0, ""),
    ],
)
def test_the_next_hop_gets_what_is_left_of_the_time(offers: str, by: str, age: float, said: str) -> None:
    """RFC 2852 section 4.1.4; the first is its last example."""
    assert parameters(sent(offers, by, age).mail_command) == said


@pytest.mark.parametrize(
    ("offers", "by", "age", "status"),
    [
        ("DSN", "BY=120;R", 0.0, "5.3.3"),
        ("DELIVERBY 240", "BY=120;R", 0.0, "5.4.7"),
        ("DELIVERBY 99", "BY=120;R", 21.1, "5.4.7"),
        ("DELIVERBY", "BY=120;R", 120.0, "5.4.7"),
        ("DELIVERBY", "BY=120;R", 119.2, "5.4.7"),
    ],
)
def test_a_message_that_is_to_return_goes_to_no_host_that_cannot_keep_the_time(
    offers: str, by: str, age: float, status: str
) -> None:
    """RFC 2852 section 4.1.4.1; the second is its example."""
    transaction = sent(offers, by, age)
    (reply,) = transaction.replies
    assert transaction.local
    assert reply is not None
    assert (reply.code, reply.status) == (554, status)


@pytest.mark.parametrize(
    ("offers", "by", "age", "rcpt", "asked"),
    [
        ("DSN", "BY=9;N", 0.0, "", "NOTIFY=FAILURE,DELAY"),
        ("DSN", "BY=9;N", 0.0, "NOTIFY=SUCCESS", "NOTIFY=SUCCESS,DELAY"),
        (
            "DSN",
            "BY=9;N",
            0.0,
            "ORCPT=rfc822;b@b.example NOTIFY=FAILURE",
            "ORCPT=rfc822;b@b.example NOTIFY=FAILURE,DELAY",
        ),
        ("DSN", "BY=9;N", 0.0, "NOTIFY=delay", "NOTIFY=delay"),
        ("DSN", "BY=9;N", 0.0, "NOTIFY=NEVER", "NOTIFY=NEVER"),
        ("DSN", "BY=9;N", 9.0, "NOTIFY=SUCCESS", "NOTIFY=SUCCESS"),
        ("DSN|DELIVERBY", "BY=9;N", 0.0, "NOTIFY=SUCCESS", "NOTIFY=SUCCESS"),
        ("DSN|DELIVERBY", "BY=9;N", 0.0, "", ""),
        ("HELP", "BY=9;N", 0.0, "", ""),
        ("DSN", "RET=HDRS", 0.0, "", ""),
    ],
)
def test_a_host_that_does_not_keep_the_time_is_asked_to_tell_of_delays(
    offers: str, by: str, age: float, rcpt: str, asked: str
) -> None:
    """RFC 2852 section 4.1.4.2."""
    (command,) = sent(offers, by, age, (rcpt,)).rcpt_commands
    assert parameters(command) == asked
