"""DSN: which reports the sender wants about a message, and what they are to quote (RFC 3461).

    MAIL FROM:<alice@example.com> RET=HDRS ENVID=QQ+2B314159
    RCPT TO:<bob@company.com.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob@company.com.example

A next hop that offers DSN takes the requests over as they came, and with them the duty to report; for any other the
report says `relayed` (section 5.2). A report goes to the reverse-path, whatever SUBMITTER says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Flag
from typing import Final

from purport.mail import xtext
from purport.mail.envelope import Parameter, Parameters
from purport.smtp.extension import Extension, Outgoing

ENVID_OCTETS: Final = 100  # RFC 3461 section 5.4
ORCPT_OCTETS: Final = 500
UTF8_TYPE: Final = b"utf-8"  # RFC 6533 section 3
ADDRESS_TYPE: Final = re.compile(rb"[A-Za-z0-9!#$%&'*/?^_`{|}~-]+")  # an atom that an esmtp-value may hold


class Notify(Flag):
    """What the sender of a message wants to hear about a recipient (RFC 3461 section 4.1)."""

    NEVER = 0
    SUCCESS = 1
    FAILURE = 2
    DELAY = 4


def decode_notify(value: bytes | None) -> Notify:
    """`NEVER`, or some of `SUCCESS`, `FAILURE` and `DELAY` with commas between them. Raises ValueError."""
    words = [] if value is None else value.decode("ascii").upper().split(",")
    if words == ["NEVER"]:
        return Notify.NEVER
    wanted = Notify.NEVER
    for word in words:
        if word not in ("SUCCESS", "FAILURE", "DELAY"):
            raise ValueError("NOTIFY is NEVER, or SUCCESS, FAILURE, DELAY")
        wanted |= Notify[word]
    if not wanted:
        raise ValueError("NOTIFY needs a value")
    return wanted


def encode_notify(wanted: Notify) -> bytes:
    """The value of NOTIFY."""
    words = [word for word in ("SUCCESS", "FAILURE", "DELAY") if Notify[word] in wanted]
    return (",".join(words) or "NEVER").encode("ascii")


def decode_ret(value: bytes | None) -> str:
    """`FULL` or `HDRS` (RFC 3461 section 4.3). Raises ValueError."""
    returned = b"" if value is None else value.upper()
    if returned not in (b"FULL", b"HDRS"):
        raise ValueError("RET is FULL or HDRS")
    return returned.decode("ascii")


def decode_envid(value: bytes | None) -> str:
    """The envelope identifier, printable ASCII (RFC 3461 section 4.4). Raises ValueError."""
    if value is None or len(value) > ENVID_OCTETS:
        raise ValueError("ENVID has 1 to 100 characters")
    return printable(xtext.decode(value))


def encode_envid(identifier: str) -> bytes:
    """The value of ENVID."""
    return xtext.encode(identifier.encode("ascii"))


def decode_orcpt(value: bytes | None) -> str:
    """The address the sender used, its type before it: `rfc822;bob@example.com` (RFC 3461 section 4.2). Raises
    ValueError."""
    kind, semicolon, address = (value or b"").partition(b";")
    if not semicolon or len(kind) + len(address) >= ORCPT_OCTETS or ADDRESS_TYPE.fullmatch(kind) is None:
        raise ValueError("ORCPT is a type, a semicolon and an address, up to 500 characters")
    octets = xtext.decode(address, utf8=kind.lower() == UTF8_TYPE)
    if not octets.isascii() and kind.lower() in (UTF8_TYPE, b"rfc822"):  # Postfix escapes UTF-8 octet by octet
        return f"{UTF8_TYPE.decode('ascii')};{xtext.embedded(octets.decode('utf-8'))}"
    return f"{kind.decode('ascii')};{printable(octets)}"


def encode_orcpt(original: str) -> bytes:
    """The value of ORCPT."""
    kind, _, address = original.partition(";")
    return kind.encode("ascii") + b";" + xtext.encode(address.encode("ascii"))


def printable(octets: bytes) -> str:
    """What may stand in a field of a report: graphic characters and white space of ASCII. Raises ValueError."""
    text = octets.decode("ascii")
    if not text.replace("\t", " ").isprintable():
        raise ValueError("a report can hold no control characters")
    return text


NOTIFY: Final = Parameter("NOTIFY", decode_notify, encode_notify)
ORCPT: Final = Parameter("ORCPT", decode_orcpt, encode_orcpt)
RET: Final = Parameter("RET", decode_ret, str.encode)
ENVID: Final = Parameter("ENVID", decode_envid, encode_envid)


def wants(parameters: Parameters, event: Notify) -> bool:
    """Whether the sender is to hear of `event`, as the parameters of a recipient say; without NOTIFY: of all but
    success (RFC 3461 section 4.1)."""
    wanted = parameters.get(NOTIFY) if parameters.items else None
    return event is not Notify.SUCCESS if wanted is None else event in wanted


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes | None]:
    """RET and ENVID exactly as they came, and not where they did not come (RFC 3461 section 5.2.1)."""
    return {} if offer is None else carried(message.parameters, RET.keyword, ENVID.keyword)


def outbound_rcpt(parameters: Parameters, offer: str | None) -> Mapping[str, bytes | None]:
    """NOTIFY and ORCPT, the same way; but an address in UTF-8 in the form that every host can take."""
    if offer is None:
        return {}
    found = carried(parameters, NOTIFY.keyword, ORCPT.keyword)
    original = found.get(ORCPT.keyword)
    if original is None or original.isascii():
        return found
    return {**found, ORCPT.keyword: encode_orcpt(decode_orcpt(original))}


def carried(parameters: Parameters, *keywords: str) -> Mapping[str, bytes | None]:
    """The values of some parameters in the spelling that they came in."""
    return {keyword: value for keyword, value in parameters if keyword in keywords}


EXTENSION: Final = Extension(
    keyword="DSN",
    rfc=3461,
    mail=(RET, ENVID),
    rcpt=(NOTIFY, ORCPT),
    # RFC 3461 section 5.4 names the sizes that have to pass.
    mail_octets=len(" RET=HDRS ENVID=") + ENVID_OCTETS,
    rcpt_octets=len(" NOTIFY=SUCCESS,FAILURE,DELAY ORCPT=") + ORCPT_OCTETS,
    outbound=outbound,
    outbound_rcpt=outbound_rcpt,
)
