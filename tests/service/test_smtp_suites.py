"""The SMTP suites beside the project at a running server: dialogues, paths, smuggling, and forged messages.

`tests/smtp/test_dialogues.py` plays them on a session alone; here they go through the whole server, over TCP and TLS,
and what it says and keeps counts.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from purport.mail.header import read_header
from support.certificates import Authority
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server
from support.smtp_shell import agree, dialogues, wire
from support.smtp_suites import CHASQUID, SMUGGLING, expect_path, path_cases, path_line
from support.suites import SUITES, not_there


class Client:
    """Says octets, reads replies: lists of lines."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 20)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._lines = self._socket.makefile("r", encoding="utf-8", newline="\r\n")

    def reply(self) -> list[str]:
        lines = [self._lines.readline().rstrip("\r\n")]
        while lines[-1][3:4] == "-":
            lines.append(self._lines.readline().rstrip("\r\n"))
        return lines

    def say(self, octets: bytes) -> None:
        self._socket.sendall(octets)

    def ask(self, line: str) -> str:
        self.say(f"{line}\r\n".encode())
        return " | ".join(self.reply())

    def rest(self) -> str:
        """What comes until the server closes."""
        return self._lines.read()

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


# chasquid's dialogues

TESTSERVER = """
[[domain]]
name = "testserver"
mailboxes = ["user", "postmaster"]

[[user]]
name = "user@testserver"
password = "secretpassword"

[dns]
zone = "zone.json"

[auth]
delay = 0.0
max_delay = 0.0

[limits]
message_size = 1048576
errors = {errors}

[[certificate]]
chain = "{chain}"

[[listener]]
service = "mx"
bind = ["127.0.0.1:{implicit}"]
tls = "implicit"
auth = true
"""


# Where an RFC says something else, or nothing.
INSTEAD = {
    ("auth_multi_dialog", 534): {"code": 504},  # RFC 4954 section 4: "rejects the AUTH command with a 504 reply"
    ("auth_too_many_failures", 421): {"code": 421, "enhanced": "4.7.0"},  # the limit and its status are local
}


@contextmanager
def a_server_of_chasquid(folder: Path, errors: int = 20) -> Iterator[tuple[int, int, ssl.SSLContext]]:
    """chasquid's, as far as its dialogues know it: a port in clear, one under TLS, and what to trust."""
    (folder / "zone.json").write_text("{}")
    authority = Authority(folder / "authority")
    context = ssl.create_default_context(cafile=str(authority.bundle))
    implicit = free_port()
    settings = TESTSERVER.format(errors=errors, chain=authority.issue("localhost"), implicit=implicit)
    with purport_server(folder, settings, "mx.testserver.example") as server:
        yield server.port, implicit, context


@pytest.mark.parametrize("case", dialogues(SUITES / "smtp" / "chasquid-dialogues.yml", CHASQUID, at_server=True))
def test_a_dialogue_of_chasquid(tmp_path: Path, case: dict[str, Any]) -> None:
    errors = 2 if case["id"] == "auth_too_many_failures" else 20
    with a_server_of_chasquid(tmp_path, errors) as (port, implicit, context):
        client: Client | None = None
        for step in case["dialogue"]:
            if "connect" in step:
                client = Client(implicit, context) if step["connect"] == "tls" else Client(port)
            assert client is not None
            if "S" in step:
                agree(INSTEAD.get((case["id"], step["S"]["code"]), step["S"]), client.reply(), case)
            elif "close" in step:
                client.close()
            elif "connect" not in step:
                client.say(wire(step))


# Paths, and ends of mail data

SETTINGS = """
[[domain]]
name = "domain.com"

[[domain]]
name = "company.com.example"

[[domain]]
name = "victim.com"

[dns]
zone = "zone.json"
"""
FORGED = {  # 127.0.0.1 is attack.com's, and nobody's else
    "attack.com": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
    "helo.attack.com": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}],
    "legitimate.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "_dmarc.legitimate.com": [{"TXT": "v=DMARC1; p=reject"}],
    "_dmarc.example.com": [{"TXT": "v=DMARC1; p=reject"}],
    "sender.legitimate.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("smtp-suites")
    (folder / "zone.json").write_text(json.dumps(FORGED))
    with purport_server(folder, SETTINGS) as running:
        yield running


@pytest.mark.parametrize("case", path_cases())
def test_a_path_is_read_as_the_tables_say(server: PurportServer, case: dict[str, Any]) -> None:
    client = Client(server.port)
    client.reply()
    client.ask("EHLO sender.example")
    if path_line(case).startswith("RCPT"):
        client.ask("MAIL FROM:<>")
    expect_path(case, client.ask(path_line(case)))
    client.close()


@pytest.mark.parametrize("number", range(len(SMUGGLING["cases"])), ids=[case["id"] for case in SMUGGLING["cases"]])
def test_nothing_but_crlf_dot_crlf_ends_a_message(server: PurportServer, number: int) -> None:
    """What the sequence hides runs as no command, and is kept as no message."""
    case = SMUGGLING["cases"][number]
    before, after = SMUGGLING["template"].replace("\n", "\r\n").encode().split(b"{octets}")
    mailbox = f"smuggled{number}"
    before, after = (octets.replace(b"bob@", f"{mailbox}@".encode()) for octets in (before, after))
    client = Client(server.port)
    client.say(b"EHLO sender.example\r\n" + before + case["octets"].encode() + after + b"QUIT\r\n")
    said = client.rest()
    client.close()
    refused = case["contains_bare_cr_or_lf"]
    assert ("\r\n550 5.6.0 " in said) == refused
    assert said.count(" queued as ") == (not refused)
    if not refused:
        folder = server.state_dir / "maildir/company.com.example" / mailbox / "new"
        wait_for(lambda: folder.exists() and list(folder.iterdir()), what="the message in the Maildir")
        (message,) = folder.iterdir()
        assert "From: ceo@bank.example" not in message.read_text().partition("\n\n")[0]


