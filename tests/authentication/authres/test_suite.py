"""The cases of the Authentication-Results suite: reader, writer, removal."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from purport.authentication.authres.reader import read
from purport.authentication.authres.removal import removed
from purport.authentication.authres.results import VERSION, AuthenticationResults, MethodResult
from purport.authentication.authres.writer import field
from purport.mail.header import read_header
from support.suites import SUITES, not_there

SUITE = SUITES / "authres" / "authentication-results.yml"
NAME = b"Authentication-Results:"


def cases(kind: str) -> list[Any]:
    if not SUITE.exists():
        return not_there(SUITE)
    found = yaml.safe_load(SUITE.read_text(encoding="utf-8"))[kind]
    return [pytest.param(case, id=case["id"]) for case in found]


def results_of(case: dict[str, Any]) -> tuple[MethodResult, ...]:
    return tuple(
        MethodResult(
            result["method"],
            result["result"],
            result.get("reason", ""),
            tuple((one["ptype"], one["property"], one["value"]) for one in result.get("properties", ())),
            version=result.get("version", VERSION),
        )
        for result in case["results"]
    )


def without_comments(said: AuthenticationResults) -> tuple[MethodResult, ...]:
    """The suite says nothing about comments."""
    return tuple(
        MethodResult(one.method, one.result, one.reason, one.properties, version=one.version) for one in said.results
    )


@pytest.mark.parametrize("case", cases("parse"))
def test_the_reader_agrees(case: dict[str, Any]) -> None:
    if case["results"] is None:
        with pytest.raises(ValueError, match=r".+"):
            read(case["value"])
        return
    said = read(case["value"])
    assert said.authserv_id == case["authserv_id"]
    assert without_comments(said) == results_of(case)


@pytest.mark.parametrize("case", cases("write"))
def test_the_writer_is_read_back(case: dict[str, Any]) -> None:
    said = AuthenticationResults(case["authserv_id"], results_of(case))
    octets = field(said)
    assert read(octets.removeprefix(NAME).decode()) == said
    assert max(map(len, octets.split(b"\r\n"))) <= min(case.get("max_line", 998), 78)
    if case["expect_value_semantics"] is not None:
        assert read(case["expect_value_semantics"]) == said


@pytest.mark.parametrize("case", cases("strip"))
def test_what_stays_at_the_border(case: dict[str, Any]) -> None:
    header = read_header("".join(f"{line}\r\n" for line in case["headers"]).encode())
    taken = removed(header, case["own_authserv_ids"])
    assert [number for number, field in enumerate(header) if field not in taken] == case["kept"]
