"""Each row of the crash table in docs/queue.md: the process is killed in that very state, and started again."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from purport.queue.sqlite import SqliteStore
from purport.queue.store import QueuedMessage
from support.peers import wait_for
from support.queue_store import NOW, octets

TESTS = Path(__file__).resolve().parents[1]


@contextmanager
def child(state: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process on its way into a state."""
    process = subprocess.Popen(
        [sys.executable, "-m", "support.queue_child", state, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


def crashed(state: str, folder: Path) -> dict[str, list[str]]:
    """Bring a queue into a state and kill it there; gives what the process said about its messages."""
    with child(state, folder) as process:
        assert process.stdout is not None
        said: dict[str, list[str]] = json.loads(process.stdout.readline())
        if state != "spooling":
            assert process.wait(20) == -9, "the process ends itself in a callback that says: safe"
        return said


def crashed_before_commit(state: str, folder: Path, reached: str) -> dict[str, list[str]]:
    """The same, for states before a commit: nobody can commit until the process is dead."""
    with child(state, folder) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        said: dict[str, list[str]] = json.loads(process.stdout.readline())
        with locked(folder):
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == f"{reached}\n"
            process.kill()
            process.wait(20)
        return said


def found(folder: Path, now: float = NOW) -> list[QueuedMessage]:
    """What a new process finds, all of it due; bodies are compared with what was sent."""

    async def play() -> list[QueuedMessage]:
        store = SqliteStore(folder)
        messages = await store.claim(now, 100)
        for message in messages:
            assert b"".join(message.body.pieces()) == octets(message.body.size)
        assert await store.next_due() is None
        await store.close()
        return messages

    return asyncio.run(play())


def bodies(folder: Path) -> int:
    """How many body files there are."""
    return len(list((folder / "bodies").iterdir()))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else can commit to the database."""
    with closing(sqlite3.connect(folder / "queue.db", isolation_level=None, timeout=10)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield


def ids(messages: list[QueuedMessage]) -> list[str]:
    return [message.queue_id for message in messages]


def test_s1_an_empty_queue_is_an_empty_queue(tmp_path: Path) -> None:
    assert found(tmp_path) == []
    assert found(tmp_path) == []
    assert bodies(tmp_path) == 0


def test_s2_a_body_that_was_arriving_is_swept(tmp_path: Path) -> None:
    crashed("spooling", tmp_path)
    assert bodies(tmp_path) == 1
    assert found(tmp_path) == []
    assert bodies(tmp_path) == 0


def test_s2_synced_bodies_without_rows_are_swept(tmp_path: Path) -> None:
    said = crashed_before_commit("synced", tmp_path, "synced")
    assert len(said["ids"]) == bodies(tmp_path) == 2
    assert found(tmp_path) == []
    assert bodies(tmp_path) == 0


def test_s3_a_committed_message_is_there_though_nobody_was_told(tmp_path: Path) -> None:
    with child("committed", tmp_path) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())

        def stored() -> bool:
            with closing(sqlite3.connect(tmp_path / "queue.db")) as connection:
                return bool(connection.execute("SELECT 1 FROM message").fetchall())

        wait_for(stored, 10, "the row")
    assert ids(found(tmp_path)) == said["ids"]


@pytest.mark.parametrize("state", ["acknowledged", "leased"], ids=["s3_accepted", "s4_leased"])
def test_acknowledged_messages_are_due_again(tmp_path: Path, state: str) -> None:
    said = crashed(state, tmp_path)
    assert len(said["acknowledged"]) == 3
    assert ids(found(tmp_path)) == said["acknowledged"]
    assert ids(found(tmp_path)) == said["acknowledged"], "and again: reading changes nothing"
    assert bodies(tmp_path) == 2


def test_s2_messages_of_one_step_are_not_there_before_all_of_them_are(tmp_path: Path) -> None:
    said = crashed_before_commit("forwarding", tmp_path, "forwarding")
    assert len(said["ids"]) == 3
    assert bodies(tmp_path) == 1
    assert found(tmp_path) == []
    assert bodies(tmp_path) == 0


def test_s3_messages_of_one_step_are_all_there(tmp_path: Path) -> None:
    said = crashed("forwarded", tmp_path)
    assert len(said["acknowledged"]) == 9
    assert ids(found(tmp_path)) == sorted(said["acknowledged"])
    assert ids(found(tmp_path)) == sorted(said["acknowledged"]), "and again: reading changes nothing"
    assert bodies(tmp_path) == 2


def test_s3_scheduled_messages_wait_on_and_are_due_at_their_time(tmp_path: Path) -> None:
    said = crashed("scheduled", tmp_path)

    async def early() -> tuple[list[QueuedMessage], float | None]:
        store = SqliteStore(tmp_path)
        found = await store.claim(NOW + 3599, 100), await store.next_due()
        await store.close()
        return found

    assert asyncio.run(early()) == ([], NOW + 3600)
    assert ids(found(tmp_path, NOW + 3600)) == said["acknowledged"]


def test_s4_an_outcome_that_is_not_safe_did_not_happen(tmp_path: Path) -> None:
    said = crashed_before_commit("recording", tmp_path, "recording")
    assert ids(found(tmp_path)) == said["acknowledged"]


def test_s5_finished_recipients_are_not_tried_again(tmp_path: Path) -> None:
    said = crashed("recorded", tmp_path)
    messages = found(tmp_path)
    assert ids(messages) == said["acknowledged"]
    assert [[one.number for one in message.recipients] for message in messages] == [[1]] * 3


def test_s5_a_failure_and_its_report_are_one_step(tmp_path: Path) -> None:
    said = crashed("reported", tmp_path)
    assert ids(found(tmp_path)) == said["ids"]


def test_s6_bodies_of_finished_messages_are_swept(tmp_path: Path) -> None:
    crashed("done", tmp_path)
    assert bodies(tmp_path) == 2
    assert found(tmp_path) == []
    assert bodies(tmp_path) == 0
