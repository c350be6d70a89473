"""docs/dmarc.md: its settings load, its command prints what is shown, and its refusals are those that are given."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from purport.authentication.dmarc.evaluate import evaluate
from purport.authentication.dmarc.result import DmarcResult
from purport.config.load import read
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.mail.header import read_header
from purport.policy.dmarc import DmarcPolicy, may_come
from support.cli import purport
from support.pages import settings_in, text_of

PAGE = text_of("dmarc")
ZONE = {"_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject; rua=mailto:reports@example.com"}]}


def test_the_settings_of_the_page_load() -> None:
    (block,) = settings_in(PAGE)
    settings = read(f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{block}')
    assert (settings.dmarc.on_fail, settings.dmarc.on_temperror) == ("quarantine", "accept")


def test_the_command_of_the_page_prints_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    (command, shown) = re.findall(r"^    \$ purport (.+)\n((?:    .+\n)+)", PAGE, re.MULTILINE)[0]
    ran = purport(*shlex.split(command), "--zone", str(tmp_path / "zone.json"))
    assert ran.lines == [line[4:] for line in shown.splitlines()]
    assert ran.code == 0


def test_the_refusals_of_the_page_are_those_that_are_given() -> None:
    assert refusal(b"From: a@example.com\r\n") in PAGE
    assert refusal(b"From: a@example.com\r\nFrom: b@example.com\r\n") in PAGE


def refusal(header: bytes) -> str:
    result = start(evaluate(read_header(header), None, ()), StaticResolver(ZONE))
    assert isinstance(result, DmarcResult)
    return str(may_come(DmarcPolicy(), result)[1])
