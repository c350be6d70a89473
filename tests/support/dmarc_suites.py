"""Cases of the DMARC suites: those of other implementations, read where they are and skipped where they are not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import Authenticated, DmarcResult
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.mail.header import read_header
from support.suites import SUITES, not_there

FOLDER = SUITES / "dmarc"


def suite(name: str) -> Mapping[str, Any] | None:
    """The document of a suite, or None where it is not there."""
    path = FOLDER / name
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else None


def cases(name: str, *keys: str) -> list[Any]:
    """The cases below these keys of a suite, as parameters of a test; one skipped parameter where it is not there."""
    found: Any = suite(name)
    if found is None:
        return not_there(FOLDER / name)
    for key in keys:
        found = found[key]
    return [pytest.param(case, id=_id(case, number)) for number, case in enumerate(found)]


def _id(case: Mapping[str, Any], number: int) -> str:
    for key in ("id", "record", "value"):
        if key in case:
            return f"{number}-{str(case[key])[:60]}"
    return f"{number}-" + "-".join(str(value) for value in case.values())[:60]


def zone_of(data: Mapping[str, Any]) -> StaticResolver:
    """A zone in the suites' notation: a word for a whole name, a list of records, or a list of texts."""
    zone: dict[str, list[Any]] = {}
    for name, records in data.items():
        listed = [records] if isinstance(records, str) else records
        zone[name] = [
            {"TXT": record} if isinstance(record, str) and record not in ("NXDOMAIN", "TIMEOUT") else record
            for record in listed
        ]
    return StaticResolver(zone)


def evaluated(author: str, zone: StaticResolver, spf: str | None, dkim: list[str]) -> DmarcResult:
    """The result for a From field and domains that passed."""
    identity = None if spf is None else Authenticated(spf, "pass")
    header = read_header(f"From: {author}\r\n\r\n".encode())
    result = start(evaluate(header, identity, [Authenticated(domain, "pass") for domain in dkim]), zone)
    assert isinstance(result, DmarcResult)
    return result


def rspamd_zone() -> StaticResolver:
    """The zone of rspamd's tests: `NONE-norec` says that a name has no record of that type, `NONE-nxdomain` that there
    is none at all."""
    zone: dict[str, list[Any]] = {}
    path = FOLDER / "rspamd" / "rspamd-zone.yml"
    for name, records in yaml.safe_load(path.read_text(encoding="utf-8")).items():
        zone[name] = []
        for record in records or []:
            kind, value = next(iter(record.items())) if isinstance(record, dict) else ("", record)
            if value == "TIMEOUT":
                zone[name].append("TIMEOUT")
            elif value == "NONE-nxdomain":
                zone[name].append({kind: "NXDOMAIN"})
            elif value != "NONE-norec":
                zone[name].append({kind: value})
    return StaticResolver(zone)
