"""A shell around a server session without a socket, and the dialogues of the suites played on it.

It decides as little as a relay can: mailboxes exist or not, RFC 4405 section 4.2 and the Sender ID of a submitter are
asked over a zone in memory, messages land in a list.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from purport.authentication.sender_id.check import check_sender_id
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import start
from purport.dns.zone import StaticResolver
from purport.mail import reply as replies
from purport.mail.address import Mailbox, ReversePath, matches
from purport.mail.header import read_header
from purport.mail.reply import Reply, reply
from purport.smtp.event import (
    Data,
    EndOfChunk,
    EndOfData,
    Event,
    Hello,
    Mail,
    MessageOctets,
    Quit,
    Rcpt,
    Reset,
    Xclient,
)
from purport.smtp.extensions.submitter import CANNOT_VERIFY, DOES_NOT_MATCH, NOT_ALLOWED, SUBMITTER
from purport.smtp.server import Profile, ServerSession
from support.suites import not_there

ROOT = Path(__file__).parents[2]
OWN = ROOT / "tests" / "vectors"

MISSING_PRA = reply(550, "5.7.1", "Missing Purported Responsible Address")
TEMPORARY = reply(450, "4.4.3", "Sender ID check is temporarily unavailable")
HOPS = 100  # Received fields


@dataclass
class Message:
    """A message the shell accepted."""

    reverse_path: ReversePath
    recipients: list[Mailbox]
    octets: bytes
    submitter: Mailbox | None
    pra: Mailbox | None


@dataclass
class Shell:
    """A server for one client."""

    profile: Profile
    domain: str = "company.com.example"
    mailboxes: frozenset[str] | None = None  # None: every local part exists
    client_ip: str = "192.0.2.10"
    resolver: StaticResolver | None = None  # None: nobody is asked
    check_pra_always: bool = False
    xclient_allowed: bool = False
    secure: bool = False
    messages: list[Message] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.session = ServerSession(self.profile, xclient_allowed=self.xclient_allowed, secure=self.secure)
        self.session.greet()
        self.hello_domain = ""
        self._drop()

    def _drop(self) -> None:
        self.mail: Mail | None = None
        self.recipients: list[Mailbox] = []
        self.octets = b""

    def say(self, octets: bytes) -> list[str]:
        """The replies to these octets, each in one line."""
        return [" | ".join(lines) for lines in self.hear(octets)]

    def hear(self, octets: bytes, cut: int = 0) -> list[list[str]]:
        """The replies to these octets, given in pieces of `cut` octets (0: whole)."""
        sent = self.session.to_send()
        for start_of_piece in range(0, len(octets), cut or max(len(octets), 1)):
            self.session.receive(octets[start_of_piece : start_of_piece + cut] if cut else octets)
            while (event := self.session.next_event()) is not None:
                self.events.append(event)
                if isinstance(event, MessageOctets):
                    self.octets += event.octets
                elif not isinstance(event, Quit):
                    self.session.answer(self.decide(event))
            sent += self.session.to_send()
        return replies_in(sent)

    def decide(self, event: Event) -> Reply:
        """The reply to one event."""
        match event:
            case Hello():
                self._drop()
                self.hello_domain = event.domain
            case Xclient():
                self._drop()
                self.client_ip = event.attributes.get("ADDR") or self.client_ip
            case Reset():
                self._drop()
            case Mail():
                return self._at_mail(event)
            case Rcpt():
                return self._at_rcpt(event.forward_path)
            case Data():
                return replies.START_MAIL_INPUT
            case EndOfChunk():
                if event.fault is not None:
                    self._drop()
                return event.fault or replies.OK
            case EndOfData():
                given = event.fault or self._at_message()
                self._drop()
                return given
        return replies.OK

    def _at_mail(self, mail: Mail) -> Reply:
        submitter = mail.parameters.get(SUBMITTER)
        if submitter is not None:
            result = self._sender_id(submitter)
            if result == "fail":
                return NOT_ALLOWED
            if result == "temperror":
                return TEMPORARY
        self.mail = mail
        return replies.SENDER_OK

    def _sender_id(self, address: Mailbox) -> str:
        if self.resolver is None:
            return "none"
        result = start(check_sender_id(self.client_ip, str(address), self.hello_domain), self.resolver)
        assert isinstance(result, SpfResult)
        return result.result

    def _at_rcpt(self, forward_path: Mailbox) -> Reply:
        if forward_path.domain and forward_path.domain.lower() != self.domain:
            return replies.RELAYING_DENIED
        known = self.mailboxes is None or forward_path.local_part in self.mailboxes
        if not known and forward_path.local_part.lower() != "postmaster":
            return replies.NO_SUCH_MAILBOX
        self.recipients.append(forward_path)
        return replies.RECIPIENT_OK

    def _at_message(self) -> Reply:
        assert self.mail is not None
        header = read_header(self.octets)
        if len(header.all("received")) > HOPS:
            return replies.TOO_MANY_HOPS
        submitter = self.mail.parameters.get(SUBMITTER)
        pra = purported_responsible_address(header).address
        if submitter is not None:
            if pra is None:
                return CANNOT_VERIFY
            if not matches(submitter, pra):
                return DOES_NOT_MATCH
        elif self.check_pra_always:
            if pra is None:
                return MISSING_PRA
            if self._sender_id(pra) == "fail":
                return reply(550, "5.7.1", "Sender ID (PRA) Not Permitted - not permitted")
        self.messages.append(Message(self.mail.reverse_path, self.recipients, self.octets, submitter, pra))
        return replies.OK


def replies_in(octets: bytes) -> list[list[str]]:
    """The replies in what a server sent, each as its lines."""
    found: list[list[str]] = []
    open_reply = False
    assert not octets or octets.endswith(b"\r\n")
    for line in octets.decode("ascii").split("\r\n")[:-1]:
        if not open_reply:
            found.append([])
        found[-1].append(line)
        open_reply = line[3:4] == "-"
    assert not open_reply
    return found


# Dialogues

WITHOUT = {
    "AUTH": "needs AUTH",
}


def dialogues(path: Path, deviations: Mapping[str, str] | None = None, *, at_server: bool = False) -> list[Any]:
    """The server's cases of a suite as parameters of a test; those that need what a session alone has not are skipped,
    unless they are for a whole server.

    `deviations` are cases that ask for what an RFC forbids: id, and the sentence.
    """
    if not path.exists():
        return not_there(path)
    suite = yaml.safe_load(path.read_text(encoding="utf-8"))
    parameters = []
    for case in suite["cases"]:
        if case.get("role", "server") == "server":
            case = {**case, "zone": {**suite.get("zone", {}), **case.get("zone", {})}}
            reason = (deviations or {}).get(case["id"]) or (None if at_server else missing(case))
            marks = [pytest.mark.skip(reason=reason)] if reason else []
            parameters.append(pytest.param(case, id=case["id"], marks=marks))
    return parameters


def missing(case: dict[str, Any]) -> str | None:
    """What the case needs that is not here."""
    for step in case["dialogue"]:
        for line in [step.get("C", ""), step.get("C_wire", ""), *step.get("C_pipeline", ())]:
            for word, reason in WITHOUT.items():
                if line.startswith(word) or (word.startswith(" ") and word in line):
                    return reason
    return None


def play(case: dict[str, Any], cut: int = 0) -> Shell:
    """Play a case to its end, with everything the client says cut in pieces; the shell as it is then."""
    shell = shell_for(case)
    pending = shell.hear(b"")
    for step in case["dialogue"]:
        if "S" in step:
            assert pending, f"no reply where {step['S']} was expected"
            agree(step["S"], pending.pop(0), case)
        elif "connect" in step:
            shell = shell_for(case, secure=step["connect"] == "tls")
            pending = shell.hear(b"")
        elif "tls" in step:
            shell.session.secured()
        elif "close" in step:
            assert not pending
        else:
            pending += shell.hear(wire(step), cut)
    assert not pending, pending
    return shell


def shell_for(case: dict[str, Any], *, secure: bool = False) -> Shell:
    server = case.get("server", "mx.company.com.example")
    policy = case.get("policy") or {}
    return Shell(
        Profile(server, message_octets=policy.get("size_limit", 10485760), starttls=True),
        domain=case.get("domain") or (server.partition(".")[2] if server.startswith("mx.") else server),
        mailboxes=frozenset(mailboxes(case["dialogue"])),
        client_ip=case.get("client_ip", "198.51.100.9"),
        resolver=StaticResolver(case.get("zone", {})),
        check_pra_always=policy.get("check_pra") == "always",
        secure=secure,
    )


def mailboxes(steps: list[dict[str, Any]]) -> Iterable[str]:
    """Those that the dialogue expects to exist."""
    yield "bob"
    for command, answer in pairwise(steps):
        line = str(command.get("C", ""))
        if line.upper().startswith("RCPT TO:<") and answer.get("S", {}).get("code") == 250:
            yield line[9:].partition(">")[0].rpartition("@")[0].strip('"')


def wire(step: dict[str, Any]) -> bytes:
    """What the client sends in a step."""
    ((kind, what),) = step.items()
    match kind:
        case "C":
            return octets(what) + b"\r\n"
        case "C_pipeline":
            return b"".join(octets(line) + b"\r\n" for line in what)
        case "C_message":
            lines = octets(what).replace(b"\r\n", b"\n").removesuffix(b"\n").split(b"\n")
            return b"".join(b"." * line.startswith(b".") + line + b"\r\n" for line in lines) + b".\r\n"
        case "C_bdat":
            chunk = octets(what["message"]).replace(b"\n", b"\r\n") if "message" in what else octets(what["octets"])
            return b"BDAT %d%s\r\n" % (len(chunk), b" LAST" * what["last"]) + chunk
        case "C_wire" | "C_octets_slow":
            return octets(what)
        case "C_repeat":
            return (octets(what["line"]) * what["length"] + b"\r\n") * what["times"]
    raise AssertionError(f"unknown step {kind}")


def octets(text: str) -> bytes:
    return text.encode("utf-8")


def agree(expected: dict[str, Any], lines: list[str], case: dict[str, Any]) -> None:
    """The reply is one that the suite accepts."""
    code, text = int(lines[0][:3]), lines[0][4:]
    assert code in [expected["code"], *expected.get("any_code", ())], lines
    if "enhanced" in expected and code == expected["code"]:
        status, _, text = text.partition(" ")
        accepted = [expected["enhanced"], *expected.get("any_enhanced", ()), *case.get("any_enhanced", ())]
        assert status in map(str, accepted), lines
    if "text" in expected:
        assert text == expected["text"], lines
    assert text.startswith(expected.get("text_prefix", "")), lines
    assert expected.get("contains", "") in " ".join(lines)
    assert not expected.get("single_line") or len(lines) == 1
    offered = {line[4:].split(" ")[0].upper(): line[4:] for line in lines[1:]}
    assert {keyword.upper() for keyword in expected.get("has", ())} <= offered.keys()
    assert not {keyword.upper() for keyword in expected.get("has_not", ())} & offered.keys()
    for keyword in expected.get("keyword_without_value", ()):
        assert offered[keyword] == keyword
