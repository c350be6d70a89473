"""LMTP without sockets (RFC 2033): LHLO, and after a message one reply for each recipient, on both sides."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import Recipient
from purport.mail.reply import OK, Reply, reply
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished, GoAhead, Ready, Unusable
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.event import EndOfData, Mail, MessageOctets, Rcpt
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.server import Profile, ServerSession

PROFILE = Profile("mx.company.com.example", service="lmtp")
FULL = reply(452, "4.2.2", "Mailbox full")
MESSAGE = b"Subject: t\r\n\r\nHello\r\n.\r\n"
ALICE, BOB, CAROL, DAVE = (Mailbox(name, "company.com.example") for name in ("alice", "bob", "carol", "dave"))


def heard(octets: bytes, end: Reply = OK, refused: tuple[str, ...] = ()) -> list[str]:
    """What the server says, the LHLO reply aside; recipients of the names `refused` get 550."""
    session = ServerSession(PROFILE)
    session.greet()
    session.receive(octets)
    while (event := session.next_event()) is not None:
        given = OK
        if isinstance(event, Rcpt) and event.forward_path.local_part in refused:
            given = reply(550, "5.1.1", "Nobody")
        if isinstance(event, EndOfData):
            given = end
        if not isinstance(event, MessageOctets):
            session.answer(given)
    return [line for line in session.to_send().decode().splitlines() if not line.startswith("250-")]


RCPTS = b"RCPT TO:<bob@a.example>\r\nRCPT TO:<carol@a.example>\r\nRCPT TO:<bob@a.example>\r\n"
BEGIN = b"LHLO client.example\r\nMAIL FROM:<>\r\n"


def test_it_greets_as_lmtp_and_knows_lhlo_alone():
    said = heard(b"EHLO client.example\r\nHELO client.example\r\nLHLO client.example\r\n")
    assert said[0] == "220 mx.company.com.example LMTP Purport"
    assert [line[:10] for line in said[1:3]] == ["500 5.5.1 ", "500 5.5.1 "]
    assert said[3].startswith("250 ")


def test_smtp_does_not_know_lhlo():
    session = ServerSession(Profile("mx.company.com.example"))
    session.receive(b"LHLO client.example\r\n")
    assert session.next_event() is None
    assert session.to_send().startswith(b"500 5.5.1 ")


@pytest.mark.parametrize("end", [OK, FULL, reply(554, "5.6.0", "No")])
def test_each_recipient_that_was_accepted_gets_a_reply_the_same_one_twice_too(end):
    said = heard(BEGIN + RCPTS + b"DATA\r\n" + MESSAGE + b"NOOP\r\n", end, refused=("carol",))
    assert said[-4].startswith("354 ") or said[-4].startswith("250 ")
    assert said[-3:-1] == [str(end), str(end)]
    assert said[-1] == "250 2.0.0 Ok"


def test_a_message_in_chunks_gets_as_many():
    said = heard(BEGIN + RCPTS + b"BDAT 4\r\na: b" + b"BDAT 4 LAST\r\n\r\n\r\nNOOP\r\n", FULL)
    assert said[-5:] == ["250 2.0.0 Ok", str(FULL), str(FULL), str(FULL), "250 2.0.0 Ok"]


def test_without_recipients_data_is_out_of_place_and_a_last_chunk_has_no_reply():
    said = heard(BEGIN + b"DATA\r\nBDAT 2 LAST\r\n\r\nNOOP\r\n")
    assert said[-2].startswith("503 ")
    assert said[-1] == "250 2.0.0 Ok"


def test_421_ends_the_session_once():
    said = heard(BEGIN + RCPTS + b"DATA\r\n" + MESSAGE, reply(421, "4.3.0", "Gone"))
    assert sum(line.startswith("421 ") for line in said) == 1


# The client


def events(session: ClientSession) -> list[object]:
    found = []
    while (event := session.next_event()) is not None:
        found.append(event)
    return found


def ready(*offers: str) -> ClientSession:
    session = ClientSession("client.example", ALL, lmtp=True)
    session.receive(b"220 store LMTP\r\n")
    assert events(session) == []
    assert b"".join(session.to_send()) == b"LHLO client.example\r\n"
    session.receive("".join(f"250-{offer}\r\n" for offer in ("store", *offers)).encode() + b"250 8BITMIME\r\n")
    assert events(session) == [Ready()]
    return session


def begun(session: ClientSession) -> Transaction:
    transaction = Transaction(ALICE, [Recipient(one) for one in (BOB, CAROL, DAVE)], Outgoing(10))
    session.begin(transaction)
    session.to_send()
    session.receive(b"250 Ok\r\n250 Ok\r\n550 5.1.1 Nobody\r\n250 Ok\r\n354 Go\r\n")
    assert events(session) == [GoAhead(transaction)]
    session.send_data(b"Subject: t\r\n\r\n")
    session.end_data()
    session.to_send()
    return transaction


def test_recipients_have_replies_of_their_own():
    session = ready("PIPELINING")
    transaction = begun(session)
    session.receive(b"452-4.2.2 Mailbox\r\n452 4.2.2 full\r\n")
    assert events(session) == []
    session.receive(b"250 2.0.0 Saved\r\n")
    assert events(session) == [Finished(transaction)]
    assert [str(given) for given in transaction.replies] == [
        "452 4.2.2 Mailbox full",
        "550 5.1.1 Nobody",
        "250 2.0.0 Saved",
    ]
    assert transaction.stages == [Stage.END_OF_DATA, Stage.RCPT, Stage.END_OF_DATA]
    assert transaction.dialogue()[-3:] == ["C: .", "S: 452 4.2.2 Mailbox full", "S: 250 2.0.0 Saved"]
    assert session.idle


def test_what_was_answered_before_the_connection_was_lost_counts():
    session = ready("PIPELINING")
    transaction = begun(session)
    session.receive(b"250 2.0.0 Saved\r\n")
    events(session)
    session.abandon(reply(450, "4.4.2", "lost"))
    assert events(session) == [Finished(transaction)]
    assert str(transaction.replies[0]) == "250 2.0.0 Saved"
    assert str(transaction.replies[2]) == "450 4.4.2 lost"


@given(st.lists(st.integers(1, 30), max_size=20))
def test_the_outcome_is_the_same_in_any_split(cuts):
    session = ready("PIPELINING")
    transaction = begun(session)
    octets = b"250-2.0.0 Saved\r\n250 2.0.0 well\r\n552 5.2.2 Full\r\n"
    found = []
    for cut in [*cuts, len(octets)]:
        session.receive(octets[:cut])
        octets = octets[cut:]
        found += events(session)
        if not octets:
            break
    assert found == [Finished(transaction)]
    assert [given.code for given in transaction.replies if given is not None] == [250, 550, 552]


def test_a_server_that_does_not_know_lhlo_is_of_no_use():
    session = ClientSession("client.example", ALL, lmtp=True)
    session.receive(b"220 mx ESMTP\r\n500 5.5.1 What\r\n")
    (event,) = events(session)
    assert isinstance(event, Unusable)
    assert b"HELO" not in b"".join(session.to_send()).replace(b"LHLO", b"")


def test_chunks_are_not_used():
    session = ready("PIPELINING", "CHUNKING", "BINARYMIME")
    assert not session.chunking
    assert "BINARYMIME" not in session.offers


def test_mail_event_is_as_in_smtp():
    session = ServerSession(PROFILE)
    session.receive(b"LHLO client.example\r\nMAIL FROM:<alice@a.example> SUBMITTER=bob@a.example\r\n")
    session.next_event()
    session.answer(OK)
    assert isinstance(session.next_event(), Mail)
