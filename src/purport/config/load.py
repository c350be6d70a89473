"""Reads a settings file; an error names the file, the line and the key, and what may have been meant.

purport.toml:12: listener[0].servce: unknown setting; did you mean "service"?
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from purport.config.schema import Settings
from purport.mail.domain import a_label_form, is_domain_name

PLACES: Final = (Path("purport.toml"), Path("/etc/purport/purport.toml"))
VARIABLE: Final = "PURPORT_CONFIG"

TABLE: Final = re.compile(r"\s*\[(\[)?\s*([^\[\]]+?)\s*\]")
KEY: Final = re.compile(r"""\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"))*)\s*=""")
AT: Final = re.compile(r" - at `\$(?P<path>[^`]*)`$")
UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`")
MISSING: Final = re.compile(r"Object missing required field `(?P<name>[^`]*)`")
ENUM: Final = re.compile(r"Invalid enum value '(?P<value>[^']*)'")
DELIVER: Final = re.compile(r"maildir|mx|smtp:(\[[^\[\]]+\]|[^\[\]:]+):[0-9]{1,5}")
BIND: Final = re.compile(r"(?:\[(?P<ipv6>[0-9A-Fa-f:.]+)\]|(?P<host>[^\[\]:]+)):(?P<port>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class SettingsError(Exception):
    """The settings cannot be used. `line` is 0 where the whole file is meant."""

    file: str
    line: int
    key: str
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        key = f" {self.key}:" if self.key else ""
        hint = f"; {self.suggestion}" if self.suggestion else ""
        return f"{where}:{key} {self.message}{hint}"


class _Wrong(Exception):
    """A value that the types cannot tell to be wrong: the key's path, and why."""

    def __init__(self, key: str, message: str, suggestion: str = "") -> None:
        super().__init__(message)
        self.key = key
        self.message = message
        self.suggestion = suggestion


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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsError(str(path), 0, "", f"cannot be read: {reason}") from error
    return read(text, str(path))


def read(text: str, name: str = "purport.toml") -> Settings:
    """The settings in a text; `name` is how errors call it. Raises SettingsError."""
    try:
        plain = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+), column \d+\)", str(error))
        told = re.sub(r" \(at [^)]*\)$", "", str(error))
        number = int(line[1]) if line else len(text.splitlines())
        raise SettingsError(name, number, "", f"this is not TOML: {told}") from error
    try:
        settings = msgspec.convert(plain, Settings)
        _check(settings)
    except msgspec.ValidationError as error:
        raise _explained(str(error), text, name) from error
    except _Wrong as error:
        line_number = line_of(text, error.key)
        raise SettingsError(name, line_number, error.key, error.message, error.suggestion) from error
    return settings


def _explained(told: str, text: str, name: str) -> SettingsError:
    """What msgspec said, as an administrator wants to read it."""
    at = AT.search(told)
    path = at["path"].removeprefix(".") if at else ""
    told = told[: at.start()] if at else told
    if unknown := UNKNOWN.search(told):
        key = f"{path}.{unknown['name']}".lstrip(".")
        return SettingsError(name, line_of(text, key), key, "unknown setting", _meant(unknown["name"], _keys(path)))
    if missing := MISSING.search(told):
        return SettingsError(name, line_of(text, path), path, f'"{missing["name"]}" is missing')
    suggestion = ""
    if wrong := ENUM.search(told):
        words = _words(path)
        told = f'"{wrong["value"]}" is none of ' + ", ".join(f'"{word}"' for word in words)
        suggestion = _meant(wrong["value"], words)
    return SettingsError(name, line_of(text, path), path, told[:1].lower() + told[1:], suggestion)


def _meant(word: str, known: list[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f'did you mean "{close[0]}"?' if close else ""


def _type_at(path: str) -> object:
    """The type of the setting at a path such as `listener[0].service`."""
    kind: msgspec.inspect.Type = msgspec.inspect.type_info(Settings)
    for part in re.findall(r"[^.\[\]]+|\[", path):
        kind = _inner(kind)
        if isinstance(kind, msgspec.inspect.ListType) and (part == "[" or part.isdigit()):
            kind = kind.item_type
        elif isinstance(kind, msgspec.inspect.StructType) and not part.isdigit() and part != "[":
            found = [field.type for field in kind.fields if field.encode_name == part]
            if not found:
                return None
            kind = found[0]
    return _inner(kind)


def _inner(kind: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return kind.type if isinstance(kind, msgspec.inspect.Metadata) else kind


def _keys(path: str) -> list[str]:
    kind = _type_at(path)
    return [field.encode_name for field in kind.fields] if isinstance(kind, msgspec.inspect.StructType) else []


def _words(path: str) -> list[str]:
    kind = _type_at(path)
    return [str(word) for word in kind.values] if isinstance(kind, msgspec.inspect.LiteralType) else []


def line_of(text: str, key: str) -> int:
    """The line of a key such as `listener[0].service`, or of the table nearest above it; 0 where neither stands."""
    best = 0
    for number, path in _paths(text):
        if path == key:
            return number
        if key.startswith((f"{path}.", f"{path}[")):
            best = number
    return best


def _paths(text: str) -> Iterator[tuple[int, str]]:
    """Every line that names a key or a table, with its path."""
    table = ""
    arrays: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if found := TABLE.match(line):
            table = _plain(found[2])
            if found[1]:
                arrays[table] = arrays.get(table, -1) + 1
            table = _indexed(table, arrays)
            yield number, table
        elif found := KEY.match(line):
            yield number, f"{table}.{_plain(found[1])}".lstrip(".")


def _plain(dotted: str) -> str:
    return ".".join(part.strip().strip("\"'") for part in dotted.split("."))


def _indexed(table: str, arrays: dict[str, int]) -> str:
    """The path of a table below arrays of tables: `listener` as `listener[0]`."""
    parts = table.split(".")
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if name in arrays:
            parts[length - 1] += f"[{arrays[name]}]"
    return ".".join(parts)


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:25` or `[::1]:25`. Raises ValueError."""
    found = BIND.fullmatch(text)
    if found is None or not 0 < int(found["port"]) < 65536:
        raise ValueError("not HOST:PORT")
    return found["ipv6"] or found["host"], int(found["port"])


def _check(settings: Settings) -> None:
    """What types cannot say. Raises _Wrong."""
    if not is_domain_name(settings.hostname) or "." not in settings.hostname:
        raise _Wrong("hostname", f'"{settings.hostname}" is no full host name', 'such as "mx.example.com"')
    seen: set[str] = set()
    for number, domain in enumerate(settings.domain):
        where = f"domain[{number}]"
        try:
            name = a_label_form(domain.name).lower()
        except ValueError as error:
            raise _Wrong(f"{where}.name", f'"{domain.name}" is no domain name') from error
        if name in seen:
            raise _Wrong(f"{where}.name", f'"{domain.name}" stands here for the second time')
        seen.add(name)
        _check_route(f"{where}.deliver", domain.deliver, ("maildir", "smtp:HOST:PORT", "mx"))
    _check_route("relay.default", settings.relay.default, ("smtp:HOST:PORT", "mx"))
    for number, listener in enumerate(settings.listener):
        for bind in listener.bind:
            try:
                parse_bind(bind)
            except ValueError as error:
                raise _Wrong(f"listener[{number}].bind", f'"{bind}" is not HOST:PORT', 'such as "[::]:25"') from error
        _check_networks(f"listener[{number}].xclient", listener.xclient)
    _check_networks("relay.networks", settings.relay.networks)
    if settings.queue.max_backoff < settings.queue.min_backoff:
        raise _Wrong("queue.max_backoff", "is less than min_backoff")


def _check_route(key: str, route: str, forms: tuple[str, ...]) -> None:
    if DELIVER.fullmatch(route) is None or route.partition(":")[0] not in {form.partition(":")[0] for form in forms}:
        raise _Wrong(key, f'"{route}" is none of ' + ", ".join(f'"{form}"' for form in forms))


def _check_networks(key: str, networks: list[str]) -> None:
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise _Wrong(key, f'"{network}" is no network', 'such as "192.0.2.0/24"') from error
