"""Who may log in, over all places where users are kept; and nobody learns who exists."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from purport.smtp.sasl import cram_md5
from purport.smtp.sasl.exchange import DigestCheck, KeysWanted, PasswordCheck, Question, TokenCheck
from purport.smtp.sasl.keys import ScramKeys
from purport.smtp.sasl.mechanisms import ALL, CRAM_MD5, LOGIN, OAUTHBEARER, PLAIN, SCRAM, SCRAM_PLUS
from purport.users.authenticator import Authenticator
from purport.users.dovecot import DovecotAuth
from purport.users.file import User, read_users, write_users
from purport.users.password import ITERATIONS, SALT_OCTETS, Hasher, Secret, Threads
from purport.users.tokens import Tokens, TokenSettings
from support.dovecot import fake_dovecot
from support.peers import wait_for

HASHER = Hasher(memory=64, rounds=1)
BOTH = Secret(None, HASHER.hashed("secret"), HASHER.keys("secret"))
T = TypeVar("T")


def authenticator(
    *users: User,
    file: Path | None = None,
    dovecot: Path | None = None,
    tokens: bool = False,
    hasher: Hasher = HASHER,
    pepper: bytes = b"pepper",
    warned: list[str] | None = None,
    allowed: tuple[str, ...] | None = None,
) -> Authenticator:
    return Authenticator(
        users={user.name: user for user in users},
        file=file,
        dovecot=DovecotAuth(str(dovecot)) if dovecot else None,
        tokens=Tokens(TokenSettings(jwks="/nowhere"), lambda: 0.0) if tokens else None,
        allowed=tuple(name for name in ALL if name not in (CRAM_MD5, LOGIN)) if allowed is None else allowed,
        pepper=pepper,
        domain="company.com.example",
        hasher=hasher,
        threads=Threads(),
        warn=(warned if warned is not None else []).append,
    )


def run(work: Coroutine[object, object, T]) -> T:
    return asyncio.run(work)


def ask(known: Authenticator, question: Question) -> object:
    return run(known.answer(question, "192.0.2.1", secure=True))


def test_the_settings_go_before_the_file(tmp_path: Path) -> None:
    file = tmp_path / "users"
    write_users(file, [User("alice", BOTH), User("bob", BOTH)])
    known = authenticator(User("alice", Secret("other")), User("bob", Secret(), ("b@b.example",)), file=file)
    assert ask(known, PasswordCheck("alice", "secret")) is None
    assert ask(known, PasswordCheck("alice", "other")) == "alice"
    assert ask(known, PasswordCheck("bob", "secret")) == "bob"  # the settings have addresses only
    assert ask(known, PasswordCheck("nobody", "secret")) is None
    assert known.login("bob").addresses == ("b@b.example",)


def test_the_addresses_of_a_login() -> None:
    known = authenticator(User("alice", Secret("x"), ("a@b.example", "@c.example")))
    assert known.login("alice").addresses == ("a@b.example", "@c.example")
    assert known.login("bob").addresses == ("bob@company.com.example",)
    assert known.login("carol@d.example").addresses == ("carol@d.example",)


def test_a_change_of_the_file_is_seen_at_the_next_login(tmp_path: Path) -> None:
    file = tmp_path / "users"
    warned: list[str] = []
    known = authenticator(file=file, warned=warned)
    assert ask(known, PasswordCheck("alice", "secret")) is None
    write_users(file, [User("alice", BOTH)])
    assert ask(known, PasswordCheck("alice", "secret")) == "alice"
    file.write_text("nonsense")
    assert ask(known, PasswordCheck("alice", "secret")) == "alice"
    assert len(warned) == 1
    file.unlink()
    assert ask(known, PasswordCheck("alice", "secret")) is None


def test_an_outdated_hash_is_renewed_after_a_good_login(tmp_path: Path) -> None:
    file = tmp_path / "users"
    write_users(file, [User("alice", BOTH, ("a@b.example",))])
    newer = Hasher(memory=64, rounds=2)

    async def log_in() -> None:
        known = authenticator(file=file, hasher=newer)
        assert await known.answer(PasswordCheck("alice", "wrong"), "", secure=True) is None
        assert not known._renewing
        assert await known.answer(PasswordCheck("alice", "secret"), "", secure=True) == "alice"
        await asyncio.gather(*known._renewing)

    run(log_in())
    secret = read_users(file)["alice"].secret
    assert newer.check(secret, "secret")
    assert not newer.outdated(secret)
    assert replace(secret, argon2=BOTH.argon2) == BOTH


def test_the_keys_of_nobody_look_like_anybodys_and_stay(tmp_path: Path) -> None:
    file = tmp_path / "users"
    write_users(file, [User("alice", BOTH)])
    known, later = authenticator(file=file), authenticator(file=file)
    real, fake = ask(known, KeysWanted("alice")), ask(known, KeysWanted("nobody"))
    assert isinstance(real, ScramKeys)
    assert isinstance(fake, ScramKeys)
    assert (len(fake.salt), fake.iterations) == (len(real.salt), real.iterations) == (SALT_OCTETS, ITERATIONS)
    assert ask(later, KeysWanted("nobody")) == fake
    assert ask(known, KeysWanted("somebody")) != fake
    assert ask(authenticator(file=file, pepper=b"another"), KeysWanted("nobody")) != fake


def test_a_password_in_clear_serves_scram_with_one_salt_like_nobodys() -> None:
    known = authenticator(User("alice", Secret("secret")))
    keys = ask(known, KeysWanted("alice"))
    assert isinstance(keys, ScramKeys)
    assert ask(known, KeysWanted("alice")) == keys
    without = ask(authenticator(), KeysWanted("alice"))  # after a new start, and with nobody of that name
    assert isinstance(without, ScramKeys)
    assert (without.salt, without.iterations) == (keys.salt, keys.iterations)
    assert HASHER.check(Secret(scram=keys), "secret")


def test_scram_is_offered_where_it_works_for_everybody(tmp_path: Path) -> None:
    both = (SCRAM_PLUS, SCRAM, PLAIN)
    assert authenticator().mechanisms == ()
    assert authenticator(file=tmp_path / "users").mechanisms == both  # who is added gets keys
    assert authenticator(User("alice", Secret("secret"))).mechanisms == both
    assert authenticator(User("alice", BOTH), User("bob")).mechanisms == both
    assert authenticator(User("alice", Secret(argon2=BOTH.argon2))).mechanisms == (PLAIN,)
    assert authenticator(dovecot=tmp_path / "auth").mechanisms == (PLAIN,)
    assert authenticator(tokens=True).mechanisms == (OAUTHBEARER,)


def test_cram_md5_needs_every_password_in_clear(tmp_path: Path) -> None:
    clear, only = User("alice", Secret("secret")), (CRAM_MD5,)
    assert authenticator(clear, allowed=only).mechanisms == only
    assert authenticator(clear, User("bob", BOTH), allowed=only).mechanisms == ()
    assert authenticator(allowed=only).mechanisms == ()
    assert authenticator(clear, dovecot=tmp_path / "auth", allowed=only).mechanisms == ()
    known = authenticator(clear, User("bob", BOTH))
    digest = cram_md5.digest("secret", b"<1@mx.example>")
    assert ask(known, DigestCheck("alice", b"<1@mx.example>", digest)) == "alice"
    assert ask(known, DigestCheck("alice", b"<2@mx.example>", digest)) is None
    assert ask(known, DigestCheck("bob", b"<1@mx.example>", digest)) is None
    pepper = cram_md5.digest(b"pepper".hex(), b"<1@mx.example>")
    assert ask(known, DigestCheck("nobody", b"<1@mx.example>", pepper)) is None


def test_dovecot_is_asked_about_all_others(tmp_path: Path) -> None:
    socket = tmp_path / "auth"
    with fake_dovecot(socket, {"bob": "pw", "alice": "dovecots"}) as dovecot:
        known = authenticator(User("alice", Secret("secret")), User("bob", Secret(), ("b@b.example",)), dovecot=socket)
        assert ask(known, PasswordCheck("bob", "pw")) == "bob"
        assert ask(known, PasswordCheck("bob", "wrong")) is None
        assert ask(known, PasswordCheck("alice", "secret")) == "alice"
        assert ask(known, PasswordCheck("alice", "dovecots")) is None
        wait_for(lambda: len(dovecot.asked) == 2, what="two questions")


def test_a_token_is_nobodys_where_there_are_no_tokens() -> None:
    assert ask(authenticator(), TokenCheck("abc")) is None
