"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677): the password is proved, by both sides, and never sent.

C: n,,n=user,r=rOprNGfwEbeRWgbNEkqO
S: r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096
C: c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=
S: v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=

-PLUS binds the exchange to the TLS connection below it (`p=tls-exporter`, RFC 9266). A client that could have done so
and saw no -PLUS offered says `y`; where it was offered, somebody between took it out (RFC 5802 section 6).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

from purport.smtp.sasl import encoding
from purport.smtp.sasl.credentials import ClientFault, Credentials
from purport.smtp.sasl.exchange import MALFORMED, Exchange, Refused, authorized, challenge, keys_of, prepared, text_of
from purport.smtp.sasl.keys import LEAST_ITERATIONS, ScramKeys, mac

# The strongest binding first: RFC 9266 for TLS 1.3, the server's certificate for what cannot do that (RFC 5929).
BINDINGS: Final = ("tls-exporter", "tls-server-end-point")
# What a "." stands for in the patterns: value-char and what may stand in a nonce (RFC 5802 section 7).
NONCE: Final = r"[!-+\--~]+"
CLIENT_FIRST: Final = re.compile(
    r"(?P<gs2>(?P<flag>n|y|p=(?P<binding>[A-Za-z0-9.-]{1,64})),(?:a=(?P<authorization>[^,\0]+))?,)"
    rf"(?P<bare>n=(?P<name>[^,\0]+),r=(?P<nonce>{NONCE})(?:,[A-Za-z]=[^,\0]+)*)"
)
CLIENT_FINAL: Final = re.compile(
    rf"(?P<unproved>c=(?P<bound>[A-Za-z0-9+/=]+),r=(?P<nonce>{NONCE})(?:,[A-Za-z]=[^,\0]+)*),p=(?P<proof>[A-Za-z0-9+/=]+)"
)
SERVER_FIRST: Final = re.compile(
    rf"r=(?P<nonce>{NONCE}),s=(?P<salt>[A-Za-z0-9+/=]+),i=(?P<iterations>[1-9][0-9]{{0,8}})(?:,[A-Za-z]=[^,\0]+)*"
)
SERVER_FINAL: Final = re.compile(r"(?:v=(?P<signature>[A-Za-z0-9+/=]+)|e=(?P<error>[^,\0]+))(?:,[A-Za-z]=[^,\0]+)*")
SASLNAME: Final = re.compile(r"=(2C|3D|.{0,2})")


@dataclass(frozen=True, slots=True)
class Channel:
    """What is known of the connection: the octets of its channel bindings by their name, and whether this server
    offered -PLUS on it."""

    bindings: Mapping[str, bytes]
    plus_offered: bool


def server(initial: bytes | None, nonce: str, channel: Channel, *, plus: bool) -> Exchange:
    """The server's side; `nonce` is its part of the nonce."""
    first = CLIENT_FIRST.fullmatch(text_of(initial if initial is not None else (yield from challenge())))
    if first is None:
        raise Refused("not the first message of SCRAM", MALFORMED)
    bound = _binding(first, channel, plus=plus)
    name = prepared(_name(first["name"]), "a name")
    keys = yield from keys_of(name)
    whole_nonce = first["nonce"] + nonce
    server_first = f"r={whole_nonce},s={encoding.encode(keys.salt)},i={keys.iterations}"
    final = CLIENT_FINAL.fullmatch(text_of((yield from challenge(server_first.encode("ascii")))))
    if final is None:
        raise Refused("not the final message of SCRAM", MALFORMED)
    if final["nonce"] != whole_nonce:
        raise Refused("another nonce than was agreed on")
    if not hmac.compare_digest(_octets(final["bound"]), first["gs2"].encode("utf-8") + bound):
        raise Refused("the channel bindings do not match")
    said = ",".join((first["bare"], server_first, final["unproved"])).encode("utf-8")
    if not proves(_octets(final["proof"]), keys, said):
        raise Refused("authentication failure")
    who = authorized(_name(first["authorization"] or ""), name)
    # RFC 4954 section 4: 235 carries no data, so the server's proof is a challenge of its own, and the client agrees.
    agreed = yield from challenge(b"v=" + encoding.encode(mac(keys.server_key, said)).encode("ascii"))
    if agreed:
        raise Refused("SCRAM has no such message", MALFORMED)
    return who


