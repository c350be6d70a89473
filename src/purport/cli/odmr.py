"""`purport odmr`: have the running server fetch what waits for it at a provider (RFC 2645)."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import click

from purport.cli.exits import EX_CONFIG, EX_TEMPFAIL, EX_UNAVAILABLE, EX_USAGE, Failure, config_option, settings_of
from purport.mail.text import safe


@click.command("odmr")
@click.argument("host", metavar="[HOST[:PORT]]", required=False, default="")
@click.option(
    "--timeout", type=click.FloatRange(0, min_open=True), default=3600.0, show_default=True, metavar="SECONDS"
)
@config_option
def command(host: str, timeout: float, config: str | None) -> None:
    """Fetch now what waits for us at HOST, as it stands in a [[fetch]] table; without HOST at all of them.

    The running server does it, with the login of the table, and the mail goes into its queue. Exits with 0 when all is
    here, 75 when a provider could not be reached or refused, 69 when no server is running.
    """
    from purport.config.load import state_folder

    path, settings = settings_of(config)
    if not settings.fetch:
        raise Failure(f"{path}: there is no [[fetch]] table", EX_CONFIG)
    if host and host not in [one.host for one in settings.fetch]:
        raise Failure(f"{path}: no [[fetch]] table has the host {host}", EX_USAGE)
    answer = _ask(state_folder(path, settings), host, timeout)
    for line in str(answer.get("text", "")).splitlines():
        click.echo(safe(line))
    if not answer.get("ok"):
        raise click.exceptions.Exit(EX_TEMPFAIL)


def _ask(state: Path, host: str, timeout: float) -> dict[str, Any]:
    """What the server answers. Raises Failure."""
    request = json.dumps({"command": "fetch", "argument": host}).encode("ascii") + b"\n"
    with socket.socket(socket.AF_UNIX) as control:
        control.settimeout(timeout)
        try:
            control.connect(str(state / "control"))
            control.sendall(request)
            answer = json.loads(control.makefile("rb").readline() or b"{}")
        except (FileNotFoundError, ConnectionRefusedError):
            raise Failure("no server is running", EX_UNAVAILABLE) from None
        except (OSError, ValueError) as error:
            raise Failure(f"the server does not answer: {error}", EX_TEMPFAIL) from error
    return answer if isinstance(answer, dict) else {}
