"""Which TLSA records speak for a mail server (RFC 7672 section 2.2, RFC 6698).

    _25._tcp.mx.company.com.example.  TLSA  3 1 1 0d6fce3320315023ff499a3f3de1c362...

Validated answers count alone. Where a question fails nobody knows whether there are records, and the host is not to be
used (RFC 7672 section 2.1.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from purport.dns.lookup import Evaluation, Question, Status

DANE_TA: Final = 2  # the records name an authority
DANE_EE: Final = 3  # they name the certificate of the server itself
CERTIFICATE: Final = 0  # selectors
PUBLIC_KEY: Final = 1
WHOLE: Final = 0  # matching types
SHA_256: Final = 1
SHA_512: Final = 2
DIGEST_OCTETS: Final = {SHA_256: 32, SHA_512: 64}


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record (RFC 6698 section 2.1)."""

    usage: int  # 2: DANE-TA, 3: DANE-EE
    selector: int  # 0: the certificate, 1: its public key
    matching: int  # 0: whole, 1: SHA-256, 2: SHA-512
    association: bytes

    def __str__(self) -> str:
        return f"{self.usage} {self.selector} {self.matching} {self.association.hex()}"


@dataclass(frozen=True, slots=True)
class TlsaRecords:
    """The validated records of a host: there is at least one."""

    base: str  # the TLSA base domain, which the server is asked for and named by
    name: str  # of the records: `_25._tcp.` before it
    usable: tuple[Tlsa, ...]
    texts: tuple[str, ...]  # of all of them


@dataclass(frozen=True, slots=True)
class TlsaFailure:
    """A question was not answered: the host is not to be used."""

    question: Question


def tlsa_records(
    host: str, port: int, *, secure: bool, alias: str, usages: Sequence[int] = (DANE_TA, DANE_EE)
) -> Evaluation[TlsaRecords | TlsaFailure | None]:
    """The records of a host whose addresses were found before: `secure` and `alias` are those of that answer. None:
    DANE does not apply. Records of another usage than `usages` are not usable."""
    bases = [host]
    if alias and secure:
        bases = [alias, host]
    elif alias:  # the alias itself may be signed where what it leads to is not (RFC 7672 section 2.1.3)
        question = Question(host, "CNAME")
        (answer,) = yield (question,)
        if answer.status is Status.FAILED:
            return TlsaFailure(question)
        secure = answer.secure
    # Servers that know nothing of TLSA fail such questions; unsigned zones, theirs among them, are not asked.
    for base in bases if secure else ():
        question = Question(f"_{port}._tcp.{base}", "TLSA")
        (answer,) = yield (question,)
        if answer.status is Status.FAILED:
            return TlsaFailure(question)
        if answer.status is Status.FOUND and answer.secure:
            return TlsaRecords(base, question.name, strongest(usable(answer.records, usages)), answer.records)
    return None


def usable(records: Sequence[str], usages: Sequence[int] = (DANE_TA, DANE_EE)) -> list[Tlsa]:
    """The records that can prove something. The usages PKIX-TA (0) and PKIX-EE (1) cannot: no two servers believe the
    same authorities (RFC 7672 section 3.1.3)."""
    found: list[Tlsa] = []
    for record in records:
        words = record.split()
        try:
            usage, selector, matching = map(int, words[:3])
            association = bytes.fromhex("".join(words[3:]))
        except ValueError:
            continue
        fits = bool(association) if matching == WHOLE else len(association) == DIGEST_OCTETS.get(matching)
        if fits and usage in usages and selector in (CERTIFICATE, PUBLIC_KEY):
            found.append(Tlsa(usage, selector, matching, association))
    return found


def strongest(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """The records without those whose digest is weaker than another of the same usage and selector; whole ones have
    none that could be weak (RFC 7671 section 9)."""
    best: dict[tuple[int, int], int] = {}
    for record in records:
        kind = record.usage, record.selector
        best[kind] = max(record.matching, best.get(kind, WHOLE))  # in the order of their numbers
    return tuple(record for record in records if record.matching in (WHOLE, best[record.usage, record.selector]))
