"""The users file: what is written is read again, what is wrong is told without a secret, readers see whole files."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.users.file import BadUsers, User, change_secret, changing, read_users, user_name, write_users
from purport.users.password import Hasher, Secret

HASHER = Hasher(memory=64, rounds=1)
SECRET = Secret(None, HASHER.hashed("secret"), HASHER.keys("secret"))
ALICE = User("alice", SECRET, ("alice@company.com.example", "@example.com"))


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "users"
    users = [ALICE, User("bob"), User('"quotes\\"', Secret(None, SECRET.argon2), ("a@b.example",)), User("zoë")]
    write_users(file, users)
    assert list(read_users(file).values()) == users
    assert file.stat().st_mode & 0o777 == 0o600
    assert [place.name for place in tmp_path.iterdir()] == ["users"]


NAMES = st.text(max_size=12).filter(lambda text: is_name(text))


def is_name(text: str) -> bool:
    try:
        return user_name(text) == text
    except ValueError:
        return False


@given(st.lists(NAMES, unique=True, max_size=4))
def test_any_name_survives(names: list[str]) -> None:
    folder = Path(os.environ.get("TMPDIR", "/tmp"))
    file = folder / f"purport-users-{os.getpid()}"
    try:
        write_users(file, [User(name) for name in names])
        assert list(read_users(file)) == names
    finally:
        file.unlink(missing_ok=True)


def test_a_file_that_is_not_there_has_no_users(tmp_path: Path) -> None:
    assert read_users(tmp_path / "users") == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user = 1", "is not a users file"),
        ("[[user]]", "is not a users file"),
        ('[[user]]\nname = "a"\npassword = "hunter2"', "is not a users file"),
        ('[[user]]\nname = "a"\npassword_hash = "hunter2"', "password_hash is no argon2 hash"),
        ('[[user]]\nname = "a"\nscram = "hunter2"', r"user\[0\]"),
        ('[[user]]\nname = ""', "1 to 255"),
        ('[[user]]\nname = "a"\n[[user]]\nname = "a"', "twice"),
        ("\x00", "is not a users file"),
    ],
)
def test_what_is_wrong_is_told_without_secrets(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(BadUsers, match=told) as error:
        read_users(file)
    assert "hunter2" not in str(error.value)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "users"
    write_users(file, [ALICE])
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        write_users(file, [])
    assert read_users(file) == {"alice": ALICE}
    assert [place.name for place in tmp_path.iterdir()] == ["users"]


def test_a_secret_is_changed_where_it_is_still_the_one(tmp_path: Path) -> None:
    file = tmp_path / "users"
    write_users(file, [ALICE, User("bob")])
    fresh = Secret(None, HASHER.hashed("secret"), SECRET.scram)
    assert change_secret(file, "alice", lambda kept: fresh if kept == SECRET else None)
    assert read_users(file)["alice"] == User("alice", fresh, ALICE.addresses)
    assert not change_secret(file, "alice", lambda kept: fresh if kept == SECRET else None)
    assert not change_secret(file, "nobody", lambda kept: fresh)


def test_two_who_change_it_lose_nothing(tmp_path: Path) -> None:
    file = tmp_path / "users"

    def add(name: str) -> None:
        with changing(file):
            write_users(file, [*read_users(file).values(), User(name)])

    threads = [threading.Thread(target=add, args=(f"user{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(read_users(file)) == 8
