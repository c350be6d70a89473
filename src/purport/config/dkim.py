"""The keys that mail is signed with, from the settings and from the files that these name.

OpenDKIM's tables (opendkim.conf(5)), lines with white space between their parts, `#` before a comment:

    KeyTable        mykey            example.com:s1:/etc/opendkim/keys/s1.pem
    SigningTable    *@example.com    mykey
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from purport.authentication.dkim.sign import SigningKey, read_signing_key
from purport.authentication.dkim.signature import Malformed, dns_name
from purport.authentication.dkim.signer import ANY, DomainKey, Signer, SigningTable
from purport.config import lines
from purport.config.load import SettingsError, key_of
from purport.config.schema import Settings
from purport.config.tables.signing import DkimTables
from purport.config.wrong import Wrong

WILDCARDS: Final = "refile:"
PLAIN: Final = "file:"


def load_signer(path: Path, settings: Settings) -> Signer:
    """What signs for the settings in the file `path`. Reads the keys. Raises SettingsError."""
    folder = path.parent
    keys = []
    for number, table in enumerate(settings.dkim):
        try:
            names = _name(table.domain, "domain"), _name(table.selector, "selector")
            keys.append(DomainKey(*names, _key(folder / table.key)))
        except Wrong as wrong:
            where: lines.Path = ("dkim", number, *wrong.path)
            line = lines.nearest(lines.lines(path.read_text(encoding="utf-8")), where)
            raise SettingsError(str(path), line, key_of(where), wrong.message) from wrong
    return Signer(keys, _table(folder, settings.dkim_tables), settings.dkim_sign.lifetime or None)


def _table(folder: Path, settings: DkimTables) -> SigningTable:
    name = settings.signing_table
    if not name:
        return SigningTable()
    keys = _keys(_file(folder, settings.key_table)) if settings.key_table else {}
    file = _file(folder, name)
    entries = []
    for line, parts in _lines(file):
        if not 2 <= len(parts) <= 3:
            raise SettingsError(str(file), line, "", "must be PATTERN NAME, or PATTERN NAME IDENTITY")
        if parts[1] != ANY and parts[1] not in keys:
            raise SettingsError(str(file), line, "", f"the KeyTable has no {_shown(parts[1])}")
        entries.append((parts[0].lower(), parts[1], parts[2] if len(parts) == 3 else ""))
    return SigningTable(tuple(entries), keys, not name.startswith(PLAIN), settings.multiple_signatures)


def _keys(file: Path) -> dict[str, DomainKey]:
    keys: dict[str, DomainKey] = {}
    for line, parts in _lines(file):
        of = parts[1].split(":", 2) if len(parts) == 2 else []
        if len(of) != 3:
            raise SettingsError(str(file), line, "", "must be NAME DOMAIN:SELECTOR:FILE")
        domain, selector, key = of
        if ANY in key:
            raise SettingsError(str(file), line, "", "a % in the name of a file is not supported: name each file")
        try:
            keys[parts[0]] = DomainKey(
                ANY if domain == ANY else _name(domain, "domain"),
                _name(selector, "selector"),
                _key(file.parent / key.removeprefix(PLAIN)),
            )
        except Wrong as wrong:
            raise SettingsError(str(file), line, "", wrong.message) from wrong
    return keys


def _file(folder: Path, name: str) -> Path:
    return folder / name.removeprefix(PLAIN).removeprefix(WILDCARDS)


def _lines(file: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines of a table that say something, in parts."""
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(str(file), 0, "", "cannot be read: it is not UTF-8") from error
    except OSError as error:
        raise SettingsError(str(file), 0, "", f"cannot be read: {error.strerror}") from error
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.partition("#")[0].split()
        if parts:
            yield number, parts


def _key(file: Path) -> SigningKey:
    """The key in a file. Raises Wrong."""
    try:
        return read_signing_key(file.read_bytes())
    except OSError as error:
        raise Wrong(("key",), f"{file}: {error.strerror}") from error
    except ValueError as error:
        raise Wrong(("key",), f"{file}: {error}") from error


def _name(text: str, setting: str) -> str:
    """A domain or a selector. Raises Wrong."""
    try:
        return dns_name(text, setting)
    except Malformed as error:
        raise Wrong((setting,), f"{_shown(text)} is no name") from error


def _shown(text: str) -> str:
    return f'"{text}"' if text.isprintable() and len(text) < 80 else ascii(text[:80])
