"""docs/reports.md: its settings load, and its commands print what it shows."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import time
from pathlib import Path

import pytest

from purport.config.load import read
from purport.reporting.database import ReportDatabase
from purport.reporting.day import day_of, name_of, parse
from purport.reporting.standing import Standing, settle
from purport.reporting.tls.counts import write
from support.cli import purport
from support.reporting import failed, succeeded

PAGE = (Path(__file__).resolve().parents[1] / "docs" / "reports.md").read_text(encoding="utf-8")
SETTINGS = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n[dns]\nzone = "zone.json"\n'
OLDER, NEWER = parse("2026-11-26"), parse("2026-11-27")  # the days of the page


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The page as of today: its days are those before the one that this test runs on."""
    yesterday = day_of(time.time()) - 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    contact = '[tls_report]\ncontact = "postmaster@company.com.example"\n'
    (tmp_path / "purport.toml").write_text(SETTINGS + contact)
    (tmp_path / "zone.json").write_text(json.dumps({}))
    (tmp_path / "state").mkdir()

    async def fill() -> None:
        database = ReportDatabase(tmp_path / "state")
        for day in (yesterday - 1, yesterday):
            await database.run(lambda connection, day=day: write(connection, day, {succeeded("bank.example"): 1}))
        await database.run(lambda connection: write(connection, yesterday, {failed("company-y.example"): 1}))
        for day, domain, state, told in (
            (yesterday - 1, "bank.example", "sent", "queued as 08XFKQY11Q9KQ for tls-reports@bank.example"),
            (yesterday, "company-y.example", "unwanted", "no TLSRPT record"),
        ):
            one = Standing("tls", day, domain, "waiting", 0.0, 0, "")
            await database.run(lambda connection, one=one, state=state, told=told: settle(connection, one, state, told))
        due_at = (yesterday + 1) * 86400 + 2 * 3600 + 13 * 60 + 40
        await database.run(
            lambda connection: connection.execute(
                "INSERT INTO report (kind, day, domain, state, due_at) VALUES ('tls', ?, 'bank.example', 'waiting', ?)",
                (yesterday, due_at),
            )
        )
        await database.close()

    asyncio.run(fill())
    return (
        PAGE.replace(name_of(NEWER + 1), name_of(yesterday + 1))
        .replace(name_of(NEWER), "YESTERDAY")
        .replace(name_of(OLDER), name_of(yesterday - 1))
        .replace("YESTERDAY", name_of(yesterday))
    )


def test_the_commands_print_what_the_page_shows(page: str) -> None:
    commands = re.findall(r"^    \$ purport (.+)\n((?:    .+\n)+)", page, re.MULTILINE)
    assert len(commands) == 2
    for command, shown in commands:
        ran = purport(*shlex.split(command))
        assert ran.code == 0, ran.err
        expected = [line.removeprefix("    ") for line in shown.splitlines() if line.strip() != "..."]
        assert ran.lines[: len(expected)] == expected


def test_the_command_that_sends_is_one(page: str) -> None:
    (command,) = re.findall(r"`purport (report send .+?)`", page)
    ran = purport(*shlex.split(command))
    assert ran.err.startswith("the server cannot be asked: no server runs in ")


def test_the_settings_load() -> None:
    daily, at_once = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    found = read(SETTINGS + daily)
    assert found.tls_report.organization == "The Company"
    assert found.tls_report.from_ == "tls-reports@company.com.example"
    assert found.dmarc_report.from_ == "dmarc-reports@company.com.example"
    assert not found.dmarc_report.failures
    assert read(SETTINGS + at_once).dmarc_report.failures
