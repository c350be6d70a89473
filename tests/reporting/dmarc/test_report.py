"""Aggregate reports: the sample of RFC 9990 appendix B as data, what each element says, and the mail."""

from __future__ import annotations

import email
import email.policy
import gzip
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from purport.mail.address import Mailbox
from purport.reporting.day import parse
from purport.reporting.dmarc.report import SIGNATURES, DmarcReport, Reason, document, reported
from purport.reporting.dmarc.row import DkimCheck, DmarcRow, PublishedPolicy, SpfCheck
from purport.reporting.document import mail
from purport.reporting.organization import Organization
from support.dmarc_rows import FAILED, PASSED, POLICY

DAY = parse("1979-08-07")
ORGANIZATION = Organization(
    "Sample Reporter",
    Mailbox("report_sender", "example-reporter.com"),
    Mailbox("dmarc", "example-reporter.com"),
)
# Elements that may stand in any order (xs:all) are compared without one.
IN_ORDER = {"feedback", "record", "policy_evaluated", "auth_results"}


def shape(element: ElementTree.Element) -> tuple[str, object]:
    """An element as its name and its content."""
    name = element.tag.removeprefix("{urn:ietf:params:xml:ns:dmarc-2.0}")
    assert "}" not in name
    if not len(element):
        return name, element.text or ""
    children = [shape(child) for child in element]
    return name, children if name in IN_ORDER else sorted(children, key=str)


def xml(*rows: tuple[DmarcRow, int], policy: PublishedPolicy = POLICY) -> bytes:
    told = []
    for row, messages in rows:
        one = reported(row)
        assert one is not None
        told.append((one, messages))
    return DmarcReport(ORGANIZATION, DAY, policy, tuple(told), "Example DMARC Aggregate Reporter v1.2").xml()


def find(octets: bytes, path: str) -> list[str]:
    root = ElementTree.fromstring(octets)
    names = path.replace("/", "/{urn:ietf:params:xml:ns:dmarc-2.0}")
    return [element.text or "" for element in root.findall(f".{names}")]


def test_the_sample_report() -> None:
    """What differs: the report id is ours, and what the sample leaves to defaults is written out, as is the scope."""
    sample = (
        "feedback",
        [
            ("version", "1.0"),
            (
                "report_metadata",
                [
                    ("date_range", [("begin", "302832000"), ("end", "302918399")]),
                    ("email", "report_sender@example-reporter.com"),
                    ("generator", "Example DMARC Aggregate Reporter v1.2"),
                    ("org_name", "Sample Reporter"),
                    ("report_id", "1979-08-07.example.com@example-reporter.com"),
                ],
            ),
            (
                "policy_published",
                [
                    ("adkim", "r"),
                    ("aspf", "r"),
                    ("discovery_method", "treewalk"),
                    ("domain", "example.com"),
                    ("fo", "0"),
                    ("np", "none"),
                    ("p", "quarantine"),
                    ("sp", "none"),
                    ("testing", "n"),
                ],
            ),
            (
                "record",
                [
                    (
                        "row",
                        [
                            ("count", "123"),
                            ("policy_evaluated", [("disposition", "pass"), ("dkim", "pass"), ("spf", "fail")]),
                            ("source_ip", "192.0.2.123"),
                        ],
                    ),
                    ("identifiers", [("envelope_from", "example.com"), ("header_from", "example.com")]),
                    (
                        "auth_results",
                        [
                            ("dkim", [("domain", "example.com"), ("result", "pass"), ("selector", "abc123")]),
                            ("spf", [("domain", "example.com"), ("result", "fail"), ("scope", "mfrom")]),
                        ],
                    ),
                ],
            ),
        ],
    )
    assert shape(ElementTree.fromstring(xml((PASSED, 123)))) == sample


