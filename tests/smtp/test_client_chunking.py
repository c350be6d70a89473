"""The client session in chunks (RFC 3030): what it sends, and what it makes of replies."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import Mailbox
from purport.mail.envelope import NO_PARAMETERS, Parameters, Recipient
from purport.mail.reply import reply
from purport.smtp.client import ClientSession
from purport.smtp.client_event import ClientEvent, Finished, GoAhead
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.binarymime import NEEDS_BINARYMIME
from purport.smtp.reply_reader import BadReply
from purport.smtp.stuffing import ChunkWriter

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
CAROL = Mailbox("carol", "company.com.example")
PIPELINED = b"220 mx\r\n250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME\r\n"
ALONE = b"220 mx\r\n250-mx\r\n250 CHUNKING\r\n"
BINARY = Parameters((("BODY", b"BINARYMIME"),))
OK = b"250 2.0.0 Ok\r\n"
RCPT = b"RCPT TO:<bob@company.com.example>\r\n"


class Client:
    """A session that was greeted."""

    def __init__(self, greeting: bytes = PIPELINED) -> None:
        self.session = ClientSession("client.example", ALL)
        self.events: list[ClientEvent] = []
        self.hear(greeting)

    def hear(self, octets: bytes) -> bytes:
        """Give the session octets; what it sends in answer."""
        self.session.receive(octets)
        while (event := self.session.next_event()) is not None:
            self.events.append(event)
        return b"".join(self.session.to_send())

    def begin(self, *forward_paths: Mailbox, parameters: Parameters = NO_PARAMETERS) -> Transaction:
        transaction = Transaction(
            ALICE, [Recipient(path) for path in forward_paths or (BOB,)], Outgoing(100, parameters=parameters)
        )
        self.session.begin(transaction)
        self.events.clear()
        return transaction

    def send(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.session.send_data(piece)
        self.session.end_data()
        return self.hear(b"")


def codes(transaction: Transaction) -> list[int]:
    return [given.code for given in transaction.replies if given is not None]


def test_header_and_body_leave_as_chunks_when_the_recipients_are_answered() -> None:
    client = Client()
    transaction = client.begin()
    assert client.hear(b"") == b"MAIL FROM:<alice@example.com>\r\n" + RCPT
    assert client.hear(OK) == b""
    assert client.hear(OK) == b""
    assert client.events == [GoAhead(transaction)]
    assert client.send(b"From: a\r\n\r\n", b".\r\n") == b"BDAT 11\r\nFrom: a\r\n\r\nBDAT 3 LAST\r\n.\r\n"
    assert not client.session.can_begin, "RFC 2920 section 3.1"
    assert client.session.waits_for is Stage.END_OF_DATA
    client.hear(OK)
    assert not client.session.can_begin
    client.hear(b"250 2.0.0 queued\r\n")
    assert codes(transaction) == [250]
    assert transaction.stages == [Stage.END_OF_DATA]
    assert transaction.dialogue()[-2:] == ["C: BDAT 3 LAST", "S: 250 2.0.0 queued"]
    assert client.session.can_begin


def test_without_pipelining_each_chunk_waits_for_the_one_before() -> None:
    client = Client(ALONE)
    transaction = client.begin()
    assert client.hear(b"") == b"MAIL FROM:<alice@example.com>\r\n"
    assert client.hear(OK) == RCPT
    client.hear(OK)
    client.session.send_data(b"one\r\n")
    client.session.send_data(b"two\r\n")
    assert client.hear(b"") == b"BDAT 5\r\none\r\n"
    assert not client.session.congested
    client.session.send_data(b"three\r\n")
    assert client.session.congested
    client.session.end_data()
    assert client.hear(b"") == b""
    assert client.hear(OK) == b"BDAT 5\r\ntwo\r\n"
    assert client.hear(OK) == b"BDAT 7 LAST\r\nthree\r\n"
    client.hear(OK)
    assert codes(transaction) == [250]


@pytest.mark.parametrize("greeting", [PIPELINED, ALONE])
def test_after_a_refused_chunk_no_further_one_is_sent_and_reset_comes_first(greeting: bytes) -> None:
    client = Client(greeting)
    transaction = client.begin()
    client.hear(OK)
    client.hear(OK)
    client.session.send_data(b"one\r\n")
    client.session.send_data(b"two\r\n")
    client.hear(b"")
    assert client.hear(b"550 5.7.1 Submitter does not match header.\r\n") == b""
    assert not client.session.wants_data
    assert client.events[-1] == Finished(transaction)
    assert (codes(transaction), transaction.stages) == ([550], [Stage.CHUNK])
    assert transaction.dialogue()[-2:] == ["C: BDAT 5", "S: 550 5.7.1 Submitter does not match header."]
    client.begin()
    assert client.hear(b"").startswith(b"RSET\r\n")


def test_the_replies_to_chunks_behind_a_refused_one_count_for_nothing() -> None:
    client = Client()
    transaction = client.begin()
    client.hear(OK * 2)
    client.send(b"one\r\n", b"two\r\n", b"three\r\n")
    client.hear(b"452 4.3.1 Full\r\n503 5.5.1 Bad sequence\r\n")
    assert Finished(transaction) not in client.events
    client.hear(b"503 5.5.1 Bad sequence\r\n")
    assert client.events[-1] == Finished(transaction)
    assert codes(transaction) == [452]


@pytest.mark.parametrize("greeting", [PIPELINED, ALONE])
def test_without_an_accepted_recipient_nothing_of_the_message_is_sent(greeting: bytes) -> None:
    client = Client(greeting)
    transaction = client.begin(BOB, CAROL)
    sent = client.hear(b"") + client.hear(OK) + client.hear(b"550 no\r\n") + client.hear(b"450 later\r\n")
    assert b"BDAT" not in sent
    assert codes(transaction) == [550, 450]
    client.begin()
    assert client.hear(b"").startswith(b"RSET\r\n")


@pytest.mark.parametrize("greeting", [PIPELINED, ALONE])
def test_a_refused_mail_ends_the_transaction(greeting: bytes) -> None:
    client = Client(greeting)
    transaction = client.begin()
    client.hear(b"550 5.7.1 Submitter not allowed.\r\n")
    if greeting == PIPELINED:
        client.hear(b"503 5.5.1 Bad sequence\r\n")
    assert (codes(transaction), transaction.stages) == ([550], [Stage.MAIL])
    client.begin()
    assert client.hear(b"").startswith(b"MAIL")


def test_some_recipients_may_be_refused() -> None:
    client = Client()
    transaction = client.begin(BOB, CAROL)
    client.hear(OK + b"550 no\r\n" + OK)
    client.send(b"x\r\n")
    client.hear(OK)
    assert codes(transaction) == [550, 250]


@pytest.mark.parametrize("ended", [True, False])
def test_421_or_a_lost_connection_decides_for_whoever_has_no_reply(ended: bool) -> None:
    client = Client()
    transaction = client.begin()
    client.hear(OK * 2)
    client.session.send_data(b"x\r\n")
    client.session.send_data(b"y\r\n")
    if ended:
        client.session.end_data()
    client.hear(b"")
    client.session.abandon(reply(450, "4.4.2", "lost"))
    assert client.hear(b"") == b""
    assert codes(transaction) == [450]
    assert transaction.stages == [Stage.END_OF_DATA if ended else Stage.MAIL_DATA]


def test_354_is_no_reply_to_a_chunk() -> None:
    client = Client()
    client.begin()
    client.hear(OK * 2)
    client.send(b"x\r\n")
    with pytest.raises(BadReply):
        client.hear(b"354 go ahead\r\n")


def test_an_empty_message_is_a_last_chunk_of_nothing() -> None:
    client = Client()
    client.begin()
    client.hear(OK * 2)
    assert client.send() == b"BDAT 0 LAST\r\n"


# Any octets


def test_a_binary_message_leaves_as_it_is() -> None:
    client = Client()
    client.begin(parameters=BINARY)
    assert client.hear(b"").startswith(b"MAIL FROM:<alice@example.com> BODY=BINARYMIME\r\n")
    client.hear(OK * 2)
    assert client.send(b"\r\r\n\n.\r", b"\n\0\xff\r") == b"BDAT 6\r\n\r\r\n\n.\rBDAT 4 LAST\r\n\n\0\xff\r"


@pytest.mark.parametrize(
    "greeting", [ALONE, b"220 mx\r\n250-mx\r\n250-PIPELINING\r\n250 BINARYMIME\r\n", b"220 mx\r\n250 mx\r\n"]
)
def test_a_binary_message_does_not_go_to_a_host_without_both_extensions(greeting: bytes) -> None:
    client = Client(greeting)
    transaction = client.begin(parameters=BINARY)
    assert client.hear(b"") == b""
    assert transaction.replies == [NEEDS_BINARYMIME]
    assert transaction.local


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"x"])).map(b"".join)))
def test_no_other_message_leaves_with_a_bare_line_ending(pieces: list[bytes]) -> None:
    writer = ChunkWriter(binary=False)
    chunks = [writer.feed(piece) for piece in pieces]
    sent = b"".join(chunk for chunk in [*chunks, writer.end()] if chunk)
    without = sent.replace(b"\r\n", b"")
    assert b"\r" not in without
    assert b"\n" not in without
    octets = b"".join(pieces)
    assert sent == octets or b"\r" in octets.replace(b"\r\n", b"") or b"\n" in octets.replace(b"\r\n", b"")


# Any replies

SAID = st.sampled_from(
    [OK, b"550 no\r\n", b"452-later\r\n452 later\r\n", b"421 bye\r\n", b"354 go\r\n", b"250 yes\r\n"]
)


@settings(deadline=None, max_examples=200)
@given(said=st.lists(SAID, max_size=14), pipelined=st.booleans(), cuts=st.lists(st.integers(0, 120), max_size=5))
def test_whatever_is_said_in_whatever_cut_each_recipient_has_one_reply(
    said: list[bytes], pipelined: bool, cuts: list[int]
) -> None:
    octets = b"".join(said)
    whole = outcomes(pipelined, [octets])
    ends = [*sorted(min(cut, len(octets)) for cut in cuts), len(octets)]
    assert outcomes(pipelined, [octets[a:b] for a, b in zip([0, *ends], ends, strict=False)]) == whole


def outcomes(pipelined: bool, pieces: list[bytes]) -> tuple[list[int], bytes]:
    """Two transactions of two recipients over one connection that ends: all replies, and all that was sent."""
    session = ClientSession("client.example", ALL)
    waiting = [Transaction(ALICE, (Recipient(BOB), Recipient(CAROL)), Outgoing(100)) for _ in range(2)]
    begun: list[Transaction] = []
    sent = b""
    finished: list[Transaction] = []
    for piece in [PIPELINED if pipelined else ALONE, *pieces, None]:
        try:
            if piece is None:
                session.abandon(reply(450, "4.4.2", "lost"))
            else:
                session.receive(piece)
            while True:
                if waiting and session.can_begin:
                    begun.append(waiting.pop(0))
                    session.begin(begun[-1])
                event = session.next_event()
                if event is None:
                    break
                if isinstance(event, GoAhead):
                    session.send_data(b"header\r\n\r\n")
                    session.send_data(b"body\r\n")
                    session.end_data()
                elif isinstance(event, Finished):
                    finished.append(event.transaction)
        except BadReply as bad:
            session.abandon(bad.reply)
            while (event := session.next_event()) is not None:
                if isinstance(event, Finished):
                    finished.append(event.transaction)
        sent += b"".join(session.to_send())
    assert finished == begun
    assert all(len(codes(transaction)) == 2 for transaction in begun)
    return [code for transaction in begun for code in codes(transaction)], sent
