r"""The replies of a server, out of its octets (RFC 5321 section 4.2.1), with limits for hostile ones.

    250-mx.company.com.example
    250-SIZE 10485760
    250 SUBMITTER

A reply that breaks the grammar ends the connection: what follows it cannot be told apart from the answers
to other commands.
"""

from __future__ import annotations

import re
from typing import Final

from purport.mail.reply import Reply, reply

LINE_LIMIT: Final = 2048  # octets with CRLF; RFC 5321 section 4.5.3.1.5 says 512, which texts with links exceed
LINES_LIMIT: Final = 128  # lines of one reply; long EHLO replies have about thirty
REPLY_LIMIT: Final = 32768  # octets of one reply
KNOWN_LIMIT: Final = 32  # different replies remembered: `250 2.1.5 Ok` is parsed once a connection
KNOWN_LENGTH: Final = 64

CODE = re.compile(rb"[2-5][0-9][0-9]")
STATUS = re.compile(r"([245])\.[0-9]{1,3}\.[0-9]{1,3}(?= |$)")  # RFC 3463 section 2


class BadReply(Exception):
    """The server said something that is no reply, or no reply to what it was asked; `reply` stands for it."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.reply = reply(450, "4.5.0", f"Server protocol error: {problem}")


class ReplyReader:
    """Takes octets as they come and gives whole replies."""

    __slots__ = ("_at", "_known", "_lines", "_octets", "_size")

    def __init__(self) -> None:
        self._octets = b""
        self._at = 0  # up to here the octets are read
        self._lines: list[bytes] = []  # of a reply whose last line has not come yet
        self._size = 0
        self._known: dict[bytes, Reply] = {}

    def receive(self, octets: bytes) -> None:
        """The next octets from the server."""
        self._octets = octets if self._at == len(self._octets) else self._octets[self._at :] + octets
        self._at = 0

    @property
    def unread(self) -> bool:
        """Whether there are octets that no reply was made of yet."""
        return bool(self._lines) or self._at < len(self._octets)

    def next_reply(self) -> Reply | None:
        """The next whole reply, or None until more octets have come. Raises BadReply."""
        while True:
            octets, begin = self._octets, self._at
            end = octets.find(b"\n", begin)
            if end < 0:
                if len(octets) - begin >= LINE_LIMIT:
                    raise BadReply("reply line too long")
                return None
            line = octets[begin : end - 1]
            if not self._lines and (known := self._known.get(line)) is not None and octets[end - 1] == 13:
                self._at = end + 1
                return known
            self._check(line, octets[max(begin, end - 1) : end])
            self._at = end + 1
            self._lines.append(line)
            if line[3:4] != b"-":
                return self._whole()

    def _check(self, line: bytes, before_line_feed: bytes) -> None:
        """Whether `line` may stand where it stands; `before_line_feed` must be the CR of its CRLF."""
        if before_line_feed != b"\r" or b"\r" in line:
            raise BadReply("bare CR or LF in a reply")
        if len(line) + 2 > LINE_LIMIT:
            raise BadReply("reply line too long")
        if not CODE.match(line) or line[3:4] not in (b"", b" ", b"-"):
            raise BadReply(f"not a reply: {printable(line[:80])}")
        if self._lines and line[:3] != self._lines[0][:3]:
            raise BadReply("different codes in one reply")
        self._size += len(line) + 2
        if len(self._lines) >= LINES_LIMIT or self._size > REPLY_LIMIT:
            raise BadReply("endless reply")

    def _whole(self) -> Reply:
        lines, self._lines, self._size = self._lines, [], 0
        parsed = parse(lines)
        if len(lines) == 1 and len(lines[0]) <= KNOWN_LENGTH and len(self._known) < KNOWN_LIMIT:
            self._known[lines[0]] = parsed
        return parsed


def parse(lines: list[bytes]) -> Reply:
    """A reply of checked lines. The enhanced status code is taken out of the text where it agrees with the
    code (RFC 2034 section 4); RFC 3463 section 2 has no class for 3yz."""
    code = int(lines[0][:3])
    texts = [printable(line[4:]) for line in lines]
    found = STATUS.match(texts[0])
    if found is None or int(found[1]) != code // 100:
        return Reply(code, "", tuple(texts))
    status = found[0]
    return Reply(code, status, tuple([text.removeprefix(status).removeprefix(" ") for text in texts]))


def printable(octets: bytes) -> str:
    """Text of a server as printable ASCII, so that nothing it says can act in a log, a report or a terminal."""
    text = octets.decode("ascii", "backslashreplace").replace("\t", " ")
    return text if text.isprintable() else text.encode("unicode_escape").decode("ascii")
