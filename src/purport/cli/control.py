"""How a command asks the server that runs (`service/control.py`)."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path


class NoServer(Exception):
    """No server runs on this state folder."""


def ask(state: Path, request: Mapping[str, str], seconds: float) -> dict[str, object]:
    """The answer of the server of a state folder, which may take so many seconds. Raises NoServer, OSError,
    ValueError."""
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(seconds)
        try:
            control.connect(str(state / "control"))
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NoServer(f"no server runs in {state}") from error
        control.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(control.makefile("rb").readline() or b"{}")
    if not isinstance(answer, dict):
        raise ValueError("not an answer")
    return answer
