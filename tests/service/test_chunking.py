"""Messages in chunks over real sockets (RFC 3030): decided as soon as the header is there, stored as they came."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "company.com.example"
mailboxes = ["bob", "postmaster"]

[submitter]
check_pra = "always"

[dns]
zone = "zone.json"

[limits]
message_size = 30000000
memory_threshold = 100000
"""
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
    "slow.example": ["TIMEOUT"],
}
HEADER = b"From: alice@example.com\r\nSubject: %s\r\n\r\n"
FORGED = b"From: ceo@bank.example\r\nSubject: forged\r\n\r\n"
MISMATCH = "550 5.7.1 Submitter does not match header."
MAIL = b"MAIL FROM:<alice@example.com>"
CHUNK = b"x" * 62 + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PurportServer]:
    folder = tmp_path_factory.mktemp("chunks")
    (folder / "zone.json").write_text(json.dumps(ZONE))
    with purport_server(folder, SETTINGS) as running:
        yield running


class Client:
    """Octets in, replies out."""

    def __init__(self, server: PurportServer) -> None:
        self.socket = socket.create_connection(("127.0.0.1", server.port), 10)
        self.reader = self.socket.makefile("rb")
        self.reply()
        self.hello = self.say(b"EHLO client.example\r\n")

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.close()
        self.socket.close()

    def reply(self) -> str:
        lines = [self.reader.readline().decode()]
        while lines[-1][3:4] == "-":
            lines.append(self.reader.readline().decode())
        return "".join(lines).rstrip()

    def say(self, octets: bytes) -> str:
        self.socket.sendall(octets)
        return self.reply()

    def begin(self, mail: bytes = MAIL) -> None:
        assert self.say(mail + b"\r\n").startswith("250"), mail
        assert self.say(b"RCPT TO:<bob@company.com.example>\r\n").startswith("250")

    def bdat(self, octets: bytes, last: bool = False) -> str:
        return self.say(b"BDAT %d%s\r\n" % (len(octets), b" LAST" * last) + octets)


def arrived(server: PurportServer, text: bytes) -> list[bytes]:
    return [found for place in server.state_dir.glob("maildir/**/new/*") if text in (found := place.read_bytes())]


