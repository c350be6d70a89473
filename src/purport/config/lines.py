"""Where each key and each element of a TOML text stands, so that an error can name its line.

    hostname = "mx.example.com"       ("hostname",) 1
    [[listener]]                      ("listener",) 2, ("listener", 0) 2
    bind = [                          ("listener", 0, "bind") 3
      "127.0.0.1:25",                 ("listener", 0, "bind", 0) 4
    ]

`tomllib` keeps no positions. It has read the text before, so this scanner trusts the syntax and follows the layout.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Final

Path = tuple[str | int, ...]

SPACE: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
# The longer quotes first: '' is an empty string only where no third quote follows.
STRING: Final = re.compile(
    r'''"""(?:[^"\\]|\\.|"{1,2}(?!"))*"{3,5}|"(?:[^"\\\n]|\\.)*"'''
    r"""|'''(?:[^']|'{1,2}(?!'))*'{3,5}|'[^'\n]*'""",
    re.DOTALL,
)
PLAIN: Final = re.compile(r"[^,\]}#\n]+")  # numbers, dates, true and false


def lines(text: str) -> dict[Path, int]:
    """The line, from 1, at which each path of a TOML text stands first. The text must be valid."""
    return _Scanner(text).scan()


def nearest(found: dict[Path, int], path: Path) -> int:
    """The line of a path, else that of the table or list nearest above it; 0 where neither stands in the text."""
    while path:
        if path in found:
            return found[path]
        path = path[:-1]
    return 0


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [place for place, character in enumerate(text) if character == "\n"]
        self._found: dict[Path, int] = {}
        self._counts: dict[Path, int] = {}  # of arrays of tables: the index of the newest element

    def scan(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip_space():
            if self._take("["):
                array = self._take("[")
                table = self._header(array)
                self._take("]")
                if array:
                    self._take("]")
            else:
                self._pair(table)
        return self._found

    def _header(self, array: bool) -> Path:
        """The path of a `[table]` or `[[table]]`; one below an array of tables belongs to the array's last element."""
        line = self._line()
        keys = self._dotted_key()
        path: Path = ()
        for number, key in enumerate(keys, 1):
            path = (*path, key)
            self._found.setdefault(path, line)
            if array and number == len(keys):
                self._counts[path] = self._counts.get(path, -1) + 1
            if path in self._counts:
                path = (*path, self._counts[path])
                self._found.setdefault(path, line)
        return path

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._dotted_key():
            path = (*path, key)
            self._found.setdefault(path, line)
        self._take("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_space()
        if self._take("["):
            number = 0
            while self._skip_space() and not self._take("]"):
                self._found.setdefault((*path, number), self._line())
                self._value((*path, number))
                number += 1
                self._skip_space()
                self._take(",")
        elif self._take("{"):
            while self._skip_space() and not self._take("}"):
                self._pair(path)
                self._skip_space()
                self._take(",")
        else:
            found = STRING.match(self._text, self._at) or PLAIN.match(self._text, self._at)
            self._at = found.end() if found else self._at + 1

    def _dotted_key(self) -> list[str]:
        keys = [self._key()]
        while self._skip_space() and self._take("."):
            keys.append(self._key())
        return keys

    def _key(self) -> str:
        self._skip_space()
        quoted = STRING.match(self._text, self._at)
        if quoted is not None:
            self._at = quoted.end()
            return str(tomllib.loads(f"key = {quoted[0]}")["key"])
        bare = BARE_KEY.match(self._text, self._at)
        self._at = bare.end() if bare else self._at + 1
        return bare[0] if bare else ""

    def _skip_space(self) -> bool:
        """Go to what comes next; whether anything does."""
        space = SPACE.match(self._text, self._at)
        assert space is not None  # it matches the empty text too
        self._at = space.end()
        return self._at < len(self._text)

    def _take(self, character: str) -> bool:
        if self._text.startswith(character, self._at):
            self._at += 1
            return True
        return False

    def _line(self) -> int:
        return bisect_right(self._ends, self._at) + 1
