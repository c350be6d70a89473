"""The grammar inside a field: the one mailbox that an originator field names (RFC 5322 section 3.4, 4.4, RFC 6854).

    "Brown, Alice" <alice@example.com> (at home)

A reader has to take obsolete forms (routes, comments and folds between tokens); what is left over is an error, never a
guess.
"""

from __future__ import annotations

import re
from typing import Final

from purport.mail.address import ATEXT, LOCAL_PART_OCTETS, Mailbox
from purport.mail.domain import DOMAIN_OCTETS, NAME, a_label_form

ADDRESSES: Final = 200  # of one field; each may cost what it takes to make a domain of U-labels even
PIECES: Final = 4096  # of one field, or of a comment in it: two hundred addresses with names have half of that
VALUE_LIMIT: Final = 16384  # characters of one field that are looked at; an address needs some hundreds

ADDRESS: Final = rf"({ATEXT}+(?:\.{ATEXT}+)*)@({NAME.pattern})"
# What most fields are: a bare address, or one in angle brackets after a plain or quoted name.
PLAIN: Final = re.compile(ADDRESS)
# The words are possessive: a long run of white space is looked at once, not once for each of its characters.
NAMED: Final = re.compile(rf'(?:"[^"\\\n]*"[ \t]*|(?:(?:{ATEXT}|\.)++[ \t]*+)*+)<{ADDRESS}>')

TOKEN: Final = re.compile(
    r"(?P<space>[ \t\r\n]+)"
    r'|"(?P<quoted>(?:[^"\\]|\\.)*)"'
    r"|(?P<literal>\[(?:[^\[\]\\]|\\.)*\])"
    r"|(?P<special>[<>@,;:.()])"
    r'|(?P<atom>[^\x00-\x20\x7f()<>\[\]:;@\\,."]+)',
    re.DOTALL,
)
QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
COMMENT_PART: Final = re.compile(r"[^()\\]+|\\.|[()]", re.DOTALL)

Token = tuple[str, str]  # "atom", "quoted" (unquoted here), "literal", or the special itself; its text


def single_mailbox(value: str) -> Mailbox:
    """The mailbox of a field that names exactly one. Raises ValueError, with the reason, for every other value."""
    value = value.strip()
    if len(value) > VALUE_LIMIT:
        raise ValueError("the field is too long to be one address")
    simple = _simple(value)
    if simple is not None:
        return simple
    elements = [element for element in _elements(_tokens(value)) if element]
    if not elements:
        raise ValueError("there is no address in it")
    if len(elements) > 1:
        raise ValueError("there are several addresses in it")
    return _address(elements[0])


def mailboxes(value: str) -> list[Mailbox]:
    """The mailboxes of a field that names one or more (RFC 5322 section 3.6.2). Raises ValueError, with the reason, for
    what is no list of them, for an empty one, and for a group."""
    if len(value) > VALUE_LIMIT:
        raise ValueError("the field is too long to be a list of addresses")
    value = value.strip()
    simple = _simple(value)
    if simple is not None:
        return [simple]
    elements = [element for element in _elements(_tokens(value)) if element]
    if not elements:
        raise ValueError("there is no address in it")
    if len(elements) > ADDRESSES:
        raise ValueError(f"there are more than {ADDRESSES} addresses in it")
    return [_address(element) for element in elements]


def addr_spec(value: str) -> Mailbox:
    """A bare address, comments and folds aside (RFC 5322 section 3.4.1). Raises ValueError."""
    if len(value) > VALUE_LIMIT:
        raise ValueError("the field is too long to be one address")
    return _addr_spec(_tokens(value.strip()))


def _simple(value: str) -> Mailbox | None:
    """The mailbox of a field that is as simple as most are. Raises ValueError for one that is too long."""
    simple = PLAIN.fullmatch(value) or NAMED.fullmatch(value)
    if simple is None:
        return None
    local_part, domain = simple.groups()
    if len(local_part) <= LOCAL_PART_OCTETS and len(domain) <= DOMAIN_OCTETS:
        return Mailbox(local_part, domain)
    raise ValueError("an address is too long")


