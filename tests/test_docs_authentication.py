"""docs/authentication.md: its command prints what it shows, its Python works, its field is one that we read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from purport.authentication.authres.reader import read
from purport.authentication.methods import ORDER
from purport.config.load import read as settings_of

PROJECT = Path(__file__).resolve().parents[1]
PAGE = (PROJECT / "docs" / "authentication.md").read_text(encoding="utf-8")
BLOCKS = [
    re.sub(r"^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"(?:^    .*\n|^\n(?=    ))+", PAGE, re.M)
]


def test_the_command_prints_what_the_page_shows() -> None:
    (block,) = [block for block in BLOCKS if block.strip().startswith("$ ")]
    command, _, shown = block.strip().partition("\n")
    line = command.removeprefix("$ ").replace("purport ", f"{sys.executable} -m purport ", 1)
    ran = subprocess.run(line, shell=True, cwd=PROJECT, capture_output=True, text=True, timeout=30)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == shown + "\n"


def test_the_python_works() -> None:
    (block,) = [block for block in BLOCKS if block.strip().startswith("from purport")]
    exec(compile(block, "docs/authentication.md", "exec"), {})


def test_the_settings_load() -> None:
    blocks = [block for block in BLOCKS if block.strip().startswith("[")]
    settings = settings_of(f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{"".join(blocks)}')
    assert settings.dmarc.trusted_sealers == ["lists.example", "forwarder.example"]
    assert settings.authentication_results.id == "company.com.example"


def test_the_field_is_one_that_we_read() -> None:
    (block,) = [block for block in BLOCKS if block.strip().startswith("Authentication-Results:")]
    said = read(block.strip().removeprefix("Authentication-Results:").replace("\n", "\r\n"))
    methods = [result.method for result in said.results]
    assert methods == sorted(methods, key=ORDER.index)
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE, re.MULTILINE)
    assert rows == list(ORDER)
