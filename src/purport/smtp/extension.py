"""What an SMTP extension declares: data, no branches in the session (RFC 5321 section 2.2).

250-SIZE 10485760                                  <- keyword, offer
MAIL FROM:<a@b.example> SIZE=1000 BODY=8BITMIME    <- mail: parameters, mail_octets: how much longer the line may be
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from purport.mail.address import Mailbox
from purport.mail.envelope import NO_PARAMETERS, Parameter, Parameters
from purport.mail.reply import Reply
from purport.smtp.event import Event
from purport.smtp.state import State

Service = Literal["mx", "submission", "lmtp", "odmr"]  # what a listener is for


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms this server talks to this client: what an offer may depend on."""

    message_octets: int  # the largest message we take
    xclient_allowed: bool = False
    recipients: int = 1000  # the most of a transaction
    service: Service = "mx"  # of the listener
    starttls: bool = False  # whether there is a certificate to begin TLS with
    secure: bool = False  # whether TLS protects the connection
    tls_required: bool = False  # whether it has to
    authenticated: bool = False  # whether the client logged in
    etrn_allowed: bool = False  # whether the client may start the delivery of what waits for some domain
    least_by_time: int = 0  # seconds that a message must leave us that is to be returned after them; 0: none named
    today: int = 0  # days since 1970 when the session began, where an offer depends on it
    hold_seconds: int = 0  # for which a message may be held for a later release; 0: it is not offered
    priority_policy: str = ""  # the Priority Assignment Policy that is disclosed (RFC 6710 section 9.2)
    mechanisms: tuple[str, ...] = ()  # with which a client of this listener may log in, the strongest first
    auth_without_tls: bool = False  # whether it may do so where TLS does not protect the connection
    bound: bool = False  # whether channel bindings of the connection are known (RFC 9266)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it is about to be sent: what extensions need to know about it.

    `pra` is the purported responsible address of the header as it goes out (RFC 4405 section 4.1), None where the
    header has none. `parameters` are those of the MAIL command that the message came with. `priority` is what our
    policy made of that which was asked for (RFC 6710 section 4.2); None: nothing is said of it. `hold` is HOLDFOR or
    HOLDUNTIL with its value, of a message that we submit (RFC 4865 section 4.1): who was asked to hold a message does
    not ask the next one.
    """

    octets: int  # of header and body as sent, CRLF counted, without the dots of transparency
    pra: Mailbox | None = None
    eightbit: bool = False  # whether it holds octets above 127
    parameters: Parameters = NO_PARAMETERS
    age: float = 0.0  # seconds since that command
    priority: int | None = None
    hold: tuple[str, bytes] | None = None
    authenticated: bool = False  # whether we logged in at the next hop
    utf8: bool = False  # whether its header or its reverse-path needs SMTPUTF8
    utf8_recipients: bool = False  # whether one of its recipients does
    protected: bool = False  # whether it goes under TLS to a host that proved to be the right one (RFC 8689 section 2)
    requires_tls: bool = False  # whether it goes in no other way


class CannotForward(Exception):
    """This message cannot go to a next hop with these extensions; its recipients fail with this reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


def without_text(_terms: Terms) -> str | None:
    """The offer of an extension whose keyword stands alone."""
    return ""


@dataclass(frozen=True, slots=True)
class Extension:
    """An SMTP extension: one file of `smtp/extensions`, one of these.

    * `offer` gives what stands after the keyword in the EHLO reply ("" for nothing), or None where the keyword is not
      offered on these terms; then its parameters and verbs are unknown to the session too.
    * `check` sees the parameters of a MAIL that holds one of `mail`, all of them decoded, and may refuse the command.
    * `refusals` gives verbs that may not come on these terms, whosever they are and offered or not, with the reply.
    * `verb_octets` are the longest lines of verbs that it adds, CRLF counted.
    * `verbs` are rows added to the state table, and `commands` reads the argument of each new verb into the event for
      the shell; it raises Rejected.
    * `outbound` gives the parameters that our client adds to MAIL. It gets what the next hop offers after the keyword,
      None where it does not offer the extension, and raises CannotForward where the message cannot go without it.
      `outbound_rcpt` gives those of a RCPT; it gets the parameters that the recipient came with. Where it raises, that
      recipient alone fails.
    * `adjust_rcpt` sees the parameters of a recipient before any `outbound_rcpt` does, and gives what those are to see
      instead. It is asked where MAIL came with parameters.
    """

    keyword: str
    rfc: int | None
    offer: Callable[[Terms], str | None] = without_text
    mail: tuple[Parameter[Any], ...] = ()
    rcpt: tuple[Parameter[Any], ...] = ()
    mail_octets: int = 0  # by how much a MAIL line may be longer (RFC 5321 section 2.2.1)
    rcpt_octets: int = 0
    check: Callable[[Parameters, Terms], Reply | None] | None = None
    refusals: Callable[[Terms], Mapping[bytes, Reply]] | None = None
    verb_octets: Mapping[bytes, int] = field(default_factory=dict)
    verbs: Mapping[State, Mapping[bytes, State]] = field(default_factory=dict)
    commands: Mapping[bytes, Callable[[bytes], Event]] = field(default_factory=dict)
    outbound: Callable[[Outgoing, str | None], Mapping[str, bytes | None]] | None = None
    outbound_rcpt: Callable[[Parameters, str | None], Mapping[str, bytes | None]] | None = None
    adjust_rcpt: Callable[[Outgoing, str | None, Parameters], Parameters] | None = None