def _tokens(value: str) -> list[Token]:
    tokens: list[Token] = []
    position = 0
    while position < len(value):
        found = TOKEN.match(value, position)
        if found is None:
            raise ValueError("a quote, bracket or comment does not end, or a character has no place there")
        if len(tokens) > PIECES:
            raise ValueError("the field has too many pieces")
        position = found.end()
        kind, text = found.lastgroup, found[0]
        if kind == "quoted":
            tokens.append(("quoted", QUOTED_PAIR.sub(r"\1", found["quoted"]).replace("\r\n", "").replace("\n", "")))
        elif kind == "special":
            if text == "(":
                position = _end_of_comment(value, position)
            else:
                tokens.append((text, text))
        elif kind != "space":
            assert kind is not None
            tokens.append((kind, text))
    return tokens


def _end_of_comment(value: str, position: int) -> int:
    """The place after a comment whose opening bracket stands before `position`; comments nest."""
    depth, pieces = 1, 0
    while depth:
        pieces += 1
        if pieces > PIECES:
            raise ValueError("the field has too many pieces")
        found = COMMENT_PART.match(value, position)
        if found is None:
            raise ValueError("a comment does not end")
        position = found.end()
        depth += {"(": 1, ")": -1}.get(found[0], 0)
    return position


def _elements(tokens: list[Token]) -> list[list[Token]]:
    """What stands between the commas outside of angle brackets."""
    elements: list[list[Token]] = [[]]
    inside = False
    for token in tokens:
        kind = token[0]
        if kind == "," and not inside:
            elements.append([])
            continue
        if not inside and kind in (":", ";"):
            raise ValueError("a group names no single mailbox")  # RFC 6854 allows one, RFC 4407 section 2 step 5 not
        inside = kind == "<" or (inside and kind != ">")
        elements[-1].append(token)
    return elements


def _address(tokens: list[Token]) -> Mailbox:
    kinds = [kind for kind, _ in tokens]
    if "<" not in kinds:
        return _addr_spec(tokens)
    begin = kinds.index("<")
    if any(kind not in ("atom", "quoted", ".") for kind in kinds[:begin]):
        raise ValueError("what stands before the angle bracket is no name")
    if kinds[-1] != ">" or kinds.count("<") > 1 or kinds.count(">") > 1:
        raise ValueError("the angle brackets hold no single address")
    inside = tokens[begin + 1 : -1]
    if inside[:1] == [("@", "@")]:
        inside = _after_route(inside)
    return _addr_spec(inside)


def _after_route(tokens: list[Token]) -> list[Token]:
    """What follows an obsolete route (`@a.example,@b.example:`), which names relays and no mailbox."""
    kinds = [kind for kind, _ in tokens]
    if ":" not in kinds or any(kind not in ("@", "atom", ".", ",", "literal") for kind in kinds[: kinds.index(":")]):
        raise ValueError("a route has no end")
    return tokens[kinds.index(":") + 1 :]


def _addr_spec(tokens: list[Token]) -> Mailbox:
    kinds = [kind for kind, _ in tokens]
    if kinds.count("@") != 1:
        raise ValueError("there is no domain" if "@" not in kinds else "an address has two @")
    at = kinds.index("@")
    local_part = _dotted(tokens[:at], ("atom", "quoted"))
    if kinds[at + 1 :] and kinds[at + 1] == "literal":
        raise ValueError("an address literal is no domain name")
    return _mailbox(local_part, _dotted(tokens[at + 1 :], ("atom",)))


def _dotted(tokens: list[Token], words: tuple[str, ...]) -> str:
    """Words with single dots between them."""
    if len(tokens) % 2 == 0:
        raise ValueError("an address is not complete")
    for number, (kind, _) in enumerate(tokens):
        if (kind not in words) if number % 2 == 0 else (kind != "."):
            raise ValueError("an address is not well formed")
    return "".join(text for _, text in tokens)


def _mailbox(local_part: str, domain: str) -> Mailbox:
    try:
        octets = len(local_part.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise ValueError("an address is neither ASCII nor UTF-8") from error
    if not local_part or octets > LOCAL_PART_OCTETS:
        raise ValueError("a local part is empty or too long")
    if any(character < " " or character == "\x7f" for character in local_part):
        raise ValueError("a local part holds a control character")
    a_label_form(domain)
    return Mailbox(local_part, domain)
