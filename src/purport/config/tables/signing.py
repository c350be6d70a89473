"""Signatures of ours."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from purport.config.tables.table import YEAR, Table


class Dkim(Table, frozen=True):
    """A key that mail is signed with (DKIM, RFC 6376), for the domain and all below it."""

    domain: Annotated[str, Meta(description="the domain that the signature is of, d=")]
    selector: Annotated[
        str, Meta(description="the name of the key in that domain, s=: `purport dkim keygen` makes one")
    ]
    key: Annotated[str, Meta(min_length=1, description="PEM file of the private key: RSA or Ed25519, no password")]


class DkimSign(Table, frozen=True):
    """What is signed with the keys of [[dkim]] and [dkim_tables]."""

    submission: Annotated[
        bool, Meta(description="messages of users who logged in, where they own the address in From")
    ] = True
    reports: Annotated[bool, Meta(description="delivery reports of this server: signed receipts")] = True
    lifetime: Annotated[
        float, Meta(ge=0, le=YEAR, description="seconds until a signature expires (x=); 0: it does not")
    ] = 0.0


class DkimTables(Table, frozen=True):
    """OpenDKIM's tables of keys, as opendkim.conf(5) describes them; `refile:` or `file:` may stand before a name."""

    key_table: Annotated[str, Meta(description="KeyTable: lines NAME DOMAIN:SELECTOR:FILE; empty: none")] = ""
    signing_table: Annotated[
        str,
        Meta(
            description="SigningTable: lines PATTERN NAME, such as *@example.com mykey. With file: before it there are "
            "no wildcards, and addresses and domains are looked up as OpenDKIM does"
        ),
    ] = ""
    multiple_signatures: Annotated[
        bool, Meta(description="sign with the keys of all lines that match, instead of the first")
    ] = False
