"""Rows about messages that DMARC was evaluated for."""

from __future__ import annotations

from dataclasses import replace

from purport.reporting.dmarc.row import DkimCheck, DmarcRow, PublishedPolicy, SpfCheck

POLICY = PublishedPolicy("example.com", "quarantine", "none", "none", rua=("mailto:dmarc@example.com",))
PASSED = DmarcRow(
    "192.0.2.123",
    "example.com",
    POLICY,
    "none",
    True,
    False,
    (DkimCheck("example.com", "abc123", "pass"),),
    SpfCheck("example.com", "fail"),
    "example.com",
)
FAILED = replace(PASSED, disposition="quarantine", dkim_aligned=False, dkim=(), source_ip="2001:DB8::1")


def of_domain(domain: str, row: DmarcRow = FAILED, *rua: str) -> DmarcRow:
    """The row, but of another domain."""
    return replace(row, header_from=domain, policy=POLICY._replace(domain=domain, rua=rua or POLICY.rua))
