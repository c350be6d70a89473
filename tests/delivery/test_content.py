"""What a message holds, as far as sending it depends on it."""

from __future__ import annotations

import pytest

from purport.delivery.content import in_memory, on_disk
from purport.mail.address import NULL, Mailbox
from purport.mail.envelope import NO_PARAMETERS
from purport.queue.body import MemoryBody
from purport.queue.store import QueuedMessage

TRACE = b"Received: by mx.company.com.example; Mon, 23 Nov 2026 22:00:00 +0000\r\n"


@pytest.mark.parametrize(
    ("trace", "body", "eightbit"),
    [
        (TRACE, b"From: a@example.com\r\n\r\nHello\r\n", False),
        (TRACE, b"From: a@example.com\r\n\r\ncaf\xe9\r\n", True),
        (b"Received: by caf\xc3\xa9; x\r\n", b"From: a@example.com\r\n\r\nHello\r\n", True),
        (TRACE, b"From: a@example.com\r\n\r\n" + b"x" * 500_000 + b"\xff", True),
    ],
)
def test_octets_above_127_are_found_wherever_they_are(trace, body, eightbit):
    message = QueuedMessage("1", 0.0, NULL, NO_PARAMETERS, trace, MemoryBody(body), [])
    for content in (in_memory(message, body), on_disk(trace, message.body)):
        assert content.eightbit is eightbit
        assert content.responsible(trace) == Mailbox("a", "example.com")


def test_the_header_is_judged_as_it_is_sent():
    body = b"Resent-From: a@example.com\r\nFrom: b@example.com\r\n\r\n"
    message = QueuedMessage("1", 0.0, NULL, NO_PARAMETERS, TRACE, MemoryBody(body), [])
    assert in_memory(message, body).responsible(TRACE) == Mailbox("a", "example.com")
    ours = b"Resent-From: c@example.com\r\n" + TRACE
    assert in_memory(message, body).responsible(ours) == Mailbox("c", "example.com")
