"""Which TLSA records speak for a mail server (RFC 7672 section 2.2, RFC 7671 section 9)."""

from __future__ import annotations

import pytest

from purport.dns.lookup import Question, start
from purport.dns.tlsa import DANE_EE, Tlsa, TlsaFailure, TlsaRecords, strongest, tlsa_records, usable
from purport.dns.zone import StaticResolver, ZoneData

DIGEST = "ab" * 32
LONGER = "cd" * 64


def look(zone: ZoneData, *, secure: bool = True, alias: str = "", port: int = 25) -> TlsaRecords | TlsaFailure | None:
    found = start(tlsa_records("mx.example.com", port, secure=secure, alias=alias), StaticResolver(zone))
    assert found is None or isinstance(found, TlsaRecords | TlsaFailure)
    return found


def record(text: str = f"3 1 1 {DIGEST}", *, signed: bool = True) -> list[dict[str, object] | str]:
    return [*(["SIGNED"] if signed else []), {"TLSA": text}]


def test_the_records_are_those_of_the_port_at_the_host() -> None:
    found = look({"_25._tcp.mx.example.com": record()})
    assert isinstance(found, TlsaRecords)
    assert (found.base, found.name) == ("mx.example.com", "_25._tcp.mx.example.com")
    assert found.usable == (Tlsa(3, 1, 1, bytes.fromhex(DIGEST)),)
    assert look({"_25._tcp.mx.example.com": record()}, port=26) is None


def test_records_that_nobody_signed_are_none() -> None:
    assert look({"_25._tcp.mx.example.com": record(signed=False)}) is None


def test_a_host_whose_addresses_are_not_validated_is_not_asked_about() -> None:
    """Servers of large mail hosts fail such questions (RFC 7672 section 2.2.2)."""
    assert look({"_25._tcp.mx.example.com": ["TIMEOUT"]}, secure=False) is None


def test_a_failed_question_is_no_answer() -> None:
    name = "_25._tcp.mx.example.com"
    assert look({name: ["SERVFAIL"]}) == TlsaFailure(Question(name, "TLSA"))


def test_the_name_at_the_end_of_the_aliases_comes_first() -> None:
    zone = {"_25._tcp.host.example.net": record(), "_25._tcp.mx.example.com": record(f"3 1 2 {LONGER}")}
    found = look(zone, alias="host.example.net")
    assert isinstance(found, TlsaRecords)
    assert found.base == "host.example.net"
    del zone["_25._tcp.host.example.net"]
    found = look(zone, alias="host.example.net")
    assert isinstance(found, TlsaRecords)
    assert found.base == "mx.example.com"


@pytest.mark.parametrize(("signed", "asked"), [(True, True), (False, False)])
def test_an_alias_that_is_signed_itself_has_records_though_its_target_is_not(signed: bool, asked: bool) -> None:
    zone: dict[str, list[dict[str, object] | str]] = {
        "mx.example.com": [*(["SIGNED"] if signed else []), {"CNAME": "host.example.net"}],
        "_25._tcp.mx.example.com": record(),
    }
    found = look(zone, secure=False, alias="host.example.net")
    assert isinstance(found, TlsaRecords) is asked


def test_an_alias_that_cannot_be_asked_for_is_a_failure() -> None:
    found = look({"mx.example.com": [{"CNAME": "SERVFAIL"}]}, secure=False, alias="host.example.net")
    assert found == TlsaFailure(Question("mx.example.com", "CNAME"))


def test_an_alias_of_the_records_does_not_change_the_base() -> None:
    zone: ZoneData = {
        "_25._tcp.mx.example.com": ["SIGNED", {"CNAME": "tlsa201._dane.example.com"}],
        "tlsa201._dane.example.com": record(f"2 0 1 {DIGEST}"),
    }
    found = look(zone)
    assert isinstance(found, TlsaRecords)
    assert found.base == "mx.example.com"
    assert found.usable == (Tlsa(2, 0, 1, bytes.fromhex(DIGEST)),)


@pytest.mark.parametrize(
    "text",
    [
        f"0 0 1 {DIGEST}",
        f"1 1 1 {DIGEST}",
        f"4 1 1 {DIGEST}",
        f"3 2 1 {DIGEST}",
        f"3 1 3 {DIGEST}",
        f"3 1 1 {LONGER}",
        f"3 1 2 {DIGEST}",
        "3 1 0",
        "3 1",
        "3 1 1 xyz",
        "",
    ],
)
def test_what_proves_nothing_is_unusable_but_says_that_there_is_tls(text: str) -> None:
    assert usable([text]) == []
    if len(text.split()) == 4 and "xyz" not in text:
        found = look({"_25._tcp.mx.example.com": record(text)})
        assert isinstance(found, TlsaRecords)
        assert found.usable == ()
        assert found.texts == (text,)


def test_usages_that_this_host_cannot_check_are_unusable() -> None:
    texts = [f"2 0 1 {DIGEST}", f"3 1 1 {DIGEST}"]
    assert [one.usage for one in usable(texts, (DANE_EE,))] == [DANE_EE]


def test_a_weaker_digest_beside_a_stronger_one_does_not_count() -> None:
    """The example of RFC 7671 section 9, and a selector of its own beside it."""
    records = usable([f"3 1 1 {DIGEST}", f"3 1 2 {LONGER}", "3 1 0 3059", f"3 0 1 {DIGEST}", f"2 1 1 {DIGEST}"])
    kept = [(one.usage, one.selector, one.matching) for one in strongest(records)]
    assert kept == [(3, 1, 2), (3, 1, 0), (3, 0, 1), (2, 1, 1)]
