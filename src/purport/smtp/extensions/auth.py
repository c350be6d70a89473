"""AUTH: the client says who it is, and proves it (RFC 4954).

    S: 250-AUTH SCRAM-SHA-256 PLAIN
    C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
    S: 235 2.7.0 Authentication successful
    C: MAIL FROM:<e=mc2@example.com> AUTH=e+3Dmc2@example.com

What a client says with the parameter AUTH is read and believed of nobody, as RFC 4954 section 5 allows: to a server
that we logged in to, every message goes with `AUTH=<>`. The mechanisms are in `smtp/sasl`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from purport.mail import xtext
from purport.mail.address import NULL, Mailbox, ReversePath, parse_mailbox
from purport.mail.envelope import Parameter
from purport.mail.reply import Rejected, Reply, reply
from purport.smtp.event import Auth, AuthResponse
from purport.smtp.extension import Extension, Outgoing, Terms
from purport.smtp.sasl import encoding, mechanisms
from purport.smtp.state import State

RESPONSE_OCTETS: Final = 12288  # of a line, CRLF counted: "sufficient" (RFC 4954 section 4)
MECHANISM: Final = re.compile(rb"[A-Za-z0-9_-]{1,20}")  # RFC 4422 section 3.1
UNKNOWN_IDENTITY: Final = b"<>"

SUCCESS: Final = reply(235, "2.7.0", "Authentication successful")
CANCELLED: Final = reply(501, "5.7.0", "Authentication cancelled")
NOT_BASE64: Final = reply(501, "5.5.2", "Cannot decode the base64 of the response")
RESPONSE_TOO_LONG: Final = reply(500, "5.5.6", "Authentication exchange line is too long")
NO_MECHANISM: Final = reply(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
UNKNOWN_MECHANISM: Final = reply(504, "5.5.4", "Unrecognized authentication mechanism")
TOO_WEAK: Final = reply(534, "5.7.9", "Authentication mechanism is too weak")
NEEDS_TLS: Final = reply(538, "5.7.11", "Encryption required for requested authentication mechanism")
ALREADY: Final = reply(503, "5.5.1", "Already authenticated")
REQUIRED: Final = reply(530, "5.7.0", "Authentication required")
TEMPORARY: Final = reply(454, "4.7.0", "Temporary authentication failure")
TOO_MANY: Final = reply(421, "4.7.0", "Too many failed logins; come back later")

# Mechanisms that others offer and a client may ask for, but whose secrets are too easily found.
WEAK: Final = frozenset(("LOGIN", "PLAIN", "CRAM-MD5", "DIGEST-MD5", "NTLM", "SCRAM-SHA-1", "ANONYMOUS"))


def mechanisms_on(terms: Terms) -> tuple[str, ...]:
    """What is offered to this client: nothing in clear, unless the listener is told to (RFC 4954 section 4)."""
    if not (terms.secure or (terms.auth_without_tls and not terms.tls_required)):
        return ()
    return tuple(name for name in terms.mechanisms if terms.bound or not name.endswith(mechanisms.BOUND))


def offer(terms: Terms) -> str | None:
    """The mechanisms, the strongest first."""
    return " ".join(mechanisms_on(terms)) or None


def refusals(terms: Terms) -> Mapping[bytes, Reply]:
    """What may not be said: AUTH where only TLS is missing for it, and at a submission service the beginning of any
    mail without a login (RFC 4954 section 6, RFC 6409 section 4.3)."""
    refused: dict[bytes, Reply] = {}
    if terms.mechanisms and not mechanisms_on(terms):
        refused[b"AUTH"] = NEEDS_TLS
    if terms.tls_required and not terms.secure:
        return refused  # for everything else TLS comes first (RFC 3207 section 4)
    if terms.service == "submission" and not terms.authenticated:
        refused |= dict.fromkeys((b"MAIL", b"VRFY", b"EXPN"), REQUIRED)
    return refused


def command(argument: bytes, terms: Terms) -> Auth:
    """The argument of AUTH. Raises Rejected."""
    if terms.authenticated:
        raise Rejected(ALREADY)
    word, space, initial = argument.partition(b" ")
    if MECHANISM.fullmatch(word) is None:
        raise Rejected(NO_MECHANISM)
    mechanism = word.decode("ascii").upper()
    if mechanism not in mechanisms_on(terms):
        raise Rejected(TOO_WEAK if mechanism in WEAK else UNKNOWN_MECHANISM)
    if not space:
        return Auth(mechanism)
    if initial == b"=":  # present, and empty
        return Auth(mechanism, b"")
    decoded = response(initial)
    if decoded.fault is not None:
        raise Rejected(decoded.fault)
    if not initial:
        raise Rejected(NO_MECHANISM)
    return Auth(mechanism, decoded.octets)


def response(line: bytes) -> AuthResponse:
    """A line of the client after a challenge."""
    if line == b"*":
        return AuthResponse(fault=CANCELLED)
    try:
        return AuthResponse(encoding.decode(line))
    except ValueError:
        return AuthResponse(fault=NOT_BASE64)


def challenge(octets: bytes) -> Reply:
    """A challenge as it goes on the wire; one without octets is `334 ` and nothing else (RFC 4954 section 4)."""
    return Reply(334, "", (encoding.encode(octets),))


def decode(value: bytes | None) -> ReversePath:
    """Who submitted the message, says the client; NULL where it does not say (RFC 4954 section 5). Raises
    ValueError."""
    if value is None:
        raise ValueError("AUTH needs a value")
    octets = xtext.decode(value)
    return NULL if octets == UNKNOWN_IDENTITY else parse_mailbox(octets.decode("ascii"))


def encode(identity: ReversePath) -> bytes:
    """An identity as the value of AUTH. Raises ValueError where it needs SMTPUTF8."""
    return xtext.encode(str(identity).encode("ascii")) if isinstance(identity, Mailbox) else UNKNOWN_IDENTITY


AUTH: Final = Parameter("AUTH", decode, encode)


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """`AUTH=<>` to a server that we logged in to (RFC 4954 section 5)."""
    return {AUTH.keyword: UNKNOWN_IDENTITY} if message.authenticated and offer is not None else {}


EXTENSION: Final = Extension(
    keyword="AUTH",
    rfc=4954,
    offer=offer,
    mail=(AUTH,),
    mail_octets=500,  # RFC 4954 section 3 (6)
    refusals=refusals,
    # Clients that hold a long token send it as initial response, although the line is then longer than RFC 5321 has it.
    verb_octets={b"AUTH": RESPONSE_OCTETS},
    verbs={State.READY: {b"AUTH": State.READY}},
    outbound=outbound,
)
