"""A row out of what DMARC found."""

from __future__ import annotations

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.record import parse
from purport.authentication.dmarc.result import Alignment, Authenticated, DmarcResult
from purport.reporting.dmarc.row import DkimCheck, DmarcRow, PublishedPolicy, SpfCheck, row_of

RECORD = "v=DMARC1; p=reject; np=none; aspf=s; t=y; rua=mailto:dmarc@example.com!10m; ruf=mailto:x@example.com; fo=1:d"
SIGNATURES = (
    DkimResult("fail", "broken.example", "s4"),
    DkimResult("pass", "other.example", "s3"),
    DkimResult("pass", "example.com", "s2"),
    DkimResult("permerror"),
    DkimResult("pass", "news.example.com", "s1"),
)


def result(record: str = RECORD, **changes: object) -> DmarcResult:
    found = {
        "result": "pass",
        "author": Author("named", ("news.example.com",)),
        "author_domain": "news.example.com",
        "policy_domain": "example.com",
        "record": parse(record),
        "aligned": Alignment(None, ("example.com", "news.example.com")),
        **changes,
    }
    return DmarcResult(**found)  # type: ignore[arg-type]


def row(found: DmarcResult) -> DmarcRow | None:
    spf = Authenticated("bounce.example.com", "pass")
    return row_of(found, source_ip="192.0.2.1", disposition="none", spf=spf, dkim=SIGNATURES, envelope_from="x.example")


def test_a_row_says_what_was_found_the_most_telling_signature_first() -> None:
    assert row(result()) == DmarcRow(
        "192.0.2.1",
        "news.example.com",
        PublishedPolicy("example.com", "reject", None, "none", "r", "s", "1:d", True, ("mailto:dmarc@example.com",)),
        "none",
        True,
        False,
        (
            DkimCheck("news.example.com", "s1", "pass"),
            DkimCheck("example.com", "s2", "pass"),
            DkimCheck("other.example", "s3", "pass"),
            DkimCheck("broken.example", "s4", "fail"),
        ),
        SpfCheck("bounce.example.com", "pass"),
        "x.example",
    )


def test_a_record_that_stands_for_none_is_reported_with_its_fault() -> None:
    found = row(result("v=DMARC1; p=later; rua=mailto:dmarc@example.com"))
    assert found is not None
    assert (found.policy.p, found.policy.problem.partition(":")[0]) == ("none", "p=later")


def test_nothing_is_counted_for_who_wants_no_reports() -> None:
    assert row(result("v=DMARC1; p=reject")) is None
    assert row(result("v=DMARC1; sp=later")) is None
    assert row(result(record="v=DMARC1; p=none", policy_domain=None, author_domain=None)) is None


def test_a_record_of_any_length_makes_a_row_of_bounded_length() -> None:
    """Thousands of rows wait in memory for the database."""
    places = ",".join(f"mailto:{'a' * 60}{number}@{'b' * 60}.example?subject={'x' * 2000}" for number in range(20))
    found = row(result(f"v=DMARC1; p=none; sp={'x' * 20000}; rua=mailto:a@example.com,{places}"))
    assert found is not None
    assert found.policy.rua == ("mailto:a@example.com",)
    assert len(found.policy.problem) <= 256
