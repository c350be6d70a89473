"""SIGKILL while reports are counted: what was written is there, and the database goes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from purport.reporting.database import ReportDatabase, read
from purport.reporting.tls.counts import policies
from support.reporting import DAY
from support.scripted_server import on_loop

TESTS = Path(__file__).resolve().parents[1]
CHILD = """
import asyncio, os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from purport.reporting.database import ReportDatabase
from purport.reporting.tally import Tally
from purport.reporting.tls import counts
from support.reporting import NOON, succeeded

async def main():
    tally = Tally(counts.KIND, counts.write, ReportDatabase(Path(sys.argv[1])), clock=lambda: NOON, warn=print)
    for _ in range(5):
        tally.add(succeeded())
    await tally.flush()
    tally.add(succeeded())
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@on_loop
async def test_a_kill_loses_what_was_not_written_and_no_more(tmp_path: Path) -> None:
    ran = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path), str(TESTS)], capture_output=True, timeout=60)
    assert ran.returncode == -9, ran.stderr
    await ReportDatabase(tmp_path).close()
    found = read(tmp_path, lambda connection: policies(connection, DAY, "example.com"))
    assert found is not None
    assert [one.succeeded for one in found] == [5]
