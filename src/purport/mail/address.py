"""Mailbox, reverse-path and forward-path (RFC 5321 section 4.1.2, RFC 6531 section 3.3).

<alice@example.com>    <>    <Postmaster>    "a b"@[192.0.2.1]
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final
from unicodedata import normalize

from purport.mail.domain import DOMAIN_OCTETS, NAME, a_label_form, is_address_literal, normal_domain


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A local-part (unquoted: `a b`, not `"a b"`) and a domain as it was written.

    `domain` is a domain name or an address literal with its brackets; it is empty for the bare
    `<Postmaster>` of RFC 5321 section 4.1.1.3 alone.
    """

    local_part: str
    domain: str

    def __str__(self) -> str:
        """The mailbox as it is written, the local part quoted where it must be."""
        local_part = self.local_part
        if not self.domain:
            return local_part
        if not local_part.isalnum():  # most are: letters and digits are atext, those of RFC 6531 too
            local_part = quoted_if_needed(local_part)
        return f"{local_part}@{self.domain}"


class Null(Enum):
    """The null reverse-path, `<>`: reports and other mail that must not be answered (RFC 5321 section 4.5.5)."""

    NULL = "<>"

    def __str__(self) -> str:
        return ""


NULL: Final = Null.NULL
ReversePath = Mailbox | Null

LOCAL_PART_OCTETS: Final = 64  # RFC 5321 section 4.5.3.1.1
PATH_OCTETS: Final = 256  # RFC 5321 section 4.5.3.1.3, angle brackets included

ATEXT: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]"
# Letters beyond ASCII (RFC 6531 section 3.3), but no control characters, and none of those that end a line or turn the
# direction of a text: in an address they serve to deceive alone (RFC 6532 section 3.1 sends to RFC 5198). Nor
# surrogates, which stand for octets that are no UTF-8.
BEYOND: Final = r"\u00a0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffb\U00010000-\U0010ffff"
UTEXT: Final = rf"[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~{BEYOND}-]"
DOT_STRING: Final = re.compile(rf"{ATEXT}+(?:\.{ATEXT}+)*")
UTF8_DOT_STRING: Final = re.compile(rf"{UTEXT}+(?:\.{UTEXT}+)*")
QUOTED_STRING: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\[ -~])*)"')
UTF8_QUOTED_STRING: Final = re.compile(rf'"((?:[ !#-\[\]-~{BEYOND}]|\\[ -~])*)"')
QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)
SIMPLE: Final = re.compile(rf"({ATEXT}+(?:\.{ATEXT}+)*)@({NAME.pattern})")
# A source route is taken and dropped (RFC 5321 section 4.1.1.3 and appendix C).
SOURCE_ROUTE: Final = re.compile(rb"@[A-Za-z0-9.\[\]:-]+(?:,@[A-Za-z0-9.\[\]:-]+)*:")


def quoted_if_needed(local_part: str) -> str:
    """A local part as it is written: a dot-string as it is, everything else as a quoted-string."""
    if UTF8_DOT_STRING.fullmatch(local_part) is not None:
        return local_part
    escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def parse_mailbox(text: str, *, utf8: bool = False) -> Mailbox:
    """The mailbox that `text` is, whole (RFC 5321 section 4.1.2; with `utf8`, RFC 6531 section 3.3).

    Raises ValueError, with the reason, where it is none.
    """
    simple = SIMPLE.fullmatch(text)
    if simple is not None:
        local_part, domain = simple.groups()
        if len(local_part) > LOCAL_PART_OCTETS or len(domain) > DOMAIN_OCTETS:
            raise ValueError("address too long")
        return Mailbox(local_part, domain)
    if not utf8 and not text.isascii():
        raise ValueError("not ASCII")
    return _parse_other_mailbox(text, utf8)


