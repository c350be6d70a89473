"""One evaluation in progress: whom it is about, what was asked and counted, and for whom its path would be the same.

A path through a record depends on the client's address only by the comparisons made on the way. Every comparison
narrows the range of addresses, around this client's, for which all of them would have come out the same; what is left
at the end is a range of addresses that have this outcome, which is what makes an outcome worth keeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

from purport.authentication.spf.client import BITS, ClientAddress, address_value
from purport.authentication.spf.errors import PermError, TempError
from purport.authentication.spf.macro import DomainSpec, MacroString, target_name
from purport.authentication.spf.record import Network, Record, Rules, parse
from purport.authentication.spf.result import Step
from purport.dns.lookup import Answer, Evaluation, Question, Status

MOST_TERMS: Final = 10  # terms that ask the DNS (RFC 7208 section 4.6.4)
MOST_VOIDS: Final = 2  # terms whose question had no answer (RFC 7208 section 4.6.4)
MOST_NAMES: Final = 10  # PTR records looked at (RFC 7208 section 4.6.4)
MOST_KEPT: Final = 4096  # addresses and questions kept parsed; a few hundred octets each
MOST_TEXT: Final = 1 << 20  # characters of records kept parsed, which take some ten times as much

K = TypeVar("K")
V = TypeVar("V")

PERSONAL: Final = frozenset("slh")  # macros that differ from sender to sender (RFC 7208 section 7.3)
BY_ADDRESS: Final = frozenset("icp")  # macros that differ from client to client


class Parsed:
    """Records, addresses and questions by their text, so that the same text is not parsed again. Holds the newest."""

    __slots__ = ("_addresses", "_questions", "_records", "_text")

    def __init__(self) -> None:
        self._text = 0
        self._records: dict[str, Record | PermError] = {}
        self._addresses: dict[int, dict[str, int | None]] = {4: {}, 6: {}}
        self._questions: dict[tuple[str, str], Question] = {}

    def record(self, text: str) -> Record:
        """As `record.parse`; raises PermError as it does."""
        known = self._records.get(text)
        if known is None:
            self._text += len(text)
            if self._text > MOST_TEXT:
                self._records.clear()
                self._text = len(text)
            known = self._records[text] = _parsed(text)
        if isinstance(known, PermError):
            raise PermError(str(known))
        return known

    def address(self, text: str, version: int) -> int | None:
        """As `client.address_value`."""
        addresses = self._addresses[version]
        known = addresses.get(text)
        return _kept(addresses, text, address_value(text, version)) if known is None else known

    def question(self, name: str, kind: str) -> Question:
        """The question for the records of a name."""
        return self._questions.get((name, kind)) or _kept(self._questions, (name, kind), Question(name, kind))


def _kept(known: dict[K, V], key: K, value: V) -> V:
    if len(known) >= MOST_KEPT:
        known.clear()
    known[key] = value
    return value


def _parsed(text: str) -> Record | PermError:
    try:
        return parse(text)
    except PermError as error:
        return error


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far a path is common to all addresses from `low` to `high`, and to all senders.

    It has come to the directive at `record.common`, the first whose questions differ from check to check.
    """

    record: Record
    low: int
    high: int
    terms: int
    voids: int
    answers: tuple[tuple[Question, Answer], ...]


