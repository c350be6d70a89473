"""`purport queue` on the database of a server that runs, or of none."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import threading
from pathlib import Path

import pytest
from rich.console import Console

from purport.cli.terminal import age, show_queue, size
from purport.queue.operator import SqliteOperator
from purport.queue.sqlite import SqliteStore
from purport.queue.store import QueuedMessage
from support.cli import purport
from support.queue_store import NOW, Queue, deferred

SETTINGS = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:25"]\n'
HOSTILE = b"From: alice@example.com\r\nSubject: \x1b[2J\tred\r\n\r\nbody\r\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PURPORT_CONFIG", raising=False)
    (tmp_path / "purport.toml").write_text(SETTINGS)
    (tmp_path / "state").mkdir()
    return tmp_path


@pytest.fixture
def messages(folder: Path) -> list[QueuedMessage]:
    """A held message, and a deferred one with two recipients."""

    async def fill() -> list[QueuedMessage]:
        store = SqliteStore(folder / "state" / "spool", asyncio.get_running_loop())
        queue = Queue(store)
        held = await queue.accept(queue.message("bob", held=True))
        waiting = await queue.accept(queue.message("carol", "dave", body=HOSTILE))
        await queue.record(
            deferred(waiting, NOW + 300, 0, "450 4.2.0 Later \x1b[31m"), deferred(waiting, NOW + 300, 1, "")
        )
        await store.close()
        return [held, waiting]

    return asyncio.run(fill())


def names(folder: Path) -> list[tuple[str, str]]:
    entries = SqliteOperator(folder / "state" / "spool").entries()
    return [(entry.queue_id, entry.queue_name.value) for entry in entries]


def test_list_gives_json_lines_with_the_names_of_postqueue(messages: list[QueuedMessage]) -> None:
    ran = purport("queue", "list", "--json")
    held, waiting = map(json.loads, ran.lines)
    assert (ran.code, ran.err) == (0, "")
    assert held == {
        "queue_name": "hold",
        "queue_id": messages[0].queue_id,
        "arrival_time": int(NOW),
        "message_size": len(messages[0].trace) + messages[0].body.size,
        "sender": "alice@example.com",
        "recipients": [{"address": "bob@company.com.example"}],
    }
    assert waiting["queue_name"] == "deferred"
    assert waiting["recipients"] == [
        {"address": "carol@company.com.example", "delay_reason": "450 4.2.0 Later \x1b[31m"},
        {"address": "dave@company.com.example"},
    ]


def test_list_for_people_is_like_mailq(messages: list[QueuedMessage]) -> None:
    ran = purport("queue", "list")
    assert ran.lines[0] == "Queue ID           Size  Arrived (UTC)        Sender, recipients"
    assert ran.lines[1].startswith(f"{messages[0].queue_id}! ")
    assert ran.lines[1].endswith("  alice@example.com")
    assert ran.lines[2].strip() == "bob@company.com.example"
    assert ran.lines[4].strip() == r"(450 4.2.0 Later \x1b[31m)"
    assert ran.lines[-1] == "2 messages, 0 KiB"


def test_an_empty_queue_says_so_and_gives_no_json(folder: Path) -> None:
    assert purport("queue", "list").out == "The queue is empty.\n"
    assert purport("queue", "list", "--json").out == ""


def test_show_tells_all_that_is_known_and_escapes_it(messages: list[QueuedMessage]) -> None:
    ran = purport("queue", "show", messages[1].queue_id.lower())
    assert ran.code == 0
    assert "<carol@company.com.example> by mx.company.com.example: 1 attempts" in ran.out
    assert r"  last: mx.company.com.example 450 4.2.0 Later \x1b[31m" in ran.out
    assert "  | S: 220 mx" in ran.out
    assert r"Subject: \x1b[2J    red" in ran.out
    assert "body" not in ran.lines
    told = json.loads(purport("queue", "show", messages[1].queue_id, "--json").out)
    assert told["recipients"][0]["transcript"] == "S: 220 mx\nC: EHLO"
    assert told["header"].startswith("Received: ")


@pytest.mark.parametrize(
    ("verb", "left"),
    [
        ("hold", ["hold", "hold"]),
        ("release", ["deferred", "deferred"]),
        ("retry", ["hold", "deferred"]),
        ("delete", []),
    ],
)
def test_a_verb_for_all_messages(folder: Path, messages: list[QueuedMessage], verb: str, left: list[str]) -> None:
    ran = purport("queue", verb, "ALL")
    assert (ran.code, len(ran.lines), ran.err) == (0, 2, "")
    assert [name for _, name in names(folder)] == left


def test_a_verb_for_one_message_leaves_the_others(folder: Path, messages: list[QueuedMessage]) -> None:
    ran = purport("queue", "delete", "--json", messages[0].queue_id)
    assert json.loads(ran.out) == {"queue_id": messages[0].queue_id, "changed": True, "effect": "done"}
    assert names(folder) == [(messages[1].queue_id, "deferred")]


def test_a_message_that_is_not_there_exits_with_66_and_the_others_are_changed(
    folder: Path, messages: list[QueuedMessage]
) -> None:
    gone, other = messages[0].queue_id, messages[1].queue_id
    assert purport("queue", "delete", gone).code == 0
    ran = purport("queue", "hold", gone, other)
    assert (ran.code, ran.out) == (66, f"{other}: held\n")
    assert ran.err == f"{gone}: it is not in the queue\n"
    assert purport("queue", "show", gone).code == 66


def test_a_typing_error_is_a_usage_error_and_changes_nothing(folder: Path, messages: list[QueuedMessage]) -> None:
    ran = purport("queue", "delete", messages[0].queue_id, "0123\x1b[31m")
    assert (ran.code, ran.out) == (64, "")
    assert ran.err.startswith(r"0123\x1b[31m: not a queue id: ")
    assert len(names(folder)) == 2
    assert purport("queue", "show", "ALL").code == 64
    assert purport("queue", "delete").code == 64


def test_a_database_that_is_none_exits_with_69(folder: Path) -> None:
    (folder / "state" / "spool").mkdir()
    (folder / "state" / "spool" / "spool.sqlite").touch()
    place = next(iter((folder / "state" / "spool").iterdir()))
    from purport.queue.schema import DATABASE

    place.rename(place.with_name(DATABASE)).write_bytes(b"this is no database, but a text " * 64)
    for words in (("list",), ("hold", "ALL")):
        ran = purport("queue", *words)
        assert (ran.code, ran.out) == (69, "")
        assert ran.err.startswith("the queue cannot be read: ")


@pytest.mark.parametrize(
    ("answer", "note"), [(b'{"ok": true, "text": ""}\n', ""), (b"?\n", "note: the server could not")]
)
def test_a_running_server_is_told(messages: list[QueuedMessage], answer: bytes, note: str) -> None:
    heard: list[bytes] = []

    def server(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            heard.append(connection.makefile("rb").readline())
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("state/control")
        listener.listen()
        thread = threading.Thread(target=server, args=(listener,))
        thread.start()
        ran = purport("queue", "retry", messages[1].queue_id)
        thread.join()
    assert ran.code == 0
    assert ran.err.startswith(note)
    assert json.loads(heard[0])["command"] == "refresh"


def test_a_control_socket_that_a_killed_server_left_is_no_matter(folder: Path, messages: list[QueuedMessage]) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("state/control")
    assert purport("queue", "retry", "ALL").err == ""


def test_a_terminal_gets_a_table(folder: Path, messages: list[QueuedMessage]) -> None:
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    show_queue(list(SqliteOperator(folder / "state" / "spool").entries()), NOW + 7300, console)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert f"{messages[0].queue_id}" in shown
    assert "hold" in shown
    assert "2 h" in shown
    assert r"450 4.2.0 Later \x1b[31m" in shown
    assert "2 messages, " in shown


def test_sizes_and_ages_have_a_unit_that_fits() -> None:
    assert [size(octets) for octets in (0, 10_239, 10_240, 20_000_000)] == ["0 B", "10239 B", "10 KiB", "19 MiB"]
    assert [age(seconds) for seconds in (-5, 59, 60, 7199, 86_400 * 3)] == ["0 s", "59 s", "1 min", "1 h", "3 d"]


@pytest.fixture
def scheduled(folder: Path) -> str:
    """The id of a message that waits for its release."""

    async def fill() -> str:
        store = SqliteStore(folder / "state" / "spool", asyncio.get_running_loop())
        queue = Queue(store)
        message = await queue.accept(queue.message("bob", release_at=NOW + 3600, priority=-2))
        await store.close()
        return message.queue_id

    return asyncio.run(fill())


def test_priority_and_release_are_shown(folder: Path, scheduled: str) -> None:
    (entry,) = map(json.loads, purport("queue", "list", "--json").lines)
    assert (entry["queue_name"], entry["release_time"], entry["priority"]) == ("scheduled", int(NOW) + 3600, -2)
    console = Console(file=io.StringIO(), width=100, force_terminal=True, color_system=None)
    show_queue(list(SqliteOperator(folder / "state" / "spool").entries()), NOW, console)
    assert isinstance(console.file, io.StringIO)
    listed = purport("queue", "list").out
    assert f"{scheduled}+ " in listed
    for shown in (listed, console.file.getvalue(), purport("queue", "show", scheduled).out):
        assert "to be released at 2024-01-12 14:46:40 UTC" in shown
        assert "priority -2" in shown


def test_the_end_of_all_holds_sends_no_scheduled_message(folder: Path, scheduled: str) -> None:
    assert purport("queue", "hold", "ALL").code == 0
    assert names(folder) == [(scheduled, "hold")]
    assert purport("queue", "release", "ALL").code == 0
    assert names(folder) == [(scheduled, "scheduled")]
