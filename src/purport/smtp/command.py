"""Command lines: a path and raw parameters out of an argument (RFC 5321 section 4.1.1).

    MAIL FROM:<alice@example.com> SIZE=1000 SUBMITTER=bob@almamater.edu.example

Parameters keep their order and their spelling: only the owner of a keyword knows what its value means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from purport.mail.address import BEYOND, Mailbox, ReversePath, parse_forward_path, parse_reverse_path
from purport.mail.envelope import NO_PARAMETERS, Parameter, Parameters
from purport.mail.reply import SYNTAX_ERROR, UNKNOWN_PARAMETER, Rejected, Reply, reply

Known = Mapping[bytes, Parameter[Any]]  # the parameters that are in force, by keyword in upper case

KEYWORD: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")  # esmtp-keyword
ESMTP_VALUE: Final = bytes([*range(33, 61), *range(62, 127)])  # esmtp-value: printable ASCII but "="
UTF8_VALUE: Final = re.compile(rf"[!-<>-~{BEYOND}]+")
# What a domain or an address literal may hold, and what careless clients say besides, but nothing that has a meaning
# in a header field. Whether it is a domain name is for the policy to judge (RFC 5321 section 4.1.4).
HELLO_DOMAIN: Final = re.compile(rb"[A-Za-z0-9._:\[\]!#$%&*+/?^{|}~-]{1,255}")

BAD_REVERSE_PATH: Final = reply(501, "5.1.7", "Bad sender address syntax")
BAD_FORWARD_PATH: Final = reply(501, "5.1.3", "Bad recipient address syntax")
# RFC 6531 section 3.5
SENDER_NEEDS_ASCII: Final = reply(550, "5.6.7", "Address holds characters that need SMTPUTF8")
RECIPIENT_NEEDS_ASCII: Final = reply(553, "5.6.7", "Address holds characters that need SMTPUTF8")
SMTPUTF8: Final = b"SMTPUTF8"  # RFC 6531 section 3.1 (2)
NEEDS_DOMAIN: Final = reply(501, "5.5.4", "A domain or an address literal has to follow")
CHUNK: Final = re.compile(rb"[0-9]+(?: (LAST))?", re.IGNORECASE)  # RFC 3030 section 2 (3)
CHUNK_DIGITS: Final = 20  # as SIZE has (RFC 1870 section 4)
BAD_CHUNK: Final = reply(501, "5.5.4", "Syntax: BDAT octets [LAST]")


def hello_domain(argument: bytes) -> str:
    """The argument of EHLO or HELO. Raises Rejected."""
    if HELLO_DOMAIN.fullmatch(argument) is None:
        raise Rejected(NEEDS_DOMAIN)
    return argument.decode("ascii")


def mail_argument(argument: bytes, known: Known) -> tuple[ReversePath, Parameters]:
    """The argument of MAIL. Raises Rejected."""
    if argument[:5].upper() != b"FROM:":
        raise Rejected(SYNTAX_ERROR)
    if argument.isascii():
        try:
            reverse_path, rest = parse_reverse_path(argument[5:])
        except ValueError:
            raise Rejected(BAD_REVERSE_PATH) from None
        return reverse_path, parameters(rest, known) if rest else NO_PARAMETERS
    if SMTPUTF8 not in known:
        raise Rejected(SENDER_NEEDS_ASCII)
    try:
        reverse_path, rest = parse_reverse_path(argument[5:], utf8=True)
    except ValueError:
        raise Rejected(BAD_REVERSE_PATH) from None
    # The parameter that allows for what stands before it may be the last one.
    utf8 = SMTPUTF8 in rest.upper().split(b" ")
    if not utf8 and not argument[: len(argument) - len(rest)].isascii():
        raise Rejected(SENDER_NEEDS_ASCII)
    return reverse_path, parameters(rest, known, utf8=utf8) if rest else NO_PARAMETERS


def rcpt_argument(argument: bytes, known: Known, *, utf8: bool = False) -> tuple[Mailbox, Parameters]:
    """The argument of RCPT; `utf8`: MAIL came with SMTPUTF8. Raises Rejected."""
    if argument[:3].upper() != b"TO:":
        raise Rejected(SYNTAX_ERROR)
    try:
        forward_path, rest = parse_forward_path(argument[3:], utf8=utf8)
    except ValueError:
        raise Rejected(BAD_FORWARD_PATH if utf8 or argument.isascii() else RECIPIENT_NEEDS_ASCII) from None
    return forward_path, parameters(rest, known, utf8=utf8) if rest else NO_PARAMETERS


def chunk_argument(argument: bytes) -> tuple[int, bool, Reply | None]:
    """The argument of BDAT: the octets of the chunk, whether it is the last, and what is wrong where that much is clear
    all the same. Raises Rejected where it does not tell how many octets follow."""
    size, _, _ = argument.partition(b" ")
    if not size.isdigit() or len(size) > CHUNK_DIGITS:
        raise Rejected(BAD_CHUNK)
    whole = CHUNK.fullmatch(argument)
    return int(size), whole is not None and whole[1] is not None, None if whole is not None else BAD_CHUNK


def parameters(octets: bytes, known: Known, *, utf8: bool = False) -> Parameters:
    """What follows a path, each value in its parameter's grammar; with `utf8` values may hold UTF-8 (RFC 6531 section
    3.3). Raises Rejected.

    The order of the checks is that of the reader: what is no parameter at all is a syntax error (501), what is one
    but not in force is unknown (555, RFC 5321 section 4.1.1.11), and a value that its owner cannot read is 501.
    """
    if octets[:1] != b" ":
        raise Rejected(SYNTAX_ERROR)
    items: list[tuple[str, bytes | None]] = []
    owners: list[Parameter[Any]] = []
    unknown = False
    for word in octets[1:].split(b" "):
        keyword, equals, value = word.partition(b"=")
        if equals and (not value or value.translate(None, ESMTP_VALUE)) and not (utf8 and _is_utf8_value(value)):
            raise Rejected(SYNTAX_ERROR)
        parameter = known.get(keyword.upper())
        if parameter is not None:
            if parameter in owners:
                raise Rejected(reply(501, parameter.fault, "Parameter given twice"))
            owners.append(parameter)
            items.append((parameter.keyword, value if equals else None))
        elif KEYWORD.fullmatch(keyword) is not None:
            unknown = True
        else:
            raise Rejected(SYNTAX_ERROR)
    if unknown:
        raise Rejected(UNKNOWN_PARAMETER)
    found = Parameters(tuple(items))
    for parameter in owners:
        try:
            found.get(parameter)
        except ValueError:
            raise Rejected(reply(501, parameter.fault, f"Bad value of {parameter.keyword}")) from None
    return found


def _is_utf8_value(value: bytes) -> bool:
    """Whether it is an esmtp-value with letters beyond ASCII in it."""
    try:
        text = value.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return UTF8_VALUE.fullmatch(text) is not None
