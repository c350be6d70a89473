"""Octets that nobody meant: through the server session, the client session, the header reader and the settings.

    make fuzz                 24 million octets, from a fixed seed; then as many under atheris (fuzz_guided.py)
    python tests/support/fuzz.py --octets 1000000 --seed 7

Each input is made of pieces of real dialogues, cut, mixed, repeated and changed. Nothing may raise what is not meant to
be raised, none may take longer than a tenth of a second, and the process may not grow.
"""

from __future__ import annotations

import argparse
import base64
import gc
import random
import resource
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from purport.authentication.dkim.key import KeyProblem, read_key
from purport.authentication.dkim.message import verify_message
from purport.authentication.dmarc.author import author_of
from purport.authentication.dmarc.record import parse as parse_dmarc
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.true_client import TrustedHops, true_client
from purport.config.load import SettingsError, read
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver
from purport.mail.address import Mailbox
from purport.mail.conversion import CannotConvert, to_7bit
from purport.mail.envelope import Recipient
from purport.mail.header import read_header
from purport.mail.reply import OK, Reply, reply
from purport.smtp.client import ClientSession
from purport.smtp.client_event import BeginTls, GoAhead
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.event import Auth, AuthResponse, MessageOctets, Quit
from purport.smtp.extension import Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.reply_reader import BadReply
from purport.smtp.server import Profile, ServerSession
from purport.smtp.state import State

SEEDS = Path(__file__).parents[1] / "vectors" / "fuzz" / "seeds.txt"
LONGEST = 0.1  # seconds for one input
INPUT = 1500  # octets of one input, about
STORIES = 6  # pieces of each list that lead somewhere as they are
GROWTH = 32 * 1024 * 1024  # octets that the allocator may keep
REPLIES = (
    OK,
    reply(354, "", "Go"),
    reply(450, "4.2.0", "Later"),
    reply(550, "5.7.1", "No"),
    reply(421, "4.3.2", "Gone"),
)

