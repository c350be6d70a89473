"""check, serve, config describe: the settings file from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.cli import purport

GOOD = 'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25", "[::1]:25"]\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    return tmp_path


def test_good_settings_are_told_in_one_line(folder: Path) -> None:
    (folder / "purport.toml").write_text(f'{GOOD}[[domain]]\nname = "example.com"\n')
    ran = purport("check")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "purport.toml: good: mx.example.com, 1 domain, listening on 127.0.0.1:25, [::1]:25\n"


@pytest.mark.parametrize("command", ["check", "serve"])
def test_an_error_in_the_settings_exits_with_78_and_names_its_place(folder: Path, command: str) -> None:
    (folder / "other.toml").write_text(f"{GOOD}bnd = []\n")
    ran = purport(command, "--config", "other.toml")
    assert (ran.code, ran.out) == (78, "")
    assert ran.err == 'other.toml:4: listener[0].bnd: unknown setting; did you mean "bind"?\n'


@pytest.mark.parametrize("command", ["check", "serve", "queue list", "explain --last"])
def test_without_a_settings_file_it_is_said_where_one_was_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setattr("purport.config.load.PLACES", (Path("purport.toml"), folder / "etc" / "purport.toml"))
    ran = purport(*command.split())
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("purport.toml: there is no settings file")


def test_the_environment_names_the_settings_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "named.toml").write_text(GOOD)
    monkeypatch.setenv("PURPORT_CONFIG", "named.toml")
    assert purport("check").out.startswith("named.toml: good")


@pytest.mark.parametrize(
    ("zone", "told"),
    [
        (None, "No such file or directory"),
        ("{", "not a zone"),
        ('{"a.example": [{"TXXT": "x"}]}', "record type 'TXXT' is not one of"),
    ],
)
def test_a_zone_file_that_cannot_be_used_is_found_by_check(folder: Path, zone: str | None, told: str) -> None:
    (folder / "purport.toml").write_text(f'{GOOD}[dns]\nzone = "zone.json"\n')
    if zone is not None:
        (folder / "zone.json").write_text(zone)
    ran = purport("check")
    assert (ran.code, ran.out) == (78, "")
    assert ran.err.startswith("purport.toml:5: dns.zone: ")
    assert told in ran.err


def test_the_sample_file_is_data_and_passes_the_check(folder: Path) -> None:
    described = purport("config", "describe")
    assert (described.code, described.err) == (0, "")
    (folder / "purport.toml").write_text(described.out)
    assert purport("check").code == 0


def test_the_manual_is_markdown(folder: Path) -> None:
    assert purport("config", "describe", "--markdown").out.startswith("# Settings\n")
