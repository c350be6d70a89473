"""What the next hop will make of a forwarded message, for each way in which we may repair it.

    repair   reverse-path                      SPF    PRA                        Sender ID  DKIM                DMARC
    none     alice@example.com                 fail   alice@example.com          fail       example.com holds   pass
    srs      SRS0=vmyz=2W=example.com=alice@…  pass   alice@example.com          fail       example.com holds   pass
    both     SRS0=vmyz=2W=example.com=alice@…  pass   carol@company.com.example  pass       example.com holds   pass

The checks are those that we make of other people's mail, with ourselves as the client. The least intrusive repair that
passes is chosen; that there is none is an answer too, with the reason: what is signed by nobody and belongs to a domain
that wants such mail rejected can be forwarded by nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from purport.authentication.dkim.result import DkimResult
from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.checker import Checker
from purport.authentication.spf.result import Scope, SpfResult
from purport.dns.lookup import Evaluation, Question, Status
from purport.forwarding.resent import resent_block
from purport.mail.address import Mailbox, ReversePath
from purport.mail.header import Header, read_header
from purport.mail.trace import delivered_to

Repair = Literal["none", "resent", "srs", "both"]
Way = Literal["none", "resent", "srs", "both", "seal", "from"]
Outcome = Literal["pass", "risk", "fail"]

REPAIRS: Final[tuple[Repair, ...]] = ("none", "resent", "srs", "both")  # the least intrusive first
WAYS: Final[tuple[Way, ...]] = (*REPAIRS, "seal")
ADDED: Final = ("received", "authentication-results")  # by whoever passes mail on
NO_PRA: Final = "no PRA"  # in place of the result of Sender ID
# From the worst to the best, for a client of which one of several addresses is used.
WORST_FIRST: Final = ("fail", "permerror", "temperror", "softfail", "neutral", "none", "pass")
RANKS: Final[dict[Outcome, int]] = {"pass": 0, "risk": 1, "fail": 2}


@dataclass(frozen=True, slots=True)
class Sending:
    """How this server will appear: what it says in EHLO, and the addresses that it connects from (none: not known)."""

    hostname: str
    addresses: tuple[str, ...]
    now: float  # seconds since 1970


@dataclass(frozen=True, slots=True)
class Forwarded:
    """What goes on: the header as it came, what became of its signatures then, its reverse-path, and the mailbox that
    forwards it. `rewritten` is the reverse-path under SRS; None where there can be none."""

    header: Header
    signatures: tuple[DkimResult, ...]
    reverse_path: ReversePath
    rewritten: ReversePath | None
    forwarder: Mailbox


@dataclass(frozen=True, slots=True)
class Survivor:
    """A signature that held when the message came, and whether it will still hold at the next hop."""

    domain: str
    holds: bool


@dataclass(frozen=True, slots=True)
class Row:
    """The next hop's view under one repair. `why` is what speaks against it, in words; empty where it passes."""

    way: Way
    reverse_path: str
    pra: str
    spf: str
    sender_id: str
    dkim: tuple[Survivor, ...]
    dmarc: str
    outcome: Outcome
    why: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """All rows: those that can be chosen, `seal` (both, with an ARC set, which helps where the next hop trusts us) and
    `from` (what mailing lists do). `chosen` is of the first kind; it `passes`, or is the best of those that do not."""

    rows: tuple[Row, ...]
    chosen: Repair
    passes: bool

    def row(self, way: Way) -> Row:
        """The row of a repair."""
        return next(row for row in self.rows if row.way == way)

    @property
    def told(self) -> str:
        """What is expected of the repair that was chosen, in a line."""
        row = self.row(self.chosen)
        dkim = ", ".join(f"{one.domain} {'holds' if one.holds else 'breaks'}" for one in row.dkim) or "none"
        found = f"SPF {row.spf}, Sender ID {row.sender_id}, DKIM {dkim}, DMARC {row.dmarc}"
        return f"{self.chosen}: {row.outcome} expected ({found})" + (f": {row.why}" if row.why else "")


