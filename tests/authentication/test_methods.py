"""The results of our checks, as they stand in Authentication-Results (RFC 8601 section 2.7)."""

from __future__ import annotations

import pytest

from purport.authentication.arc.result import NO_CHAIN, ArcResult, Hop
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.authres.writer import field
from purport.authentication.dkim.result import DkimResult
from purport.authentication.methods import arc, auth, dkim, sender_id, spf
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


def test_dkim_names_each_signature_and_a_local_part_where_it_holds() -> None:
    good = DkimResult("pass", "example.com", "s1", "alice@example.com", "rsa-sha256", 2048, b="AbCdEfGh")
    bad = DkimResult(
        "fail", "example.com", "s2", "alice@example.com", "ed25519-sha256", 256, True, "the body was changed"
    )
    said = dkim([good, bad])
    assert field(AuthenticationResults("mx.example", said)) == (
        b"Authentication-Results: mx.example;\r\n"
        b" dkim=pass (2048-bit key) header.d=example.com header.i=alice@example.com\r\n"
        b" header.a=rsa-sha256 header.s=s1 header.b=AbCdEfGh;\r\n"
        b' dkim=fail (256-bit key, testing) reason="the body was changed"\r\n'
        b" header.d=example.com header.i=@example.com header.a=ed25519-sha256\r\n"
        b" header.s=s2\r\n"
    )
    assert dkim([]) == (MethodResult("dkim", "none"),)


def test_arc_names_the_last_sealer_and_since_when_nothing_was_changed() -> None:
    hops = (Hop(1, "a.example", "s1", None), Hop(2, "b.example", "s1", None))
    assert arc(ArcResult("pass", 2, hops, 2), "2001:db8::1") == MethodResult(
        "arc", "pass", "", (("smtp", "remote-ip", "2001:db8::1"), ("header", "oldest-pass", "2")), "i=2 b.example"
    )
    failed = arc(ArcResult("fail", 2, problem="the seal of a.example does not fit"), "192.0.2.1")
    assert (failed.reason, failed.value("header", "oldest-pass")) == ("the seal of a.example does not fit", None)
    assert arc(NO_CHAIN, "192.0.2.1").result == "none"
