"""Mail to other hosts."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import Count, Table


class Relay(Table, frozen=True):
    """Mail for domains that are not ours."""

    default: Annotated[str, Meta(description='"mx", "smtp:HOST:PORT" or "smtps:HOST:PORT"')] = "mx"
    networks: Annotated[list[str], Meta(description="networks of clients that may send anywhere")] = []
    source: Annotated[
        list[str],
        Meta(
            description="our own IP addresses that connections to other hosts come from, one of each family; empty: "
            "the system chooses"
        ),
    ] = []
    concurrency: Annotated[Count, Meta(description="connections to one next hop at once")] = 20
    rrvs_field: Annotated[
        list[str],
        Meta(
            description="domains whose servers are known to obey the field Require-Recipient-Valid-Since: it is added "
            "for a recipient there whose sender allows that (RRVS with ;C), where the next hop lacks RRVS"
        ),
    ] = []
    tls: Annotated[
        Literal["none", "may", "encrypt", "verify"] | None,
        Meta(
            description="how connections to other hosts are protected at least: may uses STARTTLS where it is offered, "
            "encrypt sends nothing without it, verify looks at the certificate too; left out: verify where we log in, "
            "else may"
        ),
    ] = None
    dane: Annotated[
        bool,
        Meta(description="what TLSA records say of a host is insisted on, if a resolver validates them (RFC 7672)"),
    ] = True
    mta_sts: Annotated[
        bool, Meta(description="what a domain's MTA-STS policy says of its hosts is insisted on (RFC 8461)")
    ] = True
    authorities: Annotated[
        str, Meta(description="a file of the certificates of authorities that are believed; empty: the system's")
    ] = ""
    user: Annotated[str, Meta(description="our name at the default next hop, to log in with; empty: no login")] = ""
    password: Annotated[str, Meta(description="our password there")] = ""
    password_file: Annotated[str, Meta(description="a file that holds it instead")] = ""
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False


class Credentials(Table, frozen=True):
    """A login of ours at a next hop that a [[domain]] is delivered to; for `relay.default` see [relay]."""

    next_hop: Annotated[str, Meta(description='the route, as "smtp:HOST:PORT"')]
    user: Annotated[str, Meta(min_length=1, description="our name there")]
    password: Annotated[str, Meta(description="our password there")] = ""
    password_file: Annotated[str, Meta(description="a file that holds it instead")] = ""
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False


class TlsPolicy(Table, frozen=True):
    """What is asked of the connections for some domains, in place of `relay.tls` and of what they publish."""

    domains: Annotated[
        list[str], Meta(min_length=1, description="domains of recipients, or the host of a route smtp:HOST:PORT")
    ]
    level: Annotated[
        Literal["none", "may", "encrypt", "verify", "dane"],
        Meta(description="as relay.tls, whatever the domain publishes; dane: nothing goes without its TLSA records"),
    ] = "verify"
    names: Annotated[
        list[str],
        Meta(
            description="names that the certificate may have, .NAME for all below one; empty: the host of the route, "
            "or where MX records say who that is the domain or a name below it"
        ),
    ] = []
