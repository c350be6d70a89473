"""The message files of other people's mail parsers, each through a running server: into a mailbox and to a next hop."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from purport.mail.header import read_header
from support.message_files import cases, in_crlf_lines, message_files
from support.peers import free_port, wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"

[[domain]]
name = "elsewhere.example"
deliver = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"

[dmarc]
on_fail = "tag"

[limits]
errors = 10000
"""
TRACE = {"return-path", "delivered-to", "received", "received-spf", "authentication-results", "date", "message-id"}
BARE = "550 5.6.0"
ANY = "of any octets"


class AnyLength(SMTP):
    """aiosmtpd, which takes lines of 1001 octets at most otherwise."""

    line_length_limit = 1 << 20


class NextHop(Controller):
    """Keeps the octets of what arrives, by recipient."""

    def __init__(self) -> None:
        self.taken: dict[str, bytes] = {}
        super().__init__(self, hostname="127.0.0.1", port=free_port())

    def factory(self) -> SMTP:
        return AnyLength(self, enable_SMTPUTF8=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken[envelope.rcpt_tos[0]] = envelope.original_content
        return "250 2.0.0 Ok"


class Traffic:
    """All files, sent once: by DATA and in chunks as they are, and, where they are not such, made of CRLF lines."""

    def __init__(self, server: PurportServer, next_hop: NextHop) -> None:
        self._maildir = server.state_dir / "maildir/company.com.example"
        self._next_hop = next_hop
        self._log = server.log
        self.replies: dict[tuple[str, Path], str] = {}
        self.sent: dict[tuple[str, Path], bytes] = {}
        self._names: dict[tuple[str, Path], str] = {}
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.ehlo("client.example")
            for number, place in enumerate(message_files()):
                octets = place.read_bytes()
                self._send(client, ("as it is", place), f"raw{number}", octets)
                self._send(client, ("in chunks", place), f"chunks{number}", octets, chunks=True)
                self._send(client, (ANY, place), f"any{number}", octets, chunks=True, body="BINARYMIME")
                self._send(client, ("in CRLF lines", place), f"lines{number}", in_crlf_lines(octets))

    def _send(
        self,
        client: smtplib.SMTP,
        key: tuple[str, Path],
        name: str,
        octets: bytes,
        chunks: bool = False,
        body: str = "8BITMIME",
    ) -> None:
        client.mail("", ["SMTPUTF8", f"BODY={body}"])
        for domain in ("company.com.example", "elsewhere.example"):
            assert client.rcpt(f"{name}@{domain}")[0] == 250
        if chunks:
            half = len(octets) // 2
            for piece, last in ((octets[:half], b""), (octets[half:], b" LAST")):
                client.send(b"BDAT %d%s\r\n%s" % (len(piece), last, piece))
                code, text = client.getreply()
                if code != 250:
                    break
            if not last:
                client.rset()
        else:
            octets = octets if octets.endswith(b"\r\n") else octets + b"\r\n"
            assert client.docmd("DATA")[0] == 354
            stuffed = (b"\r\n" + octets).replace(b"\r\n.", b"\r\n..")[2:]
            client.send(stuffed + b".\r\n")
            code, text = client.getreply()
        self.replies[key] = f"{code} {text.decode()}"
        self.sent[key] = octets
        self._names[key] = name

    def expect(self, how: str, place: Path, *, relayed: bool = True) -> None:
        """It was taken, and came out as it went in below what is ours."""
        key = (how, place)
        assert self.replies[key].startswith("250 2.0.0 Ok: queued as"), self.replies[key]
        name = self._names[key]
        mailbox = self._maildir / name / "new"
        wait_for(lambda: mailbox.exists() and list(mailbox.iterdir()), what=f"{how}: the message in the Maildir")
        (delivered,) = (found.read_bytes() for found in mailbox.iterdir())
        # A Maildir has the line ends of its system, but for a message that says it is no text.
        as_kept = self.sent[key] if how == ANY else self.sent[key].replace(b"\r\n", b"\n")
        only_ours_above(delivered, as_kept)
        if relayed:
            recipient = f"{name}@elsewhere.example"
            wait_for(lambda: recipient in self._next_hop.taken, what=f"{how}: the message at the next hop")
            sent = self.sent[key]
            only_ours_above(self._next_hop.taken[recipient], sent if sent.endswith(b"\r\n") else sent + b"\r\n")


def only_ours_above(octets: bytes, message: bytes) -> None:
    assert octets.endswith(message)
    ours = read_header(octets[: len(octets) - len(message)])
    assert {field.name for field in ours} <= TRACE
    assert "received" in {field.name for field in ours}


@pytest.fixture(scope="module")
def traffic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traffic]:
    folder = tmp_path_factory.mktemp("message-files")
    (folder / "zone.json").write_text("{}")
    next_hop = NextHop()
    next_hop.start()
    try:
        with purport_server(folder, SETTINGS.format(port=next_hop.port)) as server:
            yield Traffic(server, next_hop)
    finally:
        next_hop.stop()


def of_crlf_lines(octets: bytes) -> bool:
    return in_crlf_lines(octets) == octets


@pytest.mark.parametrize("place", cases())
def test_by_data(traffic: Traffic, place: Path) -> None:
    """Of CRLF lines it comes out octet for octet; otherwise it is refused, at the true end of the data."""
    if of_crlf_lines(place.read_bytes()):
        traffic.expect("as it is", place)
    else:
        assert traffic.replies["as it is", place].startswith(BARE)


@pytest.mark.parametrize("place", cases())
def test_in_chunks(traffic: Traffic, place: Path) -> None:
    if of_crlf_lines(place.read_bytes()):
        traffic.expect("in chunks", place)
    else:
        assert traffic.replies["in chunks", place].startswith(BARE)


@pytest.mark.parametrize("place", cases())
def test_with_binarymime_any_octets_are_taken(traffic: Traffic, place: Path) -> None:
    traffic.expect(ANY, place, relayed=False)


@pytest.mark.parametrize("place", cases())
def test_made_of_crlf_lines_it_comes_out_octet_for_octet(traffic: Traffic, place: Path) -> None:
    traffic.expect("in CRLF lines", place)
