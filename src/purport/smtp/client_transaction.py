"""A transaction as a client sends it, and what the server said."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Protocol, final

from purport.mail.address import Mailbox, ReversePath
from purport.mail.envelope import Parameters
from purport.mail.reply import Reply
from purport.smtp.extension import Outgoing


class Stage(Enum):
    """What a reply answers; the value is how a log says it."""

    CONNECT = "connection"
    PROTECTION = "protection"  # what is asked of the connection, and did not come about
    GREETING = "greeting"
    HELLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    RESET = "RSET"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    MAIL_DATA = "mail data"
    CHUNK = "BDAT"
    END_OF_DATA = "end of data"
    ATRN = "ATRN"
    QUIT = "QUIT"

    # Members are compared by identity; Enum's own hash runs Python code, and this one is asked per reply.
    __hash__ = object.__hash__


(
    CONNECT,
    PROTECTION,
    GREETING,
    HELLO,
    STARTTLS,
    AUTH,
    RESET,
    MAIL,
    RCPT,
    DATA,
    MAIL_DATA,
    CHUNK,
    END_OF_DATA,
    ATRN,
    QUIT,
) = Stage


class Addressee(Protocol):
    """A recipient as a transaction needs it: `mail.envelope.Recipient`, or that of a queue."""

    @property
    def forward_path(self) -> Mailbox: ...

    @property
    def parameters(self) -> Parameters: ...


@final
class Transaction:
    """A message for some recipients, and what the server said.

    `replies[n]` and `stages[n]` are the reply that decided for recipient n, and to what it was the answer; both
    are complete once the session has told that the transaction is finished. A reply of this side (a lost
    connection, an extension that cannot carry the message) stands there like one of the server, and `local` is set.
    """

    __slots__ = (
        "accepted",
        "data_reply",
        "end_command",
        "end_replies",
        "last",
        "local",
        "mail_command",
        "mail_reply",
        "message",
        "rcpt_commands",
        "recipients",
        "replies",
        "reverse_path",
        "stage",
        "stages",
        "unsendable",
    )

    def __init__(self, reverse_path: ReversePath, recipients: Sequence[Addressee], message: Outgoing) -> None:
        if not recipients:
            raise ValueError("a transaction needs a recipient")
        self.reverse_path = reverse_path
        self.recipients = recipients
        self.message = message
        self.accepted: list[int] = []  # recipients the server said 2yz to
        self.replies: list[Reply | None] = [None] * len(recipients)
        self.stages: list[Stage] = [MAIL] * len(recipients)
        self.stage = MAIL  # what the server has still to answer
        self.local = False
        self.unsendable: set[int] = set()  # recipients that the server never heard of: their reply is of this side
        self.last = len(recipients) - 1  # the number of the last one that the server hears of
        self.mail_command = b""  # this and the next as sent, without CRLF
        self.rcpt_commands: list[bytes] = []
        self.mail_reply: Reply | None = None
        self.data_reply: Reply | None = None
        self.end_command = "."  # what the end reply answers
        self.end_replies: list[Reply] = []  # one; in LMTP one for each recipient

    @property
    def unanswered(self) -> bool:
        """Whether it was sent and the server never said a word about it: it may be sent again as if it had not been."""
        return self.mail_reply is None and bool(self.mail_command)

    def dialogue(self) -> list[str]:
        """The transaction as it went, commands as sent and replies in one line each, without the mail data."""
        if self.mail_reply is None:
            return [f"C: {told(self.mail_command)}"] if self.mail_command else []
        lines = [f"C: {told(self.mail_command)}", f"S: {self.mail_reply}"]
        for number, (command, given) in enumerate(zip(self.rcpt_commands, self.replies, strict=True)):
            if number in self.unsendable:
                continue
            if number in self.accepted:
                lines += [f"C: {told(command)}", "S: (accepted)"]
            elif self.stages[number] is RCPT:
                lines += [f"C: {told(command)}", f"S: {given}"]
        if self.data_reply is not None:
            lines += ["C: DATA", f"S: {self.data_reply}"]
        if self.end_replies:
            lines += [f"C: {self.end_command}", *(f"S: {given}" for given in self.end_replies)]
        return lines

    def settle(self, given: Reply, stage: Stage) -> None:
        """`given` decides for all recipients that nothing was decided for."""
        replies = self.replies
        for number, known in enumerate(replies):
            if known is None:
                replies[number] = given
                self.stages[number] = stage


def told(command: bytes) -> str:
    """A command as a dialogue shows it."""
    return command.decode("utf-8", "backslashreplace")
