"""What the next hop is expected to make of a forwarded message."""

from __future__ import annotations

import asyncio

import pytest

from purport.authentication.dkim.result import DkimResult
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import run
from purport.dns.zone import StaticResolver
from purport.forwarding.plan import Forwarded, Plan, Repair, Sending, addresses_of, plan
from purport.mail.address import NULL, Mailbox, ReversePath, parse_mailbox
from purport.mail.header import read_header

OURS = "192.0.2.25"
CAROL = Mailbox("carol", "company.com.example")
SRS = Mailbox("SRS0=vmyz=2W=example.com=alice", "company.com.example")
SIGNED = ("from", "from", "to", "subject", "date", "message-id")

ZONE = {
    "company.com.example": [{"TXT": f"v=spf1 ip4:{OURS} -all"}],
    "mx.company.com.example": [{"A": OURS}, {"AAAA": "2001:db8::25"}],
    "hard.example": [{"TXT": "v=spf1 ip4:198.51.100.1 -all"}],
    "soft.example": [{"TXT": "v=spf1 ip4:198.51.100.1 ~all"}],
    "open.example": [{"TXT": "v=spf1 +all"}],
    "opt-out.example": [{"TXT": "v=spf1 ip4:198.51.100.1 -all"}, {"TXT": "spf2.0/pra ?all"}],
    "_dmarc.hard.example": [{"TXT": "v=DMARC1; p=reject"}],
    "_dmarc.soft.example": [{"TXT": "v=DMARC1; p=reject"}],
    "broken.example": ["TIMEOUT"],
}


def planned(
    domain: str,
    *signatures: DkimResult,
    header: str = "",
    reverse_path: ReversePath | None = None,
    rewritten: ReversePath | None = SRS,
    addresses: tuple[str, ...] = (OURS,),
) -> Plan:
    author = parse_mailbox(f"alice@{domain}")
    read = read_header(f"{header}From: {author}\r\nSubject: s\r\nTo: x@y.example\r\n\r\n".encode())
    path = author if reverse_path is None else reverse_path
    forwarded = Forwarded(read, signatures, path, rewritten, CAROL)
    sending = Sending("mx.company.com.example", addresses, 0.0)
    evaluation = plan(Checker("mx.elsewhere.example"), sending, forwarded)
    return asyncio.run(run(evaluation, StaticResolver(ZONE)))


def signed(domain: str, *covered: str) -> DkimResult:
    return DkimResult("pass", domain, "s1", covered=covered or SIGNED)


@pytest.mark.parametrize(
    ("domain", "signatures", "chosen"),
    [
        ("open.example", (), "none"),  # anybody may send
        ("soft.example", (signed("soft.example"),), "none"),  # DMARC by DKIM, and nobody refuses a softfail
        ("hard.example", (signed("hard.example"),), "both"),  # DMARC by DKIM; SPF and Sender ID would refuse
        ("opt-out.example", (), "srs"),  # its owner wants no Sender ID
        ("unknown.example", (), "both"),  # no such domain: Sender ID fails, and nothing vouches for it
    ],
)
def test_the_least_repair_that_passes_is_chosen(
    domain: str, signatures: tuple[DkimResult, ...], chosen: Repair
) -> None:
    found = planned(domain, *signatures)
    assert (found.chosen, found.passes) == (chosen, True)
    assert found.row(chosen).why == ""
    assert "pass expected" in found.told


def test_what_nobody_signed_and_its_domain_wants_rejected_can_be_forwarded_by_nobody() -> None:
    found = planned("hard.example")
    assert not found.passes
    assert found.chosen == "both", "it fails the fewest checks"
    row = found.row("both")
    assert (row.spf, row.sender_id, row.dmarc) == ("pass", "pass", "fail (p=reject)")
    assert row.why == "DMARC of hard.example fails: nobody signed it, and hard.example asks for reject"
    assert found.row("seal").outcome == "risk"
    assert "trusts our seal" in found.row("seal").why
    assert found.row("from").outcome == "pass"


def test_a_signature_of_somebody_else_does_not_help_the_author() -> None:
    found = planned("hard.example", signed("mailer.example"))
    assert not found.passes
    assert "no signature of its domain holds" in found.row("both").why


@pytest.mark.parametrize(
    ("covered", "header", "holds"),
    [
        (SIGNED, "", {"none": True, "resent": True, "both": True, "from": False}),
        ((*SIGNED, "resent-from"), "", {"none": True, "resent": False, "both": False, "srs": True}),
        ((*SIGNED, "resent-from"), "Resent-From: x@y.example\r\n", {"resent": True, "both": True}),
        ((*SIGNED, "received"), "", {"none": False}),
        ((*SIGNED, "delivered-to"), "", {"none": False, "resent": True, "srs": False, "both": True}),
        (("subject",), "", {"from": True}),
    ],
)
def test_a_signature_breaks_where_it_says_that_there_is_no_further_field(
    covered: tuple[str, ...], header: str, holds: dict[str, bool]
) -> None:
    found = planned("soft.example", signed("soft.example", *covered), header=header)
    for row in found.rows:
        if row.way in holds:
            assert [one.holds for one in row.dkim] == [holds[row.way]], row.way


def test_an_oversigned_resent_from_makes_srs_the_repair() -> None:
    """The resent block would break the only signature that counts."""
    found = planned(
        "soft.example", signed("soft.example", *SIGNED, "resent-from"), reverse_path=parse_mailbox("x@hard.example")
    )
    assert (found.chosen, found.passes) == ("srs", True)


def test_a_header_that_names_nobody_as_responsible_is_given_a_resent_block() -> None:
    """RFC 4406 section 4: a message without a responsible address "SHOULD be rejected"."""
    found = planned("open.example", header="Sender: a@open.example\r\nSender: b@open.example\r\n")
    for row in (found.row("none"), found.row("srs")):
        assert (row.sender_id, row.outcome) == ("no PRA", "risk")
        assert "no responsible address" in row.why
    assert (found.chosen, found.passes) == ("resent", True)


def test_without_srs_there_are_fewer_rows() -> None:
    found = planned("hard.example", signed("hard.example"), rewritten=None)
    assert [row.way for row in found.rows] == ["none", "resent", "from"]
    assert (found.chosen, found.passes) == ("resent", False)


def test_a_report_has_our_own_name_for_its_sender() -> None:
    found = planned("open.example", reverse_path=NULL, rewritten=NULL)
    assert found.row("none").spf == "none"
    assert found.row("none").reverse_path == ""


def test_of_several_addresses_the_worst_result_counts() -> None:
    found = planned("hard.example", addresses=("198.51.100.1", OURS))
    assert found.row("none").spf == "fail"
    assert planned("hard.example", addresses=("198.51.100.1",)).row("none").dmarc == "pass"


def test_what_is_not_known_is_a_risk() -> None:
    found = planned("open.example", addresses=())
    assert not found.passes
    assert "our own addresses are not known" in found.row(found.chosen).why
    assert planned("broken.example").row("none").outcome == "risk"


def test_our_addresses_are_those_of_our_name() -> None:
    found = asyncio.run(run(addresses_of("mx.company.com.example"), StaticResolver(ZONE)))
    assert found == (OURS, "2001:db8::25")
