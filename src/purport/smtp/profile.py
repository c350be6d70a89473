"""What the sessions of one listener share, worked out once: limits, the table, the EHLO reply.

S: 250-mx.company.com.example
S: 250-PIPELINING
S: 250 SUBMITTER
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, final

from purport.mail.reply import BAD_SEQUENCE, UNKNOWN_COMMAND, Reply, reply
from purport.smtp.command import Known
from purport.smtp.extension import Extension, Service, Terms
from purport.smtp.extensions import ALL
from purport.smtp.state import TRANSITIONS, State, Table, with_rows

COMMAND_OCTETS: Final = 512  # RFC 5321 section 4.5.3.1.4, CRLF counted
RECIPIENTS: Final = 1000  # of one transaction; RFC 5321 section 4.5.3.1.8 asks for 100 at least
# A line up to here is read whole, so that the limit of its own verb answers for it (500 5.5.6); up to more where a verb
# may have more. What is longer is thrown away as it arrives.
READ_OCTETS: Final = 4096
ERRORS: Final = 20  # as Postfix's smtpd_hard_error_limit
MESSAGE_OCTETS: Final = 52428800  # 50 MiB: what large mail services take, base64 included

# As Postfix's smtpd_forbidden_commands: what a browser or a port scanner says is not worth a dialogue.
NOT_SMTP: Final = reply(421, "4.7.0", "This is not SMTP; closing connection")
# RFC 3207 section 4: what a server that requires TLS still answers without, and what comes before the session begins.
BEFORE_TLS: Final = frozenset((b"EHLO", b"HELO", b"LHLO", b"STARTTLS", b"NOOP", b"RSET", b"HELP", b"QUIT", b"XCLIENT"))
NEEDS_TLS: Final = reply(530, "5.7.0", "Must issue a STARTTLS command first")
FOREIGN_VERBS: Final = frozenset({b"GET", b"POST", b"CONNECT"})


@final
class Dialect:
    """What may be said in a session on some terms."""

    __slots__ = (
        "_out_of_place",
        "_refusals",
        "_verbs",
        "checks",
        "commands",
        "extended",
        "hello_reply",
        "limits",
        "mail",
        "rcpt",
        "read_octets",
        "table",
        "terms",
    )

    def __init__(self, hostname: str, extensions: tuple[Extension, ...], terms: Terms, *, extended: bool) -> None:
        offers = [(extension, extension.offer(terms)) for extension in extensions]
        offered = [(extension, offer) for extension, offer in offers if offer is not None]
        self.terms = terms
        self.extended = extended
        # Verbs are known from the start, as XCLIENT may come before EHLO; parameters are in force after EHLO alone
        # (RFC 5321 section 4.1.1.1).
        table = with_rows(TRANSITIONS, [extension.verbs for extension, _ in offered])
        if terms.service == "lmtp":
            table = {state: said_in_lmtp(row) for state, row in table.items()}
        self.commands = {verb: read for extension, _ in offered for verb, read in extension.commands.items()}
        self._verbs = frozenset(verb for row in table.values() for verb in row if verb.isalpha())
        self._out_of_place = BAD_SEQUENCE
        if terms.tls_required and not terms.secure:
            table = {
                state: {verb: to for verb, to in row.items() if verb in BEFORE_TLS} for state, row in table.items()
            }
            self._out_of_place = NEEDS_TLS
        self._refusals: dict[bytes, Reply] = {}
        for refusals in [extension.refusals for extension in extensions if extension.refusals is not None]:
            self._refusals.update(refusals(terms))
        for verb in self._refusals:
            for row in table.values():
                row.pop(verb, None)
        self.table: Table = table
        in_force = [extension for extension, _ in offered] if extended else []
        self.mail: Known = {owned.keyword.encode("ascii"): owned for one in in_force for owned in one.mail}
        self.rcpt: Known = {owned.keyword.encode("ascii"): owned for one in in_force for owned in one.rcpt}
        self.checks = [extension.check for extension in in_force if extension.check is not None]
        self.limits: dict[bytes, int] = {  # octets of a line, CRLF counted
            b"MAIL": COMMAND_OCTETS + sum(extension.mail_octets for extension in in_force),
            b"RCPT": COMMAND_OCTETS + sum(extension.rcpt_octets for extension in in_force),
        }
        for extension, _ in offered:
            self.limits.update(extension.verb_octets)
        self.read_octets = max(READ_OCTETS, *self.limits.values())
        keywords = [f"{extension.keyword} {offer}".rstrip() for extension, offer in offered] if extended else []
        self.hello_reply = Reply(250, "", (hostname, *keywords)).octets()

    def misplaced(self, verb: bytes) -> Reply:
        """The reply to a command that may not come here."""
        refusal = self._refusals.get(verb)
        if refusal is not None:
            return refusal
        if verb in self._verbs:
            return BAD_SEQUENCE if verb in BEFORE_TLS else self._out_of_place
        if verb in FOREIGN_VERBS or (verb and not verb[:1].isalpha()):
            return NOT_SMTP
        return UNKNOWN_COMMAND


def said_in_lmtp(row: Mapping[bytes, State]) -> dict[bytes, State]:
    """A row of the state table with LHLO in the place of EHLO and HELO (RFC 2033 section 4.1)."""
    return {b"LHLO" if verb == b"EHLO" else verb: to for verb, to in row.items() if verb != b"HELO"}


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """What the sessions of one listener share.

    * `message_octets`: the largest message; what SIZE offers.
    * `recipients`: of one transaction; the next ones get 452, and the client sends to them in another transaction.
    * `errors`: so many 5yz replies without an accepted message between them end the session with 421.
    * `starttls`: whether there is a certificate to begin TLS with; `tls_required`: whether mail is taken only then.
    * `least_by_time`: what DELIVERBY offers, in seconds; 0: nothing.
    * `hold_seconds`: for which the submission service holds a message (RFC 4865); 0: FUTURERELEASE is not offered.
    * `priority_policy`: what MT-PRIORITY offers (RFC 6710 section 9.2).
    * `mechanisms`: with which clients may log in, the strongest first; `auth_without_tls`: also in clear.
    """

    hostname: str
    extensions: tuple[Extension, ...] = ALL
    message_octets: int = MESSAGE_OCTETS
    recipients: int = RECIPIENTS
    errors: int = ERRORS
    software: str = "Purport"
    service: Service = "mx"
    starttls: bool = False
    tls_required: bool = False
    least_by_time: int = 0
    hold_seconds: int = 0
    priority_policy: str = ""
    mechanisms: tuple[str, ...] = ()
    auth_without_tls: bool = False
    greeting: bytes = field(init=False)
    _dialects: dict[tuple[Terms, bool], Dialect] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        protocol = "LMTP" if self.service == "lmtp" else "ESMTP"
        greeting = Reply(220, "", (f"{self.hostname} {protocol} {self.software}".rstrip(),))
        object.__setattr__(self, "greeting", greeting.octets())

    def terms(
        self,
        *,
        xclient_allowed: bool = False,
        secure: bool = False,
        bound: bool = False,
        today: int = 0,
        etrn_allowed: bool = False,
    ) -> Terms:
        """The terms of a session that begins; `today` in days since 1970."""
        return Terms(
            self.message_octets,
            xclient_allowed,
            self.recipients,
            service=self.service,
            starttls=self.starttls,
            secure=secure,
            tls_required=self.tls_required,
            etrn_allowed=etrn_allowed,
            least_by_time=self.least_by_time,
            today=today if self.hold_seconds and self.service == "submission" else 0,
            hold_seconds=self.hold_seconds,
            priority_policy=self.priority_policy,
            mechanisms=self.mechanisms,
            auth_without_tls=self.auth_without_tls,
            bound=bound,
        )

    def dialect(self, terms: Terms, *, extended: bool) -> Dialect:
        """What may be said on these terms, after EHLO (`extended`) or HELO; worked out once."""
        known = self._dialects.get((terms, extended))
        if known is None:
            for old in [key for key in self._dialects if key[0].today < terms.today]:
                del self._dialects[old]  # of a day that is over
            known = Dialect(self.hostname, self.extensions, terms, extended=extended)
            self._dialects[terms, extended] = known
        return known
