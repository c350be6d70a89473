"""Reads a settings file; an error names the file, the line and the key, and what may have been meant.

purport.toml:12: listener[0].servce: unknown setting; did you mean "service"?
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec

from purport.config import lines
from purport.config.check import check
from purport.config.keys import fields_at, tables_with, words_at
from purport.config.places import parse_bind
from purport.config.schema import Settings
from purport.config.wrong import Wrong

__all__ = ["PLACES", "VARIABLE", "SettingsError", "find_settings", "load", "parse_bind", "read", "state_folder"]

PLACES: Final = (Path("purport.toml"), Path("/etc/purport/purport.toml"))
VARIABLE: Final = "PURPORT_CONFIG"
SOCKET_PATH: Final = 107  # octets of the control socket's path: sun_path of unix(7), less its closing zero octet

# How msgspec puts its messages.
AT: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
ENUM: Final = re.compile(r"Invalid enum value '(?P<value>.*)'", re.DOTALL)
TYPE: Final = re.compile(r"Expected `(?P<wanted>[^`]*)`, got `(?P<given>[^`]*)`")
LIMIT: Final = re.compile(r"Expected `(?P<kind>\w+)` (?P<length>of length )?(?P<sign>[<>]=?) (?P<limit>[-\w.+]+)")
NO_ZONE: Final = "Expected `datetime` with a timezone component"
PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
POSITION: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "a text in quotes",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "datetime": "a date and time such as 2024-01-01T00:00:00Z",
    "date": "a date",
}
SIGNS: Final = {">=": "at least", ">": "more than", "<=": "at most", "<": "less than"}


class SettingsError(Exception):
    """The settings cannot be used. `line` counts from 1; it is 0 where no line is meant, as `key` is empty then."""

    def __init__(self, file: str, line: int, key: str, message: str, suggestion: str = "") -> None:
        super().__init__(file, line, key, message, suggestion)
        self.file = file
        self.line = line
        self.key = key
        self.message = message
        self.suggestion = suggestion

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{where}:{key} {self.message}{hint}"


def find_settings(named: str | None = None) -> Path:
    """The settings file: as named, else $PURPORT_CONFIG, ./purport.toml, /etc/purport/purport.toml.

    Raises SettingsError where there is none.
    """
    named = named or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    for place in PLACES:
        if place.exists():
            return place
    looked = " nor ".join(str(place) for place in PLACES)
    raise SettingsError(str(PLACES[0]), 0, "", f"there is no settings file: neither {looked}", "name one with --config")


def load(path: Path) -> Settings:
    """The settings of a file. Raises SettingsError."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(str(path), line, "", "cannot be read: it is not UTF-8") from error
    except OSError as error:
        raise SettingsError(str(path), 0, "", f"cannot be read: {error.strerror or error}") from error
    settings = read(text, str(path))
    state = state_folder(path, settings)
    if len(os.fsencode(state / "control")) > SOCKET_PATH:
        line = lines.nearest(lines.lines(text), ("state_dir",))
        message = f"{state} is too long for the path of a control socket"
        raise SettingsError(str(path), line, "state_dir", message, "choose a folder with a shorter path")
    return settings


def state_folder(path: Path, settings: Settings) -> Path:
    """The folder of spool, ledger, control socket and Maildirs of the settings in the file `path`. It is absolute and
    without detours, as there is little room in the path of a socket."""
    return (path.parent / settings.state_dir).resolve()


def read(text: str, name: str = "purport.toml") -> Settings:
    """The settings in a text; `name` is how errors call it. Raises SettingsError."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _no_toml(str(error), text, name) from error
    except RecursionError as error:
        raise SettingsError(name, 0, "", "this is not TOML: lists or tables too deep inside each other") from error
    try:
        settings = msgspec.convert(plain, Settings)
        check(settings)
    except msgspec.ValidationError as error:
        raise _explained(str(error), text, name) from error
    except Wrong as error:
        raise _error(name, text, error.path, error.message, error.suggestion) from error
    return settings


def _no_toml(told: str, text: str, name: str) -> SettingsError:
    position = POSITION.search(told)
    last = text.rstrip().count("\n") + 1
    line = int(position[1]) if position and position[1] else last
    return SettingsError(name, line, "", f"this is not TOML: {POSITION.sub('', told)}")


def _error(name: str, text: str, path: lines.Path, message: str, suggestion: str = "") -> SettingsError:
    return SettingsError(name, lines.nearest(lines.lines(text), path), key_of(path), message, suggestion)


def key_of(path: lines.Path) -> str:
    """A path as people write it: `listener[0].bind[1]`. A key of theirs that is no plain word is escaped."""
    key = ""
    for part in path:
        if isinstance(part, int):
            key += f"[{part}]"
        else:
            key += f".{part if lines.BARE_KEY.fullmatch(part) else ascii(part)}"
    return key.removeprefix(".")


def _explained(told: str, text: str, name: str) -> SettingsError:
    """What msgspec said, as an administrator wants to read it."""
    at = AT.search(told)
    path: lines.Path = ()
    if at is not None:
        path = tuple(int(index) if index else key for index, key in PART.findall(at["path"]))
        told = told[: at.start()]
    if unknown := UNKNOWN.fullmatch(told):
        return _error(name, text, (*path, unknown["name"]), "unknown setting", _where_it_belongs(path, unknown["name"]))
    if missing := MISSING.fullmatch(told):
        return _error(name, text, path, f'"{missing["name"]}" is missing')
    if wrong := ENUM.fullmatch(told):
        words = words_at(path)
        known = ", ".join(f'"{word}"' for word in words)
        return _error(name, text, path, f"{_shown(wrong['value'])} is none of {known}", _meant(wrong["value"], words))
    return _error(name, text, path, _expected(told))


def _expected(told: str) -> str:
    """A wrong type, or a number or a list beyond its limits."""
    if wrong := TYPE.fullmatch(told):
        wanted = [TYPES.get(kind, kind) for kind in wrong["wanted"].split(" | ") if kind != "null"]
        return f"must be {' or '.join(wanted)}, not {TYPES.get(wrong['given'], wrong['given'])}"
    if wrong := LIMIT.fullmatch(told):
        if wrong["length"]:
            return "must not be empty"
        return f"must be {SIGNS[wrong['sign']]} {wrong['limit'].removesuffix('.0')}"
    if told == NO_ZONE:
        return "must have a time zone, such as the Z of 2024-01-01T00:00:00Z"
    return told[:1].lower() + told[1:]


def _where_it_belongs(path: lines.Path, name: str) -> str:
    """What an unknown key may have been meant to be, or in which table it is known."""
    if meant := _meant(name, fields_at(path)):
        return meant
    if path and name in fields_at(()):
        return "it belongs to the top of the file, before the first [table]"
    tables = [table for table in tables_with(name) if table != key_of(path).partition("[")[0]]
    return f"it belongs to [{tables[0]}]" if len(tables) == 1 else ""


def _meant(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f'did you mean "{close[0]}"?' if close else ""


def _shown(value: str) -> str:
    """A text of the file as an error may quote it: short, in one line, nothing that a terminal obeys."""
    value = value if len(value) <= 80 else f"{value[:80]}..."
    return f'"{value}"' if value.isprintable() else ascii(value)
