"""What an Authentication-Results field says (RFC 8601 section 2.2).

Authentication-Results: mx.company.com.example;
 spf=pass smtp.mailfrom=example.com;
 dkim=fail reason="bad signature" header.d=example.net
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec
from msgspec.structs import replace

from purport.mail.address import BEYOND
from purport.mail.domain import normal_domain

Property = tuple[str, str, str]  # ptype, property, value: ("smtp", "mailfrom", "example.com")

VERSION: Final = 1  # of the field, and of each method (RFC 8601 section 2.6)
VERSION_LIMIT: Final = 999999999  # nine digits are read
RESULTS_LIMIT: Final = 100  # in one field; ours have a dozen, and a message with fifty signatures is no mail
PROPERTIES_LIMIT: Final = 32  # of one result; the registry has seven for a method
# Octets of a value, reason or comment: an address of 64 + 1 + 255. With every octet escaped and its property before
# it, it is still a line below the 998 octets of RFC 5322 section 2.1.1.
TEXT_OCTETS: Final = 320
WEIGHT_LIMIT: Final = 30000  # characters of all results; a message with ten of the longest signatures has 10,000
KEYWORD_OCTETS: Final = 64  # the longest registered word has 24
KEYWORD: Final = re.compile(r"[A-Za-z0-9-]*[A-Za-z0-9]")  # RFC 5321 section 4.1.2
# Line ends and control characters end fields, surrogates are no characters, and what turns the direction of text
# deceives those who read it: none of it is ever written.
UNSAFE: Final = re.compile(rf"[^ -~{BEYOND}]")
UNSAFE_ASCII: Final = re.compile(r"[^ -~]")


class MethodResult(msgspec.Struct, frozen=True):
    """The result of one method: `dkim`, `pass`, what it was found from, and why.

    Words are in lower case. `comment` is what stands in brackets behind the result word. `version` is that of the
    method's specification: a result of one that is not known means nothing (RFC 8601 section 2.6).

    A msgspec struct like `SpfResult`, since some are made and looked up for every message.
    """

    method: str
    result: str
    reason: str = ""
    properties: tuple[Property, ...] = ()
    comment: str = ""
    version: int = VERSION

    def value(self, ptype: str, name: str) -> str | None:
        """The first value of a property; None where it is not there."""
        for its_ptype, its_name, value in self.properties:
            if its_ptype == ptype and its_name == name:
                return value
        return None

    @property
    def weight(self) -> int:
        """About how many characters it takes, white space and marks between the words included."""
        properties = sum(len(ptype) + len(name) + len(value) + 6 for ptype, name, value in self.properties)
        return len(self.method) + len(self.result) + len(self.reason) + len(self.comment) + properties + 32


class AuthenticationResults(msgspec.Struct, frozen=True):
    """Who says it (the authserv-id), and what; no results: nothing was checked (`none`)."""

    authserv_id: str
    results: tuple[MethodResult, ...] = ()

    def of(self, method: str) -> tuple[MethodResult, ...]:
        """The results of one method, of the version that is known."""
        return tuple(one for one in self.results if one.method == method and one.version == VERSION)


def cleaned(said: AuthenticationResults, *, utf8: bool = False) -> AuthenticationResults:
    """The results as they can be written: bounded, on one line, and in ASCII unless the message is an internationalized
    one (`utf8`), domains then as A-labels. What is so already is not changed.

    A result that would make the field too long is left out. Raises ValueError where a word that only the program itself
    chooses (method, result, ptype, property) is none.
    """
    kept: list[MethodResult] = []
    weight = 0
    for result in said.results[:RESULTS_LIMIT]:
        its = _cleaned(result, utf8)
        if weight + its.weight <= WEIGHT_LIMIT:
            weight += its.weight
            kept.append(its)
    return AuthenticationResults(_text(said.authserv_id, utf8), tuple(kept))


def _cleaned(result: MethodResult, utf8: bool) -> MethodResult:
    if not 0 <= result.version <= VERSION_LIMIT:
        raise ValueError(f"not a version: {result.version}")
    return replace(
        result,
        method=_keyword(result.method),
        result=_keyword(result.result),
        reason=_text(result.reason, utf8),
        comment=_text(result.comment, utf8),
        properties=tuple(_properties(result.properties[:PROPERTIES_LIMIT], utf8)),
    )


def _properties(properties: Iterable[Property], utf8: bool) -> Iterable[Property]:
    for ptype, name, value in properties:
        yield _keyword(ptype), _keyword(name), _text(value, utf8)


def _keyword(word: str) -> str:
    if len(word) > KEYWORD_OCTETS or KEYWORD.fullmatch(word) is None:
        raise ValueError(f"not a keyword: {word!r}")
    return word.lower()


def _text(text: str, utf8: bool) -> str:
    if not utf8 and not text.isascii():
        local_part, at, domain = text[: 4 * TEXT_OCTETS].rpartition("@")
        text = UNSAFE_ASCII.sub("?", f"{local_part}{at}{normal_domain(domain)}")
    elif not (text.isascii() and text.isprintable()):
        text = UNSAFE.sub("?", text)
    if len(text) <= TEXT_OCTETS // 4:  # four octets are the longest character
        return text
    return text.encode("utf-8")[:TEXT_OCTETS].decode("utf-8", "ignore")
