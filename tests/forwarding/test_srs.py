"""SRS: addresses that lead back, and those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.forwarding.srs import CannotRewrite, NotOurs, Srs, is_srs
from purport.mail.address import Mailbox, parse_mailbox

NOW = 1577836860.0  # 2020-01-01 00:01:00 UTC
DAY = 86400
SRS = Srs((b"tops3cr3t",))

# What Mail::SRS 0.31 makes on the day JR (2026-11-28), with the secret "tops3cr3t".
MADE_BY_MAIL_SRS = [
    ("Alice.B@Example.com", "fwd.example", "SRS0=Y7lU=JR=Example.com=Alice.B@fwd.example"),
    (
        "SRS0=Y7lU=JR=Example.com=Alice.B@fwd.example",
        "second.example",
        "SRS1=k0PJ=fwd.example==Y7lU=JR=Example.com=Alice.B@second.example",
    ),
    (
        "SRS1=k0PJ=fwd.example==Y7lU=JR=Example.com=Alice.B@second.example",
        "third.example",
        "SRS1=k0PJ=fwd.example==Y7lU=JR=Example.com=Alice.B@third.example",
    ),
    (
        "SRS0+f18a+jr+example.com+alice@fwd.example",
        "second.example",
        "SRS1=tqIK=fwd.example=+f18a+jr+example.com+alice@second.example",
    ),
    (
        "SRS0-f18a=jr=example.com=alice@fwd.example",
        "second.example",
        "SRS1=CfTh=fwd.example=-f18a=jr=example.com=alice@second.example",
    ),
]
JR = 1795834234.0


def rewritten(address: str, domain: str = "fwd.example", now: float = NOW, srs: Srs = SRS) -> str:
    return str(srs.rewritten(parse_mailbox(address), domain, now))


def test_the_address_is_the_one_that_postsrsd_makes() -> None:
    assert rewritten("test@otherdomain.com", "example.com") == "SRS0=vmyz=2W=otherdomain.com=test@example.com"


@pytest.mark.parametrize(("address", "domain", "made"), MADE_BY_MAIL_SRS)
def test_addresses_are_those_of_mail_srs_and_lead_back(address: str, domain: str, made: str) -> None:
    assert rewritten(address, domain, JR) == made
    original = SRS.original(parse_mailbox(made).local_part, JR)
    assert str(original) == ("SRS0=Y7lU=JR=Example.com=Alice.B@fwd.example" if "third" in made else address)


local_parts = st.from_regex(r"[a-zA-Z0-9.!#$%&'*/=?^_`{|}~+-]{1,20}", fullmatch=True).filter(
    lambda text: not text.startswith(".") and not text.endswith(".") and ".." not in text and not is_srs(text)
)


@given(local_part=local_parts, separator=st.sampled_from("=+-"), length=st.integers(4, 10), days=st.integers(0, 21))
def test_every_address_leads_back_for_some_days(local_part: str, separator: str, length: int, days: int) -> None:
    srs = Srs((b"one", b"two"), separator, 21, length)
    sender = Mailbox(local_part, "sender.example")
    made = srs.rewritten(sender, "fwd.example", NOW)
    assert made.local_part[4] == separator
    assert parse_mailbox(str(made)) == made
    assert srs.original(made.local_part, NOW + days * DAY) == sender
    assert Srs((b"new", b"one"), length=4).original(made.local_part, NOW) == sender, "after a change of secrets"
    lowered = srs.original(made.local_part.lower(), NOW)
    assert str(lowered).lower() == str(sender).lower(), "a server on the way changed the case"


@given(local_part=local_parts)
def test_a_second_forwarder_sends_reports_to_the_first(local_part: str) -> None:
    second = Srs((b"other",), "-")
    first = SRS.rewritten(Mailbox(local_part, "sender.example"), "fwd.example", NOW)
    try:
        made = second.rewritten(first, "b.example", NOW)
    except CannotRewrite:
        assert len(first.local_part) > 40
        return
    third = Srs((b"third",)).rewritten(made, "c.example", NOW)
    assert second.original(made.local_part, NOW) == first
    assert Srs((b"third",)).original(third.local_part, NOW) == first


@pytest.mark.parametrize(
    ("local_part", "reason"),
    [
        ("SRS0=vmyy=2W=otherdomain.com=test", "its hash is not one of ours"),
        ("SRS0=vmy=2W=otherdomain.com=test", "its hash has another length than ours"),
        ("SRS0=vmyz=2V=otherdomain.com=test", "its hash is not one of ours"),
        ("SRS0=vmyz=2W=otherdomain.com", "it is not complete"),
        ("SRS0=vmyz=2W==test", "it is not complete"),
        ("SRS0=vmyz", "it is not complete"),
        ("SRS1=vmyz=otherdomain.com=", "it is not complete"),
        ("SRS1=vmyz=otherdomain.com==abcd", "its hash is not one of ours"),
        ("SRS0==2W=otherdomain.com=test", "it is not complete"),
        ("SRS0=" + "v" * 28 + "=2W=otherdomain.com=test", "its hash has another length than ours"),
        ("SRS0=vmÿz=2W=otherdomain.com=test", "its hash has another length than ours"),
        ("bob", "it is not complete"),
    ],
)
def test_s16_what_we_did_not_make_is_not_ours(local_part: str, reason: str) -> None:
    with pytest.raises(NotOurs, match=reason):
        SRS.original(local_part, NOW)


def test_s16_an_address_expires() -> None:
    made = SRS.rewritten(Mailbox("test", "otherdomain.com"), "example.com", NOW)
    SRS.original(made.local_part, NOW + 21 * DAY)
    with pytest.raises(NotOurs, match="older than 21 days"):
        SRS.original(made.local_part, NOW + 22 * DAY)
    with pytest.raises(NotOurs, match="older"):
        SRS.original(made.local_part, NOW - DAY)


def test_an_address_of_ours_is_not_put_into_another() -> None:
    made = SRS.rewritten(Mailbox("test", "otherdomain.com"), "example.com", NOW)
    assert SRS.rewritten(made, "Example.com", NOW) == made


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("a" * 40 + "@a-long-domain.example", "local part of 7. octets"),
        ("test@[192.0.2.1]", "address literal"),
        ("SRS1=abcd@other.example", "only looks like SRS1"),
        ("SRS1=abcd==x@other.example", "only looks like SRS1"),
    ],
)
def test_what_cannot_be_rewritten_says_so(address: str, reason: str) -> None:
    with pytest.raises(CannotRewrite, match=reason):
        rewritten(address)


def test_a_domain_stands_there_as_it_is_asked_for() -> None:
    made = SRS.rewritten(Mailbox("test", "bücher.example"), "fwd.example", NOW)
    assert "=xn--bcher-kva.example=test" in made.local_part


@given(st.text(max_size=80))
def test_no_text_is_taken_for_ours_or_does_harm(text: str) -> None:
    for local_part in (text, f"SRS0={text}", f"SRS1={text}"):
        with pytest.raises(NotOurs):
            SRS.original(local_part, NOW)
