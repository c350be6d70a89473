"""The demonstration of `make run`: every line that it prints does what it says there.

It runs in a copy of the project's demonstration folder, on ports of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support.peers import free_port

PROJECT = Path(__file__).parents[2]
SECONDS = 30.0


@dataclass
class Demo:
    folder: Path
    process: subprocess.Popen[str]
    said: list[str] = field(default_factory=list)

    @property
    def steps(self) -> dict[str, str]:
        """The lines to paste, each under the sentence that stands above it."""
        pairs = zip(self.said, self.said[1:], strict=False)
        return {above: line.strip() for above, line in pairs if line.startswith("  ")}

    def paste(self, beginning: str) -> subprocess.CompletedProcess[str]:
        """Run the line under the sentence that begins so."""
        (line,) = (line for above, line in self.steps.items() if above.startswith(beginning))
        return subprocess.run(
            line, shell=True, cwd=self.folder, capture_output=True, text=True, timeout=SECONDS, check=False
        )


def made(folder: Path, front: int, next_hop: int) -> Path:
    """The demonstration in a folder laid out like the project; the program to run."""
    target = folder / "examples" / "demo"
    shutil.copytree(PROJECT / "examples" / "demo", target, ignore=shutil.ignore_patterns("__pycache__"))
    for place in target.iterdir():
        text = place.read_text(encoding="utf-8")
        place.write_text(text.replace("2525", str(front)).replace("2526", str(next_hop)), encoding="utf-8")
    scripts = folder / ".venv" / "bin"
    scripts.mkdir(parents=True)
    (scripts / "purport").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m purport "$@"\n')
    (scripts / "purport").chmod(0o755)
    return target / "run.py"


def started(program: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(program)], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short name: there is little room in the path of a control socket."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    found = Demo(folder, started(made(folder, free_port(), free_port()), folder))
    assert found.process.stdout is not None
    try:
        for line in found.process.stdout:
            found.said.append(line.rstrip("\n"))
            if line.startswith("Logs: "):
                break
        else:
            pytest.fail("the demonstration does not run:\n" + "\n".join(found.said))
        yield found
    finally:
        found.process.terminate()
        found.process.wait(SECONDS)


def mail_in(folder: Path, count: int) -> list[bytes]:
    """The messages under a Maildir, once there are so many."""
    end = time.monotonic() + SECONDS
    while len(found := sorted(folder.glob("new/*"))) < count and time.monotonic() < end:
        time.sleep(0.02)
    return [place.read_bytes() for place in found]


def test_a_message_that_passes_is_in_the_maildir(demo: Demo) -> None:
    ran = demo.paste("A message whose client may speak")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "SUBMITTER=alice@example.com" in ran.stdout
    delivered = mail_in(demo.folder / "state" / "front" / "maildir" / "company.com.example" / "bob", 1)
    assert b"\n spf=pass smtp.mailfrom=example.com;\n" in delivered[0].replace(b"\r", b"")


def test_a_forged_one_is_refused_at_mail_and_explained(demo: Demo) -> None:
    ran = demo.paste("A forged one")
    assert ran.returncode == 69
    assert "<** 550 5.7.1 Submitter not allowed." in ran.stdout
    assert "DATA" not in ran.stdout
    told = demo.paste("Why was the last one")
    assert told.returncode == 0, told.stderr
    assert ": refused at MAIL" in told.stdout.splitlines()[0]


def test_a_mismatching_one_is_refused_at_the_end_and_explained(demo: Demo) -> None:
    ran = demo.paste("One whose header names somebody else")
    assert ran.returncode == 69
    assert "<** 550 5.7.1 Submitter does not match header." in ran.stdout
    told = demo.paste("Why was the last one")
    assert "submitter-matches-header" in told.stdout
    assert "550 5.7.1 Submitter does not match header." in told.stdout


def test_one_for_elsewhere_is_relayed_with_its_submitter(demo: Demo) -> None:
    ran = demo.paste("One for elsewhere")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    relayed = mail_in(demo.folder / "state" / "next-hop" / "maildir" / "elsewhere.example" / "carol", 1)
    assert relayed[0].count(b"\nReceived: from ") == 2
    assert "submitter=<alice@example.com>" in (demo.folder / "state" / "next-hop.log").read_text()


def test_the_line_that_finds_the_mail_finds_it(demo: Demo) -> None:
    bob = demo.folder / "state" / "front" / "maildir" / "company.com.example" / "bob"
    before = demo.paste("Where the mail is").stdout.split()
    assert demo.paste("A message whose client may speak").returncode == 0
    mail_in(bob, sum("/bob/" in place for place in before) + 1)
    assert len(demo.paste("Where the mail is").stdout.split()) == len(before) + 1


def test_smtplib_passes_and_is_refused(demo: Demo) -> None:
    assert demo.paste("smtplib passes").stdout == "{}\n"
    refused = demo.paste("smtplib is refused at MAIL")
    assert refused.returncode == 1
    assert "Submitter not allowed." in refused.stderr


@pytest.mark.peer
def test_swaks_passes(demo: Demo) -> None:
    if shutil.which("swaks") is None:
        assert not os.environ.get("PURPORT_REQUIRE_PEERS"), "swaks is missing"
        pytest.skip("swaks is not installed")
    ran = demo.paste("swaks passes")
    assert ran.returncode == 0, ran.stdout
    assert "<-  250 2.0.0 Ok: queued as " in ran.stdout


def test_every_line_that_is_printed_is_run_by_a_test(demo: Demo) -> None:
    text = Path(__file__).read_text(encoding="utf-8")
    run = re.findall(r'demo\.paste\("([^"]+)"\)', text)
    assert demo.steps
    assert all(any(above.startswith(one) for one in run) for above in demo.steps)


def test_a_port_that_is_taken_is_told_and_nothing_is_left_running(folder: Path) -> None:
    next_hop = free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        front = taken.getsockname()[1]
        ran = started(made(folder, front, next_hop), folder)
        said, _ = ran.communicate(timeout=SECONDS)
    assert ran.returncode == 69
    assert f"port {front} of 127.0.0.1 is taken by another program" in said
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", next_hop)) != 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_both_servers(folder: Path, how: signal.Signals) -> None:
    front, next_hop = free_port(), free_port()
    ran = started(made(folder, front, next_hop), folder)
    assert ran.stdout is not None
    assert any(line.startswith("Logs: ") for line in ran.stdout)
    ran.send_signal(how)
    assert ran.communicate(timeout=SECONDS)[0] == "\nStopping.\n"
    assert ran.returncode == 0
    for port in (front, next_hop):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
