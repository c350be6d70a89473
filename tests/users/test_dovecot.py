"""Dovecot's auth socket, against a stand-in."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from purport.users.dovecot import DovecotAuth
from purport.users.password import Unavailable
from support.dovecot import GREETING, fake_dovecot


def check(socket: Path, name: str = "Alice", password: str = "secret", seconds: float = 5.0) -> str | None:
    async def ask() -> str | None:
        return await DovecotAuth(str(socket), seconds).check(name, password, "192.0.2.1", secure=True)

    return asyncio.run(ask())


def test_a_right_password_gives_the_name_that_dovecot_knows(tmp_path: Path) -> None:
    socket = tmp_path / "auth"
    with fake_dovecot(socket, {"Alice": "secret"}) as dovecot:
        assert check(socket) == "alice"
        assert check(socket, password="wrong") is None
        assert check(socket, "nobody") is None
    words = dovecot.asked[0]
    assert words[:4] == ["AUTH", "1", "PLAIN", "service=smtp"]
    assert {"secured", "rip=192.0.2.1", "nologin"} < set(words)


@pytest.mark.parametrize(
    ("greeting", "told"),
    [
        ("VERSION\t2\t0\nDONE\n", "another version"),
        (GREETING.replace("MECH\tPLAIN\tplaintext\n", ""), "PLAIN is not among"),
        ("HELLO\n" * 1001, "has no end"),
        ("x" * 20_000 + "\n", "too long"),
        ("\udcff\n", "not its protocol"),
    ],
)
def test_who_speaks_something_else_is_unavailable(tmp_path: Path, greeting: str, told: str) -> None:
    socket = tmp_path / "auth"
    with fake_dovecot(socket, {}, greeting), pytest.raises(Unavailable, match=told) as error:
        check(socket, seconds=2)
    assert "secret" not in str(error.value)


def test_a_temporary_failure_is_no_wrong_password(tmp_path: Path) -> None:
    socket = tmp_path / "auth"
    with fake_dovecot(socket, {}), pytest.raises(Unavailable, match="temporary failure"):
        check(socket, "broken")


def test_nobody_there_and_nobody_who_answers(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="No such file"):
        check(tmp_path / "auth")
    socket = tmp_path / "silent"
    with fake_dovecot(socket, {}, "VERSION\t1\t2\n"), pytest.raises(Unavailable, match="did not answer"):
        check(socket, seconds=0.1)
