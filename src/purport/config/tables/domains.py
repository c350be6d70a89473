"""Domains that mail is received for, and mail that goes on from them."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import Moment, Table


class Domain(Table, frozen=True):
    """A domain that mail is received for."""

    name: Annotated[str, Meta(description="the domain")]
    mailboxes: Annotated[
        list[str] | None, Meta(description="its local parts; left out: every local part exists. postmaster always does")
    ] = None
    deliver: Annotated[
        str,
        Meta(
            description='"maildir", "smtp:HOST:PORT", "smtps:HOST:PORT", "lmtp:HOST:PORT", "lmtp:unix:PATH", "mx", or '
            '"odmr": its mail waits until its host comes for it, see [[odmr]]'
        ),
    ] = "maildir"
    forwards: Annotated[
        dict[str, Annotated[list[str], Meta(min_length=1)]],
        Meta(
            description="mailboxes whose mail goes on, by local part, and the addresses that it goes on to: one at "
            "another domain, or a mailbox of ours; a mailbox among its own addresses keeps a copy, and NAME beside "
            "which owner-NAME stands is a mailing list of that owner"
        ),
    ] = {}
    aliases: Annotated[
        str, Meta(description="an alias file, such as /etc/aliases, that says the same; programs and files are errors")
    ] = ""
    forward_command: Annotated[
        list[str],
        Meta(
            description="a program and its arguments, asked about every other mailbox: it reads an address from its "
            "standard input and prints the addresses that its mail goes on to, one a line; none: it is not forwarded"
        ),
    ] = []
    since: Annotated[
        dict[str, Moment],
        Meta(
            description="when mailboxes went to their present owners, by local part, for senders who ask (RRVS): "
            '1970-01-01T00:00:00Z for one that never had another; "*" for all that are not named. '
            "What is not known is refused to RRVS; where nothing is, the header field is not looked at"
        ),
    ] = {}
    domain_since: Annotated[
        Moment | None, Meta(description="when the domain went to its present owner, if it had another before")
    ] = None


class Forwarding(Table, frozen=True):
    """Mail that goes on to another address: who answers for it, and where its bounces go."""

    repair: Annotated[
        Literal["none", "resent", "srs", "both", "least"],
        Meta(
            description="resent: a Resent-From field names the mailbox that forwards, so that it is responsible; srs: "
            "the reverse-path becomes an address of ours that leads back to the sender (SRS); both; none: neither; "
            "least: the least of these that the next hop is expected to let pass"
        ),
    ] = "resent"
    addresses: Annotated[
        list[str],
        Meta(
            description="the IP addresses that other hosts see this server connect from, for predictions (least); "
            "empty: relay.source, else those that the DNS has for hostname"
        ),
    ] = []
    seal: Annotated[
        bool,
        Meta(
            description="say under an ARC seal (RFC 8617) what was found about a message, where [[dkim]] has a key for "
            "the domain of the mailbox that forwards"
        ),
    ] = True
    dmarc_fail: Annotated[
        Literal["policy", "refuse", "forward"],
        Meta(
            description="what is not forwarded of mail that fails DMARC: policy: that of domains which ask for more "
            "than none; refuse: all of it; forward: nothing is held back"
        ),
    ] = "policy"
    srs_domain: Annotated[
        str, Meta(description="the domain of SRS addresses, its MX this server; empty: that of the mailbox")
    ] = ""
    srs_secret_file: Annotated[
        str,
        Meta(
            description="the secrets of SRS addresses, one a line, as PostSRSd keeps them: the first signs, all are "
            "believed; empty: one is made in state_dir"
        ),
    ] = ""
    srs_days: Annotated[
        int, Meta(ge=1, le=500, description="days for which bounces find their way back by an SRS address")
    ] = 21
    srs_hash_length: Annotated[
        int, Meta(ge=4, le=20, description="characters of its hash; fewer than these are not believed")
    ] = 4
    srs_separator: Annotated[Literal["=", "+", "-"], Meta(description="what stands behind SRS0 and SRS1")] = "="
