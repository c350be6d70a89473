"""Command lines: a path and raw parameters out of an argument (RFC 5321 section 4.1.1).

    MAIL FROM:<alice@example.com> SIZE=1000 SUBMITTER=bob@almamater.edu.example

Parameters keep their order and their spelling: only the owner of a keyword knows what its value means.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from purport.mail.address import Mailbox, ReversePath, parse_forward_path, parse_reverse_path
from purport.mail.envelope import NO_PARAMETERS, Parameter, Parameters
from purport.mail.reply import SYNTAX_ERROR, UNKNOWN_PARAMETER, Rejected, Reply, reply

Known = Mapping[bytes, Parameter[Any]]  # the parameters that are in force, by keyword in upper case

KEYWORD: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]*")  # esmtp-keyword
ESMTP_VALUE: Final = bytes([*range(33, 61), *range(62, 127)])  # esmtp-value: printable ASCII but "="
# What a domain or an address literal may hold, and what careless clients say besides, but nothing that has a meaning
# in a header field. Whether it is a domain name is for the policy to judge (RFC 5321 section 4.1.4).
HELLO_DOMAIN: Final = re.compile(rb"[A-Za-z0-9._:\[\]!#$%&*+/?^{|}~-]{1,255}")

BAD_REVERSE_PATH: Final = reply(501, "5.1.7", "Bad sender address syntax")
BAD_FORWARD_PATH: Final = reply(501, "5.1.3", "Bad recipient address syntax")
NEEDS_SMTPUTF8: Final = reply(553, "5.6.7", "Address holds characters that need SMTPUTF8")
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
    try:
        reverse_path, rest = parse_reverse_path(argument[5:])
    except ValueError:
        raise Rejected(BAD_REVERSE_PATH if argument.isascii() else NEEDS_SMTPUTF8) from None
    return reverse_path, parameters(rest, known) if rest else NO_PARAMETERS


def rcpt_argument(argument: bytes, known: Known) -> tuple[Mailbox, Parameters]:
    """The argument of RCPT. Raises Rejected."""
    if argument[:3].upper() != b"TO:":
        raise Rejected(SYNTAX_ERROR)
    try:
        forward_path, rest = parse_forward_path(argument[3:])
    except ValueError:
        raise Rejected(BAD_FORWARD_PATH if argument.isascii() else NEEDS_SMTPUTF8) from None
    return forward_path, parameters(rest, known) if rest else NO_PARAMETERS


def chunk_argument(argument: bytes) -> tuple[int, bool, Reply | None]:
    """The argument of BDAT: the octets of the chunk, whether it is the last, and what is wrong where that much is clear
    all the same. Raises Rejected where it does not tell how many octets follow."""
    size, _, _ = argument.partition(b" ")
    if not size.isdigit() or len(size) > CHUNK_DIGITS:
        raise Rejected(BAD_CHUNK)
    whole = CHUNK.fullmatch(argument)
    return int(size), whole is not None and whole[1] is not None, None if whole is not None else BAD_CHUNK


def parameters(octets: bytes, known: Known) -> Parameters:
    """What follows a path, each value in its parameter's grammar. Raises Rejected.

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
        if equals and (not value or value.translate(None, ESMTP_VALUE)):
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