MAIL = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n"
COMMANDS = [
    b"EHLO client.example\r\n",
    MAIL + b"DATA\r\nFrom: a@b.example\r\n\r\n..Hello\r\n.\r\n",
    MAIL + b"BDAT 10\r\n0123456789BDAT 0 LAST\r\n",
    MAIL + b"RCPT TO:<e@f.example>\r\nDATA\r\na: b\n.\nc\r\n.\r\n",
    b"MAIL FROM:<a@b.example> SIZE=10 BODY=8BITMIME RET=FULL ENVID=a SUBMITTER=a+2Bb@c.example\r\nRSET\r\n",
    b"MAIL FROM:<> BY=120;R MT-PRIORITY=3\r\nRCPT TO:<c@d.example> NOTIFY=SUCCESS ORCPT=rfc822;a@b\r\nRSET\r\n",
    b"EHLO client.example\r\n",
    b"HELO x\r\n",
    b"LHLO x\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"RCPT TO:<c@d.example>\r\n",
    "MAIL FROM:<é@ü.example> SMTPUTF8 SUBMITTER=é@ü.example\r\n".encode(),
    b"DATA\r\n",
    b"BDAT 10\r\n0123456789",
    b"BDAT 4 LAST\r\na\r\n\r\n",
    b"RSET\r\n",
    b"NOOP\r\n",
    b"AUTH PLAIN AGEAYg==\r\n",
    b"AUTH SCRAM-SHA-256\r\n",
    b"*\r\n",
    b"STARTTLS\r\n",
    b"ETRN @example.com\r\n",
    b"XCLIENT ADDR=192.0.2.1 LOGIN=a\r\n",
    b"VRFY a\r\n",
    b"QUIT\r\n",
    b" SIZE=10 BODY=BINARYMIME BY=120;R RET=FULL ENVID=a AUTH=<> HOLDFOR=9 MT-PRIORITY=3 SUBMITTER=a+2Bb@c.example\r\n",
    b" NOTIFY=SUCCESS,DELAY ORCPT=rfc822;a@b RRVS=2014-04-03T23:01:00Z;C\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\r.\r",
    b"\0",
    b"\r",
    b"\n",
]
GREETED = b"250-mx\r\n250-PIPELINING\r\n250-SUBMITTER\r\n250 SIZE 99\r\n"
ANSWERS = [
    GREETED,
    b"250 Ok\r\n250 Ok\r\n550 No\r\n354 Go\r\n250 2.0.0 Taken\r\n",
    b"250 Ok\r\n250 Ok\r\n250 Ok\r\n250 Ok\r\n",
    b"450 4.2.0 Later\r\n503 5.5.1 What\r\n503 5.5.1 What\r\n503 5.5.1 What\r\n",
    b"220 mx ESMTP\r\n",
    b"250-mx\r\n",
    b"250-PIPELINING\r\n",
    b"250-CHUNKING\r\n",
    b"250-SMTPUTF8\r\n",
    b"250-LIMITS RCPTMAX=1\r\n",
    b"250-AUTH PLAIN SCRAM-SHA-256\r\n",
    b"250-STARTTLS\r\n",
    b"250-SUBMITTER\r\n",
    b"250 SIZE 99\r\n",
    b"250 2.0.0 Ok\r\n",
    b"354 Go\r\n",
    b"334 =\r\n",
    b"235 2.7.0 Ok\r\n",
    b"421 Gone\r\n",
    b"450 4.2.0 Later\r\n",
    b"550-5.1.1 No\r\n",
    b"550 5.1.1 No\r\n",
    b"221 Bye\r\n",
    b"2",
    b"250",
    b"999 x\r\n",
    b"250_x\r\n",
    b"\xff\r\n",
]
FIELDS = [
    b"From: a@b.example\r\nMIME-Version: 1.0\r\n",
    b"From: a@b.example\r\n",
    b"Resent-From: <c@d.example>\r\n",
    b'Sender: "x" <e@f.example>\r\n',
    b"Received: from x (y [192.0.2.2]) by z; Mon\r\n",
    b" folded\r\n",
    b"From : x\r\n",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: text/plain\r\n",
    b"Content-Transfer-Encoding: 8bit\r\n",
    b"\r\n",
    b"--b\r\n",
    b"--b--\r\n",
    b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; l=3; d=x.example; s=s; h=from:to; i=a=3D@x.example;\r\n"
    b" t=1; x=99; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=AAAA\r\n",
    b"v=DKIM1; k=ed25519; h=sha256; s=email:*; t=y:s; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
    b"\xc3\xbc",
    b"(((",
    b'"\\',
    b"<@a,@b:c@d>",
    b"Received: from [192.0.2.2] (helo=x) by y (z (",
    b"; p=reject; rua=mailto:a@b.example!1m, x; sp=",
    b"=\r\n",
    b"\n",
]
LINES = [
    b'hostname = "mx.example.com"\n[[listener]]\nbind = ["127.0.0.1:25"]\n',
    b'hostname = "mx.example.com"\n',
    b"[[listener]]\n",
    b'bind = ["127.0.0.1:25"]\n',
    b"[dns]\n",
    b'zone = "z"\n',
    b"[relay]\n",
    b'default = "smtp:a:25"\n',
    b'networks = ["10.0.0.0/8"]\n',
    b"[[domain]]\n",
    b'name = "example.com"\n',
    b'deliver = "lmtp:unix:/x"\n',
    b"[[user]]\n",
    b'password_hash = "$argon2id$"\n',
    b"[auth]\n",
    b"window = -1\n",
    b"= \n",
    b"[[[\n",
    b'"""',
    b"\xff",
    b"since = { bob = 2020-01-01 }\n",
    b"[limits]\n",
    b"message_size = 1e99\n",
]