def addresses_of(hostname: str) -> Evaluation[tuple[str, ...]]:
    """The addresses of a host name: those that a server which bears it connects from, as a rule."""
    answers = yield (Question(hostname, "A"), Question(hostname, "AAAA"))
    return tuple([record for answer in answers if answer.status is Status.FOUND for record in answer.records])


def plan(checker: Checker, sending: Sending, forwarded: Forwarded) -> Evaluation[Plan]:
    """The next hop's view under each repair."""
    header, forwarder = forwarded.header, forwarded.forwarder
    pra = purported_responsible_address(header).address
    block = read_header(resent_block(forwarder, date="", message_id="")).fields
    mark = read_header(delivered_to(forwarder)).fields
    plain = yield from _view(checker, sending, forwarded.reverse_path, pra)
    named = replace(plain, sender_id=(yield from _sender_id(checker, sending, forwarder)), pra=forwarder)
    rewritten = None
    if forwarded.rewritten is not None:
        rewritten = yield from _spf(checker, sending, forwarded.rewritten)

    rows: list[Row] = []
    for way in WAYS:
        view = named if way in ("resent", "both", "seal") else plain
        reverse_path = forwarded.reverse_path
        if way in ("srs", "both", "seal"):
            if rewritten is None or forwarded.rewritten is None:
                continue
            view, reverse_path = replace(view, spf=rewritten), forwarded.rewritten
        survivors = _survivors(forwarded, header.below(block if way in ("resent", "both", "seal") else mark))
        rows.append((yield from _row(way, header, reverse_path, view, survivors)))
    rows.append((yield from _author_rewritten(checker, sending, forwarded)))

    best = min([row for row in rows if row.way in REPAIRS], key=_rank)  # of equals the first
    chosen = next(repair for repair in REPAIRS if repair == best.way)
    return Plan(tuple(rows), chosen, best.outcome == "pass")


def _rank(row: Row) -> tuple[int, int]:
    """The order of preference: where nothing passes, what fails the fewest checks."""
    failures = 0 if row.outcome == "pass" else (row.spf == "fail") + (row.sender_id in ("fail", NO_PRA))
    return RANKS[row.outcome], failures


@dataclass(frozen=True, slots=True)
class _View:
    """What the envelope shows: the results for the reverse-path and for the responsible address."""

    spf: SpfResult | None
    sender_id: SpfResult | None
    pra: Mailbox | None


def _view(checker: Checker, sending: Sending, reverse_path: ReversePath, pra: Mailbox | None) -> Evaluation[_View]:
    spf = yield from _spf(checker, sending, reverse_path)
    sender_id = None if pra is None else (yield from _sender_id(checker, sending, pra))
    return _View(spf, sender_id, pra)


def _spf(checker: Checker, sending: Sending, reverse_path: ReversePath) -> Evaluation[SpfResult | None]:
    """Of the reverse-path; of a null one that of postmaster at our own name (RFC 7208 section 2.4)."""
    if isinstance(reverse_path, Mailbox):
        return (yield from _worst(checker, sending, "mfrom", reverse_path.domain, str(reverse_path)))
    return (yield from _worst(checker, sending, "mfrom", sending.hostname, ""))


def _sender_id(checker: Checker, sending: Sending, pra: Mailbox) -> Evaluation[SpfResult | None]:
    return (yield from _worst(checker, sending, "pra", pra.domain, str(pra)))


def _worst(checker: Checker, sending: Sending, scope: Scope, domain: str, sender: str) -> Evaluation[SpfResult | None]:
    """The result for that of our addresses which has the worst one; None where none is known."""
    results: list[SpfResult] = []
    for address in sending.addresses:
        results.append((yield from checker.check(scope, address, domain, sender, sending.hostname, sending.now)))
    return min(results, key=lambda result: WORST_FIRST.index(result.result), default=None)


def _survivors(forwarded: Forwarded, after: Header) -> tuple[Survivor, ...]:
    """The signatures that held, under a header with what we add to it."""
    return tuple([_survivor(one, forwarded.header, after) for one in forwarded.signatures if one.result == "pass"])