@pytest.mark.parametrize(
    ("policy", "row", "disposition", "reasons"),
    [
        (POLICY, FAILED, "quarantine", ()),
        (POLICY._replace(p="none"), replace(PASSED, disposition="none"), "none", ()),
        (POLICY._replace(p="reject"), PASSED, "pass", ()),
        # Below the policy domain `sp` decides whether there was anything to be spared.
        (POLICY, replace(PASSED, header_from="news.example.com"), "none", ()),
        (POLICY._replace(sp=None), replace(PASSED, header_from="news.example.com"), "pass", ()),
        # Why a message that fails is treated in another way.
        (POLICY._replace(testing=True), replace(FAILED, disposition="none"), "none", (Reason("policy_test_mode"),)),
        (POLICY, replace(FAILED, disposition="none"), "none", (Reason("local_policy"),)),
        (POLICY, replace(FAILED, disposition="none", comment="a"), "none", (Reason("local_policy", "a"),)),
        (
            POLICY,
            replace(FAILED, disposition="none", override="trusted_forwarder", comment="arc=pass"),
            "none",
            (Reason("trusted_forwarder", "arc=pass"),),
        ),
        # np=reject may be what was asked for: whether the domain exists is not known here.
        (
            POLICY._replace(np="reject"),
            replace(FAILED, header_from="missing.example.com", disposition="reject"),
            "reject",
            (),
        ),
        (
            POLICY._replace(np="reject", testing=True),
            replace(FAILED, header_from="missing.example.com", disposition="quarantine"),
            "quarantine",
            (Reason("policy_test_mode"),),
        ),
    ],
)
def test_what_was_done_and_why(
    policy: PublishedPolicy, row: DmarcRow, disposition: str, reasons: tuple[Reason, ...]
) -> None:
    """RFC 9990 sections 3.1.1.9 and 3.1.6."""
    told = reported(replace(row, policy=policy))
    assert told is not None
    assert (told.disposition, told.reasons) == (disposition, reasons)


def test_a_null_reverse_path_is_an_empty_element() -> None:
    octets = xml((replace(PASSED, envelope_from=""), 1))
    assert find(octets, "/record/identifiers/envelope_from") == [""]


def test_what_is_wrong_with_a_record_is_told() -> None:
    octets = xml((PASSED, 1), policy=POLICY._replace(problem="sp=later: not one of none, quarantine, reject"))
    assert find(octets, "/report_metadata/error") == ["sp=later: not one of none, quarantine, reject"]


def test_what_senders_chose_does_no_harm() -> None:
    hostile = replace(
        FAILED,
        header_from="a]]><x>&\x00\x1b.example" + "x" * 1000,
        dkim=tuple(DkimCheck(f"{'d' * 999}\ufffe", "\x08", "who knows") for _ in range(SIGNATURES + 5)),
        spf=SpfCheck("</spf>", "maybe"),
        envelope_from="&lt;",
    )
    octets = xml((hostile, 1))
    assert find(octets, "/record/identifiers/header_from")[0].startswith("a]]><x>&??.example")
    assert len(find(octets, "/record/identifiers/header_from")[0]) == 253
    assert find(octets, "/record/auth_results/dkim/result") == ["neutral"] * SIGNATURES
    assert find(octets, "/record/auth_results/dkim/selector") == ["?"] * SIGNATURES
    assert find(octets, "/record/auth_results/spf/result") == ["neutral"]
    assert find(octets, "/record/auth_results/spf/domain") == ["</spf>"]
    assert find(octets, "/record/identifiers/envelope_from") == ["&lt;"]


def test_a_row_without_an_address_is_none_and_a_report_without_rows_neither() -> None:
    assert reported(replace(PASSED, source_ip="localhost")) is None
    with pytest.raises(ValueError, match="one record at least"):
        xml()


def test_the_mail_is_that_of_section_3_5_2() -> None:
    told = reported(PASSED)
    assert told is not None
    made = document(DmarcReport(ORGANIZATION, DAY, POLICY, ((told, 7),)))
    octets = mail(
        made,
        sender=ORGANIZATION.sender,
        recipients=[Mailbox("dmarc", "example.com")],
        message_id="08XFKQY11Q9KQ@mx.example-reporter.com",
        now=302918400.0,
    )
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert found["Subject"].replace("\t", " ") == (
        "Report Domain: example.com Submitter: example-reporter.com "
        "Report-ID: <1979-08-07.example.com@example-reporter.com>"
    )
    assert found["TLS-Required"] is None
    text, attached = found.iter_parts()
    assert "7 messages." in text.get_content()
    assert attached.get_content_type() == "application/gzip"
    assert attached.get_filename() == "example-reporter.com!example.com!302832000!302918399.xml.gz"
    assert find(gzip.decompress(attached.get_content()), "/record/row/count") == ["7"]
    assert not found.defects
