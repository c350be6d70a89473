"""Who signs for whom: keys by the domain of the author, and tables as OpenDKIM has them.

author alice@mail.example.com   key of example.com, selector s1   ->   d=example.com; s=s1

A key signs for its domain and all below it (RFC 6376 section 3.5 lets d= be any parent; DMARC counts both as aligned,
RFC 9989 section 4.4.1). The nearest domain that has keys signs with all of them, such as one of each algorithm.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from purport.authentication.dkim.body import BodyHashes, hash_body
from purport.authentication.dkim.sign import FORM, SigningKey, sign
from purport.authentication.dkim.signature import NAME, Signature
from purport.mail.address import Mailbox
from purport.mail.domain import normal_domain
from purport.mail.header import Header, read_header

ANY: Final = "%"  # in OpenDKIM's tables: the domain of the author


@dataclass(frozen=True, slots=True)
class DomainKey:
    """A key, and the names under which the DNS has its public part: A-labels, lower case."""

    domain: str
    selector: str
    key: SigningKey
    identity: str = ""  # i=

    def __str__(self) -> str:
        return f"{self.domain}/{self.selector}"


@dataclass(frozen=True)
class SigningTable:
    """OpenDKIM's SigningTable and KeyTable (opendkim.conf(5)).

    `entries` are address patterns with the name of a key and what is said in i=. With `wildcards` (refile:) they are
    matched in order, `*` standing for anything; else they are looked up as the whole address, its domain, and so on up.
    The first that is found counts, or all of them where there may be `multiple` signatures.
    """

    entries: Sequence[tuple[str, str, str]] = ()
    keys: Mapping[str, DomainKey] = field(default_factory=dict)
    wildcards: bool = True
    multiple: bool = False

    def keys_for(self, local_part: str, domain: str) -> list[DomainKey]:
        """The keys for an author; both parts in lower case."""
        found = []
        for name, identity in self._matches(local_part, domain):
            key = self.keys.get(domain if name == ANY else name)
            if key is None:
                continue
            own = replace(key, domain=domain) if key.domain == ANY else key
            said = identity.replace(ANY, domain).lower()
            # What is of another domain than d= is left out (opendkim.conf(5), SigningTable).
            fits = f".{said.rpartition('@')[2]}".endswith(f".{own.domain}")
            found.append(replace(own, identity=_with_at(said)) if said and fits else own)
            if not self.multiple:
                break
        return found

    def _matches(self, local_part: str, domain: str) -> Iterator[tuple[str, str]]:
        address = f"{local_part}@{domain}"
        if self.wildcards:
            for expression, name, identity in self._patterns:
                if expression.fullmatch(address):
                    yield name, identity
            return
        for wanted in dict.fromkeys(_lookups(local_part, domain)):
            for pattern, name, identity in self.entries:
                if pattern == wanted:
                    yield name, identity

    @cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], str, str]]:
        return [
            (re.compile(".*".join(map(re.escape, pattern.split("*")))), name, identity)
            for pattern, name, identity in self.entries
        ]


@dataclass(frozen=True, slots=True)
class Signer:
    """Makes the signatures of this server. `lifetime` is in seconds; None: they do not expire."""

    keys: Sequence[DomainKey] = ()
    table: SigningTable = field(default_factory=SigningTable)
    lifetime: float | None = None

    def __bool__(self) -> bool:
        return bool(self.keys or self.table.entries)

    def keys_for(self, author: Mailbox) -> list[DomainKey]:
        """All keys that sign for an author, none twice."""
        domain = normal_domain(author.domain)
        if NAME.fullmatch(domain) is None:  # an address literal
            return []
        found = self.table.keys_for(author.local_part.lower(), domain)
        for parent in _parents(domain):
            nearest = [key for key in self.keys if key.domain == parent]
            if nearest:
                found += nearest
                break
        return list({(key.domain, key.selector): key for key in found}.values())

    def fields(self, author: Mailbox, header: Header, hashes: BodyHashes, now: float) -> bytes:
        """The signatures of a message, to be put on top of it: nothing where there is no key for its author. `hashes`
        hold that of its body in FORM; `now` is in seconds since 1970."""
        body = hashes.get(FORM)
        if body is None or not header.complete:  # too long to tell what there is to be signed
            return b""
        return b"".join(self._sign(key, header, body.digest, now) for key in self.keys_for(author))

    def again(self, signature: Signature, header: Header, hashes: BodyHashes, now: float) -> bytes:
        """A signature of ours over a message that was changed since: nothing where the key is gone."""
        for key in (*self.keys, *self.table.keys.values()):
            if key.selector == signature.selector and key.domain in (signature.domain, ANY):
                own = signature.identity if signature.identity != f"@{signature.domain}" else ""
                same = replace(key, domain=signature.domain, identity=own)
                return self._sign(same, header, hashes[FORM].digest, now)
        return b""

    def _sign(self, key: DomainKey, header: Header, digest: bytes, now: float) -> bytes:
        return sign(
            header,
            digest,
            key.key,
            domain=key.domain,
            selector=key.selector,
            now=now,
            lifetime=self.lifetime,
            identity=key.identity,
        )


def signatures(signer: Signer, author: Mailbox, octets: bytes, now: float) -> bytes:
    """The signatures of a whole message that is ours, to be put on top of it; nothing where there is no key for its
    author. `now` is in seconds since 1970."""
    if not signer:
        return b""
    header = read_header(octets)
    return signer.fields(author, header, hash_body((octets[header.length :],), FORM), now)


NO_SIGNER: Final = Signer()


def no_signer() -> Signer:
    """The one without keys."""
    return NO_SIGNER


def _parents(domain: str) -> Iterable[str]:
    """A domain and all above it."""
    while domain:
        yield domain
        domain = domain.partition(".")[2]


def _lookups(local_part: str, domain: str) -> Iterator[str]:
    """What is looked up for an address in a table without wildcards, in OpenDKIM's order."""
    yield f"{local_part}@{domain}"
    yield domain
    parents = [f".{parent}" for parent in _parents(domain.partition(".")[2])]
    yield from (f"{local_part}@{parent}" for parent in parents)
    yield from parents
    yield f"{local_part}@*"
    yield "*"


def _with_at(identity: str) -> str:
    return identity if "@" in identity else f"@{identity}"
