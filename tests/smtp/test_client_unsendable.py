"""A recipient that cannot be sent to a server fails alone: the others of its transaction go."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from purport.mail.address import Mailbox
from purport.mail.envelope import Parameters, Recipient
from purport.mail.reply import reply
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished, GoAhead, Ready
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.extension import CannotForward, Extension, Outgoing

NEVER = reply(550, "5.7.19", "Never there")


def picky(parameters: Parameters, offer: str | None) -> Mapping[str, bytes | None]:
    if offer is None:
        raise CannotForward(NEVER)
    return {}


PICKY = Extension(keyword="PICKY", rfc=None, outbound_rcpt=picky)
NAMES = ("bob", "carol", "dave")


def session_with(offers: str) -> ClientSession:
    session = ClientSession("client.example", (PICKY,))
    session.receive(b"220 mx\r\n" + "".join(f"250-{offer}\r\n" for offer in ["mx", *offers.split()]).encode())
    session.receive(b"250 HELP\r\n")
    assert isinstance(session.next_event(), Ready)
    session.to_send()
    return session


def transaction_for(*picky_ones: str) -> Transaction:
    parameters = Parameters((("X", None),))
    recipients = [
        Recipient(Mailbox(name, "b.example"), parameters if name in picky_ones else Parameters()) for name in NAMES
    ]
    return Transaction(Mailbox("alice", "example.com"), recipients, Outgoing(10))


def talk(session: ClientSession, transaction: Transaction) -> list[str]:
    """The commands that are sent to a server that takes everything."""
    commands: list[str] = []
    while True:
        sent = b"".join(session.to_send())
        while (event := session.next_event()) is not None:
            if isinstance(event, Finished):
                assert event.transaction is transaction
                return commands
            if isinstance(event, GoAhead):
                session.send_data(b"Hello\r\n")
                session.end_data()
                sent += b"".join(session.to_send())
        for line in sent.decode().split("\r\n"):
            if line.startswith(("MAIL", "RCPT", "DATA", "BDAT")) or line == ".":
                commands.append(line)
                session.receive(b"354 go\r\n" if line == "DATA" else b"250 ok\r\n")


@pytest.mark.parametrize("offers", ["", "PIPELINING", "CHUNKING", "PIPELINING CHUNKING"])
@pytest.mark.parametrize("refused", [("bob",), ("carol",), ("dave",), ("carol", "dave"), ("bob", "dave")])
def test_the_others_of_the_transaction_go(offers: str, refused: tuple[str, ...]) -> None:
    session, transaction = session_with(offers), transaction_for(*refused)
    session.begin(transaction)
    commands = talk(session, transaction)
    taken = [name for name in NAMES if name not in refused]
    assert [command for command in commands if command.startswith("RCPT")] == [
        f"RCPT TO:<{name}@b.example>" for name in taken
    ]
    assert [given.accepted for given in transaction.replies if given] == [name in taken for name in NAMES]
    assert {number for number, name in enumerate(NAMES) if name in refused} == transaction.unsendable
    assert not transaction.local
    assert all(
        (given, stage) == (NEVER, Stage.RCPT)
        for name, given, stage in zip(NAMES, transaction.replies, transaction.stages, strict=True)
        if name in refused
    )
    assert "C: " not in [line for line in transaction.dialogue() if len(line) < 4]


def test_where_nobody_is_left_nothing_is_sent() -> None:
    session, transaction = session_with("PIPELINING"), transaction_for(*NAMES)
    session.begin(transaction)
    assert isinstance(session.next_event(), Finished)
    assert session.to_send() == []
    assert transaction.local
    assert transaction.replies == [NEVER] * 3
    assert session.can_begin
