"""Load and what it costs: Postfix's smtp-source and smtp-sink, CPU and memory of whole process trees."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

import paths  # makes support importable
from support.peers import find_peer
from support.smtp_sink import SmtpSink

SENDER = "alice@example.com"
RECIPIENT = "bob@company.com.example"


@dataclass(frozen=True, slots=True)
class Run:
    """One run: messages a second, and CPU milliseconds a message of the server's process tree."""

    rate: float
    cpu: float


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, its living descendants, and all children they have reaped."""
    root = psutil.Process(pid)
    total = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it ended between the listing and the reading; its parent has its time by then
        total += times.user + times.system + times.children_user + times.children_system
    return total


def source(port: int, messages: int, *, sessions: int = 20, size: int = 4096, reuse: bool = True) -> list[str]:
    """The command line of smtp-source."""
    program = find_peer("smtp-source")
    assert program, "smtp-source (Debian package postfix) is needed"
    words = [program, "-s", str(sessions), "-l", str(size), "-m", str(messages), "-f", SENDER, "-t", RECIPIENT]
    return [*words, *(["-d"] if reuse else []), f"127.0.0.1:{port}"]


def measure(pid: int, messages: int, work: Callable[[], None]) -> Run:
    """Time `work`, which has the server at `pid` take this many messages."""
    before = cpu_seconds(pid)
    begun = time.perf_counter()
    work()
    seconds = time.perf_counter() - begun
    return Run(messages / seconds, (cpu_seconds(pid) - before) / messages * 1000)


def accept(pid: int, port: int, messages: int, *, sessions: int = 20, size: int = 4096, reuse: bool = True) -> Run:
    """Have a server accept messages."""
    command = source(port, messages, sessions=sessions, size=size, reuse=reuse)
    return measure(pid, messages, lambda: quietly(command))


def accept_tls(pid: int, port: int, messages: int, *, sessions: int = 20, size: int = 4096) -> Run:
    """The same over TLS 1.3, begun with STARTTLS."""
    words = [str(port), str(messages), str(sessions), str(size)]
    command = [sys.executable, str(paths.PROJECT / "bench/tls_source.py"), *words]
    return measure(pid, messages, lambda: quietly(command))


def relay(pid: int, port: int, sink: SmtpSink, messages: int) -> Run:
    """Have a server accept messages and send them on; the end is when smtp-sink has them all."""

    def work() -> None:
        before = sink.taken
        quietly(source(port, messages))
        sink.wait_until(before + messages, 300)

    return measure(pid, messages, work)


def quietly(command: list[str]) -> None:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode != 0 or "smtp-source:" in done.stderr:
        raise RuntimeError(f"{command}: {done.stdout}{done.stderr}")
