"""A zone held in memory, in the openspf zonedata format: for tests, demonstrations and closed networks.

    {"example.com": [{"TXT": "v=spf1 mx -all"}, {"MX": [10, "mx.example.com"]}],
     "mx.example.com": [{"A": "192.0.2.1"}, {"AAAA": "TIMEOUT"}],
     "www.example.com": [{"CNAME": "mx.example.com"}],
     "slow.example.com": ["TIMEOUT"],
     "signed.example.com": ["SIGNED", {"MX": [10, "mx.example.com"]}],
     "_25._tcp.mx.example.com": ["SIGNED", {"TLSA": "3 1 1 0d6fce3320315023ff499a3f3de1c362c79f8380"}]}

A name that is not listed does not exist. Records of the withdrawn type SPF stand as TXT where a name has no TXT of
its own (`{"TXT": "NONE"}` says that it has none on purpose). What is said of a name with the word SIGNED counts as
validated by DNSSEC, and so does what is found behind an alias where each name on the way has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from purport.dns.lookup import UNANSWERED, Answer, Question, Status

Record = Mapping[str, object] | str
ZoneData = Mapping[str, Sequence[Record]]

TTL: Final = 3600  # seconds; a zone in memory does not change, so any length is true
ALIASES: Final = 10  # CNAMEs followed for one question; longer chains are loops in all likelihood
TYPES: Final = frozenset({"A", "AAAA", "CNAME", "MX", "PTR", "SPF", "TLSA", "TXT"})
SIGNED: Final = "SIGNED"
MISSING: Final = Answer(Status.MISSING, ttl=TTL)
EMPTY: Final = Answer(Status.EMPTY, ttl=TTL)
WORDS: Final = {"TIMEOUT": UNANSWERED, "SERVFAIL": UNANSWERED, "NXDOMAIN": MISSING}


class StaticResolver:
    """Answers every question at once, from a zone in memory.

    Raises ValueError, naming the name, for data that is no zone.
    """

    __slots__ = ("_answers", "_others")

    def __init__(self, zonedata: ZoneData) -> None:
        self._answers: dict[tuple[str, str], Answer] = {}
        self._others: dict[str, Answer] = {}  # per name: the answer for every type that has no records
        for name, records in zonedata.items():
            self._add(_canonical(name), records)

    def cached(self, question: Question) -> Answer:
        """The answer; there is one for every question."""
        name, kind = question.name, question.type
        return self._answers.get((name, kind)) or self._other(name, kind)

    async def resolve(self, question: Question) -> Answer:
        """The answer, without waiting."""
        return self.cached(question)

    def _other(self, name: str, kind: str) -> Answer:
        first, secure = name, True
        for _ in range(ALIASES):
            alias = self._answers.get((name, "CNAME"))
            if alias is None or kind == "CNAME":
                return _behind(self._others.get(name, MISSING), first, name, secure)
            if not alias.records:
                return alias
            secure = secure and alias.secure
            name = alias.records[0]
            if (name, kind) in self._answers:
                return _behind(self._answers[name, kind], first, name, secure)
        return UNANSWERED

    def _add(self, name: str, records: Sequence[Record]) -> None:
        found: dict[str, list[str]] = {}
        secure = SIGNED in records
        self._others[name] = replace(EMPTY, secure=secure)
        for record in records:
            if record == SIGNED:
                continue
            if isinstance(record, str):
                self._others[name] = _word(name, record)
                continue
            for kind, value in _items(name, record):
                if isinstance(value, str) and value in WORDS:
                    self._answers[name, kind] = WORDS[value]
                else:
                    found.setdefault(kind, []).extend(_text(name, kind, value))
        policies = found.pop("SPF", [])
        if policies and "TXT" not in found:
            found["TXT"] = policies
        for kind, texts in found.items():
            if texts:
                self._answers.setdefault((name, kind), Answer(Status.FOUND, tuple(texts), TTL, secure))


def read_zone(octets: bytes) -> StaticResolver:
    """The zone in a JSON file. Raises ValueError saying what is wrong with it."""
    try:
        return StaticResolver(msgspec.json.decode(octets, type=dict[str, list[str | dict[str, object]]]))
    except msgspec.MsgspecError as error:
        raise ValueError(f"not a zone: {error}") from error


def _behind(answer: Answer, first: str, last: str, secure: bool) -> Answer:
    """What a question for the name `first` is answered with that led to `last`; `secure`: every alias between is."""
    if first == last or answer.status is Status.FAILED:
        return answer
    return replace(answer, secure=answer.secure and secure, alias=last)


def _canonical(name: str) -> str:
    return name.rstrip(".").lower()


def _word(name: str, word: str) -> Answer:
    if word not in WORDS:
        raise ValueError(f"{name}: {word!r} is no record; known words: {', '.join(WORDS)}, {SIGNED}")
    return WORDS[word]


def _items(name: str, record: object) -> Sequence[tuple[str, object]]:
    if not isinstance(record, Mapping):
        raise ValueError(f"{name}: {record!r} is no record")
    items = [(str(kind), value) for kind, value in record.items()]
    for kind, _ in items:
        if kind not in TYPES:
            raise ValueError(f"{name}: record type {kind!r} is not one of {', '.join(sorted(TYPES))}")
    return items


def _text(name: str, kind: str, value: object) -> list[str]:
    """The record as `Answer.records` has it; nothing for the word NONE."""
    if kind == "MX":
        if not (isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2):
            raise ValueError(f'{name}: an MX record is written [10, "mx.example.com"], not {value!r}')
        return [f"{value[0]} {_canonical(str(value[1])) or '.'}"]
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        value = "".join(value)
    if not isinstance(value, str):
        raise ValueError(f"{name}: a {kind} record is text, not {value!r}")
    if kind in ("TXT", "SPF"):
        # The text of a zone file is UTF-8; an answer has one character per octet.
        return [] if value == "NONE" else [value.encode().decode("latin-1")]
    if kind == "TLSA":
        words = value.lower().split()
        return [" ".join((*words[:3], "".join(words[3:])))]
    return [_canonical(value)]
