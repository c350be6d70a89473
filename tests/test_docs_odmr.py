"""docs/odmr.md: its settings load, and the customer's fetch what the provider's keep."""

from __future__ import annotations

import re
import smtplib
from pathlib import Path

from purport.config.load import read
from support.certificates import Authority
from support.pages import commands_in, settings_in, text_of
from support.peers import free_port, wait_for
from support.purport_server import PurportServer

PAGE = text_of("odmr")
PROVIDER, CUSTOMER, MECHANISMS = settings_in(PAGE)
ZONE = '[dns]\nzone = "zone.json"\n'


def test_what_stands_there_works(tmp_path: Path) -> None:
    port = free_port()
    authority = Authority(tmp_path / "tls")
    keeps = PROVIDER.replace("[::]:366", f"127.0.0.1:{port}")
    keeps = keeps.replace('"fullchain.pem"', f'"{authority.issue("localhost")}"')
    provider = PurportServer(tmp_path / "provider", f"{keeps}\n{ZONE}", "mx.provider.example")
    fetches = CUSTOMER.replace("odmr.provider.example:366", f"localhost:{port}")
    relay = f'[relay]\nauthorities = "{authority.bundle}"\n'
    customer = PurportServer(tmp_path / "customer", f"{fetches}\n{relay}{ZONE}", "mail.company.com.example")
    (customer.folder / "odmr.password").write_text("change me\n")
    for server in (provider, customer):
        (server.folder / "zone.json").write_text("{}")
    (command,) = commands_in(PAGE)
    (answer,) = re.findall(r"^    (odmr\.provider.+)$", PAGE, re.MULTILINE)
    try:
        provider.start()
        for name in ("bob", "carol"):
            with smtplib.SMTP("127.0.0.1", provider.port) as client:
                client.sendmail(
                    "alice@here.example", f"{name}@company.com.example", b"From: alice@here.example\r\n\r\n"
                )
        wait_for(lambda: "Purport is ready" in provider.log(), what="both listeners")
        wait_for(lambda: provider.log().count("status=deferred") == 2, what="mail that waits")
        customer.settings.write_text(customer.settings.read_text().replace("every = 900", "every = 0"))
        customer.start()
        ran = customer.command(*command.split())
        assert ran.stdout == answer.replace("odmr.provider.example:366", f"localhost:{port}") + "\n", ran
    finally:
        for server in (provider, customer):
            if server.process is not None:
                server.stop()


def test_the_mechanisms_of_the_page_load() -> None:
    read(f'hostname = "mx.example.com"\n[[listener]]\nbind = ["[::]:25"]\n{MECHANISMS}')
