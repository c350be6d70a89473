"""What a login may say: the addresses that a submission speaks for belong to who logged in (RFC 6409 section 6.1).

    C: AUTH PLAIN ...                            (alice)
    C: MAIL FROM:<ceo@company.com.example>
    S: 550 5.7.1 alice may not send as ceo@company.com.example: change the reverse-path (MAIL FROM)

Who logged in is known by more than an address of a network: for such a client SPF and Sender ID are not asked, and the
purported responsible address of what leaves is one that it may speak for, with a Sender field of ours where that is
needed (section 8.1), so that the next server can hold us to it (RFC 4405 section 4.1).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Final, Literal

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail.address import Mailbox, ReversePath, normal_local_part
from purport.mail.domain import normal_domain
from purport.mail.fields import mailboxes, single_mailbox
from purport.mail.header import Header
from purport.mail.reply import Reply, reply
from purport.policy.decision import Rule
from purport.policy.facts import MailFacts
from purport.policy.login import Login
from purport.policy.submitter import Verdict

REVERSE_PATH: Final = "login-owns-reverse-path"
SUBMITTER: Final = "login-owns-submitter"
AUTHOR: Final = "login-owns-author"
ANY: Final = "*"  # in the addresses of a login: it may speak for everybody
SHOWN: Final = 100  # characters of an address or a name in a reply, whose line has 512 octets
NAMES: Final = {"from": "From", "sender": "Sender", "resent-from": "Resent-From", "resent-sender": "Resent-Sender"}

# What a login is bound to. ours: of the domains that are received for here no address but its own; strict: no address
# at all but its own; sender: the same, but the header may name others as authors where Sender is the login's.
Author = Literal["ours", "strict", "sender"]


@dataclass(frozen=True, slots=True)
class SubmissionPolicy:
    """What the settings' table [submission] says; `domains` are those that are received for here (A-labels, lower
    case)."""

    author: Author = "ours"
    domains: Container[str] = frozenset()
    sender_for_others: bool = False  # whether Sender names the login where the author is somebody else, allowed or not

    def may_speak(self, login: Login, mailbox: Mailbox) -> bool:
        """Whether a login may speak for an address."""
        if owns(login, mailbox):
            return True
        return self.author == "ours" and normal_domain(mailbox.domain) not in self.domains


def owns(login: Login, mailbox: Mailbox) -> bool:
    """Whether an address belongs to a login. The case of local parts is ignored: they are ours."""
    domain, local_part = normal_domain(mailbox.domain), normal_local_part(mailbox.local_part)
    for address in login.addresses:
        own, _, of = address.rpartition("@")
        if address == ANY or (normal_domain(of) == domain and (not own or normal_local_part(own) == local_part)):
            return True
    return False


def may_send_as(policy: SubmissionPolicy, login: Login, facts: MailFacts) -> list[Verdict]:
    """At MAIL. The null reverse-path is for the reports of mail programs (RFC 8098 section 3); their header is looked
    at like any other."""
    verdicts: list[Verdict] = []
    for rule, address, where in (
        (REVERSE_PATH, facts.reverse_path, "the reverse-path (MAIL FROM)"),
        (SUBMITTER, facts.submitter, "SUBMITTER"),
    ):
        if not isinstance(address, Mailbox):
            verdicts.append((Rule(rule, "skip", "it names nobody"), None))
        elif policy.may_speak(login, address):
            verdicts.append((Rule(rule, "pass", f"{login.name} may send as {address}"), None))
        else:
            reason = f"{address} does not belong to {login.name}"
            verdicts.append((Rule(rule, "refuse", reason), _not_own(login, address, where)))
    return verdicts


def may_be_author(policy: SubmissionPolicy, login: Login, header: Header) -> Verdict:
    """At the end of the header, with the fields that were added to it: whether it says who the author is, and whether
    the login may speak for that address."""
    try:
        named = _originators(header)
    except ValueError as error:
        refusal = reply(554, "5.6.0", f"The message cannot be sent: {error}")
        return Rule(AUTHOR, "refuse", str(error)), refusal
    if policy.author == "sender":
        pra = purported_responsible_address(header)
        if pra.address is None:  # several authors, and no address of the login that could be the sender
            refusal = reply(550, "5.7.1", f"{_shown(login.name)} has to name one address of its own in Sender")
            return Rule(AUTHOR, "refuse", f"the header has no PRA: {pra.problem}"), refusal
        named = [(pra.field or "from", pra.address)]
    for field, address in named:
        if not policy.may_speak(login, address):
            reason = f"{NAMES[field]} names {address}, which does not belong to {login.name}"
            return Rule(AUTHOR, "refuse", reason), _not_own(login, address, NAMES[field])
    return Rule(AUTHOR, "pass", f"{login.name} may send as {named[0][1]}"), None


def missing_fields(
    policy: SubmissionPolicy, login: Login, reverse_path: ReversePath, header: Header, *, date: str, message_id: str
) -> bytes:
    """What a submission service adds to a header, CRLF included: the Sender that makes an address of the login the one
    that is responsible, Date and Message-ID (RFC 6409 section 8.1 to 8.3)."""
    if not header.complete:
        return b""
    added = _missing_sender(policy, login, reverse_path, header)
    if header.first("date") is None:
        added += f"Date: {date}\r\n"
    if header.first("message-id") is None:
        added += f"Message-ID: <{message_id}>\r\n"
    return added.encode()


def _missing_sender(policy: SubmissionPolicy, login: Login, reverse_path: ReversePath, header: Header) -> str:
    """Sender where From alone says who is responsible, and that is nobody whom the login may speak for, or are several
    (RFC 5322 section 3.6.2); Resent-Sender likewise (section 3.6.6)."""
    pra = purported_responsible_address(header)
    speaks = owns if policy.sender_for_others else policy.may_speak
    if pra.field not in ("from", "resent-from") or (pra.address is not None and speaks(login, pra.address)):
        return ""
    own = reverse_path if isinstance(reverse_path, Mailbox) and owns(login, reverse_path) else _own_address(login)
    if own is None:
        return ""
    return f"{'Sender' if pra.field == 'from' else 'Resent-Sender'}: {own}\r\n"


def _originators(header: Header) -> list[tuple[str, Mailbox]]:
    """Everybody whom the header names as author or sender, with the name of the field. Raises ValueError."""
    if not header.complete:
        raise ValueError("its header is too long to be read")
    count = {"from": 0, "sender": 0}
    named: list[tuple[str, Mailbox]] = []
    for field in header:
        name = field.name
        if name not in NAMES:
            continue
        if name in count:
            count[name] += 1
        try:
            if not field.strict:
                raise ValueError("white space stands before its colon")
            if name.endswith("from"):
                named += [(name, mailbox) for mailbox in mailboxes(field.text)]
            else:
                named.append((name, single_mailbox(field.text)))
        except ValueError as error:
            raise ValueError(f"{NAMES[name]}: {error}") from None
    if count["from"] != 1:
        raise ValueError("there are several From fields" if count["from"] else "there is no From field")
    if count["sender"] > 1:
        raise ValueError("there are several Sender fields")
    return named


def _own_address(login: Login) -> Mailbox | None:
    """The first whole address that a login has."""
    for address in login.addresses:
        local_part, _, domain = address.rpartition("@")
        if local_part and domain:
            return Mailbox(local_part, domain)
    return None


def _not_own(login: Login, address: Mailbox, where: str) -> Reply:
    return reply(550, "5.7.1", f"{_shown(login.name)} may not send as {_shown(str(address))}: change {where}")


def _shown(text: str) -> str:
    """As it may stand in a reply."""
    plain = text.encode("ascii", "backslashreplace").decode("ascii")
    return "".join(character if character.isprintable() else "?" for character in plain)[:SHOWN]
