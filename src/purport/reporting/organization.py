"""Who reports, and what follows from that for the names of a report (RFC 8460 section 5, RFC 9990 section 3.5)."""

from __future__ import annotations

from dataclasses import dataclass

from purport.mail.address import Mailbox
from purport.reporting.day import begin_of, end_of, name_of


@dataclass(frozen=True, slots=True)
class Organization:
    """Who reports; `contact` is the address for questions, and `sender` the From of its mail."""

    name: str
    contact: Mailbox
    sender: Mailbox

    @property
    def domain(self) -> str:
        """The one that reports."""
        return self.contact.domain

    def report_id(self, day: int, domain: str) -> str:
        """The same for each sending, so that who gets a report twice can see that."""
        return f"{name_of(day)}.{domain}@{self.domain}"

    def subject(self, day: int, domain: str) -> tuple[str, ...]:
        """The Subject of a mail, in pieces that a line can be folded between."""
        return (
            f"Report Domain: {domain}",
            f"Submitter: {self.domain}",
            f"Report-ID: <{self.report_id(day, domain)}>",
        )

    def file_name(self, day: int, domain: str, extension: str) -> str:
        """`mx.example.com!example.org!1795651200!1795737599.json.gz`."""
        return f"{self.domain}!{domain}!{begin_of(day)}!{end_of(day)}.{extension}"
