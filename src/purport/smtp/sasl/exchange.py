"""What a mechanism on the server's side asks of its shell, step by step (RFC 4422 section 3).

    exchange = plain.server(b"\0alice\0secret")
    next(exchange)          ->  PasswordCheck("alice", ...)
    exchange.send("alice")  ->  StopIteration("alice"): who the client proved to be

A mechanism is a generator. It yields a Challenge for the client, and is sent the client's response; it yields a
question about a user, and is sent the answer. It returns the name of who logged in, or raises Refused.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Final, final

from purport.mail.reply import Reply, reply
from purport.smtp.sasl.keys import ScramKeys
from purport.smtp.sasl.saslprep import saslprep

INVALID: Final = reply(535, "5.7.8", "Authentication credentials invalid")
MALFORMED: Final = reply(501, "5.5.2", "Malformed authentication response")


class Refused(Exception):
    """The exchange ends: `reply` is for the client, `reason` for the log. Neither holds what the client sent."""

    def __init__(self, reason: str, reply: Reply = INVALID) -> None:
        super().__init__(reason)
        self.reason = reason
        self.reply = reply


@final
@dataclass(frozen=True, slots=True)
class Challenge:
    """Octets for the client; the answer is the client's response."""

    octets: bytes = field(default=b"", repr=False)


@final
@dataclass(frozen=True, slots=True)
class PasswordCheck:
    """Whether this is the password of this user; the answer is the name that the user is known by, or None. Nobody of
    that name: None."""

    name: str
    password: str = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class KeysWanted:
    """The SCRAM keys of this user; the answer is a ScramKeys, for a user who does not exist one that looks like any
    other and always the same."""

    name: str


@final
@dataclass(frozen=True, slots=True)
class DigestCheck:
    """Whether this is what this user's password makes of a challenge (CRAM-MD5); the answer is as for a password."""

    name: str
    challenge: bytes = field(repr=False)
    digest: str = field(repr=False)


@final
@dataclass(frozen=True, slots=True)
class TokenCheck:
    """Whose this OAuth token is; the answer is a name, or None."""

    token: str = field(repr=False)


Question = PasswordCheck | KeysWanted | DigestCheck | TokenCheck
Step = Challenge | Question
Given = bytes | ScramKeys | str | None
Exchange = Generator[Step, Given, str]


def challenge(octets: bytes = b"") -> Generator[Step, Given, bytes]:
    """Send a challenge; returns the response."""
    given = yield Challenge(octets)
    if not isinstance(given, bytes):
        raise TypeError("the answer to a challenge is a response")
    return given


def password_check(name: str, password: str) -> Generator[Step, Given, str]:
    """Ask for a user's password to be checked; returns the name that the user is known by. Raises Refused where it is
    wrong."""
    given = yield PasswordCheck(name, password)
    if not isinstance(given, str):
        raise Refused("authentication failure")
    return given


def digest_check(name: str, asked: bytes, digest: str) -> Generator[Step, Given, str]:
    """Ask for the digest of a challenge to be checked, in the same way."""
    given = yield DigestCheck(name, asked, digest)
    if not isinstance(given, str):
        raise Refused("authentication failure")
    return given


def keys_of(name: str) -> Generator[Step, Given, ScramKeys]:
    """Ask for a user's SCRAM keys."""
    given = yield KeysWanted(name)
    if not isinstance(given, ScramKeys):
        raise TypeError("the answer is SCRAM keys")
    return given


def owner_of(token: str) -> Generator[Step, Given, str | None]:
    """Ask whose a token is."""
    given = yield TokenCheck(token)
    if given is not None and not isinstance(given, str):
        raise TypeError("the answer is a name or None")
    return given


def text_of(octets: bytes) -> str:
    """A part of a response as text. Raises Refused."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("a response that is not UTF-8", MALFORMED) from None


def prepared(text: str, what: str) -> str:
    """A name or a password as it is compared (RFC 4954 section 4). Raises Refused, also where nothing is left."""
    try:
        found = saslprep(text)
    except ValueError:
        raise Refused(f"{what} that SASLprep does not allow") from None
    if not found:
        raise Refused(f"{what} that is empty")
    return found


def authorized(authorization: str, name: str) -> str:
    """Who the client is to be taken for: here always who it proved to be (RFC 4422 section 3.4.1). Raises Refused."""
    if authorization and prepared(authorization, "a name") != name:
        raise Refused("a login for somebody else")
    return name
