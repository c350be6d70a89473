"""Cases of the openspf test format: a zone, and what check_host() finds in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from purport.dns.zone import StaticResolver
from support.suites import not_there

ROOT = Path(__file__).parents[2]
OWN = ROOT / "tests" / "vectors"


@dataclass(frozen=True)
class Case:
    """One case. `results` are all that the suite accepts; `explanation` is None where it does not ask for one."""

    name: str
    zone: StaticResolver
    client_address: str
    address: str
    hello_domain: str
    scope: str
    results: frozenset[str]
    explanation: str | None

    @property
    def domain(self) -> str:
        """The domain to check: that of the address, or the HELO domain (RFC 7208 section 2.4)."""
        return self.address.rpartition("@")[2] or self.hello_domain

    @property
    def sender(self) -> str:
        return self.address or f"postmaster@{self.hello_domain}"


def cases(path: Path, deviations: frozenset[str] = frozenset()) -> list[Any]:
    """The cases of a suite as parameters of a test; one skipped parameter where the suite is not there."""
    if not path.exists():
        return not_there(path)
    found = []
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not document:
            continue
        zone = StaticResolver(document["zonedata"])
        for name, test in document["tests"].items():
            if name not in deviations:
                found.append(pytest.param(_case(name, zone, test), id=name))
    return found


def _case(name: str, zone: StaticResolver, test: dict[str, Any]) -> Case:
    result = test["result"]
    address = test.get("address", test.get("mailfrom"))
    return Case(
        name=name,
        zone=zone,
        client_address=test["host"],
        address=address or "",
        hello_domain=test["helo"],
        scope=test.get("scope", "mfrom"),
        results=frozenset([result] if isinstance(result, str) else result),
        explanation=test.get("explanation"),
    )
