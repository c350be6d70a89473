"""The parts of `fuzz.py` under atheris, which looks where an input leads and changes those that lead somewhere new.

    make fuzz                                             24 million octets by each of the two
    python tests/support/fuzz_guided.py --keep            adds the inputs that led somewhere to the seeds

The seeds are kept in tests/vectors/fuzz/seeds.txt, one input a line as base64; every test run plays them all.
"""

from __future__ import annotations

import argparse
import base64
import gc
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import atheris  # type: ignore[import-not-found,unused-ignore]

sys.path.insert(0, str(Path(__file__).parents[1]))
with atheris.instrument_imports(include=["purport"]):
    from support import fuzz

LONGEST_INPUT = 4096  # octets
WARM = 0.1  # of all octets, until what is kept for good has been made
CORPUS = 64 * 1024 * 1024  # octets that the fuzzer itself keeps at most: the inputs, and what it knows of each


class Guided:
    """Counts octets, and ends the process when there were enough or something was found."""

    def __init__(self, octets: int) -> None:
        self._limit = octets
        self._octets = 0
        self._slowest = 0.0
        self._before = 0

    def one(self, given: bytes) -> None:
        """One input, as atheris made it."""
        self._octets += len(given)
        seconds = fuzz.play(given)
        if seconds > fuzz.LONGEST:  # once more: another process may have had the machine
            seconds = min(seconds, fuzz.play(given))
            if seconds > fuzz.LONGEST:
                raise fuzz.TooSlow(f"{seconds:.3f} s")
        self._slowest = max(self._slowest, seconds)
        if not self._before and self._octets > self._limit * WARM:
            gc.collect()
            self._before = fuzz.resident()
        if self._octets > self._limit:
            self._end()

    def _end(self) -> NoReturn:
        grown = fuzz.resident() - self._before
        print(
            f"{self._octets:,} octets by atheris, slowest input {self._slowest * 1000:.1f} ms, "
            f"grown by {grown / 2**20:.1f} MiB",
            flush=True,
        )
        os._exit(1 if grown > fuzz.GROWTH + CORPUS else 0)


def main() -> int:
    """Run from the command line; not 0 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octets", type=int, default=24_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="write what led somewhere new to the seeds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder)
        for number, seed in enumerate(fuzz.seeds()):
            (corpus / f"{number:05}").write_bytes(seed)
        child = os.fork()
        if child == 0:
            words = [f"-max_len={LONGEST_INPUT}", f"-seed={options.seed}", f"-artifact_prefix={folder}/found-"]
            atheris.Setup([sys.argv[0], *words, folder], Guided(options.octets).one)
            atheris.Fuzz()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        for found in sorted(corpus.glob("found-*")):
            print(f"found: {base64.b64encode(found.read_bytes()).decode('ascii')}")
        if options.keep and not status:
            keep(corpus)
    return 1 if status else 0


def keep(corpus: Path) -> None:
    """Write the seeds anew: of all inputs, the shortest first, those that run a line of ours which none before did."""
    run: set[tuple[str, int]] = set()
    kept = []
    for given in sorted((one.read_bytes() for one in corpus.iterdir()), key=len):
        lines = lines_run_by(given)
        if not lines <= run:
            run |= lines
            kept.append(base64.b64encode(given).decode("ascii"))
    fuzz.SEEDS.parent.mkdir(parents=True, exist_ok=True)
    fuzz.SEEDS.write_text("".join(f"{one}\n" for one in kept), encoding="ascii")
    print(f"{len(kept)} seeds kept")


def lines_run_by(given: bytes) -> set[tuple[str, int]]:
    """The lines of ours that an input leads through."""
    found: set[tuple[str, int]] = set()

    def trace(frame: FrameType, event: str, _argument: object) -> Callable[..., Any] | None:
        file = frame.f_code.co_filename
        if "/purport/" not in file:
            return None
        if event == "line":
            found.add((file, frame.f_lineno))
        return trace

    sys.settrace(trace)
    try:
        fuzz.play(given)
    finally:
        sys.settrace(None)
    return found


if __name__ == "__main__":
    sys.exit(main())
