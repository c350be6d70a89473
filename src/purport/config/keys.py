"""The settings as keys with their kinds, for what is made from them: sample, manual, hints about mistakes."""

from __future__ import annotations

from msgspec import inspect

from purport.config.schema import Settings


def struct_of(kind: inspect.Type) -> inspect.StructType | None:
    """The table that a setting is: one, or a list of them."""
    kind = without_meta(kind)
    if isinstance(kind, inspect.ListType):
        kind = without_meta(kind.item_type)
    return kind if isinstance(kind, inspect.StructType) else None


def without_meta(kind: inspect.Type) -> inspect.Type:
    """The type below its description."""
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def fields() -> tuple[inspect.Field, ...]:
    """The settings at the top of the file, tables among them."""
    found = inspect.type_info(Settings)
    assert isinstance(found, inspect.StructType)
    return found.fields


def type_at(path: tuple[str | int, ...]) -> inspect.Type | None:
    """The type of the setting at a path such as ("listener", 0, "service"); None where there is no such key."""
    kind: inspect.Type = inspect.type_info(Settings)
    for part in path:
        if isinstance(kind, inspect.ListType) and isinstance(part, int):
            kind = without_meta(kind.item_type)
        elif isinstance(kind, inspect.StructType):
            found = [one.type for one in kind.fields if one.encode_name == part]
            if not found:
                return None
            kind = without_meta(found[0])
        else:
            return None
    return kind


def fields_at(path: tuple[str | int, ...]) -> list[str]:
    """The keys of the table at a path."""
    kind = type_at(path)
    return [one.encode_name for one in kind.fields] if isinstance(kind, inspect.StructType) else []


def words_at(path: tuple[str | int, ...]) -> list[str]:
    """The words that a setting may be."""
    kind = type_at(path)
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    return [str(word) for one in kinds if isinstance(one, inspect.LiteralType) for word in one.values]


def tables_with(name: str) -> list[str]:
    """The tables that know a key."""
    found = [(one.encode_name, struct_of(one.type)) for one in fields()]
    return [table for table, kind in found if kind and any(one.encode_name == name for one in kind.fields)]
