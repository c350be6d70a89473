"""The annotated sample file and the manual, made from the typed settings: so they cannot be wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import inspect

from purport.config.schema import Settings

# What a file must say for itself; everything else has a default.
EXAMPLES: Final = {
    "hostname": '"mx.company.com.example"',
    "listener.bind": '["127.0.0.1:2525"]',
    "domain.name": '"company.com.example"',
}


def sample() -> str:
    """The sample file: it works as it is; a line without its `#` says what the default says."""
    return "\n".join(_sample()) + "\n"


def _sample() -> Iterator[str]:
    yield "# Purport's settings. Lines that begin with # show the defaults."
    yield ""
    tables: list[inspect.Field] = []
    for field in _fields(Settings):
        if _table(field) is not None:
            tables.append(field)
        else:
            yield from _key(field, field.encode_name)
    for field in tables:
        table = _table(field)
        assert table is not None
        array = _is_array(field)
        yield ""
        yield from _wrapped(table.cls.__doc__ or "")
        yield f"[[{field.encode_name}]]" if array else f"[{field.encode_name}]"
        for inner in table.fields:
            yield from _key(inner, f"{field.encode_name}.{inner.encode_name}")


def _key(field: inspect.Field, path: str) -> Iterator[str]:
    yield ""
    yield from _wrapped(_about(field))
    example = EXAMPLES.get(path)
    if example is not None:
        yield f"{field.encode_name} = {example}"
    else:
        default = default_of(field)
        shown = '["bob", "postmaster"]' if default is None else toml(default)
        yield f"# {field.encode_name} = {shown}"


def manual() -> str:
    """The settings as a page of the documentation."""
    lines = [
        "# Settings",
        "",
        "Made by `purport config describe --markdown`; `purport config describe` prints the same as a sample file.",
        "The file is TOML. Paths in it are relative to its own folder. An unknown key is an error that names its line.",
    ]
    plain = [field for field in _fields(Settings) if _table(field) is None]
    lines += ["", "## Top level", "", *_rows(plain, "")]
    for field in _fields(Settings):
        table = _table(field)
        if table is not None:
            name = f"[[{field.encode_name}]]" if _is_array(field) else f"[{field.encode_name}]"
            lines += [
                "",
                f"## `{name}`",
                "",
                table.cls.__doc__ or "",
                "",
                *_rows(list(table.fields), field.encode_name),
            ]
    return "\n".join(lines) + "\n"


def _rows(fields: list[inspect.Field], table: str) -> list[str]:
    rows = ["| key | default | what it is for |", "|---|---|---|"]
    for field in fields:
        path = f"{table}.{field.encode_name}".lstrip(".")
        if path in EXAMPLES:
            shown = "must be given"
        else:
            default = default_of(field)
            shown = "left out" if default is None else f"`{toml(default)}`"
        rows.append(f"| `{field.encode_name}` | {shown} | {_about(field).replace('|', chr(92) + '|')} |")
    return rows


def default_of(field: inspect.Field) -> object:
    """The default of a setting that is no table."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def toml(value: object) -> str:
    """A default as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value)


def _fields(kind: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    found = inspect.type_info(kind)
    assert isinstance(found, inspect.StructType)
    return found.fields


def _table(field: inspect.Field) -> inspect.StructType | None:
    kind = _plain(field.type)
    if isinstance(kind, inspect.ListType):
        kind = _plain(kind.item_type)
    return kind if isinstance(kind, inspect.StructType) else None


def _is_array(field: inspect.Field) -> bool:
    return isinstance(_plain(field.type), inspect.ListType)


def _plain(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _about(field: inspect.Field) -> str:
    kind = field.type
    about = (kind.extra_json_schema or {}).get("description", "") if isinstance(kind, inspect.Metadata) else ""
    inner = _plain(kind)
    if isinstance(inner, inspect.LiteralType):
        words = ", ".join(f'"{word}"' for word in sorted(str(word) for word in inner.values))
        about = f"{about} (one of {words})"
    return str(about)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ")
