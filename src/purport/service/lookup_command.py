"""A program that is asked where the mail of a mailbox goes on to.

It is started without a shell and without arguments of the client's: the address is one line on its standard input. It
prints addresses, one a line; nothing: the mailbox is not forwarded. Any exit code but 0 is a fault that may pass.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, final

from purport.bounded import Bounded
from purport.forwarding.aliases import address_in
from purport.mail.address import Mailbox

SECONDS: Final = 10.0  # for one answer: the client waits for the reply to its RCPT meanwhile
OUTPUT: Final = 65536  # octets of an answer: a thousand addresses
AT_ONCE: Final = 8  # programs that run at the same time, for all clients
KEPT_SECONDS: Final = 30.0  # of an answer: the recipients of one message ask once
KEPT: Final = 10_000  # answers
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


class CannotAsk(Exception):
    """There is no answer now; the text says why."""


@final
class LookupCommand:
    """One such program, with the answers of the last seconds."""

    def __init__(self, words: Sequence[str], clock: Callable[[], float], seconds: float = SECONDS) -> None:
        """`clock` gives seconds that nobody sets back; `seconds` are those that an answer may take."""
        self._seconds = seconds
        self._words = tuple(words)
        self._clock = clock
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._known: Bounded[Mailbox, tuple[float, tuple[Mailbox, ...]]] = Bounded(KEPT)

    async def targets(self, mailbox: Mailbox) -> tuple[Mailbox, ...]:
        """Where the mail of a mailbox goes on to; empty: nowhere. Raises CannotAsk."""
        known = self._known.get(mailbox)
        if known is not None and known[0] > self._clock():
            return known[1]
        async with self._turns:
            known = self._known.get(mailbox)  # others may have asked while we waited
            if known is not None and known[0] > self._clock():
                return known[1]
            found = read_answer(await self._run(f"{mailbox}\n".encode()))
        self._known.put(mailbox, (self._clock() + KEPT_SECONDS, found))
        return found

    async def _run(self, question: bytes) -> bytes:
        pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
        try:
            process = await asyncio.create_subprocess_exec(
                *self._words, stdin=pipe, stdout=pipe, stderr=nothing, env=ENVIRONMENT, start_new_session=True
            )
        except OSError as error:
            raise CannotAsk(f"{self._words[0]}: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(self._seconds):
                return await self._talk(process, question)
        except TimeoutError:
            raise CannotAsk(f"{self._words[0]}: no answer within {self._seconds:g} s") from None
        finally:
            end(process)
            await process.wait()

    async def _talk(self, process: asyncio.subprocess.Process, question: bytes) -> bytes:
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError, ConnectionResetError, RuntimeError):  # it may answer without reading
            process.stdin.write(question)
            await process.stdin.drain()
            process.stdin.close()
        answer = b""
        while piece := await process.stdout.read(OUTPUT):
            answer += piece
            if len(answer) > OUTPUT:
                raise CannotAsk(f"{self._words[0]}: an answer of more than {OUTPUT} octets")
        code = await process.wait()
        if code:
            raise CannotAsk(f"{self._words[0]}: exit code {code}")
        return answer


def end(process: asyncio.subprocess.Process) -> None:
    """End a program with all that it started. Where something has left its session and kept our pipe, nobody waits for
    that: asyncio's `wait` would, until the last one has closed it."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    transport: Any = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()


def read_answer(answer: bytes) -> tuple[Mailbox, ...]:
    """The addresses of an answer. Raises CannotAsk."""
    try:
        lines = [line.strip() for line in answer.decode("utf-8").splitlines()]
        return tuple(address_in(line) for line in lines if line)
    except ValueError as error:  # UnicodeDecodeError is one
        raise CannotAsk(f"its answer cannot be read: {error}") from None
