"""The client's side of SMTP: a transaction in, octets out, replies in, outcomes out (RFC 5321 section 3).

    S: 220 company.com.example ESMTP
    C: EHLO almamater.edu.example
    S: 250-company.com.example
    S: 250-PIPELINING
    S: 250 SUBMITTER
    C: MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example
    C: RCPT TO:<bob@company.com.example>
    C: DATA
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 354 Go ahead

To a server that offers PIPELINING the commands of a transaction go out as one group, and the group may begin
with the end of the mail data before it (RFC 2920 section 3.1). `_expected` holds what was sent and not answered.

To a server that offers CHUNKING the message goes in chunks once the recipients are answered, its header in the first:

    C: BDAT 120
    C: (header)
    C: BDAT 5000 LAST
    C: (body)

Nothing is sent behind the last chunk before it is answered: RFC 3030 does not say that a command may come there, so
RFC 2920 section 3.1 forbids it. Without PIPELINING each chunk waits for the reply to the one before it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Sequence
from typing import Final, final

from purport.mail.reply import Reply, reply
from purport.smtp.client_commands import Commands
from purport.smtp.client_event import BeginTls, ClientEvent, Finished, GoAhead, Ready, Reversed, Unusable
from purport.smtp.client_transaction import (
    ATRN,
    AUTH,
    CHUNK,
    DATA,
    END_OF_DATA,
    GREETING,
    HELLO,
    MAIL,
    MAIL_DATA,
    QUIT,
    RCPT,
    RESET,
    STARTTLS,
    Stage,
    Transaction,
)
from purport.smtp.extension import CannotForward, Extension
from purport.smtp.extensions import atrn
from purport.smtp.extensions.binarymime import BINARYMIME, is_binary
from purport.smtp.reply_reader import BadReply, ReplyReader
from purport.smtp.sasl.login import ClientLogin
from purport.smtp.stuffing import ChunkWriter, DataWriter, bdat

KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
ATRN_NOT_OFFERED: Final = reply(550, "5.5.1", "The server does not offer ATRN")
TLS_NOT_OFFERED: Final = reply(450, "4.7.4", "TLS is required, but was not offered")  # RFC 3463 section 3.8
EMPTY_MESSAGE: Final = b".\r\n"  # RFC 2920 section 3.1: the answer to a 354 that no accepted recipient stands behind


Expected = tuple[Stage, Transaction | None, int]  # the command sent, its transaction, the recipient's number


@final
class ClientSession:
    """One connection to a server, from the greeting to QUIT, without the connection.

    Give it what arrives (`receive`), take `next_event()` until it is None, write what `to_send()` gives.
    """

    __slots__ = (
        "_chunks",
        "_commands",
        "_events",
        "_expected",
        "_hello",
        "_hello_domain",
        "_login",
        "_pending",
        "_pipelining",
        "_reader",
        "_sending",
        "_starttls",
        "_tls_required",
        "_transactions",
        "_unclean",
        "_writer",
        "answered",
        "authenticated",
        "chunking",
        "closed",
        "hello_dialogue",
        "lmtp",
        "offers",
        "ready",
        "secure",
    )

    def __init__(
        self,
        hello_domain: str,
        extensions: Sequence[Extension],
        login: ClientLogin | None = None,
        *,
        starttls: bool = False,
        tls_required: bool = False,
        secure: bool = False,
        lmtp: bool = False,
    ) -> None:
        """`login`: how to log in before the first transaction; a server that does not let us in is of no use.
        `starttls`: TLS is begun where it is offered; `tls_required`: a server that does not offer it is of no use.
        `secure`: the connection was protected from its first octet on. `lmtp`: LMTP is spoken (RFC 2033)."""
        self._hello_domain = hello_domain
        self._hello = ""
        self.lmtp = lmtp
        self._commands = Commands(extensions)
        self._login = login
        self._starttls = starttls
        self._tls_required = tls_required
        self._reader = ReplyReader()
        self._expected: deque[Expected] = deque([(GREETING, None, 0)])  # sent and not answered
        self._pending: deque[tuple[Expected, bytes]] = deque()  # commands that wait for the reply before them
        self._events: deque[ClientEvent] = deque()
        self._sending: list[bytes] = []
        self._transactions: deque[Transaction] = deque()  # begun and not finished, at most two
        self._writer: DataWriter | None = None  # while the mail data is being sent
        self._chunks: ChunkWriter | None = None  # the same, in chunks
        self._pipelining = False
        self._unclean = False  # a transaction was left open at the server: RSET first
        self.answered = 0  # replies taken so far
        self.ready = False
        self.secure = secure  # whether TLS protects the connection
        self.authenticated = False  # whether we logged in
        self.chunking = False  # whether messages go in chunks
        self.closed = False  # nothing is expected of the server any more
        self.offers: dict[str, str] = {}  # EHLO keywords in upper case, with what follows them
        self.hello_dialogue: list[str] = []

    # What the shell does

    def receive(self, octets: bytes) -> None:
        """The next octets from the server."""
        self._reader.receive(octets)

    def next_event(self) -> ClientEvent | None:
        """What happened, in order; None when more has to arrive. Raises BadReply: `abandon` the session then."""
        events = self._events
        while not events:
            if self.closed:
                return None
            given = self._reader.next_reply()
            if given is None:
                return None
            self._take(given)
        return events.popleft()

    def to_send(self) -> list[bytes]:
        """The octets to write, in pieces as they are."""
        sending = self._sending
        if sending:
            self._sending = []
        return sending

    @property
    def idle(self) -> bool:
        """Whether nothing is going on: QUIT may be said."""
        return self.ready and not self._expected and not self.closed

    @property
    def can_begin(self) -> bool:
        """Whether a transaction may begin: when idle, and with PIPELINING already once the mail data of the last
        one was sent (RFC 2920 section 3.1)."""
        if not self.ready or self.closed or self.wants_data:
            return False
        expected = self._expected
        if not expected:
            return True
        return self._pipelining and not self.chunking and len(expected) == 1 and expected[0][0] is END_OF_DATA

    @property
    def wants_data(self) -> bool:
        """Whether the mail data may go on: after GoAhead, until `end_data` or a reply that cuts it short."""
        return self._writer is not None or self._chunks is not None

    @property
    def congested(self) -> bool:
        """Whether a chunk waits for the reply to the one before it: no more should be given until it has come."""
        return self._chunks is not None and bool(self._pending)

    @property
    def waits_for(self) -> Stage | None:
        """What the server has to do next; None while nothing is expected of it."""
        if self.wants_data:
            return MAIL_DATA
        if not self._expected:
            return None
        stage = self._expected[0][0]
        return self._expected[-1][0] if stage is CHUNK else stage  # the last chunk is out too

    def begin(self, transaction: Transaction) -> None:
        """Start a transaction; only when `can_begin`. One that cannot be sent to this server (CannotForward of an
        extension) is finished at once, and nothing is sent; a recipient that cannot be is left out."""
        if not self.can_begin:
            raise RuntimeError("a transaction cannot begin here")
        try:
            mail = self._commands.mail(transaction, self.offers)
        except CannotForward as refusal:
            transaction.local = True
            transaction.settle(refusal.reply, MAIL)
            self._events.append(Finished(transaction))
            return
        rcpts = self._commands.rcpts(transaction, self.offers)
        if not any(rcpts):
            transaction.local = True
            self._events.append(Finished(transaction))
            return
        transaction.mail_command = mail
        transaction.rcpt_commands = rcpts
        self._transactions.append(transaction)
        commands = [mail, *filter(None, rcpts)]
        expected: list[Expected] = [(RCPT, transaction, number) for number, rcpt in enumerate(rcpts) if rcpt]
        transaction.last = expected[-1][2]
        expected.insert(0, (MAIL, transaction, 0))
        if not self.chunking:
            commands.append(b"DATA")
            expected.append((DATA, transaction, 0))
        if self._unclean:
            self._unclean = False
            commands.insert(0, b"RSET")
            expected.insert(0, (RESET, None, 0))
        if self._pipelining:
            self._expected.extend(expected)
            self._sending.append(b"\r\n".join(commands) + b"\r\n")
        else:
            self._pending.extend(zip(expected, [command + b"\r\n" for command in commands], strict=True))
            self._send_pending()

    def send_data(self, octets: bytes) -> None:
        """The next octets of the message the server waits for; only while `wants_data`."""
        if self._chunks is not None:
            chunk = self._chunks.feed(octets)
            if chunk is not None:
                self._send_chunk(chunk, last=False)
            return
        if self._writer is None:
            raise RuntimeError("the server does not wait for mail data")
        self._sending += self._writer.feed(octets)

    def end_data(self) -> None:
        """The message is complete; only while `wants_data`."""
        if self._chunks is not None:
            chunk = self._chunks.end()
            self._chunks = None
            self._send_chunk(chunk, last=True)
            self._transactions[0].stage = END_OF_DATA
            return
        if self._writer is None:
            raise RuntimeError("the server does not wait for mail data")
        self._sending.append(self._writer.end())
        self._writer = None
        self._transactions[0].stage = END_OF_DATA

    def secured(self, told: str = "") -> None:
        """The TLS handshake has succeeded, after BeginTls: nothing that the server said in clear counts any more, and
        it is asked anew what it offers (RFC 3207 section 4.2). `told` describes it in the dialogue."""
        self._expected.clear()
        self._reader = ReplyReader()
        self.offers = {}
        self._pipelining = self.chunking = False
        self.secure = True
        if told:
            self.hello_dialogue.append(f"T: {told}")
        self._say_hello("LHLO" if self.lmtp else "EHLO")

    def quit(self) -> None:
        """Say QUIT; only when `idle`."""
        if not self.idle:
            raise RuntimeError("QUIT would interrupt a transaction")
        self.ready = False
        self._expected.append((QUIT, None, 0))
        self._sending.append(b"QUIT\r\n")

    def reverse(self, domains: Sequence[str]) -> None:
        """Have the server send us what waits for these domains, for all of the login's where none is named (RFC 2645);
        only when `idle`."""
        if not self.idle:
            raise RuntimeError("ATRN would interrupt a transaction")
        if atrn.EXTENSION.keyword not in self.offers:
            self._refuse(ATRN, ATRN_NOT_OFFERED)
            return
        self.ready = False
        self._expected.append((ATRN, None, 0))
        self._sending.append(atrn.command(domains))

    def abandon(self, given: Reply) -> None:
        """The connection is gone, or of no use any more: `given` decides for whoever has no reply."""
        self._end(given, local=True)

    # What the server says

    def _take(self, given: Reply) -> None:
        """One reply, to the oldest command without one."""
        self.answered += 1
        if given.code == 421:  # RFC 5321 section 3.8: the server goes, whatever it was asked
            self._leave(given)
            return
        if not self._expected:
            raise BadReply("reply without a command")
        stage, transaction, number = self._expected.popleft()
        if transaction is None:
            self._take_outside(stage, given)
        elif stage is MAIL:
            self._take_mail(transaction, given)
        elif stage is RCPT:
            self._take_rcpt(transaction, number, given)
        elif stage is DATA:
            self._take_data(transaction, given)
        elif self.chunking:
            self._take_chunk(transaction, number, given, last=stage is END_OF_DATA)
        else:
            self._take_end(transaction, number, given)
        if self._pending:
            self._send_pending()

    def _take_outside(self, stage: Stage, given: Reply) -> None:
        """A reply to what belongs to no transaction."""
        if stage is GREETING:
            self.hello_dialogue.append(f"S: {given}")
            if given.code == 220:
                self._say_hello("LHLO" if self.lmtp else "EHLO")
            else:
                self._refuse(GREETING, given)
        elif stage is HELLO:
            self._take_hello(given)
        elif stage is STARTTLS:
            self._take_starttls(given)
        elif stage is AUTH:
            self._take_auth(given)
        elif stage is ATRN:
            self._take_atrn(given)
        elif stage is QUIT:
            self.closed = True
        elif refused(given):
            raise BadReply("RSET refused")  # RFC 5321 section 4.1.1.5: there is nothing to refuse

    def _say_hello(self, verb: str) -> None:
        command = f"{verb} {self._hello_domain}"
        self._hello = verb
        self.hello_dialogue.append(f"C: {command}")
        self._expected.append((HELLO, None, 0))
        self._sending.append(f"{command}\r\n".encode("ascii"))

    def _take_hello(self, given: Reply) -> None:
        self.hello_dialogue.append(f"S: {given}")
        if not refused(given):
            if self._hello != "HELO":
                self.offers = offers(given)
                self._pipelining = "PIPELINING" in self.offers
                # With LMTP a reply for each recipient is waited for, and nothing is won by chunks.
                self.chunking = "CHUNKING" in self.offers and not self.lmtp
                if not self.chunking:  # RFC 3030 section 3 (3)
                    self.offers.pop(BINARYMIME, None)
            self._protect()
        elif given.permanent and self._hello == "EHLO":
            self._say_hello("HELO")  # RFC 5321 section 3.2: a server that does not know EHLO
        else:
            self._refuse(HELLO, given)

    def _protect(self) -> None:
        """Begin TLS where that is wanted, then go on."""
        if self.secure or not self._starttls:
            self._log_in()
        elif "STARTTLS" in self.offers:
            self.hello_dialogue.append("C: STARTTLS")
            self._expected.append((STARTTLS, None, 0))
            self._sending.append(b"STARTTLS\r\n")
        elif self._tls_required:
            self._refuse(STARTTLS, TLS_NOT_OFFERED)
        else:
            self._log_in()

    def _take_starttls(self, given: Reply) -> None:
        self.hello_dialogue.append(f"S: {given}")
        if not refused(given):
            self._expected.append((STARTTLS, None, 0))  # until the handshake is made
            if self._reader.unread:  # somebody else's, it may be (CVE-2011-0411 the other way round)
                raise BadReply("octets in clear behind the reply to STARTTLS")
            self._events.append(BeginTls())
        elif self._tls_required:
            self._refuse(STARTTLS, given)
        else:
            self._log_in()

    def _log_in(self) -> None:
        """Transactions may begin, after a login where one is wanted."""
        if self._login is None:
            self.ready = True
            self._events.append(Ready())
            return
        command = self._login.command(self.offers.get("AUTH"), secure=self.secure)
        if isinstance(command, Reply):
            self._refuse(AUTH, command)
            return
        self.hello_dialogue.append(f"C: AUTH {self._login.mechanism} ...")
        self._expected.append((AUTH, None, 0))
        self._sending.append(command)

    def _take_auth(self, given: Reply) -> None:
        """A challenge, or how the login ended; what is said meanwhile is no part of the dialogue that is kept."""
        assert self._login is not None
        if given.code == 334:
            self._expected.append((AUTH, None, 0))
            self._sending.append(self._login.response(given))
            return
        outcome = self._login.outcome(given)
        self.hello_dialogue.append(f"S: {outcome}")
        if outcome.accepted:
            self.authenticated = self.ready = True
            self._events.append(Ready())
        else:
            self._refuse(AUTH, outcome)

    def _take_atrn(self, given: Reply) -> None:
        self.hello_dialogue.append(f"S: {given}")
        if refused(given):
            self._refuse(ATRN, given)
            return
        if self._reader.unread:  # it has nothing to say before we have greeted it
            raise BadReply("octets behind the reply to ATRN")
        self.closed = True
        self._events.append(Reversed())

    def _take_mail(self, transaction: Transaction, given: Reply) -> None:
        transaction.mail_reply = given
        transaction.stage = RCPT
        if refused(given):
            transaction.settle(given, MAIL)
            if self._pending:
                self._pending.clear()
                self._finish(transaction)

    def _take_rcpt(self, transaction: Transaction, number: int, given: Reply) -> None:
        if transaction.replies[number] is None:  # else MAIL was refused, and this is its echo
            if refused(given):
                transaction.replies[number] = given
                transaction.stages[number] = RCPT
            else:
                transaction.accepted.append(number)
        if number == transaction.last and self.chunking:
            self._recipients_known(transaction)
        elif number == transaction.last:
            transaction.stage = DATA
            if self._pending and not transaction.accepted:
                self._pending.clear()
                self._unclean = True
                self._finish(transaction)

    def _recipients_known(self, transaction: Transaction) -> None:
        """Every RCPT is answered: the chunks may go out, where there is somebody to take them."""
        if transaction.accepted:
            transaction.stage = MAIL_DATA
            self._chunks = ChunkWriter(binary=is_binary(transaction.message.parameters))
            self._events.append(GoAhead(transaction))
        else:
            self._unclean = transaction.mail_reply is not None and transaction.mail_reply.accepted
            self._finish(transaction)

    def _take_chunk(self, transaction: Transaction, octets: int, given: Reply, *, last: bool) -> None:
        """The reply to a chunk. The first refusal decides, and no further chunk follows it (RFC 3030 section 2); what
        was sent before it came is answered too, and counts for nothing."""
        if refused(given):
            self._unclean = True
            self._chunks = None
            self._pending.clear()
            if not transaction.end_replies:
                transaction.end_command = f"BDAT {octets}{' LAST' * last}"
                transaction.end_replies.append(given)
                transaction.settle(given, END_OF_DATA if last else CHUNK)
        elif last and not transaction.end_replies:
            transaction.end_command = f"BDAT {octets} LAST"
            transaction.end_replies.append(given)
            transaction.settle(given, END_OF_DATA)
        if transaction.end_replies and not self._expected:
            self._finish(transaction)

    def _take_data(self, transaction: Transaction, given: Reply) -> None:
        transaction.data_reply = given
        if given.code == 354:
            if self.lmtp:
                self._expected.extend((END_OF_DATA, transaction, number) for number in transaction.accepted)
            else:
                self._expected.append((END_OF_DATA, transaction, 0))
            if transaction.accepted:
                transaction.stage = MAIL_DATA
                self._writer = DataWriter()
                self._events.append(GoAhead(transaction))
            else:
                transaction.stage = END_OF_DATA
                self._sending.append(EMPTY_MESSAGE)
        elif given.accepted:
            raise BadReply(f"{given.code} is no reply to DATA")
        else:
            transaction.settle(given, DATA)
            self._unclean = transaction.mail_reply is not None and transaction.mail_reply.accepted
            self._finish(transaction)

    def _take_end(self, transaction: Transaction, number: int, given: Reply) -> None:
        if self._writer is not None:
            # Before the end of data: what is left of the message must not be taken for commands.
            if not refused(given):
                raise BadReply("message accepted before its end")
            self._end(given, local=False)
            self._events.append(Unusable(MAIL_DATA, given))
            return
        refused(given)
        transaction.end_replies.append(given)
        if self.lmtp:  # one for each recipient that was accepted, in their order (RFC 2033 section 4.2)
            transaction.replies[number] = given
            transaction.stages[number] = END_OF_DATA
            if number == transaction.accepted[-1]:
                self._finish(transaction)
            return
        transaction.settle(given, END_OF_DATA)
        self._finish(transaction)

    def _finish(self, transaction: Transaction) -> None:
        self._transactions.popleft()
        self._events.append(Finished(transaction))

    def _refuse(self, stage: Stage, given: Reply) -> None:
        """The server does not want us: say QUIT, and do not wait for what it says to that."""
        self.ready = False
        self.closed = True
        self._sending.append(b"QUIT\r\n")
        self._events.append(Unusable(stage, given))

    def _leave(self, given: Reply) -> None:
        stage = self.waits_for or QUIT
        self._end(given, local=False)
        self._events.append(Unusable(stage, given))

    def _end(self, given: Reply, *, local: bool) -> None:
        """Nothing more is expected: `given` decides for whoever has no reply."""
        self.ready = False
        self.closed = True
        self._writer = self._chunks = None
        self._expected.clear()
        self._pending.clear()
        while self._transactions:
            transaction = self._transactions.popleft()
            transaction.local = local
            transaction.settle(given, transaction.stage)
            self._events.append(Finished(transaction))

    # What goes out

    def _send_pending(self) -> None:
        """Without PIPELINING the next command waits for the reply to the last one (RFC 5321 section 4.1.1)."""
        if self._pending and not self._expected:
            expected, command = self._pending.popleft()
            self._expected.append(expected)
            self._sending.append(command)

    def _send_chunk(self, chunk: bytes, *, last: bool) -> None:
        expected: Expected = (END_OF_DATA if last else CHUNK, self._transactions[0], len(chunk))
        if self._pipelining or not (self._expected or self._pending):
            self._expected.append(expected)
            self._sending += (bdat(chunk, last=last), chunk)
        else:
            self._pending.append((expected, bdat(chunk, last=last) + chunk))


def refused(given: Reply) -> bool:
    """Whether a command that 2yz accepts was refused. Raises BadReply for 3yz, which asks for more where nothing
    more can come."""
    if 300 <= given.code < 400:
        raise BadReply(f"{given.code} out of place")
    return given.code >= 400


def offers(given: Reply) -> dict[str, str]:
    """The keywords of an EHLO reply in upper case, each with what follows it (RFC 5321 section 4.1.1.1)."""
    found: dict[str, str] = {}
    for line in given.text[1:]:
        keyword, _, rest = line.partition(" ")
        if KEYWORD.fullmatch(keyword):
            found.setdefault(keyword.upper(), rest.strip())
    return found
