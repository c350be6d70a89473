"""`purport report` beside a server that runs, and without one."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

from purport.delivery.tls_outcome import TlsOutcome
from purport.reporting.database import NAME, ReportDatabase
from purport.reporting.day import day_of, name_of
from purport.reporting.dmarc.counts import write as write_rows
from purport.reporting.tally import leave_out
from purport.reporting.tls.counts import write
from support.cli import purport
from support.dkim_keys import ed25519_pem
from support.dmarc_rows import PASSED
from support.purport_server import purport_server
from support.reporting import failed, succeeded

SETTINGS = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n[dns]\nzone = "zone.json"\n'
ZONE = {"_smtp._tls.example.com": [{"TXT": "v=TLSRPTv1; rua=mailto:tls@example.com"}]}


def fill(state: Path, day: int, counts: dict[TlsOutcome, int]) -> None:
    """Count for a day."""

    async def run() -> None:
        database = ReportDatabase(state)
        await database.run(lambda connection: write(connection, day, counts))
        await database.run(lambda connection: leave_out(connection, "tls", day, 4))
        await database.close()

    state.mkdir(exist_ok=True)
    asyncio.run(run())


@pytest.fixture
def day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """Yesterday; the settings and the zone are in place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    (tmp_path / "purport.toml").write_text(SETTINGS)
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    return day_of(time.time()) - 1


def test_the_reports_of_the_last_days_are_listed(tmp_path: Path, day: int) -> None:
    fill(tmp_path / "state", day, {succeeded(): 2, failed("other.example"): 1})
    ran = purport("report", "list")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [
        f"{name_of(day)} tls   example.com: to be sent after the end of the day",
        f"{name_of(day)} tls   other.example: to be sent after the end of the day",
    ]
    first = json.loads(purport("report", "list", "--json").lines[0])
    assert first == {
        "date": name_of(day),
        "kind": "tls",
        "domain": "example.com",
        "state": "waiting",
        "attempts": 0,
        "told": "",
    }


def test_a_report_is_shown_as_it_would_be_sent(tmp_path: Path, day: int) -> None:
    fill(tmp_path / "state", day, {succeeded(): 2, failed(): 1, failed("other.example"): 1})
    ran = purport("report", "show", "tls", "Example.com")
    assert ran.code == 0
    told = json.loads(ran.out)
    assert told["organization-name"] == "mx.company.com.example"
    assert told["policies"][0]["summary"] == {
        "total-successful-session-count": 2,
        "total-failure-session-count": 1,
    }
    assert ran.err.splitlines() == [
        "note: goes to mailto:tls@example.com",
        "note: 4 more were left out that day, of this domain or others: there was no room",
    ]
    other = purport("report", "show", "tls", "other.example", "--date", name_of(day))
    assert other.err.startswith("note: goes nowhere: no TLSRPT record\n")


def test_an_aggregate_report_is_shown_as_it_would_be_sent(tmp_path: Path, day: int) -> None:
    fill(tmp_path / "state", day, {})

    async def run() -> None:
        database = ReportDatabase(tmp_path / "state")
        await database.run(lambda connection: write_rows(connection, day, {PASSED: 2}))
        await database.close()

    asyncio.run(run())
    assert purport("report", "list").lines == [f"{name_of(day)} dmarc example.com: to be sent after the end of the day"]
    ran = purport("report", "show", "dmarc", "example.com")
    report = ElementTree.fromstring(ran.out.encode())
    assert [element.text for element in report.iter("{urn:ietf:params:xml:ns:dmarc-2.0}count")] == ["2"]
    assert ran.err == "note: goes to mailto:dmarc@example.com\n"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["show", "tls", "example.com"], 66, "nothing was counted for example.com on "),
        (["show", "tls", "example.com", "--date", "yesterday"], 64, "yesterday is no date: "),
        (["show", "tls", "no domain"], 64, "no domain is no domain name"),
        (["show", "moon", "example.com"], 64, "Usage: "),
        (["send", "tls", "example.com"], 69, "the server cannot be asked: no server runs in "),
    ],
)
def test_what_cannot_be_done_is_told_with_an_exit_code(day: int, words: list[str], code: int, told: str) -> None:
    ran = purport("report", *words)
    assert (ran.code, ran.out) == (code, "")
    assert ran.err.startswith(told)


def test_nothing_is_listed_before_anything_was_counted(day: int) -> None:
    assert purport("report", "list").out == ""


def test_a_database_that_is_none_is_no_traceback(tmp_path: Path, day: int) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / NAME).write_text("something else, and long enough to be read" * 100)
    ran = purport("report", "list")
    assert (ran.code, ran.err.partition(":")[0]) == (69, "the reports cannot be read")


@pytest.mark.parametrize(
    ("settings", "domain"),
    [
        ("", ""),
        ('[tls_report]\nfrom = "tls@company.com.example"\n', "company.com.example"),
        ('[tls_report]\nsend = false\nfrom = "tls@company.com.example"\n', ""),
        ('[[dkim]]\ndomain = "company.com.example"\nselector = "s1"\nkey = "s1.pem"\n', ""),
        ('[[dkim]]\ndomain = "other.example"\nselector = "s1"\nkey = "s1.pem"\n', "mx.company.com.example"),
    ],
)
def test_check_tells_whether_tls_reports_can_be_signed(tmp_path: Path, day: int, settings: str, domain: str) -> None:
    (tmp_path / "s1.pem").write_bytes(ed25519_pem())
    (tmp_path / "s1.pem").chmod(0o600)
    (tmp_path / "purport.toml").write_text(SETTINGS + settings)
    ran = purport("check")
    told = f"warning: TLS reports are not sent by mail: there is no DKIM key for {domain}; "
    assert ran.code == 0
    assert ran.err == (f"{told}add a [[dkim]] table for it, or set tls_report.from\n" if domain else "")


def test_a_running_server_is_asked_to_send(tmp_path: Path) -> None:
    day = day_of(time.time()) - 1
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    fill(tmp_path / "state", day, {succeeded(): 2, succeeded("other.example"): 1})
    with purport_server(tmp_path, '[dns]\nzone = "zone.json"\n') as server:
        ran = server.command("report", "send", "tls", "example.com")
        told = "not sent to mailto:tls@example.com: there is no DKIM key for mx.company.com.example"
        assert (ran.returncode, ran.stderr) == (75, f"to be tried again: {told}\n")
        ran = server.command("report", "send", "tls", "other.example")
        assert (ran.returncode, ran.stderr) == (75, "not wanted: no TLSRPT record\n")
        ran = server.command("report", "send", "tls", "third.example")
        assert (ran.returncode, ran.stderr) == (75, f"nothing was counted for third.example on {name_of(day)}\n")
        listed = server.command("report", "list").stdout.splitlines()
    assert listed[0].startswith(f"{name_of(day)} tls   example.com: to be sent at ")
    assert listed[0].endswith(f" UTC ({told})")
    assert listed[1] == f"{name_of(day)} tls   other.example: unwanted: no TLSRPT record"


def test_a_server_without_a_database_of_reports_goes_on(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    other = sqlite3.connect(tmp_path / "state" / NAME)
    other.execute("PRAGMA user_version = 7")
    other.close()
    with purport_server(tmp_path, "") as server:
        assert "warning: nothing is counted for reports: reports.db belongs to another program" in server.log()
        ran = server.command("report", "send", "tls", "example.com")
        assert (ran.returncode, ran.stderr) == (75, "no reports are sent here\n")
