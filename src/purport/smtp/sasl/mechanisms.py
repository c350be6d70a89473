"""The mechanisms by name, the strongest first: what a server runs, and what a client chooses.

250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 OAUTHBEARER PLAIN
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from purport.smtp.sasl import cram_md5, oauthbearer, plain, scram
from purport.smtp.sasl.credentials import ClientMechanism, Credentials
from purport.smtp.sasl.exchange import Exchange

SCRAM_PLUS: Final = "SCRAM-SHA-256-PLUS"
SCRAM: Final = "SCRAM-SHA-256"
OAUTHBEARER: Final = "OAUTHBEARER"
CRAM_MD5: Final = "CRAM-MD5"
PLAIN: Final = "PLAIN"
LOGIN: Final = "LOGIN"
ALL: Final = (SCRAM_PLUS, SCRAM, OAUTHBEARER, CRAM_MD5, PLAIN, LOGIN)
BOUND: Final = "-PLUS"  # how a mechanism ends that needs channel bindings (RFC 5802 section 4)
WITHOUT_SECRET: Final = frozenset((SCRAM_PLUS, SCRAM))  # those that send nothing which could be used again


@dataclass(frozen=True, slots=True)
class ServerContext:
    """What a server's exchange needs besides the octets: our part of a nonce, the channel, the scope of tokens, our
    name."""

    nonce: str = field(repr=False)
    channel: scram.Channel
    scope: str = ""
    hostname: str = "localhost"


def server_exchange(mechanism: str, initial: bytes | None, context: ServerContext) -> Exchange:
    """The server's side of a mechanism of ALL."""
    if mechanism in (SCRAM, SCRAM_PLUS):
        return scram.server(initial, context.nonce, context.channel, plus=mechanism == SCRAM_PLUS)
    if mechanism == OAUTHBEARER:
        return oauthbearer.server(initial, context.scope)
    if mechanism == CRAM_MD5:
        return cram_md5.server(initial, context.nonce, context.hostname)
    return plain.login_server(initial) if mechanism == LOGIN else plain.server(initial)


def choose(offered: Sequence[str], credentials: Credentials, *, secure: bool, bound: bool) -> str | None:
    """The strongest mechanism that a server offers and these credentials can use; None where there is none.

    `secure`: TLS protects the connection; what could be stolen and used again is not sent without it, unless the
    credentials say so. `bound`: its channel bindings are known.
    """
    for mechanism in ALL:
        if mechanism not in offered or (credentials.mechanism and mechanism != credentials.mechanism):
            continue
        if mechanism == OAUTHBEARER and not credentials.token:
            continue
        if mechanism != OAUTHBEARER and not credentials.password:
            continue
        if mechanism == SCRAM_PLUS and not bound:
            continue
        if secure or credentials.without_tls or mechanism in WITHOUT_SECRET:
            return mechanism
    return None


def client_mechanism(
    mechanism: str, credentials: Credentials, nonce: str, bindings: Mapping[str, bytes]
) -> ClientMechanism:
    """The client's side of a mechanism of ALL."""
    if mechanism in (SCRAM, SCRAM_PLUS):
        return scram.ScramClient(credentials, nonce, bindings, plus=mechanism == SCRAM_PLUS)
    if mechanism == OAUTHBEARER:
        return oauthbearer.OauthClient(credentials)
    if mechanism == CRAM_MD5:
        return cram_md5.CramMd5Client(credentials)
    return plain.LoginClient(credentials) if mechanism == LOGIN else plain.PlainClient(credentials)