def _parse_other_mailbox(text: str, utf8: bool) -> Mailbox:
    """Quoted local parts, address literals, internationalized addresses."""
    quoted = (UTF8_QUOTED_STRING if utf8 else QUOTED_STRING).match(text)
    if quoted is not None:
        local_part, rest = QUOTED_PAIR.sub(r"\1", quoted[1]), text[quoted.end() :]
        if not rest.startswith("@"):
            raise ValueError("no @ after the local part")
        domain = rest[1:]
    else:
        local_part, at, domain = text.rpartition("@")
        if not at or (UTF8_DOT_STRING if utf8 else DOT_STRING).fullmatch(local_part) is None:
            raise ValueError("no local part")
    if len(local_part.encode("utf-8")) > LOCAL_PART_OCTETS:
        raise ValueError("local part too long")
    if domain.startswith("["):
        if not is_address_literal(domain):
            raise ValueError("not an address literal")
    else:
        a_label_form(domain)
    return Mailbox(local_part, domain)


def parse_reverse_path(octets: bytes, *, utf8: bool = False) -> tuple[ReversePath, bytes]:
    """The path at the start of a MAIL argument (after `FROM:`), and what follows its closing bracket.

    Raises ValueError where there is none.
    """
    if octets.startswith(b"<>"):
        return NULL, octets[2:]
    return _parse_path(octets, utf8)


def parse_forward_path(octets: bytes, *, utf8: bool = False) -> tuple[Mailbox, bytes]:
    """The path at the start of a RCPT argument (after `TO:`), and what follows its closing bracket.

    `<Postmaster>` stands without a domain in any case of letters (RFC 5321 section 4.1.1.3). Raises ValueError where
    there is none.
    """
    if octets[:12].lower() == b"<postmaster>":
        return Mailbox(octets[1:11].decode("ascii"), ""), octets[12:]
    return _parse_path(octets, utf8)


def _parse_path(octets: bytes, utf8: bool) -> tuple[Mailbox, bytes]:
    if not octets.startswith(b"<"):
        raise ValueError("no angle bracket")
    end = octets.find(b">")
    if b'"' in octets[:end] or end < 0:
        end = _end_of_path(octets)
    if end >= PATH_OCTETS:
        raise ValueError("path too long")
    inside = octets[1:end]
    if inside.startswith(b"@"):
        route = SOURCE_ROUTE.match(inside)
        if route is None:
            raise ValueError("not a source route")
        inside = inside[route.end() :]
    return parse_mailbox(inside.decode("utf-8" if utf8 else "latin-1"), utf8=utf8), octets[end + 1 :]


def _end_of_path(octets: bytes) -> int:
    """Where the closing bracket is that stands outside of a quoted string."""
    quoted = False
    position = 1
    while position < len(octets):
        octet = octets[position : position + 1]
        if quoted and octet == b"\\":
            position += 1
        elif octet == b'"':
            quoted = not quoted
        elif octet == b">" and not quoted:
            return position
        position += 1
    raise ValueError("no closing angle bracket")


def normal_local_part(local_part: str) -> str:
    """The form in which local parts of our own domains are compared: lower case, composed (RFC 6532 section 3.1)."""
    return local_part.lower() if local_part.isascii() else normalize("NFC", local_part.lower())


def normal_mailbox(mailbox: Mailbox) -> Mailbox:
    """The form in which mailboxes of our own domains are compared."""
    return Mailbox(normal_local_part(mailbox.local_part), normal_domain(mailbox.domain))


def a_label_address(mailbox: Mailbox) -> Mailbox:
    """The mailbox with its domain as A-labels, where the local part is ASCII and so all of it is then: such an address
    needs no SMTPUTF8 (RFC 6531 section 3.2). Another one is as it was."""
    if mailbox.domain.isascii() or not mailbox.local_part.isascii():
        return mailbox
    return Mailbox(mailbox.local_part, normal_domain(mailbox.domain))


def matches(one: Mailbox, other: Mailbox, *, ignore_local_part_case: bool = False) -> bool:
    """Whether two mailboxes are the same: domains as A-labels in lower case, local parts octet for octet.

    RFC 5321 section 2.4 leaves the case of local parts to their domain; `ignore_local_part_case` ignores it.
    """
    if one == other:
        return True
    if normal_domain(one.domain) != normal_domain(other.domain):
        return False
    if ignore_local_part_case:
        return one.local_part.lower() == other.local_part.lower()
    return one.local_part == other.local_part
