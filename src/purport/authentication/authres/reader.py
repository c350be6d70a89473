"""Reading an Authentication-Results field (RFC 8601 section 2.2).

    foo.example.net (foobar) 1 (baz);
      dkim (Because I like it) / 1 (One yay) = (wait for it) fail
      policy (A dot can go here) . (like that) expired (this surprised me) = 1362471462

Anybody can have written it: whatever does not follow the grammar to its end says nothing at all, since a field that two
readers read in different ways is how results are forged.
"""

from __future__ import annotations

import re
from typing import Final, final

from purport.authentication.authres.results import (
    KEYWORD,
    KEYWORD_OCTETS,
    PROPERTIES_LIMIT,
    RESULTS_LIMIT,
    VERSION,
    AuthenticationResults,
    MethodResult,
    Property,
)
from purport.mail.address import BEYOND, UTEXT

VALUE_LIMIT: Final = 65536  # characters of a field that are read; above all that the writer makes of WEIGHT_LIMIT

SPACE: Final = re.compile(r"[ \t]*")
LINE_END: Final = re.compile(r"\r?\n(?=[ \t])")
COMMENT_PART: Final = re.compile(rf"[\t !-'*-\[\]-~{BEYOND}]+|\\[\t -~{BEYOND}]|[()]")
# RFC 2045 section 5.1, with the letters of RFC 6532.
TOKEN: Final = re.compile(rf"[!#-'*+.0-9A-Z^-~{BEYOND}-]+")
QUOTED_STRING: Final = re.compile(rf'"((?:[\t !#-\[\]-~{BEYOND}]|\\[\t -~{BEYOND}])*)"')
QUOTED_PAIR: Final = re.compile(r"\\(.)")
LETTER: Final = rf"[A-Za-z0-9{BEYOND}]"
DOMAIN: Final = rf"{LETTER}(?:[A-Za-z0-9{BEYOND}-]{{0,61}}{LETTER})?"
# [ [ local-part ] "@" ] domain-name, the local part as a dot-atom; one that is a quoted-string is read in its place.
ADDRESS: Final = re.compile(rf"(?:{UTEXT}++(?:\.{UTEXT}++)*+)?@{DOMAIN}(?:\.{DOMAIN})*")
AT_DOMAIN: Final = re.compile(rf"@{DOMAIN}(?:\.{DOMAIN})*")
# What others write without quotes although they had to: IPv6 addresses, the "/" and "=" of a signature.
LAX_VALUE: Final = re.compile(rf"[!#-'*-:<-~{BEYOND}]+")
LAX_KEYWORD: Final = re.compile(r"[A-Za-z0-9_-]+")
DIGITS: Final = re.compile(r"[0-9]{1,9}")


class UnknownVersion(ValueError):
    """The field is of a version that nobody here knows: what follows may mean anything (RFC 8601 section 2.6)."""


def read(value: str, *, lax: bool = False) -> AuthenticationResults:
    """What the value of a field says, folded or not. Methods, results and properties that are not known are kept.

    Raises ValueError, with the reason. `lax` is for fields whose writer is known by a signature: it takes values that
    had to be quoted, passes over a `word=value` that is no property (`action=none`), and a `;` at the end.
    """
    return _Reader(value, lax).field()


