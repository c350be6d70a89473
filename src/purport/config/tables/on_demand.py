"""Mail that waits until somebody asks for it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import YEAR, Seconds, Table


class Etrn(Table, frozen=True):
    """Clients that may start the delivery of what waits for their domains (ETRN, RFC 1985)."""

    networks: Annotated[list[str], Meta(description="networks of the clients; to no other ETRN is offered")] = []
    domains: Annotated[list[str], Meta(description="what they may ask for, all domains below these included")] = []
    queue: Annotated[str, Meta(description="a name for all of it: ETRN #NAME")] = ""
    seconds: Annotated[Seconds, Meta(description="seconds until a client may ask for the same again")] = 60.0


class Odmr(Table, frozen=True):
    """A user whose host comes for the mail of its domains (ATRN, RFC 2645), at a listener with `service = "odmr"`."""

    user: Annotated[str, Meta(min_length=1, description="the name that the host logs in with")]
    domains: Annotated[list[str], Meta(description='domains whose mail it gets, each a [[domain]] by "odmr"')] = []
    seconds: Annotated[float, Meta(ge=0, le=YEAR, description="seconds until it may ask for the same again")] = 10.0


class Fetch(Table, frozen=True):
    """A provider where mail for our domains waits, and that sends it when we log in and ask for it (ATRN, RFC 2645)."""

    host: Annotated[str, Meta(min_length=1, description="HOST or HOST:PORT; the usual port is 366")]
    user: Annotated[str, Meta(min_length=1, description="our name there")]
    password_file: Annotated[str, Meta(min_length=1, description="a file with our password there in its first line")]
    domains: Annotated[
        list[str], Meta(description="what to ask for, each a [[domain]]; empty: all that the provider has for us")
    ] = []
    every: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds between two times; 0: only when `purport odmr` says so")
    ] = 900.0
    tls: Annotated[
        Literal["none", "encrypt", "verify"],
        Meta(description="verify: TLS with a look at the certificate; encrypt: with any; none: in clear"),
    ] = "verify"
    auth_without_tls: Annotated[
        bool, Meta(description="send the password where TLS does not protect the connection")
    ] = False
