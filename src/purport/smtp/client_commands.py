"""MAIL and RCPT as a client says them: each extension adds what it has to say to this server.

MAIL FROM:<alice@example.com> SIZE=178 SUBMITTER=alice@example.com
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from purport.mail.address import NULL, Mailbox, a_label_address
from purport.mail.reply import reply
from purport.smtp.client_transaction import RCPT, Addressee, Transaction
from purport.smtp.extension import CannotForward, Extension, Outgoing

UNSENDABLE_ADDRESS: Final = reply(553, "5.6.7", "Address holds characters that need SMTPUTF8")

Offers = Mapping[str, str]
"""EHLO keywords in upper case, with what follows them."""


@final
class Commands:
    """Writes them, for any server."""

    __slots__ = ("_adjust_rcpt", "_outbound", "_outbound_rcpt")

    def __init__(self, extensions: Sequence[Extension]) -> None:
        self._outbound = [(extension.keyword, extension.outbound) for extension in extensions if extension.outbound]
        self._outbound_rcpt = [
            (extension.keyword, extension.outbound_rcpt) for extension in extensions if extension.outbound_rcpt
        ]
        self._adjust_rcpt = [
            (extension.keyword, extension.adjust_rcpt) for extension in extensions if extension.adjust_rcpt
        ]

    def mail(self, transaction: Transaction, offers: Offers) -> bytes:
        """MAIL with what each extension adds for this message and this server. Raises CannotForward."""
        reverse_path = transaction.reverse_path
        utf8 = "SMTPUTF8" in offers
        command = b"MAIL FROM:<" + (b"" if reverse_path is NULL else path_octets(reverse_path, utf8=utf8)) + b">"
        message = transaction.message
        for keyword, outbound in self._outbound:
            added = outbound(message, offers.get(keyword))
            if added:
                command += written(added)
        return command

    def rcpts(self, transaction: Transaction, offers: Offers) -> list[bytes]:
        """RCPT for every recipient; empty for one that cannot be sent, which has its reply then."""
        commands: list[bytes] = []
        for number, recipient in enumerate(transaction.recipients):
            try:
                commands.append(self._rcpt(transaction.message, recipient, offers))
            except CannotForward as refusal:
                commands.append(b"")
                transaction.unsendable.add(number)
                transaction.replies[number] = refusal.reply
                transaction.stages[number] = RCPT
        return commands

    def _rcpt(self, message: Outgoing, recipient: Addressee, offers: Offers) -> bytes:
        """RCPT, the same way; most recipients came without parameters. Raises CannotForward."""
        command = b"RCPT TO:<" + path_octets(recipient.forward_path, utf8="SMTPUTF8" in offers) + b">"
        parameters = recipient.parameters
        if message.parameters.items:
            for keyword, adjust in self._adjust_rcpt:
                parameters = adjust(message, offers.get(keyword), parameters)
        if parameters.items:
            for keyword, outbound in self._outbound_rcpt:
                command += written(outbound(parameters, offers.get(keyword)))
        return command


def written(parameters: Mapping[str, bytes | None]) -> bytes:
    """Parameters as they follow a path."""
    return b"".join(
        b" " + name.encode("ascii") + (b"" if value is None else b"=" + value) for name, value in parameters.items()
    )


def path_octets(mailbox: Mailbox, *, utf8: bool = False) -> bytes:
    """A mailbox for the inside of `<>`, its domain as A-labels where that makes it ASCII; `utf8`: the server offers
    SMTPUTF8. Raises CannotForward where it cannot stand in a command."""
    text = str(mailbox)
    if text.isascii() and text.isprintable():
        return text.encode("ascii")
    text = str(a_label_address(mailbox))
    if not (utf8 or text.isascii()) or any(character < " " or character == "\x7f" for character in text):
        raise CannotForward(UNSENDABLE_ADDRESS)
    return text.encode()
