"""docs/dkim.md: its commands print what it shows, its settings load, its Python works."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from purport.config.dkim import load_signer
from purport.config.load import load
from purport.dns.zone import StaticResolver
from support.dkim_keys import MESSAGE, ed25519_key, ed25519_pem, signed, zone
from support.pages import settings_in, text_of

PAGE = text_of("dkim")
COMMANDS = re.findall(r"^    \$ (.+)\n    (.+)$", PAGE, re.MULTILINE)
SETTINGS = settings_in(PAGE)
HEAD = """\
hostname = "mx.company.com.example"
[[listener]]
bind = ["127.0.0.1:2525"]
[[domain]]
name = "company.com.example"
[dns]
zone = "zone.json"
"""


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    (tmp_path / "message.eml").write_bytes(MESSAGE.replace(b"example.com", b"company.com.example"))
    (tmp_path / "purport.toml").write_text(HEAD + SETTINGS[0])
    assert len(COMMANDS) == 5
    records: dict[str, Any] = {}
    for command, shown in COMMANDS:
        if command.startswith("purport dkim verify"):
            sign = f"{sys.executable} -m purport dkim sign message.eml > signed.eml"
            subprocess.run(sign, shell=True, cwd=tmp_path, check=True, timeout=60)
        line = command.replace("purport ", f"{sys.executable} -m purport ")
        ran = subprocess.run(line, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.startswith(shown.removesuffix("..."))
        if "keygen" in command:
            name = ran.stdout.partition(". IN TXT")[0]
            records[name] = [{"TXT": "".join(re.findall(r'"([^"]*)"', ran.stdout))}]
            (tmp_path / "zone.json").write_text(json.dumps(records))


def test_opendkims_tables_can_be_read_as_the_page_shows_them(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "s1.pem").write_bytes(ed25519_pem())
    for name, text in re.findall(r"    # (\w+Table)\n    (.+)\n", PAGE):
        (tmp_path / name).write_text(text.replace("/etc/opendkim/", f"{tmp_path}/"))
    (tmp_path / "purport.toml").write_text(HEAD + SETTINGS[1].replace("/etc/opendkim/", f"{tmp_path}/"))
    path = tmp_path / "purport.toml"
    assert load_signer(path, load(path))


def test_the_python_of_the_page_works() -> None:
    [code] = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    names: dict[str, Any] = {"message": signed(), "resolver": StaticResolver(zone(ed25519_key())), "time": time}
    compiled = compile(code, "dkim.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    asyncio.run(eval(compiled, names))
    assert names["results"][0].result == "pass"
