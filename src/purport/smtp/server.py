r"""The server's side of SMTP: octets in, events out, answers in, octets out (RFC 5321 section 4).

    session.receive(b"MAIL FROM:<alice@example.com>\r\n")
    session.next_event()            ->  Mail(reverse_path, parameters)
    session.answer(SENDER_OK)
    session.to_send()               ->  b"250 2.1.0 Ok\r\n"

A command that needs no decision is answered here. One that does is an event, and nothing more is read until it is
answered: so replies come in the order of the commands, however many of them were sent at once (RFC 2920 section 3.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, final

from purport.mail import reply as replies
from purport.mail.reply import Rejected, Reply, reply
from purport.smtp.chunk import DROP_OCTETS, SMALL, ChunkReader
from purport.smtp.command import chunk_argument, hello_domain, mail_argument, rcpt_argument
from purport.smtp.data import CRLF, DataReader
from purport.smtp.event import (
    AuthResponse,
    Data,
    EndOfChunk,
    EndOfData,
    Event,
    Hello,
    Mail,
    MessageOctets,
    Quit,
    Rcpt,
    Reset,
)
from purport.smtp.extension import Terms
from purport.smtp.extensions import auth
from purport.smtp.extensions.atrn import SENT_AHEAD
from purport.smtp.extensions.binarymime import is_binary
from purport.smtp.extensions.smtputf8 import is_international
from purport.smtp.extensions.starttls import READY_TO_START
from purport.smtp.profile import COMMAND_OCTETS, NOT_SMTP, Profile
from purport.smtp.state import (
    BDAT,
    CHUNKS,
    CLOSED,
    FAILED,
    HANDSHAKE,
    LAST_CHUNK,
    LOGIN,
    MAIL,
    RCPT,
    READY,
    RESPONSE,
    REVERSED,
    START,
    TRANSACTION,
    State,
)

__all__ = ["Profile", "ServerSession"]

DRAIN_OCTETS: Final = 1048576  # of one line, thrown away: who sends more of it than that is no SMTP client
# Commands that lead to no mail, between two messages; each one more counts as an error. As Postfix's
# smtpd_junk_command_limit: a flood of NOOP in one segment would keep all other sessions waiting. Small and misplaced
# chunks are counted with them.
JUNK: Final = 100
CR: Final = 13
WHITE_SPACE: Final = b" \t"  # tolerated at the end of a line (RFC 5321 section 4.1.1)

UNREAD_LINE: Final = reply(500, "5.5.2", "Line too long to be read")
NUL_IN_COMMAND: Final = reply(500, "5.5.2", "A command holds no NUL")
NEEDS_NO_ARGUMENT: Final = reply(501, "5.5.4", "This command has no argument")
NEEDS_ARGUMENT: Final = reply(501, "5.5.4", "This command needs an argument")
NOT_VERIFIED: Final = reply(252, "2.0.0", "Cannot VRFY user, but will take mail for it and try to deliver")
NOT_WITH_DATA: Final = reply(503, "5.5.1", "A BODY=BINARYMIME message is sent with BDAT")
NO_EXPN: Final = reply(502, "5.5.1", "EXPN is not available")
HELP: Final = reply(214, "2.0.0", "Commands: EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT")
LMTP_HELP: Final = reply(214, "2.0.0", "Commands: LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT")

END: Final = b"."  # stands for the end of data where a verb is asked for
DATA_EVENT: Final = Data()
END_OF_CHUNK_EVENT: Final = EndOfChunk()
END_EVENT: Final = EndOfData()
RESET_EVENT: Final = Reset()
QUIT_EVENT: Final = Quit()

# Replies that are given all the time, as they go on the wire; by identity, as hashing one costs more than writing it.
WIRE: Final = {id(common): common.octets() for common in vars(replies).values() if isinstance(common, Reply)}


@final
class ServerSession:
    """One SMTP session, from the greeting to QUIT."""

    __slots__ = (
        "_binary",
        "_buffer",
        "_chunks",
        "_data",
        "_dialect",
        "_drained",
        "_errors",
        "_in_chunk",
        "_junk",
        "_lmtp",
        "_profile",
        "_recipients",
        "_row",
        "_sending",
        "_start",
        "_terms",
        "_unanswered",
        "_utf8",
        "state",
    )

    def __init__(
        self,
        profile: Profile,
        *,
        xclient_allowed: bool = False,
        secure: bool = False,
        today: int = 0,
        etrn_allowed: bool = False,
    ) -> None:
        self._profile = profile
        self._lmtp = profile.service == "lmtp"
        self._terms = profile.terms(
            xclient_allowed=xclient_allowed, secure=secure, today=today, etrn_allowed=etrn_allowed
        )
        self._dialect = profile.dialect(self._terms, extended=True)
        self._buffer = b""  # octets received; those before `_start` have been read
        self._start = 0
        self._sending = bytearray()
        self._junk = 0
        self._unanswered: bytes | None = None  # the verb whose event waits for an answer
        self._data: DataReader | None = None  # while mail data is being read
        self._chunks: ChunkReader | None = None
        self._in_chunk = False  # while octets of `_chunks` are being read, or its end is to be told
        self._binary = False  # whether the message was announced as BODY=BINARYMIME
        self._utf8 = False  # whether its envelope may hold UTF-8 (RFC 6531)
        self._drained = -1  # octets thrown away of a line that is too long, or -1
        self._errors = 0
        self._recipients = 0
        self._enter(START)

    # What the shell does

    def greet(self) -> None:
        """Queue the greeting; once, before anything else."""
        self._sending += self._profile.greeting

    def receive(self, octets: bytes) -> None:
        """The next octets from the client."""
        if self.state is CLOSED or self.state is HANDSHAKE or self.state is REVERSED:
            return
        if self._start == len(self._buffer):
            self._buffer = octets
        else:
            self._buffer = self._buffer[self._start :] + octets
        self._start = 0

    def secured(self) -> None:
        """The TLS handshake that an accepted StartTls led to is done: the session begins anew, without a greeting
        (RFC 3207 section 4.2)."""
        if self.state is not HANDSHAKE:
            raise RuntimeError("no handshake was asked for")
        self._terms = replace(self._terms, secure=True, authenticated=False)
        self._dialect = self._profile.dialect(self._terms, extended=True)
        self._enter(START)

    def next_event(self) -> Event | None:
        """What the client wants, in order; None when more has to arrive.

        Raises RuntimeError while the last event (MessageOctets and Quit aside) is unanswered.
        """
        if self._unanswered is not None:
            raise RuntimeError(f"{self._unanswered.decode('latin-1')} has not been answered")
        while True:
            if self._data is not None:
                return self._read_data(self._data)
            if self._in_chunk:
                event = self._read_chunk()
                if event is not None or self._in_chunk:
                    return event
            if self.state is LOGIN:
                return self._read_response()
            line = self._read_line()
            if line is None:
                return None
            event = self._command(line)
            if event is not None:
                return event

    def answer(self, answer: Reply) -> None:
        """The reply to the last event. An accepting one to Hello, Xclient or StartTls is replaced by what the protocol
        says there: the EHLO reply with its keywords, a new greeting, 220. In LMTP the one to the end of a message is
        said once for each recipient (RFC 2033 section 4.2)."""
        verb = self._unanswered
        if verb is None:
            raise RuntimeError("there is nothing to answer")
        self._unanswered = None
        if answer.code < 400:
            self._accepted(verb, answer)
            return
        # Whatever the reply, the transaction is over (RFC 5321 section 4.1.1.4, RFC 3030 section 2), and so is an AUTH
        # exchange.
        if verb is END or verb is BDAT or verb is LAST_CHUNK or verb is RESPONSE:
            self._enter(READY)
        self._say(answer)
        if self._lmtp and (verb is END or verb is LAST_CHUNK) and self.state is not CLOSED:
            self._sending += answer.octets() * (self._recipients - 1)

    def to_send(self) -> bytes:
        """The octets to write."""
        octets = bytes(self._sending)
        self._sending.clear()
        return octets

    def log_in(self, authenticated: bool = True) -> None:
        """The client is, or is no longer, somebody who logged in: after AUTH this happens by itself; the shell says so
        where XCLIENT names a login."""
        self._terms = replace(self._terms, authenticated=authenticated)
        self._dialect = self._profile.dialect(self._terms, extended=self._dialect.extended)
        self._enter(self.state)

    @property
    def terms(self) -> Terms:
        """On what terms we talk to the client."""
        return self._terms

    @property
    def closed(self) -> bool:
        """Whether the session is over: write what `to_send()` gives, and close the connection."""
        return self.state is CLOSED

    # Answers

    def _accepted(self, verb: bytes, answer: Reply) -> None:
        """An accepting reply: the session moves to where the table says."""
        state = self._row[verb]
        octets = b""
        if verb == b"RCPT":
            self._recipients += 1
        elif verb == b"MAIL":
            self._recipients = 0
        elif verb is END or verb is LAST_CHUNK:
            self._errors = self._junk = 0
            self._chunks = None
        elif verb == b"DATA":
            self._data = DataReader(self._profile.message_octets)
        elif verb == b"EHLO" or verb == b"HELO" or verb == b"LHLO":
            self._dialect = self._profile.dialect(self._terms, extended=verb != b"HELO")
            octets = self._dialect.hello_reply
        elif verb == b"AUTH" or verb is RESPONSE:
            if answer.code == 334:
                state = LOGIN
            else:
                self.log_in()
        elif verb == b"XCLIENT":  # the session starts over (Postfix XCLIENT_README)
            self._dialect = self._profile.dialect(self._terms, extended=True)
            octets = self._profile.greeting
        elif state is HANDSHAKE:
            self._forget()  # whatever was sent ahead, perhaps by somebody else (RFC 3207 section 6)
            octets = READY_TO_START.octets()
        elif state is REVERSED and self._start < len(self._buffer):
            self._say(SENT_AHEAD)
            return
        self._enter(state)
        octets = octets or WIRE.get(id(answer)) or answer.octets()
        self._sending += octets * self._recipients if self._lmtp and (verb is END or verb is LAST_CHUNK) else octets

    def _say(self, given: Reply) -> None:
        """A reply that does not move the session; but it ends with 421, and with too many errors."""
        self._sending += WIRE.get(id(given)) or given.octets()
        if given.code == 421:
            self._enter(CLOSED)
        elif given.code >= 500:
            self._count_error()

    def _count_error(self) -> None:
        self._errors += 1
        if self._errors >= self._profile.errors:
            self._say(replies.TOO_MANY_ERRORS)

    def _enter(self, state: State) -> None:
        self.state = state
        self._row = self._dialect.table[state]

    # Lines

    def _read_line(self) -> bytes | None:
        """The next line without its CRLF, whatever else it holds; None where there is none yet.

        The first LF of what is unread tells: it ends the line, or it is bare. A bare one is answered at once, as who
        sends it waits for a reply; what follows up to a true CRLF is thrown away, so none of it is run as a command.
        """
        while self.state is not CLOSED:
            buffer, start = self._buffer, self._start
            if self._drained >= 0:
                if not self._drain():
                    return None
                continue
            most = self._dialect.read_octets
            end = buffer.find(b"\n", start, start + most)
            if end > start and buffer[end - 1] == CR:
                self._start = end + 1
                return buffer[start : end - 1]
            if buffer[start : start + len(BDAT)].upper() == BDAT and (end >= 0 or len(buffer) - start >= most):
                self._last_error()
            if end >= 0:
                self._say(replies.BARE_LINE_ENDING)
            elif len(buffer) - start >= most:
                self._say(UNREAD_LINE if buffer[start : start + 1].isalpha() else NOT_SMTP)
            else:
                if start == len(buffer):
                    self._forget()
                return None
            self._drained = 0
        self._forget()
        return None

    def _drain(self) -> bool:
        """Throw away what there is of a line that was answered before its end; True at its end."""
        buffer, start = self._buffer, self._start
        end = buffer.find(CRLF, start)
        if end >= 0:
            self._drained += end - start
            self._start = end + len(CRLF)
        else:
            self._forget()
            if buffer.endswith(b"\r"):  # perhaps the first half of the end
                self._buffer = b"\r"
            self._drained += len(buffer) - start - len(self._buffer)
        if self._drained > DRAIN_OCTETS:
            self._say(replies.TOO_MANY_ERRORS)
        elif end >= 0:
            self._drained = -1
        return end >= 0 or self.state is CLOSED

    def _forget(self) -> None:
        """Let go of the octets that were read: an idle session keeps none."""
        self._buffer = b""
        self._start = 0

    # Commands

    def _command(self, line: bytes) -> Event | None:
        """Answer a command, or make an event of it."""
        try:
            verb, argument = self._expected_verb(line)
            if verb in JUNK_VERBS and self._count_junk():
                return None
            command = COMMANDS.get(verb)
            event = command(self, argument) if command is not None else self._dialect.commands[verb](argument)
        except Rejected as rejected:
            if line[: len(BDAT)].upper() == BDAT:
                self._last_error()
            self._say(rejected.reply)
            return None
        if event is not None and event is not QUIT_EVENT:
            self._unanswered = verb
        return event

    def _count_junk(self) -> bool:
        """Count what leads to no mail; whether that ended the session."""
        self._junk += 1
        if self._junk > JUNK:
            self._count_error()
        return self.state is CLOSED

    def _last_error(self) -> None:
        """After a BDAT that does not tell how many octets follow, none of them is run as commands: its refusal is the
        last error that this session may make. Where there is no CHUNKING, a client was not asked to send any."""
        if BDAT in self._row:
            self._errors = self._profile.errors

    def _expected_verb(self, line: bytes) -> tuple[bytes, bytes]:
        """The verb of a line in upper case and its argument, where that verb may come now. Raises Rejected."""
        if b"\r" in line:
            raise Rejected(replies.BARE_LINE_ENDING)
        if b"\0" in line:
            raise Rejected(NUL_IN_COMMAND)
        verb, _, argument = line.partition(b" ")
        verb = verb.upper()
        dialect = self._dialect
        if len(line) > COMMAND_OCTETS - 2 and len(line) + 2 > dialect.limits.get(verb, COMMAND_OCTETS):
            raise Rejected(replies.LINE_TOO_LONG)
        if verb not in self._row:
            raise Rejected(dialect.misplaced(verb or line[:1]))
        return verb, argument.rstrip(WHITE_SPACE)

    def _ehlo(self, argument: bytes) -> Event:
        return Hello("EHLO", hello_domain(argument))

    def _lhlo(self, argument: bytes) -> Event:
        return Hello("LHLO", hello_domain(argument))

    def _helo(self, argument: bytes) -> Event:
        return Hello("HELO", hello_domain(argument))

    def _mail(self, argument: bytes) -> Event:
        dialect = self._dialect
        reverse_path, parameters = mail_argument(argument, dialect.mail)
        self._binary = self._utf8 = False
        if parameters.items:
            self._binary = is_binary(parameters)
            self._utf8 = is_international(parameters)
            for check in dialect.checks:
                refusal = check(parameters, dialect.terms)
                if refusal is not None:
                    raise Rejected(refusal)
        return Mail(reverse_path, parameters)

    def _rcpt(self, argument: bytes) -> Event:
        forward_path, parameters = rcpt_argument(argument, self._dialect.rcpt, utf8=self._utf8)
        if self._recipients >= self._profile.recipients:
            raise Rejected(replies.TOO_MANY_RECIPIENTS)
        return Rcpt(forward_path, parameters)

    def _data_command(self, argument: bytes) -> Event:
        without_argument(argument)
        if self._binary:  # RFC 3030 section 3
            raise Rejected(NOT_WITH_DATA)
        return DATA_EVENT

    def _bdat(self, argument: bytes) -> None:
        """A chunk follows, whatever is said to it."""
        octets, last, refusal = chunk_argument(argument)
        limit = self._profile.message_octets
        chunks = self._chunks
        if chunks is None or self.state is not CHUNKS:
            chunks = self._chunks = ChunkReader(limit, binary=self._binary)
        if self.state is not CHUNKS and self.state is not RCPT:
            refusal = replies.BAD_SEQUENCE
        if (refusal is not None or (octets < SMALL and not last)) and self._count_junk():
            return
        chunks.begin(octets, refusal, last=last)
        if octets > max(limit, DROP_OCTETS):
            self._last_error()
        self._in_chunk = True

    def _auth(self, argument: bytes) -> Event:
        return auth.command(argument, self._terms)

    def _rset(self, argument: bytes) -> Event | None:
        without_argument(argument)
        if self.state in TRANSACTION:
            return RESET_EVENT
        self._say(replies.OK)
        return None

    def _quit(self, argument: bytes) -> Event:
        without_argument(argument)
        self._say(replies.BYE)
        self._enter(CLOSED)
        return QUIT_EVENT

    def _noop(self, _argument: bytes) -> None:
        self._say(replies.OK)

    def _help(self, _argument: bytes) -> None:
        self._say(LMTP_HELP if self._lmtp else HELP)

    def _vrfy(self, argument: bytes) -> None:
        self._say(NOT_VERIFIED if argument else NEEDS_ARGUMENT)

    def _expn(self, argument: bytes) -> None:
        self._say(NO_EXPN if argument else NEEDS_ARGUMENT)

    # An AUTH exchange

    def _read_response(self) -> AuthResponse | None:
        """The response to a challenge, or what is wrong with it; None when more has to arrive."""
        buffer, start = self._buffer, self._start
        end = buffer.find(b"\n", start, start + auth.RESPONSE_OCTETS)
        if end < 0 and len(buffer) - start < auth.RESPONSE_OCTETS:
            if start == len(buffer):
                self._forget()
            return None
        self._unanswered = RESPONSE
        if end > start and buffer[end - 1] == CR:
            self._start = end + 1
            return auth.response(buffer[start : end - 1])
        self._drained = 0  # what is left of the line is thrown away, so none of it is run as a command
        return AuthResponse(fault=auth.RESPONSE_TOO_LONG if end < 0 else replies.BARE_LINE_ENDING)

    # Mail data

    def _read_data(self, reader: DataReader) -> Event | None:
        if not reader.ended:
            octets = self._buffer[self._start :] if self._start else self._buffer
            self._forget()
            if not octets:
                return None
            piece = reader.feed(octets)
            if reader.ended:
                self._buffer = reader.rest
            if piece:
                return MessageOctets(piece)
            if not reader.ended:
                return None
        self._data = None
        self._unanswered = END
        if reader.doubtful:
            # What follows may be meant as text of the message, so none of it is run as commands (SMTP smuggling): the
            # refusal of the message is the last error this session may make.
            self._errors = self._profile.errors
        fault = reader.fault
        return END_EVENT if fault is None else EndOfData(fault)

    def _read_chunk(self) -> Event | None:
        """The octets of a chunk, or its end; None when more has to come, or nobody needs to hear of the end."""
        chunks = self._chunks
        assert chunks is not None
        while chunks.left:
            start = self._start
            octets = self._buffer[start : start + chunks.left]  # all of it: no copy
            if not octets:
                self._forget()
                return None
            self._start = start + len(octets)
            piece = chunks.feed(octets)
            if piece:
                return MessageOctets(piece)
        self._in_chunk = False
        fault = chunks.fault
        if self.state is not CHUNKS and self.state is not RCPT:
            if self._lmtp and chunks.last and (self.state is MAIL or self.state is FAILED):
                self._enter(READY)  # no recipient, no reply (RFC 2033 section 4.3)
                return None
            self._enter(self._row[BDAT])
            if self._errors < self._profile.errors:
                # Perhaps sent ahead behind one that was refused (RFC 3030 section 2): junk, but not an error each.
                self._sending += WIRE[id(replies.BAD_SEQUENCE)]
            else:
                self._say(replies.BAD_SEQUENCE)
            return None
        if chunks.last:
            self._unanswered = LAST_CHUNK
            return END_EVENT if fault is None else EndOfData(fault)
        self._unanswered = BDAT
        return END_OF_CHUNK_EVENT if fault is None else EndOfChunk(fault)


def without_argument(argument: bytes) -> None:
    """RFC 5321 section 4.1.1: a command that has no argument gets 501 for one. Raises Rejected."""
    if argument:
        raise Rejected(NEEDS_NO_ARGUMENT)


JUNK_VERBS: Final = frozenset(b"EHLO HELO LHLO NOOP HELP VRFY EXPN RSET ETRN ATRN".split())
COMMANDS: Final[Mapping[bytes, Callable[[ServerSession, bytes], Event | None]]] = {
    b"MAIL": ServerSession._mail,
    b"RCPT": ServerSession._rcpt,
    b"DATA": ServerSession._data_command,
    BDAT: ServerSession._bdat,
    b"EHLO": ServerSession._ehlo,
    b"HELO": ServerSession._helo,
    b"LHLO": ServerSession._lhlo,
    b"RSET": ServerSession._rset,
    b"QUIT": ServerSession._quit,
    b"NOOP": ServerSession._noop,
    b"VRFY": ServerSession._vrfy,
    b"EXPN": ServerSession._expn,
    b"AUTH": ServerSession._auth,
    b"HELP": ServerSession._help,
}