def mixed(chance: random.Random, pieces: list[bytes]) -> bytes:
    """An input: pieces in any order, some of them changed."""
    made = bytearray(pieces[0])  # how it begins where all is well
    wrong = chance.choice((0.0, 0.02, 0.1, 0.3))
    while len(made) < INPUT:
        piece = bytearray(chance.choice(pieces[:STORIES] if chance.random() < 0.7 else pieces))
        if chance.random() < wrong:
            way = chance.randrange(4)
            at = chance.randrange(len(piece))
            if way == 0:
                piece[at] = chance.randrange(256)
            elif way == 1:
                piece *= chance.randrange(2, 40)
            elif way == 2:
                del piece[at:]
            else:
                piece[at:at] = chance.randbytes(chance.randrange(80))
        made += piece
    return bytes(made)


def cuts(chance: random.Random, octets: bytes) -> list[bytes]:
    """The input as it arrives."""
    found, at = [], 0
    while at < len(octets):
        size = chance.choice((1, 7, 60, 1500, len(octets)))
        found.append(octets[at : at + size])
        at += size
    return found


PROFILES = [
    Profile("mx.example.com", starttls=True, least_by_time=60, errors=1000),
    Profile(
        "mx.example.com",
        service="submission",
        mechanisms=("SCRAM-SHA-256", "PLAIN"),
        auth_without_tls=True,
        hold_seconds=99,
        errors=1000,
    ),
    Profile("mx.example.com", service="lmtp", message_octets=2000, errors=1000),
]


def server(chance: random.Random, octets: bytes) -> None:
    """The server session, another one where it ends."""
    session = begun(chance)
    for piece in cuts(chance, octets):
        if session.closed:
            session = begun(chance)
        session.receive(piece.replace(b"EHLO", b"LHLO") if session.terms.service == "lmtp" else piece)
        while (event := session.next_event()) is not None:
            if isinstance(event, MessageOctets | Quit):
                continue
            given: Reply = OK if chance.random() < 0.9 else chance.choice(REPLIES)
            if isinstance(event, Auth | AuthResponse):
                given = chance.choice((Reply(334, "", ("",)), reply(535, "5.7.8", "No"), reply(235, "2.7.0", "Ok")))
            session.answer(given)
            if session.state is State.HANDSHAKE:
                session.to_send()
                session.secured()
        session.to_send()


def begun(chance: random.Random) -> ServerSession:
    session = ServerSession(chance.choice(PROFILES), xclient_allowed=chance.random() < 0.3, etrn_allowed=True)
    session.log_in(chance.random() < 0.8)
    session.receive(b"EHLO x\r\n" if session.terms.service != "lmtp" else b"LHLO x\r\n")
    return session


USUAL = {
    Stage.GREETING: b"220 mx\r\n",
    Stage.HELLO: GREETED,
    Stage.STARTTLS: b"220 Go\r\n",
    Stage.DATA: b"354 Go\r\n",
    None: b"",
}


def client(chance: random.Random, octets: bytes) -> None:
    """The client session against a server that mostly answers as it should, and else says pieces of the input."""
    recipients = [Recipient(Mailbox(name, "example.com")) for name in ("bob", "carol", "é")]
    session = ClientSession("client.example", ALL, starttls=chance.random() < 0.5, lmtp=chance.random() < 0.2)
    for piece in cuts(chance, octets):
        try:
            for _ in range(chance.randrange(12)):
                session.receive(USUAL.get(session.waits_for, b"250 2.0.0 Ok\r\n"))
                talk(session, recipients)
            session.receive(piece)
            talk(session, recipients)
        except BadReply as error:
            session.abandon(error.reply)
        if session.closed:
            while session.next_event() is not None:
                pass
            session = ClientSession("client.example", ALL, lmtp=chance.random() < 0.2)


def talk(session: ClientSession, recipients: list[Recipient]) -> None:
    """What a shell does with what the server said."""
    while (event := session.next_event()) is not None:
        if isinstance(event, BeginTls):
            session.secured()
        if isinstance(event, GoAhead):
            session.send_data(b"Subject: t\r\n\r\n.\n\r" * 3)
            if session.wants_data:
                session.end_data()
    if session.can_begin:
        session.begin(Transaction(Mailbox("a", "b.example"), recipients, Outgoing(10, utf8_recipients=True)))
    session.to_send()


