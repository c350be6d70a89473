"""Hashes: made, checked, outdated; nobody's takes as long as anybody's."""

from __future__ import annotations

import asyncio
import threading

import pytest

from purport.users.password import (
    AT_ONCE,
    NO_SECRET,
    WAITING,
    Hasher,
    Secret,
    Threads,
    Unavailable,
    is_argon2,
    prepared,
)

HASHER = Hasher(memory=64, rounds=1)


@pytest.mark.parametrize("password", ["secret", "pässwörd", "two words", "I\u00adX"])
def test_a_password_is_checked_against_whatever_is_kept_of_it(password: str) -> None:
    for secret in (
        Secret(clear=password),
        Secret(argon2=HASHER.hashed(password)),
        Secret(scram=HASHER.keys(password)),
        Secret(argon2=HASHER.hashed(password), scram=HASHER.keys(password)),
    ):
        assert HASHER.check(secret, prepared(password))
        assert not HASHER.check(secret, "another")
    assert not HASHER.check(NO_SECRET, prepared(password))


def test_hashes_are_argon2id_and_no_two_are_the_same() -> None:
    one, other = HASHER.hashed("secret"), HASHER.hashed("secret")
    assert one.startswith("$argon2id$v=19$m=64,t=1,p=1$")
    assert one != other
    assert HASHER.keys("secret").salt != HASHER.keys("secret").salt


def test_a_hash_with_other_parameters_is_outdated() -> None:
    written = Secret(argon2=HASHER.hashed("secret"))
    assert not HASHER.outdated(written)
    assert Hasher(memory=64, rounds=2).outdated(written)
    assert not HASHER.outdated(NO_SECRET)


def test_a_broken_hash_matches_nothing() -> None:
    assert not HASHER.check(Secret(argon2="$argon2id$nonsense"), "secret")


@pytest.mark.parametrize("text", ["", "secret", "$2b$12$abc", "{SHA512-CRYPT}$6$a"])
def test_what_is_no_argon2_hash(text: str) -> None:
    assert not is_argon2(text)


@pytest.mark.parametrize("password", ["", "\u00ad", "\u0007", "\u0221"])
def test_what_cannot_be_a_password(password: str) -> None:
    with pytest.raises(ValueError, match=r"password|character"):
        prepared(password)


def test_who_does_not_exist_is_hashed_for_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hasher = Hasher(memory=64, rounds=1)
    verified: list[str] = []
    verify = hasher._argon2.verify
    monkeypatch.setattr(type(hasher._argon2), "verify", lambda _, *given: verified.append(given[0]) or verify(*given))
    for secret in (NO_SECRET, Secret(clear="secret"), Secret(scram=hasher.keys("secret")), Secret(argon2="$argon2id$")):
        verified.clear()
        hasher.check(secret, "secret")
        assert len(verified) == 1


def test_no_secret_stands_in_a_repr() -> None:
    assert "tell" not in repr(Secret("tell", "tell", HASHER.keys("tell")))


def test_checks_that_wait_have_a_limit_and_the_loop_waits_for_none() -> None:
    async def crowd() -> None:
        threads, gate = Threads(), threading.Event()
        waiting = [asyncio.ensure_future(threads.run(gate.wait)) for _ in range(AT_ONCE + WAITING)]
        await asyncio.sleep(0)
        with pytest.raises(Unavailable):
            await threads.run(gate.wait)
        gate.set()
        assert all(await asyncio.gather(*waiting))
        assert await threads.run(lambda: 1) == 1
        threads.close()

    asyncio.run(crowd())
