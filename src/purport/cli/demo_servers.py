"""The five servers of `purport demo`, each a process of its own on an address of its own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from purport.cli.exits import EX_UNAVAILABLE, Failure

SECONDS: Final = 30.0  # for a server to greet, and for a message to arrive

PASSWORD: Final = "demo"
# Who they are in the RFC, and where they are here.
ADDRESSES: Final = {
    "example.com": "127.0.0.11",
    "mobile.net.example": "127.0.0.12",
    "email.hotel.com.example": "127.0.0.13",
    "almamater.edu.example": "127.0.0.14",
    "company.com.example": "127.0.0.15",
}
EXAMPLE, MOBILE, HOTEL, ALMAMATER, COMPANY = ADDRESSES

HEAD: Final = """\
hostname = "{name}"
state_dir = "{name}"

[dns]
zone = "zone.json"

[relay]
default = "smtp:{next_hop}"
source = ["{address}"]
networks = [{networks}]

"""
SUBMISSION: Final = """
[[listener]]
service = "submission"
bind = ["{address}:{submission}"]
auth_without_tls = true

[[user]]
name = "alice"
password = "demo"
addresses = ["alice@{name}"]
"""
TABLES: Final = {
    EXAMPLE: """
[[domain]]
name = "example.com"
mailboxes = ["alice"]

[[listener]]
bind = ["{address}:{port}"]
"""
    + SUBMISSION,
    MOBILE: """
[submission]
sender_for_others = true
"""
    + SUBMISSION,
    HOTEL: """
[[listener]]
bind = ["{address}:{port}"]
guest = "guest.services@email.hotel.com.example"
""",
    # example.com stands there for its route alone: these servers do not listen on the port of MX records.
    ALMAMATER: """
[[domain]]
name = "almamater.edu.example"
mailboxes = ["postmaster"]
forwards = {{ bob = ["bob@company.com.example"], dan = ["dan@company.com.example"] }}

[[domain]]
name = "example.com"
deliver = "smtp:{back}"

[[listener]]
bind = ["{address}:{port}"]
""",
    COMPANY: """
[[domain]]
name = "company.com.example"
mailboxes = ["bob"]

[[listener]]
bind = ["{address}:{port}"]
""",
}


@contextmanager
def running(folder: Path) -> Iterator[dict[str, tuple[int, int]]]:
    """The servers, for the length of a `with` block: their ports, for other servers and for users. Raises Failure."""
    ports = {name: (free_port(address), free_port(address)) for name, address in ADDRESSES.items()}
    zone = {name: [{"TXT": f"v=spf1 ip4:{address} -all"}] for name, address in ADDRESSES.items()}
    (folder / "zone.json").write_text(json.dumps(zone, indent=2))
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for name in ADDRESSES:
            settings = folder / f"{name}.toml"
            settings.write_text(settings_of(name, ports))
            with (folder / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", "purport", "serve", "--config", str(settings)]
                processes.append(subprocess.Popen(command, stdout=log, stderr=log))
        for name, process in zip(ADDRESSES, processes, strict=True):
            wait_for(process, ADDRESSES[name], ports[name][name == MOBILE], folder / f"{name}.log")
        yield ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def wait_for(process: subprocess.Popen[bytes], address: str, port: int, log: Path) -> None:
    """Return when a server greets. Raises Failure where it does not."""
    if not until(lambda: process.poll() is not None or greets(address, port)) or process.poll() is not None:
        raise Failure(f"a server does not start:\n{log.read_text()}", EX_UNAVAILABLE)


def settings_of(name: str, ports: dict[str, tuple[int, int]]) -> str:
    """The settings of one server."""
    following = COMPANY if name == ALMAMATER else ALMAMATER
    return (HEAD + TABLES[name]).format(
        name=name,
        address=ADDRESSES[name],
        port=ports[name][0],
        submission=ports[name][1],
        next_hop=f"{ADDRESSES[following]}:{ports[following][0]}",
        back=f"{ADDRESSES[EXAMPLE]}:{ports[EXAMPLE][0]}",
        networks='"127.0.0.1"' if name == HOTEL else "",
    )


def until(condition: Callable[[], object]) -> bool:
    """Whether `condition()` came true in time."""
    end = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


def greets(address: str, port: int) -> bool:
    """Whether a server says 220 there."""
    try:
        with socket.create_connection((address, port), 5) as connection:
            return connection.recv(3) == b"220"
    except OSError:
        return False


def free_port(address: str) -> int:
    """A port of an address that nobody listens on. Raises Failure."""
    try:
        with socket.socket() as probe:
            probe.bind((address, 0))
            port: int = probe.getsockname()[1]
            return port
    except OSError as error:
        raise Failure(f"{address} cannot be used: {error.strerror}", EX_UNAVAILABLE) from error
