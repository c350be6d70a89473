"""Passwords: argon2id hashes (RFC 9106) and SCRAM keys, made and checked in threads, a few at once.

$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$...
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar, final

from purport.smtp.sasl.keys import ScramKeys, is_password, keys_of_password
from purport.smtp.sasl.saslprep import saslprep

if TYPE_CHECKING:
    from argon2 import PasswordHasher

T = TypeVar("T")

# What OWASP's password storage cheat sheet asks of argon2id, in KiB, rounds and lanes; a check takes some 20 ms.
MEMORY: Final = 19_456
ROUNDS: Final = 2
LANES: Final = 1
# Of PBKDF2 below SCRAM: the client does the work, at every login. Telephones do so many in a tenth of a second.
ITERATIONS: Final = 65_536
SALT_OCTETS: Final = 16
AT_ONCE: Final = 4  # checks; each holds MEMORY
WAITING: Final = 256  # checks that wait for a thread; more are told to come again


class Unavailable(Exception):
    """Whether somebody may log in cannot be found out now; the text is for the log."""


@final
@dataclass(frozen=True, slots=True)
class Secret:
    """What is kept of a user's password: in clear where the settings have it so, else a hash, SCRAM keys, or both."""

    clear: str | None = field(default=None, repr=False)
    argon2: str | None = field(default=None, repr=False)
    scram: ScramKeys | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return not (self.clear is None and self.argon2 is None and self.scram is None)


NO_SECRET: Final = Secret()


@final
class Hasher:
    """Makes and checks what is kept of passwords. Its methods take their time: for threads and commands."""

    def __init__(self, memory: int = MEMORY, rounds: int = ROUNDS, lanes: int = LANES) -> None:
        self._parameters = (rounds, memory, lanes)

    @cached_property
    def _argon2(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # where a password is checked, and nowhere else

        rounds, memory, lanes = self._parameters
        return PasswordHasher(time_cost=rounds, memory_cost=memory, parallelism=lanes)

    @cached_property
    def _nobody(self) -> str:
        """A hash that no password has: who does not exist takes as long as who does."""
        return self._argon2.hash(secrets.token_urlsafe(32))

    def hashed(self, password: str) -> str:
        """The argon2id hash of a password. Raises ValueError for what SASLprep does not allow."""
        return self._argon2.hash(prepared(password))

    def keys(self, password: str) -> ScramKeys:
        """SCRAM keys of a password, with a salt of their own. Raises ValueError as `hashed`."""
        return keys_of_password(prepared(password), secrets.token_bytes(SALT_OCTETS), ITERATIONS)

    def check(self, secret: Secret, password: str) -> bool:
        """Whether this (prepared) password is the one that was kept. It takes one argon2 hash for everybody."""
        matches = self._verify(secret.argon2 or self._nobody, password)
        if secret.argon2 is not None:
            return matches
        if secret.clear is not None:
            return hmac.compare_digest(saslprep(secret.clear).encode("utf-8"), password.encode("utf-8"))
        return secret.scram is not None and is_password(password, secret.scram)

    def outdated(self, secret: Secret) -> bool:
        """Whether the hash was made with other parameters than are in force."""
        return secret.argon2 is not None and self._argon2.check_needs_rehash(secret.argon2)

    def _verify(self, written: str, password: str) -> bool:
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return self._argon2.verify(written, password)
        except (VerificationError, InvalidHashError):
            return False


def prepared(password: str) -> str:
    """A password as it is kept. Raises ValueError."""
    found = saslprep(password, stored=True)
    if not found:
        raise ValueError("an empty password")
    return found


def is_argon2(text: str) -> bool:
    """Whether a text is an argon2 hash."""
    from argon2 import extract_parameters
    from argon2.exceptions import InvalidHashError

    try:
        extract_parameters(text)
    except InvalidHashError:
        return False
    return True


@final
class Threads:
    """Where passwords are checked: a few threads, so that the event loop never waits for one, and a queue with an
    end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._count = 0

    async def run(self, work: Callable[[], T]) -> T:
        """What `work` returns. Raises Unavailable where too many wait already."""
        if self._count >= AT_ONCE + WAITING:
            raise Unavailable("too many passwords are being checked")
        self._count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._count -= 1

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
