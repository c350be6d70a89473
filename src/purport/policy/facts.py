"""The facts a policy sees: frozen values, complete enough to decide again from a record of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from purport.authentication.iprev import IprevResult
from purport.authentication.message import Authentication
from purport.authentication.sender_id.pra import PurportedResponsibleAddress
from purport.authentication.spf.result import SpfResult
from purport.mail.address import Mailbox, ReversePath
from purport.policy.decision import Rule
from purport.policy.login import Login


@dataclass(frozen=True, slots=True)
class Client:
    """The SMTP client: its address as text (IPv6 compressed, IPv4-mapped as IPv4), its verified name if one is
    known (XCLIENT NAME or none), and what it said in HELO or EHLO. `tls` and `cipher` are as OpenSSL names them
    (`TLSv1.3`, `TLS_AES_256_GCM_SHA384`), empty for a connection in clear. `login` is who logged in, if anybody did;
    `iprev` is how the name was verified, where it was asked for."""

    address: str
    name: str | None
    hello_domain: str
    extended: bool = True  # EHLO rather than HELO
    tls: str = ""
    cipher: str = ""
    login: Login | None = None
    iprev: IprevResult | None = None


class MailFacts(msgspec.Struct, frozen=True):
    """What is known when MAIL has been read and the DNS has answered. A check that was not made is None."""

    client: Client
    reverse_path: ReversePath
    submitter: Mailbox | None
    spf: SpfResult | None  # scope mfrom (for a null reverse-path: postmaster@HELO)
    helo: SpfResult | None  # scope helo, where it was asked
    sender_id: SpfResult | None  # scope pra, for the submitter


# RFC 9990 names the reasons for which a receiver leaves a policy; reports to the domain's owner carry them.
OverrideType = Literal["local_policy", "mailing_list", "other", "trusted_forwarder"]


@dataclass(frozen=True, slots=True)
class Override:
    """Why the policy of a domain is not applied to a message that fails: who says so (the domain of a trusted sealer,
    the name of a setting), and why, in words."""

    type: OverrideType
    by: str
    reason: str = ""


class MessageFacts(msgspec.Struct, frozen=True):
    """What is known at the end of data. `sender_id` is the check of the PRA where it was asked for; `authentication` is
    None where nothing but the header is known yet, and of a client that logged in. `override` is why a DMARC policy is
    not applied. `behind` is the rule by which another client than that of the connection is judged, or nobody is, where
    that is a trusted hop: `mail` then has the facts about the client behind it."""

    mail: MailFacts
    pra: PurportedResponsibleAddress | None  # None: not looked for (check_pra = "never")
    sender_id: SpfResult | None = None
    authentication: Authentication | None = None
    override: Override | None = None
    behind: Rule | None = None
