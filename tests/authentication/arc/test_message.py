"""A chain beside the other results of a message, its body hashed while it comes."""

from __future__ import annotations

import pytest

from purport.authentication.message import MessageReader, authenticate
from purport.dns.lookup import Answer, Question, Status, replay
from support.arc_chains import DMARC_PASS, MESSAGE, NOW, answers_for, sealed
from support.dkim_keys import ed25519_key, signed


@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_signatures_and_seals_share_the_hashes_of_a_body_that_comes_in_pieces(size: int) -> None:
    octets = sealed(signed(MESSAGE), "a.example", DMARC_PASS)
    answers = answers_for("a.example")
    answers[Question("s1._domainkey.example.com", "TXT")] = Answer(Status.FOUND, (ed25519_key().record,))
    reader = MessageReader()
    for start in range(0, len(octets), size):
        reader.update(octets[start : start + size])
    hashes = reader.finish()
    assert len(hashes) == 1  # one form for both
    assert reader.header is not None
    result = replay(authenticate(reader.header, reader.signatures, hashes, None, NOW), answers)
    assert [one.result for one in result.dkim] == ["pass"]
    assert (result.arc.result, result.arc.sealers) == ("pass", ("a.example",))
