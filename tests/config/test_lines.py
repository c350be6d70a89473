"""The line of every key of a TOML text, whatever the layout."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.config.lines import lines, nearest

EVERYTHING = """\
# a comment with [brackets] and = signs
hostname = "mx.example.com" # "quoted" in a comment
"quoted key" = 'literal'
dotted . key = 1979-05-27 07:32:00

text = \"\"\"
not_a_key = 1
[not.a.table]
\\"\"\" still inside ""\"\"\"
raw = '''
nor = "this" '' '''
after = { inner = [1,
  { deep = true }] }

[table]
list = [
  "one",  # first
  # nothing here
  "two",
]
[table.below]
key = 1
[[array]]
name = "first"
[array.sub]
x = 1
[[array]]
name = "second"
[[array.inner]]
y = 1
[[array.inner]]
y = 2
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("hostname",), 2),
        (("quoted key",), 3),
        (("dotted",), 4),
        (("dotted", "key"), 4),
        (("text",), 6),
        (("raw",), 10),
        (("after",), 12),
        (("after", "inner"), 12),
        (("after", "inner", 1), 13),
        (("after", "inner", 1, "deep"), 13),
        (("table",), 15),
        (("table", "list"), 16),
        (("table", "list", 0), 17),
        (("table", "list", 1), 19),
        (("table", "below", "key"), 22),
        (("array",), 23),
        (("array", 0), 23),
        (("array", 0, "name"), 24),
        (("array", 0, "sub", "x"), 26),
        (("array", 1), 27),
        (("array", 1, "name"), 28),
        (("array", 1, "inner", 0, "y"), 30),
        (("array", 1, "inner", 1, "y"), 32),
    ],
)
def test_every_kind_of_layout_is_followed(path: tuple[str | int, ...], line: int) -> None:
    tomllib.loads(EVERYTHING)
    assert lines(EVERYTHING)[path] == line


@pytest.mark.parametrize("hidden", ["not_a_key", "not", "nor", "inside"])
def test_what_stands_inside_a_text_is_no_key(hidden: str) -> None:
    assert (hidden,) not in lines(EVERYTHING)


def test_only_a_line_feed_ends_a_line() -> None:
    text = 'one = "\u2028\x85\u0085"\r\ntwo = 2\r\n'
    tomllib.loads(text)
    assert lines(text)[("two",)] == 2


def test_the_nearest_line_is_that_of_the_table_above() -> None:
    found = lines("[dns]\ntimeout = 1\n")
    assert nearest(found, ("dns", "servers", 3)) == 1
    assert nearest(found, ("spf", "on_fail")) == 0


# Any document: values below tables, written in one of TOML's many ways, with the line of each key known.

KEYS = st.sampled_from(["a", "b-c", "d_e", "7", "with space", "dot.ted", 'quo"te', "[x]", "ünï", "#"])
SCALARS = st.sampled_from(
    [
        *("1", "true", "-2.5e3", "1979-05-27T07:32:00Z", "07:32:00", '"a # b"', "'c = [d'", '"\\"]"', '""', "''"),
        *('"""x\n[y]\n z = "1" """', "'''\n''q'' = 1\n'''", '"""ends with ""\\""""'),
    ]
)
GAPS = st.sampled_from(["", " ", "\n", " # note ]}\n", "\r\n\t"])


def quoted(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Writer:
    def __init__(self) -> None:
        self.text = ""
        self.lines: dict[tuple[str | int, ...], int] = {}

    def put(self, text: str) -> None:
        self.text += text

    def mark(self, path: tuple[str | int, ...]) -> None:
        self.lines.setdefault(path, self.text.count("\n") + 1)

    def value(self, data: st.DataObject, path: tuple[str | int, ...], depth: int) -> None:
        kind = data.draw(st.sampled_from(["scalar", "list", "table"] if depth else ["scalar"]))
        if kind == "scalar":
            self.put(data.draw(SCALARS))
        elif kind == "list":
            self.put("[")
            for number in range(data.draw(st.integers(0, 3))):
                self.put(data.draw(GAPS))
                self.mark((*path, number))
                self.value(data, (*path, number), depth - 1)
                self.put(f"{data.draw(GAPS)},")
            self.put(f"{data.draw(GAPS)}]")
        else:
            self.put("{ ")
            keys = data.draw(st.lists(KEYS, unique=True, max_size=3))
            for number, key in enumerate(keys):
                self.mark((*path, key))
                self.put(f"{quoted(key)} = ")
                self.value(data, (*path, key), depth - 1)
                self.put(", " if number < len(keys) - 1 else "")
            self.put(" }")

    def pairs(self, data: st.DataObject, path: tuple[str | int, ...]) -> None:
        for key in data.draw(st.lists(KEYS, unique=True, max_size=3)):
            self.put(data.draw(st.sampled_from(["", "\n", "# a = 1\n", "  "])))
            self.mark((*path, key))
            self.put(quoted(key) + data.draw(st.sampled_from(["=", " = ", "\t="])))
            self.value(data, (*path, key), 2)
            self.put(data.draw(st.sampled_from(["\n", " # end\n", "\r\n"])))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_every_key_of_any_document_is_found_at_its_line(data: st.DataObject) -> None:
    writer = Writer()
    writer.pairs(data, ())
    counts: dict[str, int] = {}
    for name in data.draw(st.lists(st.sampled_from(["array", "table one", "other.array"]), max_size=5)):
        array = "array" in name
        if not array and name in counts:
            continue
        counts[name] = counts.get(name, -1) + 1
        parts: tuple[str | int, ...] = tuple(name.split(".")) if array else (name,)
        header = name if array else quoted(name)
        for length in range(1, len(parts) + 1):
            writer.mark(parts[:length])
        path = (*parts, counts[name]) if array else parts
        writer.mark(path)
        writer.put(f"[[{header}]]\n" if array else f"[ {header} ]\n")
        writer.pairs(data, path)
    tomllib.loads(writer.text)
    assert lines(writer.text) == writer.lines
