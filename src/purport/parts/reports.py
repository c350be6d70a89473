"""Who reports to other domains."""

from __future__ import annotations

from purport.config.schema import Settings
from purport.config.tables.reports import ReportTable
from purport.mail.address import parse_mailbox
from purport.reporting.organization import Organization


def make_organization(settings: Settings, table: ReportTable) -> Organization:
    """Who sends the reports that one table of the settings is about."""
    contact = parse_mailbox(table.contact or f"postmaster@{settings.hostname}")
    sender = parse_mailbox(table.from_) if table.from_ else contact
    return Organization(table.organization or settings.hostname, contact, sender)
