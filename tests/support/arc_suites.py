"""Cases of the ARC test suite format: messages, keys, and what a validator or a sealer makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from purport.dns.lookup import Answer, Question, Status
from support.suites import not_there


@dataclass(frozen=True)
class Case:
    """One case; `given` is what the suite says besides the message."""

    name: str
    message: bytes
    answers: Mapping[Question, Answer]
    private_key: str
    given: Mapping[str, str]


def cases(path: Path) -> list[Any]:
    """The cases of a suite as parameters of a test; one skipped parameter where the suite is not there."""
    if not path.exists():
        return not_there(path)
    found = []
    for document in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not document:
            continue
        answers = {
            Question(name, "TXT"): Answer(Status.FOUND, (record.replace("\n", ""),))
            for name, record in document["txt-records"].items()
        }
        for name, test in document["tests"].items():
            message = test["message"].replace("\n", "\r\n").encode()
            case = Case(name, message, answers, document.get("privatekey", ""), test)
            found.append(pytest.param(case, id=name))
    return found
