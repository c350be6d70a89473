"""Where aggregate reports may go (RFC 9990 section 4)."""

from __future__ import annotations

import asyncio

import pytest

from purport.dns.lookup import run
from purport.dns.zone import StaticResolver
from purport.reporting.dmarc.wish import wish_of
from purport.reporting.wish import Unknown, Wanted, Wish

OWN = {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=none"}], "_dmarc.collector.example": [{"TXT": "v=DMARC1; p=none"}]}
VERIFIED = "blue.example.com._report._dmarc.red.collector.example"


def wish(zone: dict[str, object], *rua: str) -> Wish:
    resolver = StaticResolver({**OWN, **zone})  # type: ignore[arg-type]
    return asyncio.run(run(wish_of("blue.example.com", rua), resolver))


def shown(found: Wish) -> list[str] | str:
    return [str(one) for one in found.destinations] if isinstance(found, Wanted) else found.reason


def test_mailboxes_of_the_same_organization_need_no_record() -> None:
    found = wish({}, "mailto:a@blue.example.com", "mailto:b@example.com", "mailto:c@Red.Example.com")
    assert shown(found) == ["mailto:a@blue.example.com", "mailto:b@example.com", "mailto:c@Red.Example.com"]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ("v=DMARC1", ["mailto:reports@red.collector.example"]),
        ("v=DMARC1;", ["mailto:reports@red.collector.example"]),
        ("v=DMARC1; rua=mailto:other@red.collector.example", ["mailto:other@red.collector.example"]),
        (
            "v=DMARC1; rua=mailto:a@red.collector.example,mailto:b@RED.collector.example",
            ["mailto:a@red.collector.example", "mailto:b@RED.collector.example"],
        ),
        # Step 9: to neither of the two.
        ("v=DMARC1; rua=mailto:victim@example.org", "no mailbox of the DMARC record takes reports about"),
        (
            "v=DMARC1; rua=mailto:a@red.collector.example,mailto:victim@example.org",
            "no mailbox of the DMARC record takes reports about",
        ),
        ("v=DMARC2", "no mailbox of the DMARC record takes reports about"),
        ("v=spf1 -all", "no mailbox of the DMARC record takes reports about"),
    ],
)
def test_another_organization_has_to_want_them(record: str, expected: list[str] | str) -> None:
    found = shown(wish({VERIFIED: [{"TXT": record}]}, "mailto:reports@red.collector.example"))
    assert found == expected or (isinstance(expected, str) and found == f"{expected} blue.example.com")


def test_a_victim_gets_none() -> None:
    assert shown(wish({}, "mailto:victim@example.org")) == (
        "no mailbox of the DMARC record takes reports about blue.example.com"
    )
    assert shown(wish({}, "mailto:victim@example.org", "mailto:b@example.com")) == ["mailto:b@example.com"]


def test_the_dns_is_asked_again_where_it_does_not_answer() -> None:
    assert isinstance(wish({VERIFIED: ["TIMEOUT"]}, "mailto:reports@red.collector.example"), Unknown)


def test_other_schemes_are_not_for_us() -> None:
    assert shown(wish({}, "https://example.com/", "ftp://example.com/")) == (
        "the DMARC record names no mailbox that reports can go to"
    )
