"""The database of reports, `reports.db` in the state folder: what was counted, and how far each report got.

One thread writes; what is counted in the event loop is handed to it once a minute. It explains and carries no mail: a
disk that takes no more costs counts, and a warning, but never a message.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Final, TypeVar, final

T = TypeVar("T")

NAME: Final = "reports.db"
APPLICATION_ID: Final = 0x50757271  # the next after that of the queue
BUSY_SECONDS: Final = 10.0  # a command reads for milliseconds
KEPT_DAYS: Final = 3  # after which a report is of no use to anybody, sent or not
MIGRATIONS: Final = (
    """
    CREATE TABLE report (
        kind TEXT NOT NULL,  -- tls, dmarc
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        state TEXT NOT NULL,  -- waiting, sent, unwanted, failed
        due_at REAL NOT NULL,  -- of a waiting one: seconds since 1970
        attempts INTEGER NOT NULL DEFAULT 0,
        told TEXT NOT NULL DEFAULT '',  -- what the last attempt came to
        PRIMARY KEY (kind, day, domain)
    ) WITHOUT ROWID;
    CREATE INDEX report_due ON report (due_at) WHERE state = 'waiting';
    CREATE TABLE left_out (
        kind TEXT NOT NULL,
        day INTEGER NOT NULL,
        number INTEGER NOT NULL,  -- what was not counted in detail, or not at all
        PRIMARY KEY (kind, day)
    ) WITHOUT ROWID;
    CREATE TABLE tls_policy (
        id INTEGER PRIMARY KEY,
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        type TEXT NOT NULL,
        strings TEXT NOT NULL,  -- JSON
        patterns TEXT NOT NULL,  -- JSON
        succeeded INTEGER NOT NULL DEFAULT 0,
        failed INTEGER NOT NULL DEFAULT 0,
        UNIQUE (day, domain, type, strings, patterns)
    );
    CREATE TABLE tls_failure (
        policy INTEGER NOT NULL REFERENCES tls_policy (id) ON DELETE CASCADE,
        result TEXT NOT NULL,
        host TEXT NOT NULL,
        address TEXT NOT NULL,
        local_address TEXT NOT NULL,
        reason TEXT NOT NULL,
        sessions INTEGER NOT NULL,
        PRIMARY KEY (policy, result, host, address, local_address, reason)
    ) WITHOUT ROWID;
    """,
    """
    CREATE TABLE dmarc_policy (
        id INTEGER PRIMARY KEY,
        day INTEGER NOT NULL,
        domain TEXT NOT NULL,
        published TEXT NOT NULL,  -- JSON: the policy, as it was seen last
        UNIQUE (day, domain)
    );
    CREATE TABLE dmarc_row (
        policy INTEGER NOT NULL REFERENCES dmarc_policy (id) ON DELETE CASCADE,
        told TEXT NOT NULL,  -- JSON: what was found about the messages
        messages INTEGER NOT NULL,
        PRIMARY KEY (policy, told)
    ) WITHOUT ROWID;
    """,
)


class WrongDatabase(Exception):
    """The file is not one of ours, or of a newer version than this program knows."""


@final
class ReportDatabase:
    """Runs steps in a thread of its own, each in one transaction. Made in the loop's thread."""

    def __init__(self, folder: Path) -> None:
        """Open the database in a folder, or make it. Raises WrongDatabase, sqlite3.Error."""
        self._connection = sqlite3.connect(
            folder / NAME, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = NORMAL")  # a power failure may cost the last minutes
            self._connection.execute("PRAGMA foreign_keys = ON")
            migrate(self._connection)
        except BaseException:
            self._connection.close()
            raise
        self._thread = ThreadPoolExecutor(1, "reports")

    async def run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """What the step returns, once it is committed. Raises sqlite3.Error, and then nothing of it was done."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._transaction, step)

    def _transaction(self, step: Callable[[sqlite3.Connection], T]) -> T:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            result = step(self._connection)
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")
        return result

    async def close(self) -> None:
        """After the steps that were begun."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
        self._thread.shutdown()


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the tables to this program's version. Raises WrongDatabase."""
    version = version_of(connection)
    for number, script in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(
            f"BEGIN IMMEDIATE; {script};"
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {number}; COMMIT"
        )


def version_of(connection: sqlite3.Connection) -> int:
    """The version of the tables; 0: there are none yet. Raises WrongDatabase."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID and (version or application):
        raise WrongDatabase(f"{NAME} belongs to another program")
    if version > len(MIGRATIONS):
        raise WrongDatabase(f"{NAME} has version {version}; this program knows {len(MIGRATIONS)}: it is older")
    return int(version)


def read(folder: Path, step: Callable[[sqlite3.Connection], T]) -> T | None:
    """What a step finds, from beside; None where there is no database yet. Raises WrongDatabase, sqlite3.Error."""
    place = folder / NAME
    if not place.exists():
        return None
    with closing(sqlite3.connect(f"{place.resolve().as_uri()}?mode=ro", timeout=BUSY_SECONDS, uri=True)) as connection:
        if version_of(connection) != len(MIGRATIONS):
            raise WrongDatabase(f"{NAME} is of an older version: start the server once")
        return step(connection)
