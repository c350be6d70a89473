"""Alias files and the lists that they include, read from the disk."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from purport.forwarding.aliases import FILE_OCTETS, Alias, Include, Problem, read_aliases, read_list
from purport.mail.address import Mailbox


class WrongAliases(Exception):
    """An alias file that cannot be used: which file, in which line, why; `line` 0 stands for all of it."""

    def __init__(self, path: Path, line: int, problem: str, more: int = 0) -> None:
        others = f" (and {more} more like it)" if more else ""
        super().__init__(f"{path}: {problem}{others}" if not line else f"{path}:{line}: {problem}{others}")


def aliases_in(path: Path) -> dict[str, tuple[Mailbox, ...]]:
    """Where the mail of each name goes. Raises WrongAliases at the first thing that is."""
    aliases, problems = read_aliases(_read(path))
    _raise(path, problems)
    return {alias.name: tuple(_targets(path, alias)) for alias in aliases}


def _targets(path: Path, alias: Alias) -> Iterable[Mailbox]:
    for target in alias.targets:
        if isinstance(target, Include):
            place = Path(target.path)
            try:
                found, problems = read_list(_read(place))
            except WrongAliases as error:
                raise WrongAliases(path, alias.line, f"{alias.name}: {error}") from None
            _raise(place, problems)
            yield from found
        else:
            yield target


def _read(path: Path) -> str:
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):  # to read from a pipe or a terminal would wait for ever
            raise WrongAliases(path, 0, "is no file")
        if found.st_size > FILE_OCTETS:
            raise WrongAliases(path, 0, f"has more than {FILE_OCTETS} octets")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongAliases(path, 0, f"cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise WrongAliases(path, 0, "cannot be read: it is not UTF-8") from None


def _raise(path: Path, problems: list[Problem]) -> None:
    if problems:
        raise WrongAliases(path, problems[0].line, problems[0].text, len(problems) - 1)
