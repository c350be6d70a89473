"""docs/submission.md: its settings work, its command sends, and the refusal that it shows is the one that comes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from support.certificates import Authority
from support.cli import purport
from support.pages import commands_in, settings_in, text_of
from support.peers import free_port, greets, wait_for
from support.purport_server import PurportServer

PAGE = text_of("submission")


def test_the_settings_the_command_and_the_refusal_of_the_page(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    authority.issue("mx.company.com.example")
    port = free_port()
    settings = settings_in(PAGE)[0]
    certificate = authority.folder / "server.pem"
    settings = re.sub(r'"(chain|key)\.pem"', f'"{certificate}"', settings)
    settings = settings.replace("0.0.0.0:587", f"127.0.0.1:{port}").replace("0.0.0.0:465", f"127.0.0.1:{free_port()}")
    server = PurportServer(tmp_path, '[[domain]]\nname = "company.com.example"\n' + settings)
    server.start()
    try:
        wait_for(lambda: greets(port))
        (command,) = commands_in(PAGE)
        words = shlex.split(command.replace("mx.company.com.example:587", f"127.0.0.1:{port}"))
        words += ["--auth-password", "open sesame"]  # which the command asks for
        ran = purport(*words, "--quit-after", "rcpt")
        assert ran.code == 0, ran.out
        assert " ~> MAIL FROM:<alice@company.com.example>" in ran.out
        (refusal,) = re.findall(r"^    (550 .+)$", PAGE, re.MULTILINE)
        forged = purport(*words, "--h-From", "ceo@company.com.example", "--submitter", "alice@company.com.example")
        assert forged.code == 69
        assert f"<~* {refusal}" in forged.out
    finally:
        server.stop()
