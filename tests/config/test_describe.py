"""The sample file and the manual say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

from purport.config.describe import COMMENTED, GIVEN, SHOWN, default_of, manual, sample
from purport.config.keys import fields, struct_of
from purport.config.load import read
from purport.config.schema import Settings

ROOT = Path(__file__).parents[2]
BEHIND = re.compile(r"^# (?=[a-z_]+ = |\[\[)", re.MULTILINE)


def paths() -> list[str]:
    found = []
    for field in fields():
        table = struct_of(field.type)
        inner = [f"{field.encode_name}.{one.encode_name}" for one in table.fields] if table else [field.encode_name]
        found += inner
    return found


def defaults(table: str) -> dict[str, object]:
    (found,) = [struct_of(field.type) for field in fields() if field.encode_name == table]
    assert found is not None
    return {one.encode_name: default_of(one) for one in found.fields}


def required(table: str) -> list[str]:
    return [key for key, value in defaults(table).items() if value is msgspec.NODEFAULT]


def test_numbers_stand_as_they_are_typed() -> None:
    assert "at most 999999999)" in manual()
    assert not re.search(r"\de\+\d", manual() + sample())


def test_what_a_table_is_for_is_one_line() -> None:
    assert not re.search(r"^ +\S", manual(), re.MULTILINE)


def test_the_sample_works_as_it_is() -> None:
    found = read(sample())
    assert found.hostname == "mx.company.com.example"
    assert found.domain[0].mailboxes is None


def test_every_setting_of_the_sample_shows_its_default() -> None:
    plain = msgspec.to_builtins(read(sample()))
    uncommented = msgspec.to_builtins(read(BEHIND.sub("", sample())))
    for table in COMMENTED:
        (only,) = uncommented[table]
        for one in required(table):
            assert only.pop(one) == GIVEN[f"{table}.{one}"]
        assert only == {key: value for key, value in defaults(table).items() if key in only}
        uncommented[table] = plain[table]
    for path, shown in SHOWN.items():
        table, key = path.split(".")
        found, usual = uncommented[table], plain[table]
        if isinstance(found, list):
            (found,), (usual,) = found, usual
        assert found[key] == msgspec.to_builtins(shown)
        found[key] = usual[key]
    assert uncommented == plain


@pytest.mark.parametrize("path", paths())
def test_every_setting_stands_in_the_sample_and_says_what_it_is_for(path: str) -> None:
    table, _, key = path.rpartition(".")
    text = sample()
    if table:
        text = re.split(rf"^(?:# )?\[+{table}\]+$", text, flags=re.MULTILINE)[1]
    assert re.search(rf"^# \S[^\n]+\n(# )?{key} = ", text, re.MULTILINE), path


def test_every_setting_has_a_description() -> None:
    for field in fields():
        table = struct_of(field.type)
        for one in table.fields if table else (field,):
            kind = one.type
            assert isinstance(kind, msgspec.inspect.Metadata), one.name
            assert (kind.extra_json_schema or {}).get("description"), one.name


def test_the_settings_page_of_the_docs_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == manual(), "make it anew: purport config describe --markdown > docs/settings.md"


def test_the_schema_is_what_is_described() -> None:
    assert {field.encode_name for field in fields()} == set(Settings.__struct_fields__)
