"""Who is responsible for a message, and what is done about it."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from purport.config.tables.table import Table


class AuthenticationResults(Table, frozen=True):
    """Under which name our checks are told in the header (the authserv-id, RFC 8601)."""

    id: Annotated[str, Meta(description="our name in Authentication-Results; empty: the host name")] = ""
    aliases: Annotated[
        list[str],
        Meta(
            description="names of other hosts of your own, and old ones: a field under one of them goes from what "
            "comes in, except from hosts in trusted_hops.networks"
        ),
    ] = []


class TrustedHops(Table, frozen=True):
    """Gateways and backup servers of your own that mail passes before it comes here: not they are judged, but the
    clients that their Received fields name."""

    networks: Annotated[list[str], Meta(description="networks that they are in")] = []
    names: Annotated[
        list[str],
        Meta(
            description='what they call themselves in their Received fields, ".example.com" for all below it; empty: '
            "any name is taken, also that of a field which their client wrote where they write none"
        ),
    ] = []


class Submitter(Table, frozen=True):
    """Who is responsible for a message (RFC 4405, 4406, 4407)."""

    offer: Annotated[bool, Meta(description="offer SUBMITTER in the EHLO reply")] = True
    check_pra: Annotated[
        Literal["when-submitted", "always", "never"],
        Meta(
            description="compare the header's responsible address with the submitter when one was named; always: "
            "check that address by Sender ID where none was named; never: leave the header alone"
        ),
    ] = "when-submitted"
    reject_at: Annotated[
        Literal["mail", "rcpt", "data"], Meta(description="the command at which an unauthorised submitter is refused")
    ] = "mail"
    on_temperror: Annotated[
        Literal["accept", "defer"], Meta(description="when the DNS cannot be asked: go on, or answer 450 4.4.3")
    ] = "accept"
    local_part_case: Annotated[
        Literal["exact", "ignore"],
        Meta(description="whether the case of local parts counts when addresses are compared"),
    ] = "exact"


class Spf(Table, frozen=True):
    """SPF of the reverse-path (RFC 7208)."""

    on_fail: Annotated[
        Literal["tag", "reject"],
        Meta(description="tag: the Authentication-Results field says it; reject: 550 5.7.23 at MAIL"),
    ] = "tag"
    check_helo: Annotated[bool, Meta(description="check the hello domain too")] = False
    received_spf: Annotated[bool, Meta(description="add a Received-SPF field too (RFC 7208 section 9.1)")] = False


class Dmarc(Table, frozen=True):
    """What the domain of the author asks for (RFC 9989)."""

    on_fail: Annotated[
        Literal["tag", "quarantine", "policy"],
        Meta(
            description="policy: what that domain asks for: a message is refused, or goes into the folder Junk of a "
            "Maildir; one without an author that can be read in one way is refused. quarantine: the same, but instead "
            "of being refused for a policy a message goes into Junk. tag: it comes in, and its "
            "Authentication-Results field says what was found"
        ),
    ] = "policy"
    on_temperror: Annotated[
        Literal["accept", "defer"], Meta(description="when the DNS cannot be asked: go on, or answer 450 4.4.3")
    ] = "accept"
    trusted_sealers: Annotated[
        list[str],
        Meta(
            description="domains of mailing lists and forwarders: where one of them has sealed a message with ARC (RFC "
            "8617) and saw DMARC pass, what the author's domain asks for is not done"
        ),
    ] = []
