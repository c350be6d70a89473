"""SMTPUTF8 (RFC 6531): what an envelope in UTF-8 may hold, and where a message that needs it may go."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import Mailbox, a_label_address, parse_mailbox
from purport.mail.envelope import Parameters, Recipient
from purport.mail.reply import OK
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished
from purport.smtp.client_transaction import Transaction
from purport.smtp.event import Mail, Rcpt
from purport.smtp.extension import CannotForward, Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.dsn import ORCPT
from purport.smtp.extensions.dsn import outbound_rcpt as dsn_rcpt
from purport.smtp.extensions.smtputf8 import NEEDS_SMTPUTF8, outbound
from purport.smtp.extensions.submitter import SUBMITTER
from purport.smtp.extensions.submitter import outbound as submitter_outbound
from purport.smtp.server import Profile, ServerSession

ELISE = Mailbox("élise", "bücher.example")
PROFILE = Profile("mx.company.com.example")


def heard(*lines: str | bytes, profile: Profile = PROFILE) -> tuple[list[object], list[str]]:
    """The events of MAIL and RCPT, and the last lines of the server."""
    session = ServerSession(profile)
    octets = b"".join((line if isinstance(line, bytes) else line.encode()) + b"\r\n" for line in lines)
    session.receive(b"EHLO client.example\r\n" + octets)
    events = []
    while (event := session.next_event()) is not None:
        if isinstance(event, Mail | Rcpt):
            events.append(event)
        session.answer(OK)
    return events, session.to_send().decode().splitlines()[-len(lines) :]


def test_it_is_offered_without_a_value():
    session = ServerSession(PROFILE)
    session.receive(b"EHLO client.example\r\n")
    session.next_event()
    session.answer(OK)
    assert "250-SMTPUTF8" in session.to_send().decode().splitlines()


@pytest.mark.parametrize(
    "line",
    [
        "MAIL FROM:<élise@bücher.example> SMTPUTF8",
        "MAIL FROM:<élise@bücher.example> smtputf8",
        "MAIL FROM:<élise@bücher.example> SIZE=10 SMTPUTF8 BODY=8BITMIME",
        "MAIL FROM:<élise@bücher.example> SUBMITTER=élise@bücher.example SMTPUTF8",
        "MAIL FROM:<élise@bücher.example> SUBMITTER=+C3+A9lise@bücher.example SMTPUTF8",
        'MAIL FROM:<"é lise"@bücher.example> SMTPUTF8',
        "MAIL FROM:<élise@xn--bcher-kva.example> SMTPUTF8",
        "MAIL FROM:<alice@example.com> SMTPUTF8",
        "MAIL FROM:<用户@例え.example> SMTPUTF8",
        "MAIL FROM:<नमस्ते@उदाहरण.example> SMTPUTF8",
    ],
)
def test_addresses_beyond_ascii_are_taken_beside_the_parameter(line):
    (mail,), said = heard(line)
    assert said == ["250 2.0.0 Ok"]
    assert isinstance(mail, Mail)
    if "SUBMITTER" in line:
        assert mail.parameters.get(SUBMITTER) == ELISE


@pytest.mark.parametrize(
    ("line", "reply"),
    [
        ("MAIL FROM:<élise@bücher.example>", "550 5.6.7 "),
        ("MAIL FROM:<alice@bücher.example>", "550 5.6.7 "),
        ("MAIL FROM:<élise@bücher.example> BODY=8BITMIME", "550 5.6.7 "),
        ("MAIL FROM:<alice@example.com> SUBMITTER=élise@bücher.example", "501 "),
        ("MAIL FROM:<alice@example.com> SUBMITTER=+C3+A9lise@b.example", "501 5.5.4 "),
        ("MAIL FROM:<alice@example.com> SMTPUTF8=yes", "501 5.5.4 "),
        ("MAIL FROM:<alice@example.com> SMTPUTF8 SMTPUTF8", "501 5.5.4 "),
        (b"MAIL FROM:<\xe9lise@example.com> SMTPUTF8", "501 "),  # Latin-1
        (b"MAIL FROM:<\xc0\xafa@example.com> SMTPUTF8", "501 "),  # overlong
        (b"MAIL FROM:<\xed\xa0\x80a@example.com> SMTPUTF8", "501 "),  # a surrogate
        (b"MAIL FROM:<\xf4\x90\x80\x80a@example.com> SMTPUTF8", "501 "),  # beyond Unicode
        ("MAIL FROM:<a\u0085b@example.com> SMTPUTF8", "501 "),  # a control character
        ("MAIL FROM:<a\u2028b@example.com> SMTPUTF8", "501 "),  # a line separator
        ("MAIL FROM:<a\u202eb@example.com> SMTPUTF8", "501 "),  # right-to-left override
        ("MAIL FROM:<alice@b\u200bad.example> SMTPUTF8", "501 "),  # no U-label
        (f"MAIL FROM:<{'é' * 33}@example.com> SMTPUTF8", "501 "),  # octets count
        (b"MAIL FROM:<alice@example.com> SUBMITTER=\xe9lise@b.example SMTPUTF8", "501 "),
        ("MAIL FROM:<alice@example.com> SUBMITTER=a\u0085b@example.com SMTPUTF8", "501 "),
    ],
)
def test_everything_else_is_refused(line, reply):
    events, (said,) = heard(line)
    assert events == []
    assert said.startswith(reply)


def test_the_keyword_can_be_withheld():
    without = Profile("mx.company.com.example", tuple(one for one in ALL if one.keyword != "SMTPUTF8"))
    assert heard("MAIL FROM:<élise@b.example> SMTPUTF8", profile=without)[1][0].startswith("550 5.6.7 ")
    assert heard("MAIL FROM:<alice@b.example> SMTPUTF8", profile=without)[1][0].startswith("555 ")


def test_recipients_may_be_beyond_ascii_in_such_a_transaction_alone():
    rcpt = "RCPT TO:<jörg@bücher.example>"
    events, said = heard("MAIL FROM:<> SMTPUTF8", rcpt, "RSET", "MAIL FROM:<>", rcpt)
    assert said[1] == "250 2.0.0 Ok"
    assert said[4].startswith("553 5.6.7 ")
    assert isinstance(events[1], Rcpt)
    assert events[1].forward_path == Mailbox("jörg", "bücher.example")


def test_the_address_that_the_sender_used_may_be_in_utf8():
    rcpt = "RCPT TO:<bob@example.com> ORCPT=utf-8;jörg@bücher.example"
    events, said = heard("MAIL FROM:<> SMTPUTF8", rcpt, "RSET", "MAIL FROM:<>", rcpt)
    assert said[1] == "250 2.0.0 Ok"
    assert said[4].startswith("501 ")
    parameters = events[1].parameters  # type: ignore[attr-defined]
    assert parameters.get(ORCPT) == r"utf-8;j\x{F6}rg@b\x{FC}cher.example"
    assert dsn_rcpt(parameters, "") == {"ORCPT": rb"utf-8;j\x{F6}rg@b\x{FC}cher.example"}


@given(st.binary(max_size=40))
def test_no_octets_in_a_path_make_it_raise(octets):
    line = b"MAIL FROM:<" + octets.translate(None, b"\r\n\0") + b"@example.com> SMTPUTF8"
    events, (said,) = heard(line)
    assert said[:3] in ("250", "501")
    for event in events:
        assert all(character >= " " for character in str(event.reverse_path))  # type: ignore[attr-defined]


@given(st.text(max_size=30))
def test_what_is_a_mailbox_in_utf8_is_read_back_as_it_was(text):
    try:
        mailbox = parse_mailbox(f"{text}@bücher.example", utf8=True)
    except ValueError:
        return
    assert parse_mailbox(str(mailbox), utf8=True) == mailbox
    assert heard(f"MAIL FROM:<{mailbox}> SMTPUTF8")[1] == ["250 2.0.0 Ok"]


# The client


@pytest.mark.parametrize(
    ("message", "offer", "given"),
    [
        (Outgoing(1), "", {}),
        (Outgoing(1), None, {}),
        (Outgoing(1, utf8=True), "", {"SMTPUTF8": None}),
        (Outgoing(1, utf8=True), "whatever", {"SMTPUTF8": None}),
        (Outgoing(1, utf8_recipients=True), "", {"SMTPUTF8": None}),
        (Outgoing(1, utf8_recipients=True), None, {}),
    ],
)
def test_the_parameter_goes_with_messages_that_need_it(message, offer, given):
    assert outbound(message, offer) == given


def test_a_message_that_needs_it_does_not_go_to_a_host_without_it():
    with pytest.raises(CannotForward) as refused:
        outbound(Outgoing(1, utf8=True), None)
    assert refused.value.reply is NEEDS_SMTPUTF8


def test_the_submitter_is_named_in_utf8_or_with_a_labels():
    assert submitter_outbound(Outgoing(1, ELISE, utf8=True), "") == {"SUBMITTER": "élise@bücher.example".encode()}
    assert submitter_outbound(Outgoing(1, ELISE), "") == {}
    plain = Mailbox("alice", "bücher.example")
    assert submitter_outbound(Outgoing(1, plain), "") == {"SUBMITTER": b"alice@xn--bcher-kva.example"}


def sent(offers: str, message: Outgoing, *recipients: Mailbox) -> tuple[list[bytes], Transaction, list[object]]:
    session = ClientSession("client.example", ALL)
    lines = "".join(f"250-{offer}\r\n" for offer in offers.split())
    session.receive(f"220 mx\r\n250-mx\r\n{lines}250 PIPELINING\r\n".encode())
    session.next_event()
    session.to_send()
    transaction = Transaction(ELISE, [Recipient(one) for one in recipients], message)
    session.begin(transaction)
    finished = [] if not session.idle else [session.next_event()]
    return b"".join(session.to_send()).split(b"\r\n"), transaction, finished


def test_a_command_in_utf8():
    (mail, rcpt, *_), transaction, _ = sent("SMTPUTF8 8BITMIME", Outgoing(1, utf8=True), ELISE)
    assert mail == "MAIL FROM:<élise@bücher.example> SMTPUTF8".encode()
    assert rcpt == "RCPT TO:<élise@bücher.example>".encode()
    assert transaction.dialogue() == ["C: MAIL FROM:<élise@bücher.example> SMTPUTF8"]


def test_a_recipient_beyond_ascii_fails_alone_where_it_is_not_offered():
    session = ClientSession("client.example", ALL)
    session.receive(b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n")
    session.next_event()
    session.to_send()
    recipients = [Mailbox("bob", "example.com"), ELISE, Mailbox("bob", "bücher.example")]
    transaction = Transaction(
        Mailbox("alice", "example.com"), [Recipient(one) for one in recipients], Outgoing(1, utf8_recipients=True)
    )
    session.begin(transaction)
    octets = b"".join(session.to_send())
    assert b"RCPT TO:<bob@example.com>\r\nRCPT TO:<bob@xn--bcher-kva.example>\r\n" in octets
    assert transaction.unsendable == {1}
    assert str(transaction.replies[1]).startswith("553 5.6.7 ")


def test_a_message_from_an_address_beyond_ascii_fails_whole_where_it_is_not_offered():
    lines, transaction, (event,) = sent("8BITMIME", Outgoing(1, utf8=True), Mailbox("bob", "example.com"))
    assert lines == [b""]
    assert event == Finished(transaction)


def test_only_the_domain_of_an_ascii_local_part_is_changed():
    assert str(a_label_address(Mailbox("bob", "bücher.example"))) == "bob@xn--bcher-kva.example"
    assert a_label_address(ELISE) is ELISE
    assert Parameters.from_octets("SUBMITTER=élise@b.example SMTPUTF8".encode()).octets() == (
        "SUBMITTER=élise@b.example SMTPUTF8".encode()
    )