def proves(proof: bytes, keys: ScramKeys, said: bytes) -> bool:
    """Whether the proof shows that the client knows the password (RFC 5802 section 3)."""
    signature = mac(keys.stored_key, said)
    if len(proof) != len(signature):
        return False
    client_key = exclusive_or(proof, signature)
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)


def exclusive_or(one: bytes, other: bytes) -> bytes:
    """Octet by octet, for two of the same length."""
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).to_bytes(len(one), "big")


def _binding(first: re.Match[str], channel: Channel, *, plus: bool) -> bytes:
    """The channel binding that the exchange has to hold. Raises Refused."""
    if not plus:
        if first["binding"] is not None:
            raise Refused("channel bindings belong to SCRAM-SHA-256-PLUS")
        if first["flag"] == "y" and channel.plus_offered:
            raise Refused("the client was not shown SCRAM-SHA-256-PLUS; somebody may have changed the EHLO reply")
        return b""
    name = first["binding"]
    if name is None or name not in channel.bindings:
        raise Refused("a channel binding that this connection does not have")
    return channel.bindings[name]


def _name(text: str) -> str:
    """A saslname with its commas and equals signs (RFC 5802 section 5.1). Raises Refused."""

    def unescaped(found: re.Match[str]) -> str:
        if found[1] not in ("2C", "3D"):
            raise Refused("a name with a bare equals sign", MALFORMED)
        return "," if found[1] == "2C" else "="

    return SASLNAME.sub(unescaped, text)


def _octets(text: str) -> bytes:
    try:
        return encoding.decode(text.encode("ascii"))
    except ValueError:
        raise Refused("bad base64 in a SCRAM message", MALFORMED) from None


@final
class ScramClient:
    """The client's side. `plus`: use -PLUS; else `bindings` that we have make us say so (`y`)."""

    def __init__(
        self, credentials: Credentials, nonce: str, bindings: Mapping[str, bytes] | None = None, *, plus: bool = False
    ) -> None:
        bindings = bindings or {}
        self._credentials = credentials
        self._nonce = nonce
        name = next((name for name in BINDINGS if name in bindings), "")
        flag = f"p={name}" if plus else "y" if name else "n"
        self._gs2 = f"{flag},,"
        self._bound = self._gs2.encode("ascii") + (bindings[name] if plus else b"")
        self._bare = f"n={credentials.user.replace('=', '=3D').replace(',', '=2C')},r={nonce}"
        self._signature = b""  # that the server has to show
        self.complete = False

    def initial(self) -> bytes:
        """The first message."""
        return (self._gs2 + self._bare).encode("utf-8")

    def respond(self, challenge: bytes, /) -> bytes:
        """The final message, then the agreement to the server's proof. Raises ClientFault."""
        try:
            text = challenge.decode("utf-8")
        except UnicodeDecodeError:
            raise ClientFault("the server's SCRAM message is not UTF-8") from None
        if self.complete:
            raise ClientFault("the server asks for more than SCRAM has to say")
        return self._check(text) if self._signature else self._prove(text)

    def _prove(self, text: str) -> bytes:
        found = SERVER_FIRST.fullmatch(text)
        if found is None:
            raise ClientFault("the server's first SCRAM message is malformed")
        nonce, iterations = found["nonce"], int(found["iterations"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ClientFault("the server changed the nonce")
        if iterations < LEAST_ITERATIONS:
            raise ClientFault(f"the server asks for {iterations} iterations, less than {LEAST_ITERATIONS}")
        salted = self._credentials.salted(_decoded(found["salt"]), iterations)
        unproved = f"c={encoding.encode(self._bound)},r={nonce}"
        said = f"{self._bare},{text},{unproved}".encode()
        client_key = mac(salted, b"Client Key")
        proof = exclusive_or(client_key, mac(hashlib.sha256(client_key).digest(), said))
        self._signature = mac(mac(salted, b"Server Key"), said)
        return f"{unproved},p={encoding.encode(proof)}".encode()

    def _check(self, text: str) -> bytes:
        found = SERVER_FINAL.fullmatch(text)
        if found is None or found["signature"] is None:
            raise ClientFault("the server's final SCRAM message is malformed or an error")
        if not hmac.compare_digest(_decoded(found["signature"]), self._signature):
            raise ClientFault("the server does not know the password: it is not the one it pretends to be")
        self.complete = True
        return b""


def _decoded(text: str) -> bytes:
    try:
        return encoding.decode(text.encode("ascii"))
    except ValueError:
        raise ClientFault("bad base64 in the server's SCRAM message") from None
