"""The report about the TLS connections of a day to one domain (RFC 8460 section 4.4), and what it is sent as.

{"organization-name": "Company-X", "date-range": {...}, "contact-info": "...", "report-id": "...", "policies": [...]}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from purport.mail.moment import date_time
from purport.reporting.day import begin_of, end_of, name_of
from purport.reporting.document import Document
from purport.reporting.organization import Organization

# RFC 8460 section 4.3; other words are not for us to invent (section 6.6).
RESULTS: Final = frozenset(
    (
        "starttls-not-supported",
        "certificate-host-mismatch",
        "certificate-expired",
        "certificate-not-trusted",
        "validation-failure",
        "tlsa-invalid",
        "dnssec-invalid",
        "dane-required",
        "sts-policy-fetch-error",
        "sts-policy-invalid",
        "sts-webpki-invalid",
    )
)
GENERAL: Final = "validation-failure"  # RFC 8460 section 4.3.3: what no other type is for


@dataclass(frozen=True, slots=True)
class FailureDetails:
    """Sessions that failed in the same way between the same hosts; empty texts are not known."""

    result: str
    sessions: int
    local_address: str = ""
    host: str = ""
    address: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PolicyCounts:
    """What became of the sessions that one policy held for. `details` may leave some of the `failed` out."""

    policy_type: str
    policy_domain: str
    policy_strings: tuple[str, ...]
    mx_patterns: tuple[str, ...]
    succeeded: int
    failed: int
    details: tuple[FailureDetails, ...] = ()


@dataclass(frozen=True, slots=True)
class TlsReport:
    """All that is told to `domain` about a day."""

    organization: Organization
    day: int
    domain: str  # A-labels
    policies: tuple[PolicyCounts, ...]

    @property
    def report_id(self) -> str:
        """The same for each sending, so that who gets it twice can see that (RFC 8460 section 5.3)."""
        return self.organization.report_id(self.day, self.domain)

    def json(self) -> bytes:
        """The report as I-JSON (RFC 7493)."""
        return msgspec.json.encode(
            {
                "organization-name": self.organization.name,
                "date-range": {
                    "start-datetime": date_time(begin_of(self.day)),
                    "end-datetime": date_time(end_of(self.day)),
                },
                "contact-info": str(self.organization.contact),
                "report-id": self.report_id,
                "policies": [_policy(counts) for counts in self.policies],
            }
        )


def _policy(counts: PolicyCounts) -> dict[str, object]:
    policy: dict[str, object] = {"policy-type": counts.policy_type}
    if counts.policy_strings:
        policy["policy-string"] = counts.policy_strings
    policy["policy-domain"] = counts.policy_domain
    if counts.policy_type == "sts":
        # An array, as section 4.4 says. Appendix B shows a text instead.
        policy["mx-host"] = counts.mx_patterns
    told: dict[str, object] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": counts.succeeded,
            "total-failure-session-count": counts.failed,
        },
    }
    if counts.details:
        told["failure-details"] = [_details(details) for details in counts.details]
    return told


def _details(details: FailureDetails) -> dict[str, object]:
    told = {
        "result-type": details.result,
        "sending-mta-ip": details.local_address,
        "receiving-mx-hostname": details.host,
        "receiving-ip": details.address,
        "failed-session-count": details.sessions,
        "failure-reason-code": details.reason,
    }
    return {name: value for name, value in told.items() if value != ""}


def document(report: TlsReport) -> Document:
    """The report with all that it is sent with (RFC 8460 sections 5.1 to 5.3)."""
    reporter = report.organization.domain
    return Document(
        report_id=report.report_id,
        content=report.json(),
        media_type="application/tlsrpt+gzip",
        file_name=report.organization.file_name(report.day, report.domain, "json.gz"),
        subject=report.organization.subject(report.day, report.domain),
        fields=(
            ("TLS-Report-Domain", report.domain),
            ("TLS-Report-Submitter", reporter),
            # RFC 8689 section 5: a report about a fault of TLS there must arrive in spite of it.
            ("TLS-Required", "No"),
        ),
        container='multipart/report; report-type="tlsrpt"',
        text=tuple(_told(report, reporter)),
    )


def _told(report: TlsReport, reporter: str) -> list[str]:
    """The part for people."""
    return [
        f"This is an aggregate TLS report from {reporter}",
        f"about its connections to {report.domain} on {name_of(report.day)} (UTC):",
        f"{total(report.policies, failed=False)} sessions were as they should be, "
        f"{total(report.policies, failed=True)} failed.",
        "",
        f"The attached file is for programs. Questions: {report.organization.contact}",
    ]


def total(policies: Sequence[PolicyCounts], *, failed: bool) -> int:
    """The sessions of all policies that failed, or that did not."""
    return sum(counts.failed if failed else counts.succeeded for counts in policies)
