r"""Dovecot's auth socket: it knows the users, we pass the password on (Dovecot's authentication protocol, client side).

    S: VERSION\t1\t2  MECH\tPLAIN\tplaintext  SPID\t...  CUID\t...  COOKIE\t...  DONE
    C: VERSION\t1\t1  CPID\t4711
    C: AUTH\t1\tPLAIN\tservice=smtp\tsecured\trip=192.0.2.1\tresp=AGFsaWNlAHNlY3JldA==
    S: OK\t1\tuser=alice

Each line ends with LF. One connection for one login: it is a local socket, and nothing is left over when one breaks.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final, final

from purport.smtp.sasl import encoding
from purport.users.file import user_name
from purport.users.password import Unavailable

VERSION: Final = "1"  # the major version that we speak; a minor one changes nothing for us
SECONDS: Final = 30.0  # for a whole login; Dovecot itself delays the answer to a wrong password by some
LINE_OCTETS: Final = 8192  # the protocol's own limit
AT_ONCE: Final = 64  # connections to the socket
LINES: Final = 1000  # of the greeting


@final
class DovecotAuth:
    """Asks Dovecot whether a password is right."""

    def __init__(self, socket_path: str, seconds: float = SECONDS) -> None:
        self._path = socket_path
        self._seconds = seconds
        self._room = asyncio.Semaphore(AT_ONCE)

    async def check(self, name: str, password: str, client: str, *, secure: bool) -> str | None:
        """The name that Dovecot knows the user by, None where the password is wrong. Raises Unavailable."""
        try:
            async with asyncio.timeout(self._seconds), self._room:
                reader, writer = await asyncio.open_unix_connection(self._path, limit=LINE_OCTETS)
                try:
                    return await self._ask(reader, writer, name, password, client, secure)
                finally:
                    writer.close()
        except TimeoutError:
            raise Unavailable(f"Dovecot at {self._path} did not answer in {self._seconds:g} s") from None
        except (OSError, asyncio.IncompleteReadError, ValueError) as error:
            raise Unavailable(f"Dovecot at {self._path}: {_told(error)}") from None

    async def _ask(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        name: str,
        password: str,
        client: str,
        secure: bool,
    ) -> str | None:
        await _greeting(reader)
        response = encoding.encode(b"\0".join((b"", name.encode("utf-8"), password.encode("utf-8"))))
        words = ["AUTH", "1", "PLAIN", "service=smtp", *(["secured"] if secure else []), f"rip={client}", "nologin"]
        words.append(f"resp={response}")  # which has to come last
        asked = f"VERSION\t{VERSION}\t1\nCPID\t{os.getpid()}\n" + "\t".join(words) + "\n"
        writer.write(asked.encode("ascii"))
        await writer.drain()
        while True:
            verb, *rest = await _line(reader)
            if rest[:1] != ["1"]:
                continue  # about something else
            if verb == "OK":
                return user_name(next((word[5:] for word in rest[1:] if word.startswith("user=")), name))
            if verb == "FAIL":
                if "temp" in rest[1:]:
                    raise Unavailable(f"Dovecot at {self._path} has a temporary failure")
                return None
            raise ValueError("an answer that PLAIN does not have")


async def _greeting(reader: asyncio.StreamReader) -> None:
    """Read up to DONE. Raises ValueError where there is no PLAIN, or another protocol."""
    plain = False
    for _ in range(LINES):
        words = await _line(reader)
        if words[0] == "VERSION" and words[1:2] != [VERSION]:
            raise ValueError("another version of the protocol")
        if words[:2] == ["MECH", "PLAIN"]:
            plain = True
        if words[0] == "DONE":
            if not plain:
                raise ValueError("PLAIN is not among its mechanisms")
            return
    raise ValueError("its greeting has no end")


async def _line(reader: asyncio.StreamReader) -> list[str]:
    """The words of a line. Raises ValueError for one that is too long or no text."""
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError:
        raise ValueError("a line that is too long") from None
    return line[:-1].decode("utf-8").split("\t")


def _told(error: Exception) -> str:
    """What went wrong, without the octets that were read."""
    if isinstance(error, asyncio.IncompleteReadError):
        return "it closed the connection"
    if isinstance(error, OSError):
        return error.strerror or "it cannot be reached"
    return "not its protocol" if isinstance(error, UnicodeDecodeError) else str(error)
