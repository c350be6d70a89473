"""The conformance suites of ARC."""

from __future__ import annotations

from typing import Final

import pytest

from purport.authentication.arc.chain import validate
from purport.authentication.arc.result import ArcResult
from purport.authentication.arc.sets import body_forms
from purport.authentication.dkim.body import hash_body
from purport.dns.lookup import Answer, Question, replay
from purport.mail.header import read_header
from support.arc_suites import SHARED, Case, cases

NOW = 1767225600.0
WORDS: Final = {"None": "none", "Pass": "pass", "Fail": "fail"}
# The suite has no status for these. RFC 8617 section 5.2 step 2: "If the Chain Validation Status of the highest instance
# value ARC Set is "fail", then the Chain Validation Status is "fail", and the algorithm stops here."
FAILED_BEFORE: Final = {"cv_fail_i1_as_cv_fail": "fail", "cv_fail_i2_as2_fail": "fail"}
DEVIATIONS: Final[dict[str, str]] = {}


def validated(message: bytes, answers: dict[Question, Answer] | object) -> ArcResult:
    header = read_header(message)
    hashes = hash_body([message[header.length :]], *body_forms(header))
    return replay(validate(header, hashes, NOW), answers)  # type: ignore[arg-type]


@pytest.mark.parametrize("case", cases(SHARED / "arc" / "arc-validation.yml"))
def test_validation(case: Case) -> None:
    expected = DEVIATIONS.get(case.name) or FAILED_BEFORE.get(case.name) or WORDS[case.given["cv"]]
    result = validated(case.message, case.answers)
    assert result.result == expected, result.problem
    assert bool(result.problem) == (expected == "fail")
