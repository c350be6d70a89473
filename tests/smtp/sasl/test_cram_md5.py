"""CRAM-MD5: the example of RFC 2195 section 2, and what is no response."""

from __future__ import annotations

import pytest

from purport.smtp.sasl.cram_md5 import CramMd5Client, digest, server
from purport.smtp.sasl.credentials import ClientFault, Credentials
from purport.smtp.sasl.exchange import Challenge, DigestCheck, Refused

ASKED = b"<1896.697170952@postoffice.reston.mci.net>"
ANSWER = b"tim b913a602c7eda7a495b4e6e7334d3890"


def test_the_example_of_the_rfc_from_both_sides() -> None:
    client = CramMd5Client(Credentials("tim", "tanstaaftanstaaf"))
    assert client.initial() is None
    assert client.respond(ASKED) == ANSWER
    with pytest.raises(ClientFault):
        client.respond(ASKED)
    exchange = server(None, "1896.697170952", "postoffice.reston.mci.net")
    assert next(exchange) == Challenge(ASKED)
    assert exchange.send(ANSWER) == DigestCheck("tim", ASKED, ANSWER.decode()[4:])
    with pytest.raises(StopIteration) as stop:
        exchange.send("tim")
    assert stop.value.value == "tim"
    assert digest("tanstaaftanstaaf", ASKED) == ANSWER.decode()[4:]


def test_a_wrong_digest_is_refused() -> None:
    exchange = server(None, "1", "mx.example")
    next(exchange)
    exchange.send(ANSWER)
    with pytest.raises(Refused):
        exchange.send(None)


@pytest.mark.parametrize(
    "response", [b"", b"tim", b"tim ", ANSWER[:-1], ANSWER + b"0", ANSWER.upper(), ANSWER[3:], b"\xff" + ANSWER[3:]]
)
def test_what_is_no_response(response: bytes) -> None:
    exchange = server(None, "1", "mx.example")
    next(exchange)
    with pytest.raises(Refused) as refused:
        exchange.send(response)
    assert refused.value.reply.code in (501, 535)


def test_the_server_speaks_first() -> None:
    with pytest.raises(Refused):
        next(server(b"", "1", "mx.example"))


def test_a_name_may_have_spaces() -> None:
    exchange = server(None, "1", "mx.example")
    next(exchange)
    asked = exchange.send(b"tim the enchanter " + ANSWER[4:])
    assert isinstance(asked, DigestCheck)
    assert asked.name == "tim the enchanter"
