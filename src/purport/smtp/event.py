"""What a server session tells its shell: one event per command that needs a decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

from purport.mail.address import Mailbox, ReversePath
from purport.mail.envelope import Parameters
from purport.mail.reply import Reply


@final
@dataclass(frozen=True, slots=True)
class Hello:
    """EHLO, HELO or LHLO; `domain` is the argument as text (checked: only printable ASCII or UTF-8)."""

    verb: str
    domain: str


@final
@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM; each parameter is known, offered and already decodes."""

    reverse_path: ReversePath
    parameters: Parameters


@final
@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO; a bare `<Postmaster>` has an empty domain."""

    forward_path: Mailbox
    parameters: Parameters


@final
@dataclass(frozen=True, slots=True)
class Reset:
    """RSET while a transaction was open: drop it and answer OK. (A Hello drops an open transaction too.)"""


@final
@dataclass(frozen=True, slots=True)
class Data:
    """DATA, in its place: answer 354 to take the mail data, or refuse."""


@final
@dataclass(frozen=True, slots=True)
class MessageOctets:
    """A piece of the message, dots unstuffed. Needs no answer. In chunks the first one comes without a Data before."""

    octets: bytes


@final
@dataclass(frozen=True, slots=True)
class EndOfChunk:
    """The end of a chunk that is not the message's last one (RFC 3030 section 2): answer OK to take the next, or refuse
    the message. Where `fault` is set it is the reply, and the octets that were given are to be thrown away."""

    fault: Reply | None = None


@final
@dataclass(frozen=True, slots=True)
class EndOfData:
    """The end of the mail data, also in chunks: answer when the message is safe, or refuse it. Where `fault` is set the
    octets that were given are to be thrown away, and `fault` is the reply for the message (bare CR or LF, too big)."""

    fault: Reply | None = None


@final
@dataclass(frozen=True, slots=True)
class Xclient:
    """XCLIENT from a client (Postfix XCLIENT_README): attribute names in upper case, values decoded and
    printable, addresses checked and without `IPV6:`; `[UNAVAILABLE]` and `[TEMPUNAVAIL]` are None. Any accepting answer
    makes the session greet anew."""

    attributes: dict[str, str | None]


@final
@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS: after an accepting answer the session takes and gives nothing until the shell says `secured()`."""


@final
@dataclass(frozen=True, slots=True)
class Etrn:
    """ETRN (RFC 1985): `node` is a full domain name, with the option "@" it and all below it, with "#" a queue."""

    option: str
    node: str


@final
@dataclass(frozen=True, slots=True)
class Atrn:
    """ATRN (RFC 2645): full domain names as they were written, none for all that the login may have. After an accepting
    answer the session is over where its state is REVERSED, and the connection is the shell's to hand on; where it is
    not, the client had sent something ahead and was refused."""

    domains: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH with a mechanism that is offered (RFC 4954 section 4): answer with a challenge (334 and base64), with 235 or
    with a refusal. `initial` is None where no initial response came."""

    mechanism: str
    initial: bytes | None = field(default=None, repr=False)


@final
@dataclass(frozen=True, slots=True)
class AuthResponse:
    """The client's response to a challenge: answer as Auth. Where `fault` is set the exchange is over, and `fault` is
    the reply (cancelled, bad base64, too long)."""

    octets: bytes = field(default=b"", repr=False)
    fault: Reply | None = None


@final
@dataclass(frozen=True, slots=True)
class Quit:
    """QUIT was answered: send what `to_send()` gives and close."""


Event = (
    Hello
    | Mail
    | Rcpt
    | Reset
    | Data
    | MessageOctets
    | EndOfChunk
    | EndOfData
    | Xclient
    | StartTls
    | Etrn
    | Atrn
    | Auth
    | AuthResponse
    | Quit
)
