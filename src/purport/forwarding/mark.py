"""For whom a queued message is forwarded: a mark among the parameters that it came with.

    X-FORWARDED-FOR=carol@company.com.example

It is kept with the message and goes to no other host: no extension of ours sends it, and no client can say it.
"""

from __future__ import annotations

from typing import Final

from purport.mail import xtext
from purport.mail.address import Mailbox, parse_mailbox
from purport.mail.envelope import Parameter, Parameters


def _decode(value: bytes | None) -> Mailbox:
    return parse_mailbox(xtext.decode(value or b"", utf8=True).decode("utf-8"), utf8=True)


def _encode(mailbox: Mailbox) -> bytes:
    return xtext.encode(str(mailbox).encode("utf-8"))


FORWARDED_FOR: Final = Parameter("X-FORWARDED-FOR", _decode, _encode)


def marked(parameters: Parameters, forwarder: Mailbox) -> Parameters:
    """The parameters with the mark."""
    return Parameters((*parameters.items, (FORWARDED_FOR.keyword, _encode(forwarder))))


def forwarder_of(parameters: Parameters) -> Mailbox | None:
    """For whom a message is forwarded; None: for nobody, it is the recipients' own."""
    return parameters.get(FORWARDED_FOR) if parameters.items else None
