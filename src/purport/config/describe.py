"""The annotated sample file and the manual, made from the typed settings: so they cannot be wrong."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import inspect

from purport.config.keys import fields, struct_of, without_meta
from purport.config.tables.table import MANY, YEAR

# What a file must say for itself; everything else has a default.
GIVEN: Final = {
    "hostname": "mx.company.com.example",
    "listener.bind": ["127.0.0.1:2525"],
    "domain.name": "company.com.example",
    "certificate.chain": "fullchain.pem",
    "tls_policy.domains": ["bank.example"],
    "user.name": "alice",
    "credentials.next_hop": "smtp:smarthost.example.net:587",
    "credentials.user": "company",
    "credentials.password": "change me",
    "dkim.domain": "company.com.example",
    "dkim.selector": "s1",
    "dkim.key": "s1.company.com.example.pem",
    "odmr.user": "branch",
    "fetch.host": "odmr.provider.example:366",
    "fetch.user": "company",
    "fetch.password_file": "odmr.password",
}
# Tables that stand in the sample behind a #, as they mean something only with files or people of one's own.
COMMENTED: Final = frozenset(("certificate", "tls_policy", "dkim", "odmr", "fetch"))
# What the sample shows for a key that is left out by default.
SHOWN: Final = {
    "domain.mailboxes": ["bob", "postmaster"],
    "domain.forwards": {"carol": ["carol@elsewhere.example"]},
    "domain.since": {"bob": datetime(2024, 1, 1, tzinfo=UTC)},
    "domain.domain_since": datetime(2020, 1, 1, tzinfo=UTC),
    "user.password": "change me",
    "relay.tls": "may",
}


def sample() -> str:
    """The sample file: it works as it is; a line without its `#` says what the default says."""
    return "\n".join(_sample()) + "\n"


def _sample() -> Iterator[str]:
    yield "# Purport's settings. A setting behind a # stands at its default; paths are relative to this file's folder."
    for field in fields():
        if struct_of(field.type) is None:
            yield from _setting(field, field.encode_name)
    for field in fields():
        table = struct_of(field.type)
        if table is None:
            continue
        yield ""
        yield ""
        yield from _comment(table.cls.__doc__ or "")
        commented = "# " if field.encode_name in COMMENTED else ""
        yield f"{commented}{_header(field)}"
        for inner in table.fields:
            yield from _setting(inner, f"{field.encode_name}.{inner.encode_name}", commented)


def _setting(field: inspect.Field, path: str, commented: str = "") -> Iterator[str]:
    yield ""
    yield from _comment(_about(field))
    if path in GIVEN:
        yield f"{commented}{field.encode_name} = {toml(GIVEN[path])}"
    else:
        yield f"# {field.encode_name} = {toml(SHOWN.get(path, default_of(field)))}"


def manual() -> str:
    """The settings as a page of the documentation."""
    lines = [
        "# Settings",
        "",
        "Made by `purport config describe --markdown`; `purport config describe` prints a sample file to begin with.",
        "The file is [TOML](https://toml.io). Paths in it are relative to its own folder. An unknown key is an error,",
        "and `purport check` names its line. A running server reads the file again on SIGHUP, and keeps the old",
        "settings where the new ones are wrong.",
        "",
        "## Top level",
        "",
        *_rows([field for field in fields() if struct_of(field.type) is None]),
    ]
    for field in fields():
        table = struct_of(field.type)
        if table is not None:
            lines += [
                "",
                f"## `{_header(field)}`",
                "",
                " ".join((table.cls.__doc__ or "").split()),
                "",
                *_rows(table.fields),
            ]
    return "\n".join(lines) + "\n"


def _rows(settings: Sequence[inspect.Field]) -> list[str]:
    rows = ["| key | default | what it is for |", "|---|---|---|"]
    for field in settings:
        needed = field.required
        default = None if needed else default_of(field)
        shown = "must be given" if needed else "left out" if default is None else f"`{toml(default)}`"
        about = _about(field).replace("|", "\\|")
        rows.append(f"| `{field.encode_name}` | {shown} | {about} |")
    return rows


def default_of(field: inspect.Field) -> object:
    """The default of a setting that is no table."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default


def toml(value: object) -> str:
    """A setting as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    if isinstance(value, list):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f" {name} = {toml(item)}" for name, item in value.items()) + " " * bool(value) + "}"
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else str(value)


def _header(field: inspect.Field) -> str:
    return (
        f"[[{field.encode_name}]]"
        if isinstance(without_meta(field.type), inspect.ListType)
        else f"[{field.encode_name}]"
    )


def _about(field: inspect.Field) -> str:
    """What a setting is for, and what it may be."""
    kind = field.type
    about = (kind.extra_json_schema or {}).get("description", "") if isinstance(kind, inspect.Metadata) else ""
    return f"{about}{_range(without_meta(kind))}"


def _range(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return " (" + " or ".join(toml(word) for word in _in_order(kind)) + ")"
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        least = f"at least {kind.ge}" if kind.ge is not None else f"more than {kind.gt or 0:g}"
        most = f", at most {kind.le:.15g}" if kind.le is not None and kind.le not in (MANY, YEAR) else ""
        return f" ({least}{most})"
    return ""


def _in_order(kind: inspect.LiteralType) -> list[str]:
    return sorted(str(word) for word in kind.values)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, 110, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False)
