"""Memory and octets: idle sessions, a large message on its way through, a forged one that is refused."""

from __future__ import annotations

import resource
import smtplib
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil

from load import RECIPIENT, SENDER


def resident(pid: int) -> int:
    """Octets of memory in use by a process and its descendants."""
    root = psutil.Process(pid)
    return sum(process.memory_info().rss for process in [root, *root.children(recursive=True)])


def idle_sessions(pid: int, port: int, count: int) -> tuple[int, float]:
    """Open `count` sessions, say EHLO in each: the server's memory then, and the seconds to a new one's greeting."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sessions: list[socket.socket] = []
    try:
        for number in range(count):
            connection = socket.socket()
            connection.bind((f"127.0.{number // 200 + 1}.{number % 200 + 1}", 0))
            connection.connect(("127.0.0.1", port))
            connection.settimeout(30)
            connection.recv(512)
            connection.sendall(b"EHLO client.example\r\n")
            connection.recv(512)
            sessions.append(connection)
        used = resident(pid)
        waits = []
        for _ in range(20):
            begun = time.perf_counter()
            with socket.create_connection(("127.0.0.1", port), 30) as connection:
                connection.recv(512)
                waits.append(time.perf_counter() - begun)
        return used, max(waits)
    finally:
        for connection in sessions:
            connection.close()


def large_message(pid: int, port: int, size: int) -> int:
    """By how many octets the server's peak memory stands above what it used before the message."""
    small = b"From: <alice@example.com>\r\nSubject: small\r\n\r\nHello\r\n"
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [RECIPIENT], small)
    # 5 resets the peak (proc(5)); then it is the highest since now.
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    before = peak(pid)
    large = small + (b"x" * 76 + b"\r\n") * (size // 78)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [RECIPIENT], large)
    return peak(pid) - before


HEAD = b"From: <alice@example.com>\r\nSubject: chunks\r\n\r\n"


def chunked_message(pid: int, port: int, size: int) -> tuple[int, float]:
    """The same for a message in one chunk (RFC 3030), and how many octets a second were taken."""
    large = HEAD + (b"x" * 76 + b"\r\n") * (size // 78)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [RECIPIENT], HEAD)
        Path(f"/proc/{pid}/clear_refs").write_text("5")
        before = peak(pid)
        rate = _rate(client, b"BDAT %d LAST\r\n" % len(large), large)
    return peak(pid) - before, rate


def lines_of_data(port: int, size: int) -> float:
    """How many octets a second of the same message are taken after DATA."""
    large = HEAD + (b"x" * 76 + b"\r\n") * (size // 78)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail(SENDER, [RECIPIENT], HEAD)
        return _rate(client, b"DATA\r\n", large + b".\r\n")


def _rate(client: smtplib.SMTP, command: bytes, octets: bytes) -> float:
    begun = time.perf_counter()
    client.mail(SENDER)
    client.rcpt(RECIPIENT)
    client.send(command)
    if command == b"DATA\r\n" and client.getreply()[0] != 354:
        raise RuntimeError("DATA was refused")
    client.send(octets)
    code, text = client.getreply()
    if code != 250:
        raise RuntimeError(f"the large message was not taken: {text!r}")
    return len(octets) / (time.perf_counter() - begun)


def peak(pid: int) -> int:
    """The peak of a process's resident memory, octets."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the kernel tells no VmHWM")


class Counting(smtplib.SMTP):
    """A client that counts what it sends."""

    sent = 0

    def send(self, s: object) -> None:
        """Count, and send."""
        self.sent += len(s)  # type: ignore[arg-type]
        super().send(s)  # type: ignore[arg-type]


def forged_message(port: int, size: int) -> int:
    """Octets that a client has sent when the server refused its forged message."""
    client = Counting("127.0.0.1", port)
    try:
        client.sendmail(SENDER, [RECIPIENT], b"x" * size, mail_options=["SUBMITTER=ceo@bank.example"])
    except smtplib.SMTPSenderRefused as refusal:
        assert refusal.smtp_code == 550, refusal
        return client.sent
    raise RuntimeError("the forged message was taken")


def help_seconds() -> float:
    """How long `purport --help` takes, median of nine."""
    command = [str(Path(sys.executable).with_name("purport")), "--help"]
    took = []
    for _ in range(9):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        took.append(time.perf_counter() - begun)
    return statistics.median(took)
