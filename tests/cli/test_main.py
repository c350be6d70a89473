"""The command as a whole: help without imports, exit codes of sysexits(3), data and notes apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from purport import __version__
from purport.cli.main import COMMANDS
from support.cli import purport

HEAVY = ("asyncio", "dns", "msgspec", "rich", "sqlite3", "uvloop")


def python(*words: str, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )


def test_help_imports_nothing_that_takes_long() -> None:
    done = python(
        "-c",
        "import sys\n"
        "from purport.cli.main import main\n"
        "try: main(['--help'])\n"
        f"finally: print('imported:', *(name for name in {HEAVY} if name in sys.modules))",
    )
    assert done.stdout.splitlines()[-1] == "imported:"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_line_and_its_help(name: str) -> None:
    assert f"\n  {name} " in purport("--help").out
    shown = purport(name, "--help")
    assert shown.code == 0
    assert shown.out.startswith(f"Usage: purport {name} ")


@pytest.mark.parametrize("words", [("queue", "list"), ("spf", "check"), ("config", "describe")])
def test_every_command_of_a_group_has_help(words: tuple[str, ...]) -> None:
    assert purport(*words, "--help").code == 0


def test_the_version_is_told() -> None:
    assert purport("--version").out == f"purport, version {__version__}\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("serv",),
        ("--nope",),
        ("pra",),
        ("queue",),
        ("queue", "nope"),
        ("check", "more"),
        ("spf", "check", "--ip", "x"),
    ],
)
def test_wrong_usage_exits_with_64_and_says_so_on_stderr(words: tuple[str, ...]) -> None:
    ran = purport(*words)
    assert (ran.code, ran.out) == (64, "")
    assert "Usage: purport" in ran.err


def test_the_exit_code_is_that_of_the_process(tmp_path: Path) -> None:
    assert python("-m", "purport", "serv").returncode == 64
    assert python("-m", "purport", "check", "--config", str(tmp_path / "none.toml")).returncode == 78
    assert python("-m", "purport", "serve", "--config", str(tmp_path / "none.toml")).returncode == 78
    assert python("-m", "purport", "pra", str(tmp_path / "none.eml")).returncode == 66


def test_a_pipe_that_is_closed_early_is_no_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import os, sys; from purport.cli.main import main\n"
         "read, write = os.pipe(); os.close(read); os.dup2(write, 1)\n"
         "main(['config', 'describe'])"],
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == ""
