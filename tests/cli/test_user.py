"""`purport user`: the users file by hand; no password on a command line, none printed."""

from __future__ import annotations

import getpass
import json
from pathlib import Path

import pytest

from purport.users.file import read_users
from support.cli import Ran, purport
from support.dovecot import fake_dovecot

SETTINGS = 'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "purport.toml").write_text(SETTINGS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    return tmp_path


def user(*words: str, password: str = "") -> Ran:
    stdin = ("--password-stdin",) if password else ()
    return purport("user", *words, *stdin, stdin=f"{password}\n".encode())


def test_a_user_from_the_first_day_to_the_last(folder: Path) -> None:
    assert user("add", "alice", "--address", "alice@example.com", password="secret").out == "alice: added\n"
    assert (folder / "users").stat().st_mode & 0o777 == 0o600
    kept = read_users(folder / "users")["alice"]
    assert kept.addresses == ("alice@example.com",)
    assert kept.secret.argon2 is not None
    assert kept.secret.scram is not None
    told = user("check", "alice", password="secret")
    assert (told.code, told.out) == (0, "alice: right; may send from alice@example.com\n")
    assert user("check", "alice", password="wrong").code == 77
    assert user("passwd", "alice", password="changed").code == 0
    assert user("check", "alice", password="secret").code == 77
    assert user("check", "alice", password="changed").code == 0
    assert user("delete", "alice").out == "alice: deleted\n"
    assert user("list").out == ""


def test_the_list_holds_no_secret(folder: Path) -> None:
    (folder / "purport.toml").write_text(f'{SETTINGS}[[user]]\nname = "bob"\npassword = "hunter2"\n')
    user("add", "alice", "--address", "@example.com", password="secret")
    assert user("list").lines == ["alice\t@example.com\tfile", "bob\t-\tsettings"]
    found = [json.loads(line) for line in user("list", "--json").lines]
    assert found[0] == {"name": "alice", "addresses": ["@example.com"], "place": "file"}
    assert "hunter2" not in str(found)


@pytest.mark.parametrize(
    ("words", "password", "code", "told"),
    [
        (["add", "bob"], "secret", 65, "bob: there is such a user"),
        (["add", "alice"], "\u0007", 65, "cannot be a password"),
        (["add", "al\x07ice"], "secret", 64, "SASLprep prohibits"),
        (["add", ""], "secret", 64, "1 to 255 printable characters"),
        (["add", "carol", "--address", "nonsense"], "secret", 64, "'nonsense' is no address"),
        (["passwd", "nobody"], "secret", 65, "nobody: there is no such user"),
        (["delete", "nobody"], "", 65, "nobody: there is no such user"),
        (["check", "nobody"], "secret", 77, "nobody: wrong name or password"),
    ],
)
def test_what_cannot_be_done_is_told(folder: Path, words: list[str], password: str, code: int, told: str) -> None:
    (folder / "purport.toml").write_text(f'{SETTINGS}[[user]]\nname = "bob"\npassword = "hunter2"\n')
    ran = user(*words, password=password)
    assert (ran.code, ran.out) == (code, "")
    assert told in ran.err
    assert "secret" not in ran.err


def test_a_password_is_asked_for_twice(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["secret", "secret", "secret", "sceret"]
    monkeypatch.setattr(getpass, "getpass", lambda _prompt: answers.pop(0))
    assert user("add", "alice").code == 0
    ran = user("add", "bob")
    assert (ran.code, ran.err) == (65, "the passwords differ\n")
    assert list(read_users(folder / "users")) == ["alice"]


def test_a_broken_file_is_not_overwritten(folder: Path) -> None:
    (folder / "users").write_text("nonsense")
    ran = user("add", "alice", password="secret")
    assert ran.code == 78
    assert (folder / "users").read_text() == "nonsense"
    assert purport("check").code == 78


def test_without_a_file_there_is_nothing_to_manage(folder: Path) -> None:
    (folder / "purport.toml").write_text(f'{SETTINGS}[users]\nfile = ""\n')
    assert user("add", "alice", password="secret").code == 78


def test_a_user_of_dovecot_is_checked_too(folder: Path) -> None:
    (folder / "purport.toml").write_text(f'{SETTINGS}[users]\ndovecot = "{folder}/auth"\n')
    assert user("check", "dave", password="secret").code == 75
    with fake_dovecot(folder / "auth", {"dave": "secret"}):
        assert user("check", "dave", password="secret").code == 0
        assert user("check", "dave", password="wrong").code == 77


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ('[[user]]\nname = "bob"\npassword = "hunter2"\n', "others can read user[0].password; chmod 600 purport.toml"),
        (
            '[relay]\ndefault = "smtp:a.example:25"\nuser = "a"\npassword = "hunter2"\n',
            "others can read relay.password",
        ),
        ('[oauth]\nclient_secret = "hunter2"\n', "others can read oauth.client_secret"),
        ('service = "submission"\n', "nobody can log in to the submission service"),
    ],
)
def test_check_warns_of_what_should_be_mended(folder: Path, more: str, told: str) -> None:
    settings = folder / "purport.toml"
    settings.write_text(SETTINGS + more)
    settings.chmod(0o644)
    ran = purport("check")
    assert ran.code == 0
    assert told in ran.err
    assert "hunter2" not in ran.err
    settings.chmod(0o600)
    assert ("others" in purport("check").err) is False


def test_check_warns_of_hashes_that_others_can_read(folder: Path) -> None:
    user("add", "alice", password="secret")
    assert purport("check").err == ""
    (folder / "users").chmod(0o644)
    assert "others can read the hashes" in purport("check").err


def test_check_misses_the_file_of_a_password(folder: Path) -> None:
    relay = '[relay]\ndefault = "smtp:a.example:25"\nuser = "a"\npassword_file = "nowhere"\n'
    (folder / "purport.toml").write_text(SETTINGS + relay)
    ran = purport("check")
    assert ran.code == 78
    assert "nowhere: No such file" in ran.err
