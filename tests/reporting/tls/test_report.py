"""The report: RFC 8460 section 4.4 and appendix B, its file name and its mail."""

from __future__ import annotations

import email
import email.policy
import gzip
import json

from purport.mail.address import Mailbox
from purport.reporting.day import parse
from purport.reporting.document import mail
from purport.reporting.organization import Organization
from purport.reporting.tls.report import FailureDetails, PolicyCounts, TlsReport, document

DAY = parse("2016-04-01")
ORGANIZATION = Organization(
    "Company-X", Mailbox("sts-reporting", "company-x.example"), Mailbox("tlsrpt", "company-x.example")
)
# Appendix B, as data. What differs from its text: `mx-host` is an array, as section 4.4 has it ("provided as a JSON
# array of strings"); "additional-information" is no name of section 4.4, and we have no such page.
REPORT = TlsReport(
    ORGANIZATION,
    DAY,
    "company-y.example",
    (
        PolicyCounts(
            "sts",
            "company-y.example",
            ("version: STSv1", "mode: testing", "mx: *.mail.company-y.example", "max_age: 86400"),
            ("*.mail.company-y.example",),
            5326,
            303,
            (
                FailureDetails("certificate-expired", 100, "2001:db8:abcd:12::1", "mx1.mail.company-y.example"),
                FailureDetails(
                    "starttls-not-supported", 200, "2001:db8:abcd:13::1", "mx2.mail.company-y.example", "203.0.113.56"
                ),
                FailureDetails(
                    "validation-failure",
                    3,
                    "198.51.100.62",
                    "mx-backup.mail.company-y.example",
                    "203.0.113.58",
                    "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                ),
            ),
        ),
    ),
)
APPENDIX_B = {
    "organization-name": "Company-X",
    "date-range": {"start-datetime": "2016-04-01T00:00:00Z", "end-datetime": "2016-04-01T23:59:59Z"},
    "contact-info": "sts-reporting@company-x.example",
    "report-id": "2016-04-01.company-y.example@company-x.example",
    "policies": [
        {
            "policy": {
                "policy-type": "sts",
                "policy-string": [
                    "version: STSv1",
                    "mode: testing",
                    "mx: *.mail.company-y.example",
                    "max_age: 86400",
                ],
                "policy-domain": "company-y.example",
                "mx-host": ["*.mail.company-y.example"],
            },
            "summary": {"total-successful-session-count": 5326, "total-failure-session-count": 303},
            "failure-details": [
                {
                    "result-type": "certificate-expired",
                    "sending-mta-ip": "2001:db8:abcd:12::1",
                    "receiving-mx-hostname": "mx1.mail.company-y.example",
                    "failed-session-count": 100,
                },
                {
                    "result-type": "starttls-not-supported",
                    "sending-mta-ip": "2001:db8:abcd:13::1",
                    "receiving-mx-hostname": "mx2.mail.company-y.example",
                    "receiving-ip": "203.0.113.56",
                    "failed-session-count": 200,
                },
                {
                    "result-type": "validation-failure",
                    "sending-mta-ip": "198.51.100.62",
                    "receiving-ip": "203.0.113.58",
                    "receiving-mx-hostname": "mx-backup.mail.company-y.example",
                    "failed-session-count": 3,
                    "failure-reason-code": "X509_V_ERR_PROXY_PATH_LENGTH_EXCEEDED",
                },
            ],
        }
    ],
}


def test_the_example_of_appendix_b() -> None:
    assert json.loads(REPORT.json()) == APPENDIX_B


def test_a_domain_without_a_policy_has_neither_policy_string_nor_details() -> None:
    counts = PolicyCounts("no-policy-found", "example.com", (), (), 2, 0)
    (told,) = json.loads(TlsReport(ORGANIZATION, DAY, "example.com", (counts,)).json())["policies"]
    assert told == {
        "policy": {"policy-type": "no-policy-found", "policy-domain": "example.com"},
        "summary": {"total-successful-session-count": 2, "total-failure-session-count": 0},
    }


def test_the_file_is_named_as_section_5_1_says() -> None:
    assert document(REPORT).file_name == "company-x.example!company-y.example!1459468800!1459555199.json.gz"


def test_the_mail_is_that_of_section_5_3() -> None:
    octets = mail(
        document(REPORT),
        sender=ORGANIZATION.sender,
        recipients=[Mailbox("a", "company-y.example"), Mailbox("b", "company-y.example")],
        message_id="08XFKQY11Q9KQ@mx.company-x.example",
        now=1459560000.0,
    )
    assert octets.isascii()
    assert all(len(line) <= 998 and b"\n" not in line and b"\r" not in line for line in octets.split(b"\r\n"))
    found = email.message_from_bytes(octets, policy=email.policy.default)
    assert found["From"] == "<tlsrpt@company-x.example>" or str(found["From"]) == "tlsrpt@company-x.example"
    assert found["To"].addresses[1].addr_spec == "b@company-y.example"
    assert (
        found["Subject"].replace("\t", " ") == "Report Domain: company-y.example Submitter: company-x.example "
        "Report-ID: <2016-04-01.company-y.example@company-x.example>"
    )
    assert found["TLS-Report-Domain"] == "company-y.example"
    assert found["TLS-Report-Submitter"] == "company-x.example"
    assert found["TLS-Required"] == "No"
    assert found["Auto-Submitted"] == "auto-generated"
    assert found.get_content_type() == "multipart/report"
    assert found.get_param("report-type") == "tlsrpt"
    told, attached = found.iter_parts()
    assert told.get_content_type() == "text/plain"
    assert "5326 sessions were as they should be, 303 failed." in told.get_content()
    assert attached.get_content_type() == "application/tlsrpt+gzip"
    assert attached.get_filename() == document(REPORT).file_name
    assert json.loads(gzip.decompress(attached.get_content())) == APPENDIX_B
    assert not found.defects
