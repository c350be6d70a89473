"""The dialogue suites beside the project, played against a running server by their own runner."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
RUNNER = SHARED / "tools" / "dialogues.py"

SUITES = ("submitter/submitter-dialogues.yml", "smtp/rfc5321-dialogues.yml")


@pytest.mark.skipif(
    not RUNNER.exists(), reason=f"{RUNNER.name} is not there: ../shared/tools is not beside the project"
)
@pytest.mark.parametrize("suite", SUITES)
def test_every_case_passes(suite: str) -> None:
    ran = subprocess.run(
        [
            sys.executable,
            str(RUNNER),
            str(SHARED / "suites" / suite),
            "--server",
            f"{sys.executable} -m purport serve --config {{config}}",
        ],
        capture_output=True,
        text=True,
        timeout=110,
    )
    told = re.search(r"(\d+) passed, (\d+) failed, (\d+) skipped", ran.stdout)
    assert told, ran.stdout + ran.stderr
    assert int(told[1]) >= 30
    failed = dict(re.findall(r"^FAILED (\S+): (.*)$", ran.stdout, re.MULTILINE))
    assert failed == {}
