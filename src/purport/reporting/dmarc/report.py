"""The aggregate report: RFC 9990 section 3.1 and its schema, in the namespace of DMARC 2.0.

<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">
  <version>1.0</version>
  <report_metadata> <policy_published> <record> <record> ...
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree

from purport.reporting.day import begin_of, end_of, name_of
from purport.reporting.dmarc.row import DkimCheck, DmarcRow, PublishedPolicy, SpfCheck
from purport.reporting.document import Document
from purport.reporting.organization import Organization

NAMESPACE: Final = "urn:ietf:params:xml:ns:dmarc-2.0"
SIGNATURES: Final = 20  # of one row; RFC 9990 section 3.1.3 would allow 100
NAME: Final = 253  # characters of a domain name
TEXT: Final = 256  # characters of a comment or a problem
DKIM_RESULTS: Final = frozenset(("none", "pass", "fail", "policy", "neutral", "temperror", "permerror"))
SPF_RESULTS: Final = DKIM_RESULTS | {"softfail"}
UNKNOWN: Final = "neutral"  # what stands for a result that the schema does not know


@dataclass(frozen=True, slots=True)
class Reason:
    """Why the disposition is not what the policy asks for."""

    type: str
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ReportedRow:
    """What a record of the report says, but for the number of its messages."""

    source_ip: str
    header_from: str
    envelope_from: str
    disposition: str
    dkim_aligned: bool
    spf_aligned: bool
    reasons: tuple[Reason, ...]
    dkim: tuple[DkimCheck, ...]
    spf: SpfCheck | None


@dataclass(frozen=True, slots=True)
class DmarcReport:
    """All that is told to the owner of a policy about a day; `rows` with the number of their messages, `generator` what
    wrote it."""

    organization: Organization
    day: int
    policy: PublishedPolicy
    rows: tuple[tuple[ReportedRow, int], ...]
    generator: str = "Purport"

    def xml(self) -> bytes:
        """The report in UTF-8. Raises ValueError without rows: the schema asks for one at least."""
        if not self.rows:
            raise ValueError("a report has one record at least")
        root = ElementTree.Element("feedback", {"xmlns": NAMESPACE})
        _add(root, "version", "1.0")
        metadata = _add(root, "report_metadata")
        _add(metadata, "org_name", self.organization.name)
        _add(metadata, "email", str(self.organization.contact))
        _add(metadata, "report_id", self.organization.report_id(self.day, self.policy.domain))
        period = _add(metadata, "date_range")
        _add(period, "begin", str(begin_of(self.day)))
        _add(period, "end", str(end_of(self.day)))
        if self.policy.problem:
            _add(metadata, "error", self.policy.problem)
        _add(metadata, "generator", self.generator)
        _add_policy(_add(root, "policy_published"), self.policy)
        for row, messages in self.rows:
            _add_record(_add(root, "record"), row, messages)
        ElementTree.indent(root)
        octets: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        return octets + b"\n"


def reported(row: DmarcRow) -> ReportedRow | None:
    """What a report says of a message, its texts bounded; None where it cannot be told at all."""
    try:
        source = str(ipaddress.ip_address(row.source_ip))
    except ValueError:
        return None
    return ReportedRow(
        source,
        text(row.header_from.lower(), NAME),
        text(row.envelope_from.lower(), NAME),
        disposition_of(row),
        row.dkim_aligned,
        row.spf_aligned,
        reasons_of(row),
        tuple(
            DkimCheck(
                text(one.domain, NAME), text(one.selector, NAME), one.result if one.result in DKIM_RESULTS else UNKNOWN
            )
            for one in row.dkim[:SIGNATURES]
        ),
        None
        if row.spf is None
        else SpfCheck(text(row.spf.domain, NAME), row.spf.result if row.spf.result in SPF_RESULTS else UNKNOWN),
    )


def disposition_of(row: DmarcRow) -> str:
    """What was done; `pass` says that a policy that would have been applied did not have to be (section 3.1.1.9)."""
    if not (row.dkim_aligned or row.spf_aligned):
        return row.disposition
    policy = row.policy
    asked = policy.p if row.header_from.lower() == policy.domain else policy.sp or policy.p
    return "pass" if row.disposition == "none" and asked != "none" else row.disposition


def reasons_of(row: DmarcRow) -> tuple[Reason, ...]:
    """Why a message that fails is not treated as the policy says; one reason at least where it is not (section
    3.1.1.9)."""
    if row.override is not None:
        return (Reason(row.override, text(row.comment)),)
    if row.dkim_aligned or row.spf_aligned or row.disposition in asked_of(row):
        return ()
    return (Reason("policy_test_mode" if row.policy.testing else "local_policy", text(row.comment)),)


def asked_of(row: DmarcRow) -> set[str]:
    """What the policy may ask for; more than one where it depends on whether the domain exists."""
    policy = row.policy
    if row.header_from.lower() == policy.domain:
        return {policy.p}
    below = policy.sp or policy.p
    return {below, policy.np or below}


def text(told: str, limit: int = TEXT) -> str:
    """What others said, as XML can hold it, and not endless."""
    return "".join(character if character.isprintable() else "?" for character in told[:limit])


def _add(parent: ElementTree.Element, name: str, content: str | None = None) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, name)
    element.text = content
    return element


def _add_policy(element: ElementTree.Element, policy: PublishedPolicy) -> None:
    _add(element, "domain", policy.domain)
    _add(element, "discovery_method", "treewalk")
    _add(element, "p", policy.p)
    # What is not published has the value of the tag that stands for it (RFC 9989 section 4.7).
    _add(element, "sp", policy.sp or policy.p)
    _add(element, "np", policy.np or policy.sp or policy.p)
    _add(element, "fo", policy.fo)
    _add(element, "adkim", policy.adkim)
    _add(element, "aspf", policy.aspf)
    _add(element, "testing", "y" if policy.testing else "n")


def _add_record(element: ElementTree.Element, row: ReportedRow, messages: int) -> None:
    told = _add(element, "row")
    _add(told, "source_ip", row.source_ip)
    _add(told, "count", str(messages))
    evaluated = _add(told, "policy_evaluated")
    _add(evaluated, "disposition", row.disposition)
    _add(evaluated, "dkim", "pass" if row.dkim_aligned else "fail")
    _add(evaluated, "spf", "pass" if row.spf_aligned else "fail")
    for reason in row.reasons:
        why = _add(evaluated, "reason")
        _add(why, "type", reason.type)
        if reason.comment:
            _add(why, "comment", reason.comment)
    identifiers = _add(element, "identifiers")
    _add(identifiers, "header_from", row.header_from)
    _add(identifiers, "envelope_from", row.envelope_from)  # empty for a null reverse-path
    results = _add(element, "auth_results")
    for signature in row.dkim:
        checked = _add(results, "dkim")
        _add(checked, "domain", signature.domain)
        _add(checked, "selector", signature.selector)
        _add(checked, "result", signature.result)
    if row.spf is not None:
        asked = _add(results, "spf")
        _add(asked, "domain", row.spf.domain)
        _add(asked, "scope", row.spf.scope)
        _add(asked, "result", row.spf.result)


def document(report: DmarcReport) -> Document:
    """The report with all that it is sent with (RFC 9990 section 3.5.2)."""
    organization, domain, day = report.organization, report.policy.domain, report.day
    return Document(
        report_id=organization.report_id(day, domain),
        content=report.xml(),
        media_type="application/gzip",
        file_name=organization.file_name(day, domain, "xml.gz"),
        subject=organization.subject(day, domain),
        fields=(),
        container="multipart/mixed",
        text=(
            f"This is an aggregate DMARC report from {organization.domain}",
            f"about mail from {domain} that came on {name_of(day)} (UTC): {total(report.rows)} messages.",
            "",
            f"The attached file is for programs. Questions: {organization.contact}",
        ),
    )


def total(rows: Sequence[tuple[ReportedRow, int]]) -> int:
    """The messages of all rows."""
    return sum(messages for _, messages in rows)
