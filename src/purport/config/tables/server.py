"""The server itself: where it listens, what a client may cost, whom it asks, what it writes down."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import Count, Seconds, Table


class Dns(Table, frozen=True):
    """Who answers questions about domains."""

    servers: Annotated[list[str], Meta(description="resolvers as HOST or HOST:PORT; empty: the system's")] = []
    zone: Annotated[
        str,
        Meta(description="a JSON file that answers every question instead of the DNS: for demonstrations and tests"),
    ] = ""
    trust_ad: Annotated[
        Literal["loopback", "always", "never"],
        Meta(
            description="which resolvers are believed that they validated an answer (DNSSEC): those on this machine, "
            "all, where nobody on the way to them could say so in their place, or none"
        ),
    ] = "loopback"
    client_names: Annotated[
        bool, Meta(description="look up the names of clients, for Received fields, logs and iprev (RFC 8601)")
    ] = True
    timeout: Annotated[Seconds, Meta(description="seconds for one try with one resolver")] = 5.0
    cache_entries: Annotated[Count, Meta(description="answers kept in memory")] = 50_000


class Listener(Table, frozen=True):
    """An address to listen on."""

    bind: Annotated[list[str], Meta(min_length=1, description="addresses as HOST:PORT or [HOST]:PORT")]
    service: Annotated[
        Literal["mx", "submission", "lmtp", "odmr"],
        Meta(
            description="what is spoken there: mx is SMTP between servers; submission takes mail of users who log in; "
            "lmtp takes mail from servers of your own (RFC 2033); odmr takes none, but gives what waits to hosts that "
            "log in for it (RFC 2645), on port 366"
        ),
    ] = "mx"
    takes_mail: Annotated[
        bool, Meta(description="false: whoever comes hears 521, that this host takes no mail (RFC 7504), and is let go")
    ] = True
    auth: Annotated[
        bool, Meta(description="offer AUTH to the clients of an mx too; a submission and an odmr always do")
    ] = False
    auth_without_tls: Annotated[
        bool, Meta(description="let clients log in where TLS does not protect the connection: for tests, and behind it")
    ] = False
    xclient: Annotated[
        list[str], Meta(description="networks of clients whose XCLIENT is believed: gateways and tests")
    ] = []
    guest: Annotated[
        str,
        Meta(
            description="the address that is responsible for mail which clients send anywhere from here without a "
            "login, as of a hotel's guests: it goes into a Resent-From field; empty: nobody is named"
        ),
    ] = ""
    tls: Annotated[
        Literal["offer", "require", "implicit", "none"],
        Meta(
            description="offer: STARTTLS, where there is a certificate; require: no mail before it; implicit: TLS from "
            "the first octet, as on port 465; none: in clear"
        ),
    ] = "offer"
    proxy_protocol: Annotated[
        list[str],
        Meta(description="networks of proxies, each of which must send a PROXY header with the client's address"),
    ] = []
    discard_ehlo_keywords: Annotated[
        list[str], Meta(description="extensions not offered there, such as DSN where strangers get no reports")
    ] = []


class Certificate(Table, frozen=True):
    """A certificate for TLS; the first is shown to clients that ask for no name of the others."""

    chain: Annotated[
        str, Meta(min_length=1, description="PEM file: the certificate, then those that lead to its authority")
    ]
    key: Annotated[str, Meta(description="PEM file of its key, without a password; left out: in the same file")] = ""


class Tls(Table, frozen=True):
    """TLS as a server."""

    min_version: Annotated[Literal["1.2", "1.3"], Meta(description="the oldest version that is spoken")] = "1.2"
    ciphers: Annotated[str, Meta(description="ciphers of TLS 1.2 as OpenSSL lists them; empty: its own choice")] = ""


class Limits(Table, frozen=True):
    """What a client may cost."""

    message_size: Annotated[Count, Meta(description="octets of a message")] = 52_428_800
    recipients: Annotated[Count, Meta(description="recipients of one transaction")] = 1000
    errors: Annotated[Count, Meta(description="errors of one session before 421")] = 20
    connections: Annotated[Count, Meta(description="connections in all")] = 10_000
    connections_per_client: Annotated[Count, Meta(description="connections of one client address")] = 50
    command_seconds: Annotated[Seconds, Meta(description="seconds a client may take for a command")] = 300.0
    data_seconds: Annotated[
        Seconds, Meta(description="seconds a client may take for mail data, and one more for each KiB")
    ] = 180.0
    memory_threshold: Annotated[
        Count, Meta(description="octets of a message held in memory; a larger one goes to disk while it arrives")
    ] = 262_144


class Ledger(Table, frozen=True):
    """The record of every transaction, for `purport explain`."""

    retention_days: Annotated[Count, Meta(description="days after which a day's records are deleted")] = 30
