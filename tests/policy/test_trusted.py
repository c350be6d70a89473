"""Behind a trusted hop its client is judged."""

from __future__ import annotations

from purport.authentication.true_client import TrustedHops
from purport.mail.header import read_header
from purport.policy.facts import Client
from purport.policy.relaying import Networks
from purport.policy.trusted import client_behind

HOPS = TrustedHops(Networks(["192.0.2.10"]), ("gw.us.example",))
GATEWAY = Client("192.0.2.10", "gw.us.example", "gw.us.example", tls="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
FIELD = b"Received: from mx.example.com (mail.example.com [203.0.113.5]) by gw.us.example with ESMTPS; Mon\r\n\r\n"


def test_the_client_of_the_hop_takes_its_place() -> None:
    found = client_behind(HOPS, GATEWAY, read_header(FIELD))
    assert found is not None
    client, rule = found
    assert client == Client("203.0.113.5", "mail.example.com", "mx.example.com")
    assert rule.outcome == "pass"
    assert rule.reason == "behind 192.0.2.10 it is 203.0.113.5: Received field 1, by gw.us.example, names it"


def test_a_hop_whose_client_is_unknown_stands_for_nobody() -> None:
    found = client_behind(HOPS, GATEWAY, read_header(b"From: a@example.com\r\n\r\n"))
    assert found is not None
    client, rule = found
    assert client is None
    assert rule.reason == "192.0.2.10 is a trusted hop; its client is unknown: the message began at a trusted hop"


def test_any_other_client_is_itself() -> None:
    assert client_behind(HOPS, Client("198.51.100.1", None, "x"), read_header(FIELD)) is None
