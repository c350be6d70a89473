"""The client session: what it sends, and what it makes of replies (RFC 5321 section 3, RFC 2920 section 3.1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox
from purport.mail.envelope import Recipient
from purport.mail.reply import reply
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished, GoAhead, Ready, Unusable
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import CannotForward, Extension, Outgoing
from purport.smtp.reply_reader import BadReply

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
CAROL = Mailbox("carol", "company.com.example")
MESSAGE = b"From: alice@example.com\r\n\r\nHello\r\n"
PIPELINING = b"220 mx ESMTP\r\n250-mx\r\n250 PIPELINING\r\n"
PLAIN = b"220 mx ESMTP\r\n250 mx\r\n"


class Dialogue:
    """A session, everything it sent, and the names of its events."""

    def __init__(self, extensions: Sequence[Extension] = (), message: bytes = MESSAGE) -> None:
        self.session = ClientSession("client.example", extensions)
        self.message = message
        self.sent = b""
        self.events: list[str] = []
        self.next: list[Transaction] = []
        self.finished: list[Transaction] = []
        self.unusable: Unusable | None = None

    def begin(self, *forward_paths: Mailbox, reverse_path: Mailbox | None = ALICE) -> Transaction:
        transaction = Transaction(
            NULL if reverse_path is None else reverse_path,
            [Recipient(forward_path) for forward_path in forward_paths or (BOB,)],
            Outgoing(len(self.message)),
        )
        self.session.begin(transaction)
        self.take()
        return transaction

    def hear(self, octets: bytes) -> bytes:
        """Give the session octets; what it sends in answer."""
        before = len(self.sent)
        self.session.receive(octets)
        self.take()
        return self.sent[before:]

    def take(self) -> None:
        while True:
            if self.next and self.session.can_begin:
                self.session.begin(self.next.pop(0))
            event = self.session.next_event()
            if event is None:
                break
            self.events.append(type(event).__name__)
            if isinstance(event, GoAhead):
                self.session.send_data(self.message)
                self.session.end_data()
            elif isinstance(event, Finished):
                self.finished.append(event.transaction)
            elif isinstance(event, Unusable):
                self.unusable = event
        self.sent += b"".join(self.session.to_send())


def greeted(greeting: bytes = PIPELINING, extensions: Sequence[Extension] = ()) -> Dialogue:
    dialogue = Dialogue(extensions)
    first, _, rest = greeting.partition(b"\r\n")
    dialogue.hear(first + b"\r\n")
    dialogue.hear(rest)
    dialogue.sent = b""
    return dialogue


def codes(transaction: Transaction) -> list[int]:
    return [given.code for given in transaction.replies if given is not None]


def test_the_client_waits_for_the_greeting_before_it_speaks():
    dialogue = Dialogue()
    assert dialogue.hear(b"") == b""
    assert dialogue.hear(b"220 mx\r\n") == b"EHLO client.example\r\n"
    dialogue.hear(b"250-mx\r\n250-size 1000\r\n250-X_BAD\r\n250 PIPELINING\r\n")
    assert dialogue.events == ["Ready"]
    assert dialogue.session.offers == {"SIZE": "1000", "PIPELINING": ""}


@pytest.mark.parametrize("refusal", [b"500 what?\r\n", b"502 5.5.1 no\r\n", b"550 no\r\n"])
def test_a_server_that_does_not_know_ehlo_is_asked_with_helo(refusal):
    dialogue = Dialogue()
    dialogue.hear(b"220 mx\r\n")
    assert dialogue.hear(refusal) == b"HELO client.example\r\n"
    dialogue.hear(b"250-mx\r\n250 PIPELINING\r\n")
    assert dialogue.events == ["Ready"]
    assert dialogue.session.offers == {}, "HELO offers nothing"


@pytest.mark.parametrize(
    ("octets", "stage", "code"),
    [
        (b"554 no service\r\n", Stage.GREETING, 554),
        (b"521 no mail\r\n", Stage.GREETING, 521),
        (b"450 later\r\n", Stage.GREETING, 450),
        (b"421 busy\r\n", Stage.GREETING, 421),
        (b"220 mx\r\n450 later\r\n", Stage.HELLO, 450),
        (b"220 mx\r\n502 no\r\n502 no\r\n", Stage.HELLO, 502),
    ],
)
def test_a_server_that_does_not_want_us_is_unusable(octets, stage, code):
    dialogue = Dialogue()
    dialogue.hear(octets)
    assert dialogue.unusable == Unusable(stage, dialogue.unusable.reply)
    assert dialogue.unusable.reply.code == code
    assert dialogue.session.closed
    assert not dialogue.session.can_begin


def test_with_pipelining_the_commands_go_out_as_one_group():
    dialogue = greeted()
    transaction = dialogue.begin(BOB, CAROL)
    group = b"MAIL FROM:<alice@example.com>\r\nRCPT TO:<bob@company.com.example>\r\n"
    assert dialogue.sent == group + b"RCPT TO:<carol@company.com.example>\r\nDATA\r\n"
    assert dialogue.hear(b"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n354 go\r\n") == MESSAGE + b".\r\n"
    dialogue.hear(b"250 2.0.0 queued as X1\r\n")
    assert [str(given) for given in transaction.replies] == ["250 2.0.0 queued as X1"] * 2
    assert transaction.stages == [Stage.END_OF_DATA] * 2
    assert dialogue.session.idle


def test_without_pipelining_every_command_waits_for_the_reply_before_it():
    dialogue = greeted(PLAIN)
    transaction = dialogue.begin(BOB, CAROL)
    assert dialogue.sent == b"MAIL FROM:<alice@example.com>\r\n"
    assert dialogue.hear(b"250 Ok\r\n") == b"RCPT TO:<bob@company.com.example>\r\n"
    assert dialogue.hear(b"250 Ok\r\n") == b"RCPT TO:<carol@company.com.example>\r\n"
    assert dialogue.hear(b"550 5.1.1 who?\r\n") == b"DATA\r\n"
    assert dialogue.hear(b"354 go\r\n") == MESSAGE + b".\r\n"
    assert dialogue.hear(b"250 done\r\n") == b""
    assert codes(transaction) == [250, 550]
    assert transaction.stages == [Stage.END_OF_DATA, Stage.RCPT]


def test_a_null_reverse_path_is_sent_as_it_is():
    dialogue = greeted()
    dialogue.begin(reverse_path=None)
    assert dialogue.sent.startswith(b"MAIL FROM:<>\r\n")


@pytest.mark.parametrize("greeting", [PIPELINING, PLAIN])
def test_a_refused_mail_decides_for_all_recipients_and_the_session_goes_on(greeting):
    dialogue = greeted(greeting)
    transaction = dialogue.begin(BOB, CAROL)
    dialogue.hear(b"550 5.7.1 Submitter not allowed.\r\n")
    if greeting is PIPELINING:
        assert not dialogue.finished, "RCPT and DATA were sent, and are still to be answered"
        dialogue.hear(b"503 5.5.1 Bad\r\n503 5.5.1 Bad\r\n503 5.5.1 Bad\r\n")
    assert [str(given) for given in transaction.replies] == ["550 5.7.1 Submitter not allowed."] * 2
    assert transaction.stages == [Stage.MAIL] * 2
    dialogue.sent = b""
    dialogue.begin(CAROL)
    assert dialogue.sent.startswith(b"MAIL FROM:"), "nothing is open at the server: no RSET"


@pytest.mark.parametrize("greeting", [PIPELINING, PLAIN])
def test_a_transaction_without_accepted_recipients_is_reset_before_the_next(greeting):
    dialogue = greeted(greeting)
    dialogue.begin(BOB)
    dialogue.hear(
        b"250 Ok\r\n550 5.1.1 No\r\n554 5.5.1 no valid recipients\r\n" if greeting is PIPELINING else b"250 Ok\r\n"
    )
    if greeting is PLAIN:
        assert dialogue.hear(b"550 5.1.1 No\r\n") == b"", "DATA would have no recipient"
    assert codes(dialogue.finished[0]) == [550]
    dialogue.sent = b""
    second = dialogue.begin(CAROL)
    assert dialogue.sent.startswith(b"RSET\r\n")
    dialogue.hear(b"250 reset\r\n250 Ok\r\n250 Ok\r\n354 go\r\n" if greeting is PIPELINING else b"250 reset\r\n")
    if greeting is PLAIN:
        for line in (b"250 Ok\r\n", b"250 Ok\r\n", b"354 go\r\n"):
            dialogue.hear(line)
    dialogue.hear(b"250 done\r\n")
    assert codes(second) == [250]


def test_an_accepted_data_command_without_recipients_gets_a_single_dot():
    """RFC 2920 section 3.1: "if the DATA command was accepted the client SMTP should send a single dot"."""
    dialogue = greeted()
    transaction = dialogue.begin(BOB)
    assert dialogue.hear(b"250 Ok\r\n450 4.2.0 Greylisted\r\n354 go\r\n") == b".\r\n"
    assert not dialogue.finished
    dialogue.hear(b"250 2.0.0 Ok\r\n")
    assert codes(transaction) == [450], "what the server says about the empty message is about nobody"
    dialogue.sent = b""
    dialogue.begin()
    assert dialogue.sent.startswith(b"MAIL FROM")


def test_a_refused_data_command_decides_for_the_accepted_recipients():
    dialogue = greeted()
    transaction = dialogue.begin(BOB, CAROL)
    dialogue.hear(b"250 Ok\r\n250 Ok\r\n550 5.1.1 No\r\n451 4.3.0 Later\r\n")
    assert codes(transaction) == [451, 550]
    assert transaction.stages == [Stage.DATA, Stage.RCPT]


def test_the_end_of_data_and_the_next_transaction_go_out_in_one_group():
    """RFC 2920 section 3.1: mail data may be the first "command" of a group."""
    dialogue = greeted()
    first = dialogue.begin(BOB)
    second = Transaction(ALICE, [Recipient(CAROL)], Outgoing(10))
    dialogue.next.append(second)
    sent = dialogue.hear(b"250 Ok\r\n250 Ok\r\n354 go\r\n")
    assert sent.startswith(MESSAGE + b".\r\nMAIL FROM:<alice@example.com>\r\nRCPT TO:<carol@")
    assert dialogue.hear(b"250 first\r\n250 Ok\r\n250 Ok\r\n354 go\r\n") == MESSAGE + b".\r\n"
    dialogue.hear(b"452 4.3.1 full\r\n")
    assert (codes(first), codes(second)) == ([250], [452])


def test_421_settles_what_was_answered_and_leaves_the_next_transaction_unanswered():
    dialogue = greeted()
    first = dialogue.begin(BOB)
    second = Transaction(ALICE, [Recipient(CAROL)], Outgoing(10))
    dialogue.next.append(second)
    dialogue.hear(b"250 Ok\r\n250 Ok\r\n354 go\r\n")
    dialogue.hear(b"421 4.3.2 Shutting down\r\n")
    assert dialogue.finished == [first, second]
    assert (first.unanswered, second.unanswered) == (False, True)
    assert first.stages == [Stage.END_OF_DATA]
    assert dialogue.unusable is not None
    assert dialogue.session.closed


def test_421_between_transactions_ends_the_session():
    dialogue = greeted()
    dialogue.hear(b"421 4.4.2 idle too long\r\n")
    assert dialogue.events == ["Ready", "Unusable"]


def test_a_refusal_before_the_end_of_the_mail_data_ends_the_connection():
    session = ClientSession("client.example", ())
    session.receive(PIPELINING)
    assert isinstance(session.next_event(), Ready)
    transaction = Transaction(ALICE, [Recipient(BOB)], Outgoing(10**9))
    session.begin(transaction)
    session.receive(b"250 Ok\r\n250 Ok\r\n354 go\r\n")
    assert isinstance(session.next_event(), GoAhead)
    session.send_data(b"x" * 1000 + b"\r\n")
    session.receive(b"552 5.3.4 Too big\r\n")
    assert session.next_event() == Finished(transaction)
    assert codes(transaction) == [552]
    assert isinstance(session.next_event(), Unusable)
    assert session.closed
    assert not session.wants_data


def test_abandoning_settles_everyone_with_the_stage_reached():
    dialogue = greeted()
    transaction = dialogue.begin(BOB, CAROL)
    dialogue.hear(b"250 Ok\r\n550 5.1.1 No\r\n")
    dialogue.session.abandon(reply(450, "4.4.2", "lost"))
    dialogue.take()
    assert codes(transaction) == [550, 450]
    assert transaction.stages == [Stage.RCPT, Stage.RCPT]
    assert transaction.local
    assert not transaction.unanswered


def test_quit_is_said_once_nothing_is_going_on():
    dialogue = greeted()
    dialogue.begin()
    with pytest.raises(RuntimeError):
        dialogue.session.quit()
    dialogue.hear(b"250 Ok\r\n250 Ok\r\n354 go\r\n250 done\r\n")
    dialogue.session.quit()
    dialogue.take()
    assert dialogue.sent.endswith(b"QUIT\r\n")
    dialogue.hear(b"221 Bye\r\n")
    assert dialogue.session.closed


def test_the_dialogue_of_a_transaction_is_kept_without_the_mail_data():
    dialogue = greeted()
    transaction = dialogue.begin(BOB, CAROL)
    dialogue.hear(b"250 Ok\r\n250 Ok\r\n550 5.1.1 No\r\n354 go\r\n552 5.3.4 Too big\r\n")
    assert transaction.dialogue() == [
        "C: MAIL FROM:<alice@example.com>",
        "S: 250 Ok",
        "C: RCPT TO:<bob@company.com.example>",
        "S: (accepted)",
        "C: RCPT TO:<carol@company.com.example>",
        "S: 550 5.1.1 No",
        "C: DATA",
        "S: 354 go",
        "C: .",
        "S: 552 5.3.4 Too big",
    ]
    assert dialogue.session.hello_dialogue[:2] == ["S: 220 mx ESMTP", "C: EHLO client.example"]


def refuse_large(message: Outgoing, offer: str | None) -> dict[str, bytes | None]:
    if offer is not None and message.octets > int(offer or 0):
        raise CannotForward(reply(552, "5.3.4", "Too big for the next hop"))
    return {"SIZE": b"%d" % message.octets} if offer is not None else {}


LIMITED = Extension(keyword="SIZE", rfc=1870, outbound=refuse_large)


def test_a_message_an_extension_cannot_carry_is_refused_without_a_word_to_the_server():
    dialogue = greeted(b"220 mx\r\n250-mx\r\n250-SIZE 20\r\n250 PIPELINING\r\n", [LIMITED])
    transaction = dialogue.begin(BOB, CAROL)
    assert codes(transaction) == [552, 552]
    assert transaction.local
    assert not transaction.unanswered
    assert dialogue.sent == b""
    assert dialogue.session.can_begin


def test_parameters_of_extensions_stand_behind_the_reverse_path():
    dialogue = greeted(b"220 mx\r\n250-mx\r\n250-Size 2000\r\n250 PIPELINING\r\n", [LIMITED])
    dialogue.begin()
    assert dialogue.sent.startswith(b"MAIL FROM:<alice@example.com> SIZE=%d\r\n" % len(MESSAGE))


@pytest.mark.parametrize("local_part", ["a\r\nRCPT TO:<x@y>", "a\x00", "b\xfcb"])
def test_an_address_that_cannot_stand_in_a_command_never_reaches_one(local_part):
    dialogue = greeted()
    transaction = dialogue.begin(Mailbox(local_part, "company.com.example"))
    assert dialogue.sent == b""
    assert codes(transaction) == [553]


@pytest.mark.parametrize(
    "octets",
    [
        b"hello\r\n",
        b"250 Ok\n",
        b"\n",
        b"250 O\rk\r\n",
        b"150 wait\r\n",
        b"650 what\r\n",
        b"25\r\n",
        b"250_Ok\r\n",
        b"250-a\r\n251 b\r\n",
        b"250-" + b"x" * 3000 + b"\r\n",
        b"x" * 3000,
        b"250-x\r\n" * 200,
        b"250-" + b"x" * 1000 + b"\r\n" + (b"250-" + b"y" * 1000 + b"\r\n") * 40,
        b"354 go on\r\n",
        b"250 a\r\n354 b\r\n",
        b"250 a\r\n250 b\r\n250 c\r\n",
        b"250 a\r\n250 b\r\n354 c\r\n334 d\r\n",
        b"250 a\r\n250 b\r\n354 c\r\n250 d\r\n250 e\r\n",
    ],
)
def test_a_hostile_reply_is_a_bad_reply(octets):
    dialogue = greeted()
    dialogue.begin()
    with pytest.raises(BadReply) as caught:
        dialogue.hear(octets)
    assert caught.value.reply.transient
    assert str(caught.value.reply).isascii()


def test_a_reply_is_bounded_while_it_arrives():
    dialogue = greeted()
    with pytest.raises(BadReply):
        for _ in range(100_000):
            dialogue.hear(b"x" * 100)


def test_text_of_the_server_is_made_printable():
    dialogue = greeted()
    transaction = dialogue.begin()
    dialogue.hear(b"550 5.1.1 caf\xc3\xa9 \x1b[2J\x00 \xff\r\n503 x\r\n503 x\r\n")
    assert str(transaction.replies[0]).isprintable()
    assert str(transaction.replies[0]).isascii()


def test_an_enhanced_code_of_another_class_is_text():
    dialogue = greeted()
    transaction = dialogue.begin()
    dialogue.hear(b"550 2.1.1 odd\r\n503 5.5.1 x\r\n503 5.5.1 x\r\n")
    assert (transaction.replies[0].status, transaction.replies[0].text) == ("", ("2.1.1 odd",))


def test_a_reply_of_several_lines_keeps_them_and_one_status():
    dialogue = greeted()
    transaction = dialogue.begin()
    dialogue.hear(b"550-5.7.1 Blocked\r\n550-\r\n550 5.7.1 see https://x.example\r\n503 x\r\n503 x\r\n")
    assert transaction.replies[0].status == "5.7.1"
    assert transaction.replies[0].text == ("Blocked", "", "see https://x.example")


SERVER_OCTETS = [
    b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 Ok\r\n250 Ok\r\n550-5.1.1 a\r\n550 5.1.1 b\r\n354 go\r\n250 X\r\n",
    b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n550 Ok\r\n503 a\r\n503 b\r\n503 c\r\n421 bye\r\n",
    b"220 mx\r\n502 mx\r\n250 mx\r\n250 Ok\r\n250 Ok\r\n550 x\r\n354 go\r\n250 x\n",
    b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 Ok\r\n250 Ok\r\n250 Ok\r\n354 go\r\n421 4.3.0 later\r\n",
    b"220 mx\r\n250-mx\r\n250 PIPELINING\r\n250 Ok\r\n250-Ok\r\n251 Ok\r\n",
]


def history(pieces: Sequence[bytes]) -> object:
    """Everything that can be seen of a session with three transactions, whatever the server says."""
    dialogue = Dialogue()
    transactions = [Transaction(ALICE, [Recipient(BOB), Recipient(CAROL)], Outgoing(10)) for _ in range(3)]
    dialogue.next = list(transactions)
    problem = ""
    try:
        for piece in pieces:
            dialogue.hear(piece)
    except BadReply as error:
        problem = str(error)
        dialogue.session.abandon(error.reply)
    else:
        dialogue.session.abandon(reply(450, "4.4.2", "lost"))
    dialogue.take()
    outcomes = [(transaction.replies, transaction.stages, transaction.local) for transaction in transactions]
    return dialogue.sent, dialogue.events, problem, outcomes, dialogue.session.offers


@pytest.mark.parametrize("octets", SERVER_OCTETS)
def test_octet_by_octet_gives_the_same_outcomes(octets):
    assert history([octets]) == history([octets[at : at + 1] for at in range(len(octets))])


REPLIES = st.lists(
    st.sampled_from(
        [
            *[b"220 mx\r\n", b"250-mx\r\n250 PIPELINING\r\n", b"250 2.1.0 Ok\r\n", b"354 go\r\n", b"421 bye\r\n"],
            *[b"550 5.1.1 No\r\n", b"452-4.5.3 Too\r\n452 many\r\n", b"250-", b"\r", b"\n", b"250", b"999 x\r\n"],
        ]
    ),
    max_size=16,
).map(b"".join)


@settings(deadline=None, max_examples=150)
@given(
    octets=st.one_of(REPLIES, REPLIES.map(SERVER_OCTETS[0][:35].__add__)),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_any_cut_of_the_replies_gives_the_same_outcomes(octets, cuts):
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    pieces = [octets[begin:end] for begin, end in pairwise(edges)]
    assert history(pieces) == history([octets])


@settings(deadline=None, max_examples=200)
@given(octets=st.binary(max_size=400), prefix=st.integers(0, len(SERVER_OCTETS[0])))
def test_random_octets_raise_nothing_but_bad_reply(octets, prefix):
    history([SERVER_OCTETS[0][:prefix] + octets])