# espoofer's forged messages

REFUSED_PATH = "501 5.1.7"
NO_PRA = "550 5.7.1 Missing Purported Responsible Address"
NOT_ALLOWED = "550 5.7.1 Sender ID (PRA) Not Permitted"
NO_AUTHOR = "550 5.6.0 A message needs one From field that names its author"
BY_POLICY = "550 5.7.1 Email rejected per DMARC policy for "
# What is said to each: by the settings as they come, and where the author's policy (DMARC) is not obeyed, but every
# responsible address is asked about. The signature of `server_a4` is in tests/authentication/authres/test_writer.py.
ESPOOFER = {
    "server_a1": (BY_POLICY, NOT_ALLOWED),
    "server_a2": (REFUSED_PATH, REFUSED_PATH),
    "server_a4": (BY_POLICY, NOT_ALLOWED),
    "server_a5": (REFUSED_PATH, REFUSED_PATH),
    "server_a7": (BY_POLICY, NOT_ALLOWED),  # its route is dropped
    "server_a8": (NO_AUTHOR, NO_PRA),
    "server_a10": (NO_AUTHOR, NO_PRA),
    "server_a11": (NO_AUTHOR, NOT_ALLOWED),
    "server_a13": (NO_AUTHOR, NOT_ALLOWED),
    "server_a14": (BY_POLICY, NOT_ALLOWED),
    "server_a16": (BY_POLICY, NOT_ALLOWED),
    "server_a17": (NO_AUTHOR, NOT_ALLOWED),
    "server_a19": (NO_AUTHOR, NOT_ALLOWED),
    "client_a1": (NO_AUTHOR, NO_PRA),
    "client_a3": (BY_POLICY, NOT_ALLOWED),
}
TAG = '\n[dmarc]\non_fail = "tag"\n'


def forged() -> list[Any]:
    suite = SUITES / "smtp" / "espoofer.yml"
    if not suite.exists():
        return not_there(suite)
    return [pytest.param(case, id=case["id"]) for case in yaml.safe_load(suite.read_text(encoding="utf-8"))["cases"]]


def send_forged(port: int, case: dict[str, Any], login: str = "") -> str:
    """The reply that decided."""
    client = Client(port)
    client.reply()
    client.ask(f"EHLO {case['helo']}")
    if login:
        assert client.ask(f"AUTH PLAIN {base64.b64encode(login.encode()).decode()}").startswith("235 ")
    said = client.ask(f"MAIL FROM:{case['mail_from']}")
    if said.startswith("250 "):
        said = client.ask(f"RCPT TO:{case['rcpt_to']}")
    if said.startswith("250 "):
        client.ask("DATA")
        client.say(case["message"].encode("latin-1") + b".\r\n")
        said = " | ".join(client.reply())
    client.close()
    return said


ALWAYS = f'\n[submitter]\ncheck_pra = "always"\n{TAG}'


@pytest.fixture(scope="module", params=["", ALWAYS, TAG], ids=["as they come", "PRA", "tag"])
def spoofed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("spoofed")
    (folder / "zone.json").write_text(json.dumps(FORGED))
    with purport_server(folder, SETTINGS + request.param) as running:
        yield running


@pytest.mark.parametrize("case", forged())
def test_a_forged_message_is_refused_or_bears_no_pass_for_the_domain_it_claims(
    spoofed: PurportServer, case: dict[str, Any]
) -> None:
    said = send_forged(spoofed.port, case)
    settings = spoofed.settings.read_text()
    by_default, by_pra = ESPOOFER[case["id"]]
    if "always" in settings:
        assert said.startswith(by_pra)
    elif TAG not in settings or by_pra == REFUSED_PATH:
        assert said.startswith(by_default)
    else:
        assert "queued as" in said
        expect_no_pass(spoofed, said.partition("queued as ")[2])


def expect_no_pass(server: PurportServer, queue_id: str) -> None:
    wait_for(lambda: f"{queue_id}: removed" in server.log(), what="the delivery")
    kept = [place.read_bytes() for place in (server.state_dir / "maildir/victim.com/victim/new").iterdir()]
    (message,) = (octets for octets in kept if queue_id.encode() in octets)
    results = [field for field in read_header(message) if field.name in ("received-spf", "authentication-results")]
    assert results
    for result in results:
        for said in result.text.split(";"):
            assert not (re.search(r"\bpass\b", said) and re.search(r"\b(legitimate|example)\.com", said)), result.text


SUBMISSION = """
[[user]]
name = "attacker"
password = "secret"
addresses = ["attacker@example.com"]

[[domain]]
name = "example.com"

[dns]
zone = "zone.json"
"""


@pytest.mark.parametrize("case", [param for param in forged() if str(param.id).startswith("client_") or param.marks])
def test_a_user_sends_as_nobody_else(tmp_path: Path, case: dict[str, Any]) -> None:
    (tmp_path / "zone.json").write_text("{}")
    listener = 'service = "submission"\nauth_without_tls = true'
    with purport_server(tmp_path, SUBMISSION, listener=listener) as server:
        said = send_forged(server.port, case, login="\0attacker\0secret")
        assert said.startswith(("554 5.6.0", "550 5.7.1 attacker may not send as")), said