class Inquiry:
    """The state of one check_host() with all its includes and redirects.

    `low` and `high` bound the addresses with the same path; `personal` says that the path may be another for another
    sender or HELO domain of the same domain. `checkpoint` is where the paths of this domain's record part.
    """

    __slots__ = (
        "_hello_domain",
        "_names",
        "_now",
        "_origin",
        "_receiver",
        "_sender",
        "_terms",
        "_voids",
        "answers",
        "checkpoint",
        "client",
        "domain",
        "high",
        "low",
        "parsed",
        "personal",
        "rules",
        "steps",
    )

    def __init__(
        self,
        client: ClientAddress,
        domain: str,
        sender: str,
        hello_domain: str,
        *,
        receiver: str,
        now: float,
        rules: Rules,
        parsed: Parsed,
        steps: list[Step] | None = None,
    ) -> None:
        local_part, _, origin = sender.rpartition("@")
        self.client = client
        self.domain = domain
        # A domain with U-labels is expanded as it is asked for (RFC 8616 section 4).
        self._origin = origin if origin and origin.isascii() else domain
        # RFC 7208 section 4.3: a sender without a local-part is the postmaster.
        self._sender = f"{local_part or 'postmaster'}@{self._origin}"
        self._hello_domain = hello_domain
        self._receiver = receiver
        self._now = now
        self._names: list[str] | None = None
        self._terms = 0
        self._voids = 0
        self.rules = rules
        self.parsed = parsed
        self.steps = steps
        self.answers: list[tuple[Question, Answer]] = []
        self.low = 0
        self.high = (1 << BITS[client.version]) - 1
        self.personal = False
        self.checkpoint: Checkpoint | None = None

    def reach(self, record: Record) -> None:
        """Note that the path has come to the first particular directive of the domain's own record."""
        if not self.personal:
            self.checkpoint = Checkpoint(record, self.low, self.high, self._terms, self._voids, tuple(self.answers))

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from where another inquiry into the same domain has come; the client is in the same range."""
        self.low, self.high = checkpoint.low, checkpoint.high
        self._terms, self._voids = checkpoint.terms, checkpoint.voids
        self.answers = list(checkpoint.answers)

    # Asking

    def ask(self, name: str, kind: str) -> Evaluation[Answer]:
        """One answer, noted as evidence."""
        question = self.parsed.question(name, kind)
        answers = yield (question,)
        self.answers.append((question, answers[0]))
        return answers[0]

    def ask_addresses(self, hosts: list[str]) -> Evaluation[tuple[Answer, ...]]:
        """The addresses of several hosts, of the client's version, asked at once."""
        kind = "A" if self.client.version == 4 else "AAAA"
        questions = tuple([self.parsed.question(host, kind) for host in hosts])
        answers = yield questions
        self.answers.extend(zip(questions, answers, strict=True))
        return answers

    def ask_for_term(self, name: str, kind: str) -> Evaluation[Answer]:
        """The answer that a mechanism rests on. Raises TempError without one, PermError after too many void ones."""
        answer = yield from self.ask(name, kind)
        if answer.status is Status.FAILED:
            raise TempError(f"no answer for {name} {kind}")
        if not answer.records:
            self.count_void(name)
        return answer

    # Counting

    def count_term(self, term: str) -> None:
        """Raises PermError for the eleventh term that asks the DNS (RFC 7208 section 4.6.4)."""
        self._terms += 1
        if self._terms > MOST_TERMS:
            raise PermError(f"more than {MOST_TERMS} terms ask the DNS, the last being {term}")

    def count_void(self, name: str) -> None:
        """Raises PermError for the third term without an answer (RFC 7208 sections 4.6.4 and 11.1)."""
        self._voids += 1
        if self._voids > MOST_VOIDS:
            raise PermError(f"more than {MOST_VOIDS} terms have no answer, the last being for {name}")

    def step(self, domain: str, term: str, outcome: str) -> None:
        """Note a step, where somebody wants to know."""
        if self.steps is not None:
            self.steps.append(Step(domain, term, outcome))

    # Comparing

    def is_within(self, network: Network) -> bool:
        """Whether the client is in the network."""
        return network.version == self.client.version and self._is_between(network.lowest, network.highest)

    def is_among(self, addresses: tuple[str, ...], host_bits: int) -> bool:
        """Whether the client equals one of the addresses but for the low bits."""
        version = self.client.version
        for text in addresses:
            address = self.parsed.address(text, version)
            if address is None:
                continue
            lowest = address >> host_bits << host_bits
            if self._is_between(lowest, lowest + (1 << host_bits) - 1):
                return True
        return False

    def _is_between(self, lowest: int, highest: int) -> bool:
        value = self.client.value
        if value < lowest:
            if lowest <= self.high:
                self.high = lowest - 1
            return False
        if value > highest:
            if highest >= self.low:
                self.low = highest + 1
            return False
        if lowest > self.low:
            self.low = lowest
        if highest < self.high:
            self.high = highest
        return True

    def only_this_client(self) -> None:
        """From here on the path may be another for every other address."""
        self.low = self.high = self.client.value

    # Macros

    def target(self, spec: DomainSpec, domain: str) -> Evaluation[str | None]:
        """The target-name of a term (RFC 7208 section 4.8); None where it is no name that the DNS can hold."""
        if spec.macros.constant is not None:
            return spec.name
        text = yield from self.expand(spec.macros, domain)
        return target_name(text)

    def can_expand(self, spec: DomainSpec) -> bool:
        """False where a local-part outside ASCII would have to become a DNS label (RFC 8616 section 4)."""
        if spec.macros.letters.isdisjoint("sl"):
            return True
        self.personal = True
        return self._sender.isascii()

    def expand(self, macros: MacroString, domain: str) -> Evaluation[str]:
        """The text with its macros expanded, and on record that it depends on them."""
        letters = macros.letters
        if (
            not letters.isdisjoint(PERSONAL)
            or "t" in letters
            or ("o" in letters and self._origin.lower() != self.domain)
        ):
            self.personal = True
        if not letters.isdisjoint(BY_ADDRESS):
            self.only_this_client()
        validated = ""
        if "p" in letters:
            validated = yield from self._best_name(domain)

        def value(letter: str) -> str:
            return validated if letter == "p" else self._value(letter, domain)

        return macros.expand(value)

    def _value(self, letter: str, domain: str) -> str:
        match letter:
            case "s":
                return self._sender
            case "l":
                return self._sender.rpartition("@")[0]
            case "o":
                return self._origin
            case "d":
                return domain
            case "i":
                return self.client.dotted
            case "v":
                return self.client.family
            case "h":
                return self._hello_domain
            case "c":
                return self.client.text
            case "r":
                return self._receiver
            case _:  # t, the last there is
                return str(int(self._now))

    def _best_name(self, domain: str) -> Evaluation[str]:
        """`%{p}`: the domain itself where it is validated, else a name below it, else any (RFC 7208 section 7.3)."""
        names = yield from self.validated_names()
        if domain in names:
            return domain
        below = [name for name in names if name.endswith(f".{domain}")]
        return (below or names or ["unknown"])[0]

    def validated_names(self) -> Evaluation[list[str]]:
        """The client's names that lead back to its address (RFC 7208 section 5.5); asked for once.

        Their look-ups count neither as terms nor as void: they are in the hands of the client, not of the domain.
        """
        if self._names is None:
            self.only_this_client()
            answer = yield from self.ask(self.client.reverse_name, "PTR")
            names = [name for text in answer.records[:MOST_NAMES] if (name := target_name(text)) is not None]
            answers = (yield from self.ask_addresses(names)) if names else ()
            self._names = [
                name for name, answer in zip(names, answers, strict=True) if self.is_among(answer.records, 0)
            ]
        return self._names
