"""Daily reports to other domains."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from purport.config.tables.table import Table


class ReportTable(Table, frozen=True):
    """What daily reports of all kinds have in common."""

    send: Annotated[bool, Meta(description="count what there is to tell, and send it; false: neither")] = True
    organization: Annotated[str, Meta(description="who reports; empty: the host name")] = ""
    contact: Annotated[
        str, Meta(description="the address for questions; its domain reports; empty: postmaster at the host name")
    ] = ""
    from_: Annotated[
        str, Meta(description="the From of reports by mail, in a domain that mail is signed for; empty: contact")
    ] = field(default="", name="from")


class TlsReport(ReportTable, frozen=True):
    """Daily reports about TLS to the domains that mail went to and that ask for them (TLSRPT, RFC 8460)."""


class DmarcReport(ReportTable, frozen=True):
    """Reports to the domains that mail named as authors and that ask for them: daily ones (RFC 9990), and where
    `failures` says so others at once (RFC 9991)."""

    failures: Annotated[
        bool,
        Meta(
            description="tell a domain that asks for it (ruf=) about a message that fails, at once and with its "
            "header, in which recipients are made unrecognisable (RFC 9991)"
        ),
    ] = False
