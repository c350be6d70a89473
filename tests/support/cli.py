"""The `purport` command run in this process: what it printed, and its exit code."""

from __future__ import annotations

from dataclasses import dataclass

from click.testing import CliRunner

from purport.cli.main import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def purport(*words: str, stdin: bytes = b"") -> Ran:
    """Run `purport WORDS`."""
    code: object = None
    with CliRunner().isolation(input=stdin) as (out, err, _):
        try:
            main(words)
        except SystemExit as done:
            code = done.code
        printed, noted = out.getvalue().decode(), err.getvalue().decode()
    return Ran(code if isinstance(code, int) else 0 if code is None else 1, printed, noted)
