"""A program that is asked about mailboxes: bounded in time, output and number, and never a shell."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
import uvloop

from purport.mail.address import Mailbox
from purport.service import lookup_command
from purport.service.lookup_command import CannotAsk, LookupCommand
from support.peers import wait_for

BOB = Mailbox("bob", "company.com.example")


def program(folder: Path, text: str) -> list[str]:
    place = folder / "lookup"
    place.write_text(f"#!{sys.executable}\nimport os, sys, time\n{text}\n")
    place.chmod(0o755)
    return [str(place), "argument with spaces; and more"]


def asked(words: list[str], mailbox: Mailbox = BOB, times: int = 1, seconds: float = 10) -> list[str]:
    async def play() -> list[str]:
        now = 0.0
        command = LookupCommand(words, lambda: now, seconds)
        found = await asyncio.gather(*(command.targets(mailbox) for _ in range(times)))
        assert all(one == found[0] for one in found)
        return [str(target) for target in found[0]]

    return asyncio.run(play())


def test_the_address_is_a_line_and_the_answer_are_lines(tmp_path: Path) -> None:
    words = program(tmp_path, "print(sys.stdin.readline().strip().replace('bob', 'robert')); print(' dave ')")
    assert asked(words) == ["robert@company.com.example", "dave"]
    assert asked(words, Mailbox("$(id) `id`", "company.com.example"))[0] == '"$(id) `id`"@company.com.example'


def test_nothing_is_no_forward_and_it_need_not_read(tmp_path: Path) -> None:
    assert asked(program(tmp_path, "")) == []


def test_a_program_that_is_over_before_it_is_asked_has_answered(tmp_path: Path) -> None:
    """The server's own loop, which says so in another way than that of asyncio."""
    place = tmp_path / "lookup"
    place.write_text("#!/bin/sh\necho a@b.example\n")
    place.chmod(0o755)

    async def play() -> None:
        command = LookupCommand([str(place)], lambda: 0.0)
        for number in range(30):
            assert await command.targets(Mailbox(f"bob{number}", "b.example")) == (Mailbox("a", "b.example"),)

    uvloop.run(play())


def test_it_knows_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    words = program(tmp_path, "print('yes@a.example' if 'SECRET' in os.environ else 'no@a.example')")
    assert asked(words) == ["no@a.example"]


def test_many_who_ask_at_once_ask_few_times(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    assert asked(program(tmp_path, f"open({str(calls)!r}, 'a').write('x'); print('a@b.example')"), times=50)
    assert len(calls.read_text()) <= lookup_command.AT_ONCE


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("sys.exit(75)", "exit code 75"),
        ("print('no address at all')", "cannot be read"),
        ("print(':include:/etc/passwd')", "cannot be read"),
        ("print('|/bin/sh')", "cannot be read"),
        ("sys.stdout.buffer.write(b'\\xff')", "cannot be read"),
        ("print('x' * 100000)", "more than 65536 octets"),
        ("time.sleep(60)", "no answer within"),
    ],
)
def test_what_is_no_answer_is_told(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(CannotAsk, match=reason):
        asked(program(tmp_path, text), seconds=1 if "sleep" in text else 10)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CannotAsk, match="No such file"):
        asked([str(tmp_path / "nothing")])


@pytest.mark.parametrize("session", [False, True])
def test_what_a_program_leaves_behind_holds_nobody_up(tmp_path: Path, session: bool) -> None:
    """A shell script that is ended lets go of what it started, which has our pipe."""
    number = tmp_path / "number"
    started = f"import subprocess; child = subprocess.Popen(['sleep', '60'], start_new_session={session})"
    text = f"{started}\nopen({str(number)!r}, 'w').write(str(child.pid))\ntime.sleep(60)"

    async def play() -> None:
        async with asyncio.timeout(20):
            await LookupCommand(program(tmp_path, text), lambda: 0.0, 1.0).targets(BOB)

    with pytest.raises(CannotAsk, match="no answer within"):
        asyncio.run(play())
    child = int(number.read_text())
    if session:  # it left on purpose
        os.kill(child, signal.SIGKILL)
    wait_for(lambda: gone(child), what="its child to go")


def gone(number: int) -> bool:
    """Whether a process is no more, or nobody has asked yet what became of it."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
