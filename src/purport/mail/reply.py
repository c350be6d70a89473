"""An SMTP reply is a value, and the common ones have names (RFC 5321 section 4.2, RFC 3463).

550 5.7.1 Submitter not allowed.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply code, its enhanced status code and its text, one item per line.

    `status` is empty where RFC 2034 section 4 forbids one: the greeting, the replies to HELO and
    EHLO, and 3yz replies.
    """

    code: int
    status: str = ""
    text: tuple[str, ...] = ("",)

    @property
    def accepted(self) -> bool:
        """Whether the command did what it asked for (2yz, 3yz)."""
        return self.code < 400

    @property
    def transient(self) -> bool:
        """Whether trying again later may help (4yz)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """Whether trying again as it is will not help (5yz)."""
        return self.code >= 500

    def octets(self) -> bytes:
        """The reply as it goes on the wire. Text outside ASCII stands there escaped."""
        prefix = f"{self.status} " if self.status else ""
        last = len(self.text) - 1
        lines = [f"{self.code}{'-' if number < last else ' '}{prefix}{line}" for number, line in enumerate(self.text)]
        return ("\r\n".join(lines) + "\r\n").encode("ascii", "backslashreplace")

    def __str__(self) -> str:
        """The reply in one line, as logs, reports and the ledger show it."""
        return " ".join(part for part in (str(self.code), self.status, *self.text) if part)


def reply(code: int, status: str, *text: str) -> Reply:
    """A reply with an enhanced status code; several texts make several lines."""
    return Reply(code, status, text or ("",))


class Rejected(Exception):
    """The peer's command gets this reply; raised by parsers, caught once, in the session."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


OK = reply(250, "2.0.0", "Ok")
SENDER_OK = reply(250, "2.1.0", "Ok")
RECIPIENT_OK = reply(250, "2.1.5", "Ok")
BYE = reply(221, "2.0.0", "Bye")
START_MAIL_INPUT = Reply(354, "", ("End data with <CR><LF>.<CR><LF>",))

SYNTAX_ERROR = reply(501, "5.5.4", "Syntax error in parameters or arguments")
UNKNOWN_COMMAND = reply(500, "5.5.1", "Command not recognized")
LINE_TOO_LONG = reply(500, "5.5.6", "Line too long")
BARE_LINE_ENDING = reply(500, "5.5.2", "Lines end with <CR><LF>; a bare CR or LF is not allowed")
BARE_LINE_ENDING_IN_DATA = reply(550, "5.6.0", "Message contains a bare CR or LF; lines end with <CR><LF>")
BAD_SEQUENCE = reply(503, "5.5.1", "Bad sequence of commands")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "Parameters not recognized or not implemented")
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors")
TIMED_OUT = reply(421, "4.4.2", "Timeout exceeded")
SHUTTING_DOWN = reply(421, "4.3.2", "Service shutting down")
TOO_MANY_CONNECTIONS = reply(421, "4.7.0", "Too many connections")
TAKES_NO_MAIL = reply(521, "5.3.2", "Host does not accept mail")  # RFC 7504 section 3
TOO_MANY_RECIPIENTS = reply(452, "4.5.3", "Too many recipients")
INSUFFICIENT_STORAGE = reply(452, "4.3.1", "Insufficient system storage")
LOCAL_ERROR = reply(451, "4.3.0", "Local error in processing")
MESSAGE_TOO_BIG = reply(552, "5.3.4", "Message size exceeds fixed limit")
NO_SUCH_MAILBOX = reply(550, "5.1.1", "No such mailbox here")
RELAYING_DENIED = reply(554, "5.7.1", "Relay access denied")
HEADER_TOO_LONG = reply(552, "5.3.4", "Message header too long")
TOO_MANY_HOPS = reply(554, "5.4.6", "Too many hops; mail loop suspected")