@final
class _Reader:
    """The grammar, from left to right; each method reads what it is called for and stands behind it then."""

    __slots__ = ("_at", "_lax", "_text")

    def __init__(self, value: str, lax: bool) -> None:
        if len(value) > VALUE_LIMIT:
            raise ValueError("the field is too long")
        self._text = LINE_END.sub("", value.removesuffix("\n").removesuffix("\r"))
        self._at = 0
        self._lax = lax

    def field(self) -> AuthenticationResults:
        self._cfws()
        authserv_id = self._value()
        self._cfws()
        version = self._take(DIGITS)
        if version is not None:
            if int(version) != VERSION:
                raise UnknownVersion(f"version {version} is not known")
            self._cfws()
        results: list[MethodResult] = []
        while not self._ended():
            self._expect(";")
            self._cfws()
            if self._lax and self._ended() and results:
                break
            word = self._keyword()
            self._cfws()
            if not results and self._ended() and word == "none":
                return AuthenticationResults(authserv_id)
            if len(results) == RESULTS_LIMIT:
                raise ValueError("there are too many results")
            results.append(self._result(word))
        if not results:
            raise ValueError("there is neither a result nor none")
        return AuthenticationResults(authserv_id, tuple(results))

    def _result(self, method: str) -> MethodResult:
        """What follows the word for the method: its version, the result, the reason, the properties."""
        version = VERSION
        if self._next("/"):
            self._cfws()
            version = int(self._required(DIGITS, "a version"))
            self._cfws()
        self._expect("=")
        self._cfws()
        result = self._keyword()
        comment = self._cfws()
        reason = ""
        reasoned = False
        properties: list[Property] = []
        while not self._ended() and self._text[self._at] != ";":
            word = self._keyword()
            self._cfws()
            if self._next("="):
                self._cfws()
                value = self._value()
                self._cfws()
                if word == "reason" and not reasoned and not properties:
                    reason, reasoned = value, True
                elif not self._lax:
                    raise ValueError(f"{word!r} is no property")
            else:
                properties.append(self._property(word))
                if len(properties) > PROPERTIES_LIMIT:
                    raise ValueError("a result has too many properties")
        return MethodResult(method, result, reason, tuple(properties), comment, version)

    def _property(self, ptype: str) -> Property:
        self._expect(".")
        self._cfws()
        name = self._keyword()
        self._cfws()
        self._expect("=")
        self._cfws()
        value = self._property_value()
        self._cfws()
        return ptype, name, value

    def _property_value(self) -> str:
        """value / [ [ local-part ] "@" ] domain-name"""
        start = self._at
        quoted = self._take(QUOTED_STRING)
        if quoted is not None:
            domain = self._take(AT_DOMAIN)
            return self._text[start : self._at] if domain is not None else _unquoted(quoted)
        if self._lax:
            return self._required(LAX_VALUE, "a value")
        return self._take(ADDRESS) or self._required(TOKEN, "a value")

    def _value(self) -> str:
        quoted = self._take(QUOTED_STRING)
        return _unquoted(quoted) if quoted is not None else self._required(TOKEN, "a value")

    def _keyword(self) -> str:
        word = self._required(LAX_KEYWORD if self._lax else KEYWORD, "a word")
        if len(word) > KEYWORD_OCTETS:
            raise ValueError("a word is too long")
        return word.lower()

    def _cfws(self) -> str:
        """Pass over comments and white space; the text of the comments, which nest."""
        comments: list[str] = []
        self._take(SPACE)
        while self._next("("):
            comments.append(self._comment())
            self._take(SPACE)
        return " ".join(comments)

    def _comment(self) -> str:
        parts: list[str] = []
        depth = 1
        while True:
            part = self._required(COMMENT_PART, "the end of a comment")
            depth += {"(": 1, ")": -1}.get(part, 0)
            if not depth:
                return "".join(parts)
            parts.append(part[1] if part[0] == "\\" else part)

    def _take(self, pattern: re.Pattern[str]) -> str | None:
        found = pattern.match(self._text, self._at)
        if found is None:
            return None
        self._at = found.end()
        return found[0]

    def _required(self, pattern: re.Pattern[str], what: str) -> str:
        found = self._take(pattern)
        if not found:
            raise ValueError(f"{what} is missing at character {self._at + 1}")
        return found

    def _next(self, special: str) -> bool:
        """Whether this character comes next; then it is passed over."""
        there = self._text.startswith(special, self._at)
        self._at += there
        return there

    def _expect(self, special: str) -> None:
        if not self._next(special):
            raise ValueError(f"{special!r} is missing at character {self._at + 1}")

    def _ended(self) -> bool:
        return self._at == len(self._text)


def _unquoted(quoted: str) -> str:
    return QUOTED_PAIR.sub(r"\1", quoted[1:-1])