ZONE = StaticResolver(
    {"s._domainkey.x.example": [{"TXT": "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="}]}
)


def header(_chance: random.Random, octets: bytes) -> None:
    found = read_header(octets)
    purported_responsible_address(octets)
    results = start(verify_message(octets, 50.0), ZONE)
    assert not isinstance(results, Suspended)
    assert all(result.result != "pass" and result.problem.isprintable() for result in results)
    for record in octets.split(b"\r\n"):
        with suppress(KeyProblem):
            read_key(record.decode("latin-1"))
    assert (author_of(found).kind == "named") == bool(author_of(found).domains)
    client = true_client(found, "192.0.2.1", TrustedHops(("192.0.2.1", "192.0.2.2")))
    assert client is not None
    assert client.address not in ("192.0.2.1", "192.0.2.2")
    parse_dmarc("v=DMARC1;" + octets.decode("latin-1"))
    try:
        to_7bit(octets)
    except CannotConvert as refusal:
        assert refusal.reply.octets().isascii()


def settings(_chance: random.Random, octets: bytes) -> None:
    try:
        read(octets.decode("utf-8", "replace"))
    except SettingsError as error:
        assert str(error)


PARTS: dict[str, tuple[Callable[[random.Random, bytes], None], list[bytes]]] = {
    "server session": (server, COMMANDS),
    "client session": (client, ANSWERS),
    "header reader": (header, FIELDS),
    "settings": (settings, LINES),
}


class TooSlow(Exception):
    """An input that took too long."""


def play(given: bytes) -> float:
    """An input of another fuzzer: its first octet says which part it is for, and what chance does. The seconds that it
    took."""
    if not given:
        return 0.0
    chance = random.Random(given[0])
    work, _ = tuple(PARTS.values())[given[0] % len(PARTS)]
    begun = time.perf_counter()
    work(chance, given[1:])
    return time.perf_counter() - begun


def seeds() -> list[bytes]:
    """Inputs that each led somewhere where no other did; where none are kept yet, some of `mixed`."""
    if SEEDS.exists():
        return [base64.b64decode(line) for line in SEEDS.read_text(encoding="ascii").split()]
    chance = random.Random(1)
    return [
        bytes([number + len(PARTS) * chance.randrange(64)]) + mixed(chance, pieces)
        for number, (_, pieces) in enumerate(PARTS.values())
        for _ in range(50)
    ]


@dataclass
class Found:
    """What went wrong, and how much was tried."""

    octets: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)


def run(octets: int, seed: int) -> Found:
    """So many octets, shared by the parts; input number n is made from the seed and n alone."""
    found = Found()
    number = 0
    while found.octets < octets:
        for name, (work, pieces) in PARTS.items():
            chance = random.Random(f"{seed}-{number}")
            made = mixed(chance, pieces)
            begun = time.perf_counter()
            try:
                work(chance, made)
            except Exception as error:  # noqa: BLE001  # that is what is looked for
                found.faults.append(f"{name}, input {number} of seed {seed}: {type(error).__name__}: {error}")
            seconds = time.perf_counter() - begun
            if seconds > LONGEST:
                found.faults.append(f"{name}, input {number} of seed {seed}: {seconds:.3f} s")
            found.slowest = max(found.slowest, seconds)
            found.octets += len(made)
            number += 1
    return found


def resident() -> int:
    """Octets of memory that the process has had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> int:
    """Run from the command line; 1 where something was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--octets", type=int, default=24_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    run(min(1_000_000, options.octets), options.seed + 1)  # caches fill
    gc.collect()
    before = resident()
    found = run(options.octets, options.seed)
    grown = resident() - before
    print(f"{found.octets:,} octets, slowest input {found.slowest * 1000:.1f} ms, grown by {grown / 2**20:.1f} MiB")
    print("\n".join(found.faults[:20]))
    return 1 if found.faults or grown > GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
