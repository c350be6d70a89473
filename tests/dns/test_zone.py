"""The openspf zonedata format, answered as the DNS would."""

from __future__ import annotations

import pytest

from purport.dns.lookup import Answer, Question, Status
from purport.dns.zone import StaticResolver, ZoneData, read_zone

ZONE: ZoneData = {
    "Example.COM.": [
        {"TXT": ["v=spf1 ", "mx -all"]},
        {"MX": [10, "MX1.example.com."]},
        {"MX": [20, "mx2.example.com"]},
    ],
    "null.example.com": [{"MX": [0, ""]}],
    "old.example.com": [{"SPF": "v=spf1 -all"}],
    "both.example.com": [{"SPF": "v=spf1 -all"}, {"TXT": "v=spf1 +all"}],
    "none.example.com": [{"SPF": "v=spf1 -all"}, {"TXT": "NONE"}],
    "slow.example.com": [{"A": "192.0.2.1"}, "TIMEOUT"],
    "half.example.com": [{"A": "192.0.2.1"}, {"AAAA": "TIMEOUT"}],
    "alias.example.com": [{"CNAME": "half.example.com"}],
    "loop.example.com": [{"CNAME": "loop.example.com"}],
    "lost.example.com": [{"CNAME": "nowhere.example.com"}],
}


def ask(name: str, kind: str) -> Answer:
    return StaticResolver(ZONE).cached(Question(name, kind))


def test_strings_of_one_record_are_joined() -> None:
    assert ask("example.com", "TXT").records == ("v=spf1 mx -all",)


def test_mail_exchangers_are_written_with_their_preference() -> None:
    assert ask("example.com", "MX").records == ("10 mx1.example.com", "20 mx2.example.com")
    assert ask("null.example.com", "MX").records == ("0 .",)


def test_an_spf_record_stands_as_txt_where_there_is_no_txt() -> None:
    assert ask("old.example.com", "TXT").records == ("v=spf1 -all",)
    assert ask("both.example.com", "TXT").records == ("v=spf1 +all",)
    assert ask("none.example.com", "TXT").status is Status.EMPTY


def test_a_timeout_holds_for_every_type_without_records() -> None:
    assert ask("slow.example.com", "A").records == ("192.0.2.1",)
    assert ask("slow.example.com", "TXT").status is Status.FAILED


def test_a_timeout_may_be_for_one_type() -> None:
    assert ask("half.example.com", "AAAA").status is Status.FAILED
    assert ask("half.example.com", "TXT").status is Status.EMPTY


def test_an_alias_is_followed() -> None:
    assert ask("alias.example.com", "A").records == ("192.0.2.1",)
    assert ask("alias.example.com", "AAAA").status is Status.FAILED
    assert ask("alias.example.com", "CNAME").records == ("half.example.com",)


def test_a_loop_of_aliases_fails_and_a_lost_alias_is_missing() -> None:
    assert ask("loop.example.com", "A").status is Status.FAILED
    assert ask("lost.example.com", "A").status is Status.MISSING


def test_a_name_that_is_not_listed_does_not_exist() -> None:
    assert ask("nowhere.example.com", "A").status is Status.MISSING


def test_a_zone_file_is_json() -> None:
    zone = read_zone(b'{"example.com": [{"TXT": "v=spf1 -all \xc3\xa4"}, {"MX": [10, "mx.example.com"]}]}')
    assert zone.cached(Question("example.com", "MX")).records == ("10 mx.example.com",)
    assert zone.cached(Question("example.com", "TXT")).records == ("v=spf1 -all \xc3\xa4",)


@pytest.mark.parametrize(
    ("octets", "said"),
    [
        (b"{", "not a zone"),
        (b'{"a.example": 1}', "not a zone"),
        (b'{"a.example": ["NEVER"]}', "a.example: 'NEVER' is no record"),
        (b'{"a.example": [{"B": "c"}]}', "a.example: record type 'B'"),
        (b'{"a.example": [{"MX": "mx"}]}', "a.example: an MX record is written"),
        (b'{"a.example": [{"A": 3}]}', "a.example: a A record is text"),
    ],
)
def test_what_is_no_zone_is_a_value_error_that_says_so(octets: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_zone(octets)


SIGNED: ZoneData = {
    "signed.example": ["SIGNED", {"A": "192.0.2.1"}, {"TLSA": "3 1 1 0D6F CE33"}],
    "plain.example": [{"A": "192.0.2.2"}, {"CNAME": "signed.example"}],
    "to-signed.example": ["SIGNED", {"CNAME": "signed.example"}],
    "through-plain.example": ["SIGNED", {"CNAME": "between.example"}],
    "between.example": [{"CNAME": "signed.example"}],
    "to-plain.example": ["SIGNED", {"CNAME": "plain.example"}],
}


@pytest.mark.parametrize(
    ("name", "kind", "secure", "alias"),
    [
        ("signed.example", "A", True, ""),
        ("signed.example", "TXT", True, ""),
        ("plain.example", "A", False, ""),
        ("nowhere.example", "A", False, ""),
        ("to-signed.example", "A", True, "signed.example"),
        ("to-signed.example", "MX", True, "signed.example"),
        ("through-plain.example", "A", False, "signed.example"),
        ("to-plain.example", "A", False, "plain.example"),
        ("to-plain.example", "CNAME", True, ""),
    ],
)
def test_what_is_signed_is_secure_if_every_name_on_the_way_is(name: str, kind: str, secure: bool, alias: str) -> None:
    answer = StaticResolver(SIGNED).cached(Question(name, kind))
    assert (answer.secure, answer.alias) == (secure, alias)


def test_a_tlsa_record_is_written_in_one_piece() -> None:
    assert StaticResolver(SIGNED).cached(Question("signed.example", "TLSA")).records == ("3 1 1 0d6fce33",)
