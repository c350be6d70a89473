"""The conformance suites that are not ours to copy: read where they are there, else a test of theirs is skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SUITES = Path(__file__).resolve().parents[3] / "shared" / "suites"


def not_there(path: Path, *more: object) -> list[Any]:
    """The parameters of a test in place of the cases of a suite that is not there; `more` stands behind the case."""
    name = path.relative_to(SUITES) if path.is_relative_to(SUITES) else path.name
    reason = f"{name} is not in the conformance suites (../shared/suites)"
    return [pytest.param(None, *more, id=path.stem, marks=pytest.mark.skip(reason=reason))]