def last_record(server: PurportServer) -> dict[str, object]:
    told = server.command("explain", "--last", "1", "--json")
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_a_message_in_chunks_is_delivered_as_one_by_data(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin()
        text = HEADER % b"in chunks" + b".\r\n..two\r\nQUIT\r\nlast line"
        for octet in text:
            assert client.bdat(bytes([octet])) == "250 2.0.0 Ok"
        assert client.bdat(b"", last=True).startswith("250 2.0.0 Ok: queued as ")
    wait_for(lambda: arrived(server, b"in chunks"))
    (message,) = arrived(server, b"in chunks")
    assert message.endswith(text.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize("size", [1000, 99999, 100001, 5000000])
def test_a_message_of_any_size_arrives_whole(server: PurportServer, size: int) -> None:
    subject = b"size %d" % size
    body = (CHUNK * (size // len(CHUNK) + 1))[:size].rstrip(b"\r")
    with Client(server) as client:
        client.begin()
        sent = b"BDAT %d\r\n" % len(HEADER % subject) + HEADER % subject
        for start in range(0, len(body), 70001):
            sent += b"BDAT %d\r\n" % len(body[start : start + 70001]) + body[start : start + 70001]
        client.socket.sendall(sent + b"BDAT 0 LAST\r\n")
        said = [client.reply() for _ in range(sent.count(b"BDAT ") + 1)]
        assert all(text.startswith("250 2.0.0 Ok") for text in said), said
    wait_for(lambda: arrived(server, subject + b"\n"))
    (message,) = arrived(server, subject + b"\n")
    assert message.endswith(body.replace(b"\r\n", b"\n"))


@pytest.mark.parametrize(
    ("mail", "header", "refusal", "rule"),
    [
        (MAIL + b" SUBMITTER=carol@example.com", HEADER % b"x", MISMATCH, "submitter-matches-header"),
        (
            MAIL + b" SUBMITTER=alice@example.com",
            b"Subject: no\r\n\r\n",
            "554 5.7.7 Cannot verify submitter address.",
            "",
        ),
        (MAIL, FORGED, "550 5.7.1 ", "pra-authorized"),
        (MAIL, b"Subject: nobody\r\n\r\n", "550 5.7.1 Missing Purported Responsible Address", ""),
    ],
)
def test_a_forged_message_is_refused_at_the_chunk_that_completes_the_header(
    server: PurportServer, mail: bytes, header: bytes, refusal: str, rule: str
) -> None:
    with Client(server) as client:
        client.begin(mail)
        assert client.bdat(header[:-1]) == "250 2.0.0 Ok"
        assert client.bdat(header[-1:] + CHUNK).startswith(refusal)
        at_chunk = last_record(server)
        assert client.bdat(CHUNK * 100) == "503 5.5.1 Bad sequence of commands"
        assert client.bdat(b"", last=True) == "503 5.5.1 Bad sequence of commands"
        assert client.say(b"RSET\r\n") == "250 2.0.0 Ok"
        client.begin(mail)
        client.say(b"DATA\r\n")
        assert client.say(header + CHUNK + b".\r\n").startswith(refusal)
        at_end = last_record(server)
        client.begin()
        assert client.bdat(HEADER % b"after it", last=True).startswith("250")
    for key in ("decision", "stage", "rule", "reply", "rules", "message", "header", "size", "decided_again"):
        assert at_chunk.get(key) == at_end.get(key), key
    assert rule in str(at_chunk["rule"])


def test_an_honest_header_is_looked_at_once_and_decided_at_the_end(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin(MAIL + b" SUBMITTER=alice@example.com")
        assert client.bdat(HEADER % b"honest") == "250 2.0.0 Ok"
        assert client.bdat(CHUNK * 10) == "250 2.0.0 Ok"
        assert client.bdat(CHUNK, last=True).startswith("250 2.0.0 Ok: queued as ")
    record = last_record(server)
    assert record["decision"] == "accept"
    assert record["size"] == len(HEADER % b"honest") + 11 * len(CHUNK)
    rules = record["rules"]
    assert isinstance(rules, list)
    names = [rule[0] for rule in rules]
    assert "submitter-matches-header" in names
    assert len(names) == len(set(names))


def test_a_header_too_long_to_be_read_is_decided_at_the_end(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin(MAIL + b" SUBMITTER=carol@example.com")
        for _ in range(10):
            assert client.bdat(b"From: alice@example.com\r\n" + b"X-Long: y\r\n" * 4000) == "250 2.0.0 Ok"
        assert client.bdat(b"\r\n" + CHUNK) == "250 2.0.0 Ok"
        assert client.bdat(b"", last=True) == "552 5.3.4 Message header too long"


def test_a_chunk_with_a_bare_line_ending_is_refused_at_the_end_and_leaves_a_record(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin()
        assert client.bdat(HEADER % b"bare" + b"a\nb") == "250 2.0.0 Ok"
        assert client.bdat(b"\r\n", last=True).startswith("550 5.6.0 ")
        record = last_record(server)
        assert (record["decision"], record["fault"]) == ("reject", "mail-data")
        client.begin()
        assert client.bdat(HEADER % b"next", last=True).startswith("250")


def test_a_message_of_no_octets_at_all_is_judged_like_one_by_data(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin()
        assert client.bdat(b"", last=True) == "550 5.7.1 Missing Purported Responsible Address"


def test_a_message_over_the_limit_is_refused_at_the_chunk_that_is_over_it(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin()
        assert client.bdat(HEADER % b"large" + CHUNK * 1000).startswith("250")
        assert client.bdat(CHUNK * 480000) == "552 5.3.4 Message size exceeds fixed limit"
        record = last_record(server)
        assert (record["decision"], record["fault"]) == ("reject", "mail-data")
        client.begin()
        assert client.bdat(HEADER % b"next", last=True).startswith("250")


def test_a_client_that_goes_between_chunks_leaves_nothing(server: PurportServer) -> None:
    def bodies() -> set[Path]:
        return set(server.state_dir.glob("**/bodies/*"))

    before = bodies()
    with Client(server) as client:
        client.begin()
        assert client.bdat(HEADER % b"gone" + CHUNK * 5000) == "250 2.0.0 Ok"
        wait_for(lambda: bodies() - before, what="the spool file")
    wait_for(lambda: not bodies() - before, what="the spool file to go")
    assert last_record(server)["decision"] == "abandoned"


def test_a_chunk_that_waits_for_dns_holds_what_follows(server: PurportServer) -> None:
    with Client(server) as client:
        client.begin()
        begun = time.monotonic()
        header = HEADER.replace(b"alice@example.com", b"x@slow.example") % b"waited"
        client.socket.sendall(
            b"BDAT %d\r\n" % len(header) + header + b"BDAT %d\r\n" % len(CHUNK) + CHUNK + b"BDAT 0 LAST\r\nNOOP\r\n"
        )
        said = [client.reply() for _ in range(4)]
        assert [text[:3] for text in said] == ["250"] * 4, said
        assert time.monotonic() - begun < 30


ANY = b"From: alice@example.com\r\nSubject: %s\r\nContent-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)) * 2000


def test_a_binary_message_passes_two_servers_and_arrives_to_the_octet(server: PurportServer, tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    relay = (
        f'[[domain]]\nname = "company.com.example"\ndeliver = "smtp:127.0.0.1:{server.port}"\n\n'
        '[dns]\nzone = "zone.json"\n'
    )
    message = ANY.replace(b"%s", b"binary")
    with purport_server(tmp_path, relay) as first, Client(first) as client:
        client.begin(MAIL + b" BODY=BINARYMIME")
        assert client.say(b"DATA\r\n").startswith("503 5.5.1 ")
        assert client.bdat(message[:70001]) == "250 2.0.0 Ok"
        assert client.bdat(message[70001:], last=True).startswith("250 2.0.0 Ok: queued as ")
        wait_for(lambda: "status=sent" in first.log(), what="the delivery")
    wait_for(lambda: arrived(server, b"Subject: binary"))
    (found,) = arrived(server, b"Subject: binary")
    assert found.endswith(message)


def test_a_binary_message_has_a_header_of_lines(server: PurportServer) -> None:
    """Where some readers see the end of a line and others do not, one field is forged inside of another."""
    forged = b"Authentication-Results: mx.company.com.example; dmarc=pass header.from=bank.example"
    header = b"From: alice@example.com\r\nSubject: bare\r" + forged + b"\r\n\r\n"
    with Client(server) as client:
        client.begin(MAIL + b" BODY=BINARYMIME")
        refused = "550 5.6.0 Message contains a bare CR or LF; lines end with <CR><LF>"
        assert client.bdat(header + b"\r or \n", last=True) == refused
        client.begin(MAIL + b" BODY=BINARYMIME")
        assert client.bdat(HEADER % b"clean" + b"\r or \n", last=True).startswith("250 2.0.0 Ok: queued as ")


@pytest.mark.peer
def test_a_binary_message_that_cannot_be_converted_is_returned(tmp_path: Path) -> None:
    require_peer("postfix")  # offers CHUNKING, and no BINARYMIME
    postfix = Postfix({"mydestination": "", "relay_domains": "company.com.example", "relay_transport": "discard"})
    (tmp_path / "zone.json").write_text(json.dumps(ZONE))
    settings = (
        f'[[domain]]\nname = "company.com.example"\ndeliver = "smtp:127.0.0.1:{postfix.port}"\n\n'
        '[[domain]]\nname = "example.com"\n\n[dns]\nzone = "zone.json"\n'
    )
    try:
        with purport_server(tmp_path, settings) as first, Client(first) as client:
            client.begin(MAIL + b" BODY=BINARYMIME")
            no_boundary = ANY.replace(b"Content-Transfer-Encoding: binary", b"Content-Type: multipart/mixed")
            assert client.bdat(no_boundary, last=True).startswith("250 2.0.0 Ok: queued as ")
            wait_for(lambda: arrived(first, b"delivery-status"), what="the report")
            (report,) = arrived(first, b"delivery-status")
            assert b"Status: 5.6.3" in report
            assert b"\r" not in report
            assert "BODY=" not in postfix.log()
    finally:
        postfix.stop()
