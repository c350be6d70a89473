"""`purport send`: a dialogue by hand, with servers that accept, refuse, and misbehave."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from purport.cli.send import place_of
from support.certificates import Authority, shows
from support.cli import Ran, purport
from support.scripted_server import DROP, HANG, ScriptedServer, on_loop

OFFERS = ("PIPELINING", "SIZE 10240000", "8BITMIME", "SUBMITTER")


async def send(server: ScriptedServer, *words: str, stdin: bytes = b"") -> Ran:
    given = ("--server", f"127.0.0.1:{server.port}", "--helo", "client.example", "--from", "alice@example.com")
    return await asyncio.to_thread(purport, "send", *given, "--to", "bob@company.com.example", *words, stdin=stdin)


@on_loop
async def test_the_dialogue_is_shown_command_by_command() -> None:
    async with ScriptedServer("SUBMITTER", "PIPELINING") as server:
        ran = await send(server, "--data", "From: carol@example.com\\n\\nHi\\n.dot")
    place = f"127.0.0.1:{server.port}"
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [
        f"=== Trying {place}...",
        f"=== Connected to {place}.",
        "<-  220 mx.test ESMTP",
        " -> EHLO client.example",
        "<-  250-mx.test",
        "<-  250-SUBMITTER",
        "<-  250 PIPELINING",
        " -> MAIL FROM:<alice@example.com> SUBMITTER=carol@example.com",
        "<-  250 2.0.0 Ok",
        " -> RCPT TO:<bob@company.com.example>",
        "<-  250 2.0.0 Ok",
        " -> DATA",
        "<-  354 Go ahead",
        " -> From: carol@example.com",
        " -> ",
        " -> Hi",
        " -> ..dot",
        " -> .",
        "<-  250 2.0.0 Ok: taken",
        " -> QUIT",
        "<-  221 2.0.0 Bye",
        "=== Connection closed with remote host.",
    ]
    assert server.messages == [b"From: carol@example.com\r\n\r\nHi\r\n.dot\r\n"]


@on_loop
async def test_the_submitter_is_the_responsible_address_and_can_be_forced() -> None:
    async with ScriptedServer(*OFFERS) as server:
        await send(server, "--header", "Sender: dave@example.com")
        await send(server, "--submitter", "Ceo+x@bank.example")
    submitters = [line.rpartition(" ")[2] for line in server.commands if line.startswith("MAIL")]
    assert submitters == ["SUBMITTER=dave@example.com", "SUBMITTER=Ceo+2Bx@bank.example"]


@on_loop
async def test_no_submitter_where_it_is_not_offered() -> None:
    async with ScriptedServer("SIZE") as server:
        await send(server, "--submitter", "ceo@bank.example")
    assert not any("SUBMITTER" in line for line in server.commands)


@on_loop
async def test_a_refusal_at_mail_ends_the_dialogue_before_the_message() -> None:
    async with ScriptedServer(*OFFERS).on("MAIL", "550 5.7.1 Submitter not allowed.") as server:
        ran = await send(server)
    assert ran.code == 69
    assert "<** 550 5.7.1 Submitter not allowed." in ran.lines
    assert [line.partition(" ")[0] for line in server.commands] == ["EHLO", "MAIL", "QUIT"]
    assert server.messages == []


@pytest.mark.parametrize(
    ("command", "reply", "code"),
    [
        ("GREETING", "554 5.3.2 No service", 69),
        ("GREETING", "421 4.3.2 Later", 75),
        ("EHLO", "421 4.3.2 Later", 75),
        ("MAIL", "450 4.4.3 Later", 75),
        ("RCPT", "550 5.1.1 No such mailbox", 69),
        ("RCPT", "450 4.2.0 Greylisted", 75),
        ("DATA", "451 4.3.0 Error", 75),
        (".", "554 5.7.7 Cannot verify submitter address.", 69),
        (".", "452 4.3.1 Insufficient system storage", 75),
        (".", DROP, 75),
        ("GREETING", "HTTP/1.1 400 Bad Request", 69),
        ("EHLO", "250 " + "x" * 4000, 69),
        ("GREETING", DROP, 75),
    ],
)
@on_loop
async def test_the_exit_code_says_whether_trying_again_may_help(command: str, reply: str, code: int) -> None:
    async with ScriptedServer(*OFFERS).on(command, reply) as server:
        assert (await send(server)).code == code


@on_loop
async def test_one_recipient_of_two_refused_is_a_refusal_and_the_message_is_sent() -> None:
    async with ScriptedServer(*OFFERS).on("RCPT TO:<bob", "550 5.1.1 No such mailbox") as server:
        ran = await send(server, "--to", "carol@company.com.example, dave@company.com.example")
    assert ran.code == 69
    assert len(server.messages) == 1
    assert sum(line.startswith("RCPT") for line in server.commands) == 3


@pytest.mark.parametrize(("stop", "last"), [("connect", None), ("helo", "EHLO"), ("MAIL", "MAIL"), ("rcpt", "RCPT")])
@on_loop
async def test_the_dialogue_stops_where_it_is_told(stop: str, last: str | None) -> None:
    async with ScriptedServer(*OFFERS) as server:
        ran = await send(server, "--quit-after", stop)
    said = [line.partition(" ")[0] for line in server.commands]
    assert ran.code == 0
    assert said[-1] == "QUIT"
    assert said[-2:-1] == ([last] if last else [])
    assert ran.lines[-2] == "<-  221 2.0.0 Bye"


@on_loop
async def test_fields_may_be_set_added_and_named_by_options(tmp_path: Path) -> None:
    (tmp_path / "body").write_bytes(b"line one\r\nline two")
    async with ScriptedServer() as server:
        ran = await send(
            server,
            *("--h-Subject", "Hello there", "--h-X-One=1", "--header", "from: dave@example.com"),
            *("--add-header", "Resent-From: eve@example.com", "--body", f"@{tmp_path}/body"),
        )
    assert ran.code == 0
    lines = server.messages[0].decode().split("\r\n")
    assert lines[0] == "Resent-From: eve@example.com"
    assert "Subject: Hello there" in lines
    assert "X-One: 1" in lines
    assert "From: dave@example.com" in lines
    assert lines[-4:] == ["", "line one", "line two", ""]


@on_loop
async def test_the_message_may_come_from_a_file_or_from_stdin(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(b"From: alice@example.com\n\nfile\n")
    async with ScriptedServer() as server:
        await send(server, "--data", f"{tmp_path}/m.eml")
        await send(server, "--data", f"@{tmp_path}/m.eml")
        await send(server, "--data", "-", stdin=b"From: alice@example.com\n\nstdin\n")
        assert (await send(server, "--data", "@none.eml")).code == 66
    assert [message.split(b"\r\n")[2] for message in server.messages] == [b"file", b"file", b"stdin"]


@on_loop
async def test_what_is_hidden_is_not_shown() -> None:
    async with ScriptedServer().on("RCPT", "550 5.1.1 No\x1b[2J") as server:
        quiet = await send(server, "--silent")
        nothing = await send(server, "--hide-all")
        received = await send(server, "--hide-send", "--hide-informational")
    assert quiet.out == "<** 550 5.1.1 No\\x1b[2J\n"
    assert (nothing.out, nothing.code) == ("", 69)
    assert all(line.startswith("<") for line in received.lines)


@on_loop
async def test_the_message_can_be_kept_from_the_screen() -> None:
    async with ScriptedServer() as server:
        ran = await send(server, "--suppress-data", "--data", "From: alice@example.com\n\nsecret\n")
    assert "secret" not in ran.out
    assert " -> 38 octets of mail data" in ran.lines


@on_loop
async def test_a_server_that_says_nothing_costs_the_timeout_and_no_more() -> None:
    async with ScriptedServer().on("EHLO", HANG) as server:
        ran = await send(server, "--timeout", "0.2")
    assert ran.code == 69
    assert ran.err == f"*** 127.0.0.1:{server.port}: timed out\n"


@on_loop
async def test_an_address_that_no_command_can_hold_is_told_and_not_sent() -> None:
    async with ScriptedServer("8BITMIME") as server:
        ran = await send(server, "--to", "jörg@company.com.example", "--h-To", "you both")
    assert ran.code == 69
    assert "*** Not sent: 553 5.6.7 Address holds characters that need SMTPUTF8" in ran.lines
    assert server.commands[2:] == ["RCPT TO:<bob@company.com.example>", "DATA", "QUIT"], "to the others it goes"


@on_loop
async def test_a_time_to_deliver_by_and_owners_of_mailboxes_can_be_asked_for() -> None:
    async with ScriptedServer("DELIVERBY", "RRVS") as server:
        ran = await send(server, "--deliver-by", "120;RT", "--valid-since", "2014-04-03T23:01:00Z;C")
    assert ran.code == 0
    assert server.commands[1].endswith(" BY=120;RT")
    assert server.commands[2] == "RCPT TO:<bob@company.com.example> RRVS=2014-04-03T23:01:00Z;C"


@on_loop
async def test_what_a_server_cannot_promise_is_not_sent() -> None:
    async with ScriptedServer("8BITMIME") as server:
        by = await send(server, "--deliver-by", "120;R")
        since = await send(server, "--valid-since", "2014-04-03T23:01:00Z")
    assert (by.code, since.code) == (69, 69)
    assert any("lacks DELIVERBY" in line for line in by.lines)
    assert any("does not offer RRVS" in line for line in since.lines)
    assert server.messages == []


def test_options_that_mean_nothing_are_usage_errors() -> None:
    for option, value in (("--deliver-by", "0;R"), ("--deliver-by", "soon"), ("--valid-since", "2014-04-03")):
        assert purport("send", "--to", "bob@a.example", option, value).code == 64


def test_a_server_that_is_not_there_exits_with_69() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        ran = purport("send", "--to", "bob@example.com", "--server", "127.0.0.1", "--port", str(port))
    assert ran.code == 69
    assert ran.err == f"*** 127.0.0.1:{port}: Connection refused\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--to", "nobody"),
        ("--to", "a@b.example", "--from", "x"),
        ("--to", "a@b.example", "--server", "host:nine"),
        ("--to", "a@b.example", "--server", "[::1"),
        ("--to", "a@b.example", "--header", "no field"),
        ("--to", "a@b.example", "--h-Subject", "two\nlines"),
        ("--to", "a@b.example", "--nope"),
        ("--to", "a@b.example", "--helo", "ü.example"),
        ("--to", "a@b.example", "--helo", "a\r\nMAIL FROM:<>"),
        ("--to", "a@b.example", "more"),
        ("--to", "a@b.example", "--timeout", "0"),
    ],
)
def test_wrong_usage_is_told_before_anybody_is_called(words: tuple[str, ...]) -> None:
    ran = purport("send", *words)
    assert (ran.code, ran.out) == (64, "")


@pytest.mark.parametrize(
    ("server", "port", "found"),
    [
        ("mx.example.com", None, ("mx.example.com", 25)),
        ("mx.example.com:2525", None, ("mx.example.com", 2525)),
        ("mx.example.com:2525", 26, ("mx.example.com", 26)),
        ("::1", None, ("::1", 25)),
        ("[::1]", None, ("::1", 25)),
        ("[::1]:2525", None, ("::1", 2525)),
    ],
)
def test_a_server_is_a_host_and_a_port(server: str, port: int | None, found: tuple[str, int]) -> None:
    assert place_of(server, port) == found


# Logins


@on_loop
async def test_a_login_is_shown_without_its_secrets() -> None:
    async with ScriptedServer("AUTH PLAIN LOGIN").on("AUTH", "235 2.7.0 Welcome") as server:
        words = ("--auth", "plain", "--auth-user", "alice", "--auth-password", "secret", "--auth-without-tls")
        ran = await send(server, *words, "--hide-data")
        assert ran.code == 0
        assert " -> AUTH PLAIN ..." in ran.lines
        assert " -> MAIL FROM:<alice@example.com> AUTH=<>" in ran.lines
        assert server.commands[1] == "AUTH PLAIN AGFsaWNlAHNlY3JldA=="
        assert "AGFsaWNl" not in ran.out


@on_loop
async def test_responses_are_not_shown_either() -> None:
    async with ScriptedServer("AUTH LOGIN") as server:
        server.on("AUTH", "334 VXNlcm5hbWU6").on("YWxpY2U=", "334 UGFzc3dvcmQ6").on("c2VjcmV0", "235 2.7.0 Welcome")
        ran = await send(server, "--auth-user", "alice", "--auth-password", "secret", "--auth-without-tls")
        assert ran.code == 0
        assert ran.lines.count(" -> ...") == 2
        assert server.commands[2:4] == ["YWxpY2U=", "c2VjcmV0"]


@on_loop
async def test_a_refused_login_is_a_refusal(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("secret\n")
    words = ("--auth", "--auth-user", "alice", "--auth-password-file", str(tmp_path / "password"))
    async with ScriptedServer("AUTH PLAIN").on("AUTH", "535 5.7.8 No") as server:
        ran = await send(server, *words, "--auth-without-tls")
        assert ran.code == 69
        assert "<** 535 5.7.8 No" in ran.lines
        assert not any(command.startswith("MAIL") for command in server.commands)
    async with ScriptedServer("AUTH PLAIN") as server:
        ran = await send(server, *words)
        assert ran.code == 75
        assert "*** 450 4.7.0 The server offers no AUTH mechanism that may be used here" in ran.lines
        assert server.commands == ["EHLO client.example", "QUIT"]


@on_loop
async def test_the_dialogue_may_end_after_the_login() -> None:
    async with ScriptedServer("AUTH PLAIN").on("AUTH", "235 2.7.0 Welcome") as server:
        words = ("--auth-user", "alice", "--auth-password", "secret", "--auth-without-tls")
        assert (await send(server, *words, "--quit-after", "auth")).code == 0
        assert [command.partition(" ")[0] for command in server.commands] == ["EHLO", "AUTH", "QUIT"]


def test_a_mechanism_that_is_none_of_ours() -> None:
    ran = purport("send", "--to", "bob@example.com", "--auth", "DIGEST-MD5", "--auth-user", "a", "--auth-password", "b")
    assert ran.code == 64


# REQUIRETLS


@on_loop
async def test_a_message_that_requires_tls_goes_to_a_server_that_proves_its_name_and_offers_requiretls(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    server = ScriptedServer("STARTTLS", "REQUIRETLS", tls=shows(authority.issue("127.0.0.1")))
    async with server:
        ran = await send(server, "--require-tls", "--tls-ca-path", str(authority.bundle))
    assert ran.code == 0
    assert " ~> MAIL FROM:<alice@example.com> REQUIRETLS" in ran.lines


@pytest.mark.parametrize(
    ("offers", "name", "error"),
    [
        (("STARTTLS",), "127.0.0.1", "Not sent: 550 5.7.30 REQUIRETLS support required"),
        (("REQUIRETLS",), "127.0.0.1", "TLS is required, but was not offered"),
        (("STARTTLS", "REQUIRETLS"), "another.example", "TLS failed: "),
    ],
)
@on_loop
async def test_a_message_that_requires_tls_goes_in_no_other_way(
    tmp_path: Path, offers: tuple[str, ...], name: str, error: str
) -> None:
    authority = Authority(tmp_path)
    server = ScriptedServer(*offers, tls=shows(authority.issue(name)))
    async with server:
        ran = await send(server, "--require-tls", "--tls-optional", "--tls-ca-path", str(authority.bundle))
    assert ran.code != 0
    assert error in ran.out + ran.err
    assert not any(command.startswith("MAIL") for command in server.commands)