def _survivor(signature: DkimResult, before: Header, after: Header) -> Survivor:
    """A signature takes fields from the bottom: what is put on top harms it only where it signed that there is no
    further field of that name (RFC 6376 section 5.4.2)."""
    signed = Counter(signature.covered)
    there, then = (Counter(field.name for field in header) for header in (before, after))
    then.update(ADDED)
    broken = any(then[name] > there[name] and count > there[name] for name, count in signed.items())
    return Survivor(signature.domain, not broken)


def _row(
    way: Way, header: Header, reverse_path: ReversePath, view: _View, survivors: tuple[Survivor, ...]
) -> Evaluation[Row]:
    spf = view.spf
    identifier = None if spf is None else Authenticated(spf.domain, spf.result)
    signed = [Authenticated(one.domain, "pass" if one.holds else "fail") for one in survivors]
    dmarc = yield from evaluate(header, identifier, signed)
    outcome, why = judged(way, view.spf, view.sender_id, survivors, dmarc)
    return Row(
        way,
        str(reverse_path),
        "" if view.pra is None else str(view.pra),
        "not known" if spf is None else spf.result,
        NO_PRA if view.pra is None else "not known" if view.sender_id is None else view.sender_id.result,
        survivors,
        _dmarc_text(dmarc),
        outcome,
        why,
    )


def judged(
    way: Way,
    spf: SpfResult | None,
    sender_id: SpfResult | None,
    survivors: Sequence[Survivor],
    dmarc: DmarcResult,
) -> tuple[Outcome, str]:
    """What a strict server would do, and why: DMARC first, then who may be refused before it is asked (RFC 7208 section
    8.4, RFC 4406 section 4 and 5.3), then whether anything at all vouches for the message. `sender_id` is None where
    the header names nobody who is responsible; with addresses of ours that are not known `spf` is None too."""
    if dmarc.result == "fail" and dmarc.disposition != "none":
        owner = f"{dmarc.policy_domain} asks for {dmarc.disposition}"
        if way == "seal":
            return "risk", f"{owner}; a next hop that trusts our seal may see that it passed here"
        signed = "no signature of its domain holds" if survivors else "nobody signed it"
        return "fail", f"DMARC of {dmarc.author_domain} fails: {signed}, and {owner}"
    if spf is None:
        return "risk", "our own addresses are not known: set [forwarding] addresses"
    if spf.result == "fail":
        return "risk", f"SPF of {spf.domain} fails; servers that refuse by SPF alone refuse it"
    if sender_id is None:
        return "risk", "the header has no responsible address; servers that look for one refuse it"
    if sender_id.result == "fail":
        return "risk", f"Sender ID of {sender_id.domain} fails; servers that ask for SUBMITTER refuse it"
    if dmarc.result in ("temperror", "permerror"):
        return "risk", f"DMARC is {dmarc.result}: {dmarc.problem}"
    if spf.result != "pass" and not any(one.holds for one in survivors):
        return "risk", "neither SPF nor a signature vouches for it"
    return "pass", ""


def _author_rewritten(checker: Checker, sending: Sending, forwarded: Forwarded) -> Evaluation[Row]:
    """What mailing lists do: the author becomes the forwarder, and no signature over From holds any more."""
    forwarder = forwarded.forwarder
    author = read_header(f"From: {forwarder}\r\n".encode()).fields
    others = [field for field in forwarded.header if field.name != "from"]
    header = Header(author + others, forwarded.header.length, forwarded.header.complete)
    view = yield from _view(checker, sending, forwarder, forwarder)
    survivors = tuple(
        [Survivor(one.domain, "from" not in one.covered) for one in forwarded.signatures if one.result == "pass"]
    )
    return (yield from _row("from", header, forwarder, view, survivors))


def _dmarc_text(result: DmarcResult) -> str:
    if result.result == "fail":
        return f"fail ({result.tag}={result.requested})"
    return result.result
