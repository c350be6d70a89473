"""The settings, typed, with their defaults and what each is for: sample, manual and check are made from this."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from purport.config.tables.authentication import AuthenticationResults, Dmarc, Spf, Submitter, TrustedHops
from purport.config.tables.domains import Domain, Forwarding
from purport.config.tables.logins import Auth, Oauth, Submission, User, Users
from purport.config.tables.on_demand import Etrn, Fetch, Odmr
from purport.config.tables.queue import FutureRelease, Priority, Queue
from purport.config.tables.reports import DmarcReport, TlsReport
from purport.config.tables.sending import Credentials, Relay, TlsPolicy
from purport.config.tables.server import Certificate, Dns, Ledger, Limits, Listener, Tls
from purport.config.tables.signing import Dkim, DkimSign, DkimTables
from purport.config.tables.table import Table


class Settings(Table, frozen=True):
    """The whole file."""

    hostname: Annotated[str, Meta(description="our name: in the greeting, in Received fields, in reports")]
    listener: Annotated[list[Listener], Meta(min_length=1, description="addresses to listen on")]
    state_dir: Annotated[
        str,
        Meta(min_length=1, description="spool, ledger, control socket and Maildirs; relative to this file's folder"),
    ] = "state"
    workers: Annotated[int, Meta(ge=1, description="processes; this release serves with one")] = 1
    dns: Dns = field(default_factory=Dns)
    tls: Tls = field(default_factory=Tls)
    certificate: Annotated[list[Certificate], Meta(description="certificates for TLS")] = []
    domain: Annotated[list[Domain], Meta(description="domains that mail is received for")] = []
    user: Annotated[list[User], Meta(description="users who may log in")] = []
    users: Users = field(default_factory=Users)
    auth: Auth = field(default_factory=Auth)
    oauth: Oauth = field(default_factory=Oauth)
    credentials: Annotated[list[Credentials], Meta(description="our logins at next hops")] = []
    submission: Submission = field(default_factory=Submission)
    dkim: Annotated[list[Dkim], Meta(description="keys that mail is signed with")] = []
    dkim_sign: DkimSign = field(default_factory=DkimSign)
    dkim_tables: DkimTables = field(default_factory=DkimTables)
    submitter: Submitter = field(default_factory=Submitter)
    spf: Spf = field(default_factory=Spf)
    dmarc: Dmarc = field(default_factory=Dmarc)
    authentication_results: AuthenticationResults = field(default_factory=AuthenticationResults)
    trusted_hops: TrustedHops = field(default_factory=TrustedHops)
    limits: Limits = field(default_factory=Limits)
    queue: Queue = field(default_factory=Queue)
    priority: Priority = field(default_factory=Priority)
    future_release: FutureRelease = field(default_factory=FutureRelease)
    relay: Relay = field(default_factory=Relay)
    forwarding: Forwarding = field(default_factory=Forwarding)
    tls_policy: Annotated[list[TlsPolicy], Meta(description="protection on the way to some domains")] = []
    tls_report: TlsReport = field(default_factory=TlsReport)
    dmarc_report: DmarcReport = field(default_factory=DmarcReport)
    etrn: Annotated[list[Etrn], Meta(description="clients that may start the delivery of what waits for them")] = []
    odmr: Annotated[list[Odmr], Meta(description="users whose hosts come for the mail of their domains")] = []
    fetch: Annotated[list[Fetch], Meta(description="providers that have mail for us")] = []
    ledger: Ledger = field(default_factory=Ledger)
