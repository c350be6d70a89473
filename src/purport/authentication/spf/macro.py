"""Macro strings (RFC 7208 section 7): parsed once, expanded for each check.

%{ir}.%{v}._spf.%{d2}   ->   3.2.0.192.in-addr._spf.example.com
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from purport.authentication.spf.errors import PermError

LONGEST_NAME: Final = 253  # characters of a domain name in text (RFC 7208 section 7.3)
LONGEST_LABEL: Final = 63  # RFC 1035 section 2.3.4
MOST_PARTS: Final = 128  # at least 127 must be supported (RFC 7208 section 7.3); more cannot make a difference

TOKEN: Final = re.compile(
    r"%\{([slodiphcrtvSLODIPHCRTV])([0-9]*)([rR]?)([-.+,/_=]*)\}"  # macro-expand
    r"|%([%_-])"
    r"|([\x21-\x24\x26-\x7e]+)"  # macro-literal
    r"|( +)"  # in explain-string alone
)
ESCAPES: Final = {"%": "%", "_": " ", "-": "%20"}
EXPLANATION_ONLY: Final = frozenset("crt")  # RFC 7208 section 7.2


@dataclass(frozen=True, slots=True)
class Macro:
    """`%{d2r.-}`: a letter, what to keep of its value, and where to cut it."""

    letter: str  # lower case
    keep: int  # right-hand parts to keep; 0: all
    reverse: bool
    delimiters: re.Pattern[str] | None  # None: leave the value whole
    escape: bool  # an upper-case letter: URL escaped

    def expand(self, value: str) -> str:
        """The value as this macro asks for it (RFC 7208 section 7.3)."""
        if self.delimiters is not None:
            parts = self.delimiters.split(value)
            if self.reverse:
                parts.reverse()
            value = ".".join(parts[-self.keep :])
        return quote(value, safe="-._~") if self.escape else value


@dataclass(frozen=True, slots=True)
class MacroString:
    """Literal text and macros in turn.

    `letters` are the macros in it, `constant` is its text when it has none; `tail` is the literal text that it ends
    in, None where it ends in a macro.
    """

    parts: tuple[str | Macro, ...]
    letters: frozenset[str]
    constant: str | None
    tail: str | None

    def expand(self, value: Callable[[str], str]) -> str:
        """The text, with the value of each letter put in."""
        if self.constant is not None:
            return self.constant
        return "".join([part if isinstance(part, str) else part.expand(value(part.letter)) for part in self.parts])


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """A macro string that expands to a domain name; `name` is that name where it holds no macro and is well-formed."""

    macros: MacroString
    name: str | None


def parse_macro_string(text: str, *, explanation: bool = False) -> MacroString:
    """Raises PermError for text that is no macro-string (with `explanation`: no explain-string)."""
    parts: list[str | Macro] = []
    tail: str | None = ""
    position = 0
    while position < len(text):
        token = TOKEN.match(text, position)
        if token is None or (token[7] and not explanation):
            raise PermError(f"invalid macro in {shown(text)}")
        if token[1]:
            macro = _macro(token[1], token[2], token[3], token[4])
            if macro.letter in EXPLANATION_ONLY and not explanation:
                raise PermError(f"%{{{macro.letter}}} may stand in an explanation only")
            parts.append(macro)
        else:
            parts.append(ESCAPES[token[5]] if token[5] else token[0])
        tail = token[6]
        position = token.end()
    letters = frozenset(part.letter for part in parts if isinstance(part, Macro))
    constant = None if letters else "".join([part for part in parts if isinstance(part, str)])
    return MacroString(tuple(parts), letters, constant, tail)


def parse_domain_spec(text: str) -> DomainSpec:
    """Raises PermError for text that is no domain-spec: a macro-string that ends in a top label or a macro."""
    macros = parse_macro_string(text)
    if macros.tail is not None and not _has_top_label(macros.tail):
        raise PermError(f"{shown(text)} is no domain")
    return DomainSpec(macros, None if macros.constant is None else target_name(macros.constant))


def target_name(text: str) -> str | None:
    """The name to ask for (lower case, cut to 253 characters from the left); None if the DNS cannot hold it."""
    name = text.removesuffix(".").lower()
    while len(name) > LONGEST_NAME:
        _, dot, name = name.partition(".")
        if not dot:
            return None
    if not (name.isascii() and name.isprintable()):
        return None
    labels = name.split(".")
    return name if "" not in labels and max(map(len, labels)) <= LONGEST_LABEL else None


def shown(text: str) -> str:
    """Text of a stranger's record, fit for a message about it: short and printable."""
    return ascii(text if len(text) <= 60 else text[:57] + "...")


def _macro(letter: str, digits: str, reverse: str, delimiters: str) -> Macro:
    keep = 0
    if digits:
        significant = digits.lstrip("0")
        if not significant:
            raise PermError("a macro keeps zero parts")
        keep = min(int(significant[:4]), MOST_PARTS)
    cut = None
    if digits or reverse or delimiters:
        cut = re.compile(f"[{re.escape(delimiters or '.')}]")
    return Macro(letter.lower(), keep, bool(reverse), cut, letter.isupper())


def _has_top_label(text: str) -> bool:
    _, dot, label = text.removesuffix(".").rpartition(".")
    if not (dot and label.isascii() and label.replace("-", "").isalnum()):
        return False
    if label[0] == "-" or label[-1] == "-":
        return False
    return "-" in label or not label.isdigit()
