"""The resent block, and how a message that goes round is known by it."""

from __future__ import annotations

import pytest

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.forwarding.resent import forwarders_in, resent_block
from purport.mail.address import Mailbox
from purport.mail.header import read_header

BOB = Mailbox("bob", "almamater.edu.example")
HOST = "mx.almamater.edu.example"
BLOCK = resent_block(BOB, date="Mon, 23 Nov 2026 10:00:00 +0000", message_id=f"2P30K1Q7XH4MR@{HOST}")
RECEIVED = b"Received: from mx.example.com\r\n\tby mx.almamater.edu.example; Mon, 23 Nov 2026 10:00:00 +0000\r\n"


def test_rfc4405_5_2_the_block_names_the_forwarder() -> None:
    assert BLOCK.startswith(b"Resent-From: bob@almamater.edu.example\r\nResent-Date: Mon, 23 Nov 2026")
    assert BLOCK.endswith(b"Resent-Message-ID: <2P30K1Q7XH4MR@mx.almamater.edu.example>\r\n")
    found = purported_responsible_address(BLOCK + RECEIVED + b"From: alice@example.com\r\n\r\n")
    assert (found.address, found.field) == (BOB, "resent-from")


def test_an_older_block_below_our_received_field_does_not_matter() -> None:
    older = b"Resent-Sender: eve@bank.example\r\nResent-From: eve@bank.example\r\n"
    found = purported_responsible_address(BLOCK + RECEIVED + older + b"From: alice@example.com\r\n\r\n")
    assert found.address == BOB


@pytest.mark.parametrize(
    ("header", "before"),
    [
        (RECEIVED + BLOCK + RECEIVED, True),
        (BLOCK, True),
        (b"Delivered-To: bob@almamater.edu.example\r\n", True),
        (b"Resent-From: bob@almamater.edu.example\r\nResent-Message-ID: <1@his.laptop>\r\n", False),
        (b"Resent-From: carol@almamater.edu.example\r\nResent-Message-ID: <1@%s>\r\n" % HOST.encode(), False),
        (b"Resent-From: a@b, c\r\nResent-Message-ID: <1@%s>\r\n" % HOST.encode(), False),
        (BLOCK[: BLOCK.index(b"Resent-Mes")] + RECEIVED + b"Resent-Message-ID: <1@%s>\r\n" % HOST.encode(), False),
        (b"Delivered-To: carol@almamater.edu.example\r\n", False),
    ],
)
def test_s18_a_message_that_we_forwarded_for_him_is_known(header: bytes, before: bool) -> None:
    assert (BOB in forwarders_in(read_header(header + b"From: alice@example.com\r\n\r\n"), HOST)) is before


def test_a_domain_of_other_letters_stands_there_as_it_goes_over_the_wire() -> None:
    block = resent_block(Mailbox("bob", "bücher.example"), date="", message_id="x@y")
    assert b"Resent-From: bob@xn--bcher-kva.example\r\n" in block
