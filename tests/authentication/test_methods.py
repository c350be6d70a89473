"""The results of our checks, as they stand in Authentication-Results (RFC 8601 section 2.7)."""

from __future__ import annotations

import pytest

from purport.authentication.authres.results import MethodResult
from purport.authentication.authres.writer import field
from purport.authentication.methods import auth, iprev, reported, sender_id, spf
from purport.authentication.sender_id.check import check_sender_id
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.check_host import check_host
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver
from purport.mail.address import NULL, Mailbox

ZONE = StaticResolver(
    {
        "example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 exp=why.example.com -all"}],
        "why.example.com": [{"TXT": "Go away; dkim=pass"}],
        "odd.example": [{"TXT": "v=spf1 foo:bar -all"}],
    }
)
ALICE = Mailbox("alice", "example.com")


def checked(client: str, domain: str, sender: str, hello: str = "mx.example.com") -> SpfResult:
    result = start(check_host(client, domain, sender, hello), ZONE)
    assert not isinstance(result, Suspended)
    return result


def test_spf_names_the_domain_of_the_reverse_path_alone() -> None:
    result = checked("192.0.2.1", "example.com", "alice@example.com")
    assert spf(result, ALICE) == MethodResult("spf", "pass", properties=(("smtp", "mailfrom", "example.com"),))


def test_spf_of_a_null_reverse_path_names_the_hello_domain() -> None:
    result = checked("192.0.2.1", "example.com", "", "example.com")
    assert spf(result, NULL).properties == (("smtp", "helo", "example.com"),)


def test_spf_of_the_hello_domain_names_it() -> None:
    result = start(check_host("192.0.2.9", "example.com", "", "example.com", scope="helo"), ZONE)
    assert isinstance(result, SpfResult)
    assert spf(result, ALICE) == MethodResult("spf", "fail", properties=(("smtp", "helo", "example.com"),))


def test_s7_what_the_domain_explains_is_not_repeated() -> None:
    result = checked("192.0.2.9", "example.com", "alice@example.com")
    assert result.explanation == "Go away; dkim=pass"
    assert spf(result, ALICE).reason == ""


def test_why_there_is_no_verdict_is_said() -> None:
    result = checked("192.0.2.9", "odd.example", "alice@odd.example")
    said = spf(result, Mailbox("alice", "odd.example"))
    assert (said.result, said.reason) == ("permerror", result.problem)


@pytest.mark.parametrize("name", ["Resent-From", "Resent-Sender", "Sender", "From"])
def test_sender_id_names_the_field_of_the_responsible_address(name: str) -> None:
    result = start(check_sender_id("192.0.2.1", "alice@example.com", "mx.example.com"), ZONE)
    assert isinstance(result, SpfResult)
    pra = purported_responsible_address(f"{name}: alice@example.com\r\n\r\n".encode())
    assert sender_id(result, pra, ALICE) == MethodResult(
        "sender-id", "pass", "", (("header", name.lower(), "example.com"),), "submitter example.com"
    )
    assert sender_id(result, pra).comment == ""


def test_auth_names_who_logged_in() -> None:
    assert auth("alice", Mailbox("bob", "b.example")) == MethodResult(
        "auth", "pass", properties=(("smtp", "auth", "alice"), ("smtp", "mailfrom", "bob@b.example"))
    )


def test_our_field_has_a_stable_order() -> None:
    pra = purported_responsible_address(b"From: alice@example.com\r\n\r\n")
    result = checked("192.0.2.1", "example.com", "alice@example.com")
    helo = checked("192.0.2.1", "example.com", "", "example.com")
    said = reported(
        "mx.example",
        [
            sender_id(result, pra),
            MethodResult("x-own", "pass"),
            MethodResult("dkim", "none"),
            spf(helo, NULL),
            spf(result, ALICE),
            iprev("fail", "192.0.2.1"),
            auth("alice"),
        ],
    )
    assert field(said) == (
        b"Authentication-Results: mx.example;\r\n"
        b" auth=pass smtp.auth=alice;\r\n"
        b" iprev=fail policy.iprev=192.0.2.1;\r\n"
        b" spf=pass smtp.helo=example.com;\r\n"
        b" spf=pass smtp.mailfrom=example.com;\r\n"
        b" dkim=none;\r\n"
        b" sender-id=pass header.from=example.com;\r\n"
        b" x-own=pass\r\n"
    )
