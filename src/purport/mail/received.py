"""Reading Received fields of others: which client a server had (RFC 5321 section 4.4).

    from mx.example.com (mail.example.com [192.0.2.1]) by gw.company.com.example ...      Postfix and most others
    from mail.example.com ([192.0.2.1] helo=mx.example.com) by gw.company.com.example ... Exim
    from mx.example.com (192.0.2.1) by gw.company.com.example ...                         Exchange
    from unknown (HELO mx.example.com) (192.0.2.1) by gw.company.com.example ...          qmail

What the client said of itself stands there too, in some servers' fields as it was said. So there must be one address
that the server itself wrote, one `by`, and nothing that is left over; else the field says nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VALUE_LIMIT: Final = 4096  # characters of a field that are looked at; servers write some hundreds

# A word, a bracket of a comment, or a quoted pair inside of one.
PIECE: Final = re.compile(r"[()]|\\.|[^\s()\\]+|\s+", re.DOTALL)
LITERAL: Final = re.compile(r"\[(?:IPv6:)?([0-9A-Fa-f:.]+)\](?::[0-9]+)?", re.IGNORECASE)
BARE: Final = re.compile(r"[0-9A-Fa-f:.]+")
SAID: Final = re.compile(r"(?:helo|ehlo|lhlo)[ =](\S+)", re.IGNORECASE)
ASIDE: Final = re.compile(r"[a-z]+=\S*", re.IGNORECASE)  # Exim: helo=, ident=, port=
BY: Final = re.compile(r"\sby\s", re.IGNORECASE)
# An address with a quoted local part, behind `for` or in a comment: it may hold words and brackets that mean nothing,
# and no more of them than fit into one (RFC 5321 section 4.5.3.1.1).
QUOTED: Final = re.compile(r'<"(?:[^"\\]|\\.){0,62}"@[^\s<>"()]*>')
HOST: Final = re.compile(r"[A-Za-z0-9._\[\]:-]+")


@dataclass(frozen=True, slots=True)
class ReceivedFrom:
    """A client as the server `by` (lower case) had it: its address (IPv6 compressed, IPv4-mapped as IPv4), what it said
    in HELO or EHLO, and its name where the server knew one."""

    address: str
    hello_domain: str
    name: str | None
    by: str


def received_from(value: str) -> ReceivedFrom:
    """The client of a Received field. Raises ValueError, with the reason, where it is not said in one way."""
    if len(value) > VALUE_LIMIT:
        raise ValueError("it is too long")
    behind = BY.search(value)
    at = len(value) if behind is None else behind.end()
    pieces = list(_pieces(value[:at] + QUOTED.sub("", value[at:])))
    if not pieces or pieces[0][1] or pieces[0][0].lower() != "from":
        raise ValueError("it does not say from whom")
    # What the client said of itself stands behind "from", and may be "by" too.
    named = [number for number, (text, comment) in enumerate(pieces) if number > 1 and not comment and _is_by(text)]
    if len(named) != 1:
        raise ValueError("it does not say once by whom")
    (by,) = named
    if pieces[1][1] or any(not comment for _, comment in pieces[2:by]):
        raise ValueError("what stands behind from is no client")
    host, comment = pieces[by + 1] if by + 1 < len(pieces) else ("", True)
    host = host.lower().rstrip(".;")
    if comment or HOST.fullmatch(host) is None:
        raise ValueError("what stands behind by is no host")
    return _client(pieces[1][0], [text for text, _ in pieces[2:by]], host)


def _is_by(text: str) -> bool:
    return text.lower() == "by"


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The words of a field, and its comments, without what is nested in them."""
    depth, inside = 0, ""
    position = 0
    while position < len(text):
        found = PIECE.match(text, position)
        if found is None:
            raise ValueError("a quoted pair is not complete")
        position = found.end()
        piece = found[0]
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth -= 1
            if depth < 0:
                raise ValueError("a comment ends that did not begin")
            if depth == 0:
                yield " ".join(inside.split()), True
                inside = ""
        elif depth == 1:
            inside += piece
        elif depth == 0 and not piece.isspace():
            yield piece, False
    if depth:
        raise ValueError("a comment does not end")


def _client(first: str, comments: list[str], by: str) -> ReceivedFrom:
    said, name = first, None
    addresses: set[str] = set()
    in_exim_form = False
    for comment in comments:
        hello = SAID.search(comment)
        if hello is not None:
            said, in_exim_form = hello[1], True
            if name is None and LITERAL.fullmatch(first) is None:
                name = first
            if hello.start() == 0 and "=" not in hello[0]:  # qmail: a comment of its own
                continue
        told = ASIDE.sub("", comment).strip()
        literals = LITERAL.findall(told)
        if literals:
            addresses.update(map(_address, literals))
            before = told[: told.index("[")].strip()
            name = before or name
        elif BARE.fullmatch(told) is not None:
            addresses.add(_address(told))
    literal = LITERAL.fullmatch(first)
    if not addresses and in_exim_form and literal is not None:
        addresses.add(_address(literal[1]))
    if len(addresses) != 1:
        raise ValueError("it has several addresses" if addresses else "it has no address")
    known = name is not None and name.lower() not in ("unknown", "unverified") and HOST.fullmatch(name) is not None
    return ReceivedFrom(addresses.pop(), said, name.lower().removesuffix(".") if known and name else None, by)


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError("what stands in brackets is no address") from None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).compressed
