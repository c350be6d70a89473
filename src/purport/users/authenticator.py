"""Who may log in, whatever they are kept in: the settings, the users file, Dovecot, an OAuth server.

A user of the settings goes before one of the file with the same name, and both before Dovecot. Whether a user exists
shows neither in a reply nor in the time it takes, nor in the salt of SCRAM.
"""

from __future__ import annotations

import asyncio
import hmac
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

from purport.policy.login import Login
from purport.smtp.sasl import cram_md5, mechanisms
from purport.smtp.sasl.exchange import DigestCheck, Given, KeysWanted, PasswordCheck, Question
from purport.smtp.sasl.keys import ScramKeys, keys_of_password
from purport.smtp.sasl.saslprep import saslprep
from purport.users.dovecot import DovecotAuth
from purport.users.file import BadUsers, User, change_secret, read_users
from purport.users.password import ITERATIONS, NO_SECRET, SALT_OCTETS, Hasher, Secret, Threads, Unavailable, prepared
from purport.users.tokens import Tokens

Version = tuple[int, int, int]  # of a file: when it was changed, its size, its number

ABSENT: Final[Version] = (0, 0, 0)


@final
class Authenticator:
    """Answers the questions of SASL mechanisms.

    `pepper` makes the salts of users who do not exist: a secret of this server that stays the same. `domain` is what
    follows the @ of a user's own address where none is named.
    """

    def __init__(
        self,
        *,
        users: Mapping[str, User],
        file: Path | None,
        dovecot: DovecotAuth | None,
        tokens: Tokens | None,
        allowed: tuple[str, ...],
        pepper: bytes,
        domain: str,
        hasher: Hasher,
        threads: Threads,
        warn: Callable[[str], None],
    ) -> None:
        """Reads the users file. Raises OSError and BadUsers."""
        self._named = users
        self._file = file
        self._dovecot = dovecot
        self._tokens = tokens
        self._pepper = pepper
        self._domain = domain
        self._hasher = hasher
        self._threads = threads
        self._warn = warn
        self._version = ABSENT if file is None else version(file)
        self._filed = {} if file is None else read_users(file)
        self._reading: asyncio.Lock = asyncio.Lock()
        self._made: dict[str, ScramKeys] = {}  # keys of passwords that the settings have in clear
        self._renewing: set[asyncio.Task[None]] = set()
        self.mechanisms = self._mechanisms(allowed)

    @property
    def scope(self) -> str:
        """The scope that OAuth tokens need."""
        return "" if self._tokens is None else self._tokens.scope

    def login(self, name: str) -> Login:
        """A user who logged in, with the addresses that they may speak for: a name that is one itself, or the name at
        our first domain, where the settings say nothing else."""
        user = self._named.get(name) or self._filed.get(name)
        if user is not None and user.addresses:
            return Login(name, user.addresses)
        return Login(name, (name,) if "@" in name else (f"{name}@{self._domain}",) if self._domain else ())

    async def answer(self, question: Question, client: str, *, secure: bool) -> Given:
        """The answer to a mechanism's question. Raises Unavailable."""
        await self._refresh()
        if isinstance(question, PasswordCheck):
            return await self._check(question.name, question.password, client, secure=secure)
        if isinstance(question, KeysWanted):
            return await self._keys(question.name)
        if isinstance(question, DigestCheck):
            return self._check_digest(question)
        if self._tokens is None:
            return None
        return await self._tokens.owner(question.token)

    # Passwords

    async def _check(self, name: str, password: str, client: str, *, secure: bool) -> str | None:
        secret = self._secret(name)
        if not secret and self._dovecot is not None:
            return await self._dovecot.check(name, password, client, secure=secure)
        hasher = self._hasher
        right = await self._threads.run(lambda: hasher.check(secret, password))
        if right and self._file is not None and name not in self._named and hasher.outdated(secret):
            self._renew(self._file, name, secret, password)
        return name if right else None

    def _renew(self, file: Path, name: str, secret: Secret, password: str) -> None:
        """The hash of a good password, made anew with the parameters that are in force; the login does not wait."""

        def renewed(kept: Secret) -> Secret | None:
            if kept != secret:
                return None
            return Secret(None, self._hasher.hashed(password), kept.scram)

        async def work() -> None:
            try:
                await self._threads.run(lambda: change_secret(file, name, renewed))
            except (OSError, BadUsers, Unavailable) as error:
                self._warn(f"{file}: the hash of {name!a} could not be renewed: {error}")

        task = asyncio.get_running_loop().create_task(work())
        self._renewing.add(task)
        task.add_done_callback(self._renewing.discard)

    def _check_digest(self, question: DigestCheck) -> str | None:
        """A digest takes as long for who does not exist, or whose password is not known in clear."""
        clear = self._secret(question.name).clear
        password = self._pepper.hex() if clear is None else prepared(clear)
        right = hmac.compare_digest(cram_md5.digest(password, question.challenge), question.digest)
        return question.name if right and clear is not None else None

    # SCRAM

    async def _keys(self, name: str) -> ScramKeys:
        secret = self._secret(name)
        if secret.scram is not None:
            return secret.scram
        clear = secret.clear
        if clear is None:
            return self._nobodys_keys(name)
        salt, iterations = self._salt(name), self._iterations()
        made = self._made.get(name)
        if made is None or made.iterations != iterations:
            made = await self._threads.run(lambda: keys_of_password(prepared(clear), salt, iterations))
            self._made[name] = made
        return made

    def _salt(self, name: str) -> bytes:
        """The salt of who has none kept: the same after a new start, so that it does not tell users from nobodies."""
        return hmac.digest(self._pepper, b"salt " + name.encode("utf-8"), "sha256")[:SALT_OCTETS]

    def _nobodys_keys(self, name: str) -> ScramKeys:
        """Keys that look like those of any user, and are the same at each question (RFC 5802 section 9)."""

        def made(what: bytes) -> bytes:
            return hmac.digest(self._pepper, what + name.encode("utf-8"), "sha256")

        return ScramKeys(self._salt(name), self._iterations(), made(b"stored "), made(b"server "))

    def _iterations(self) -> int:
        """What most users have."""
        counts = Counter(user.secret.scram.iterations for user in self._filed.values() if user.secret.scram)
        return counts.most_common(1)[0][0] if counts else ITERATIONS

    def _secret(self, name: str) -> Secret:
        user = self._named.get(name)
        if user is None or not user.secret:
            user = self._filed.get(name, user)
        return NO_SECRET if user is None else user.secret

    def _mechanisms(self, allowed: tuple[str, ...]) -> tuple[str, ...]:
        """What can be offered: SCRAM, and CRAM-MD5, only where they work for everybody, as a client that sees one uses
        nothing else."""
        secrets = [user.secret for user in (*self._named.values(), *self._filed.values()) if user.secret]
        scram = self._dovecot is None and all(secret.scram or secret.clear is not None for secret in secrets)
        clear = self._dovecot is None and bool(secrets) and all(secret.clear is not None for secret in secrets)
        passwords = self._dovecot is not None or self._file is not None or bool(secrets)
        possible = {
            mechanisms.SCRAM_PLUS: scram and passwords,
            mechanisms.SCRAM: scram and passwords,
            mechanisms.OAUTHBEARER: self._tokens is not None,
            mechanisms.CRAM_MD5: clear,
            mechanisms.PLAIN: passwords,
            mechanisms.LOGIN: passwords,
        }
        return tuple(name for name in mechanisms.ALL if name in allowed and possible[name])

    # The file

    async def _refresh(self) -> None:
        """Read the users file where it was changed; what is there now is kept where it cannot be read."""
        file = self._file
        if file is None or version(file) == self._version:
            return
        async with self._reading:
            now = version(file)
            if now == self._version:
                return
            self._version = now
            try:
                self._filed = await self._threads.run(lambda: read_users(file))
            except (OSError, BadUsers, Unavailable) as error:
                self._warn(f"the users stay as they were: {error}")


def version(file: Path) -> Version:
    """What changes when the file does."""
    try:
        found = file.stat()
    except OSError:
        return ABSENT
    return found.st_mtime_ns, found.st_size, found.st_ino


def prepared_user(name: str, secret: Secret, addresses: tuple[str, ...]) -> User:
    """A user of the settings; their name as it is compared. Raises ValueError."""
    return User(saslprep(name, stored=True), secret, addresses)
