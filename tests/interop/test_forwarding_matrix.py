"""What a forwarder predicts beside what the last hop says: a second Purport, by itself and behind Postfix and Exim.

    author 127.0.0.9  ->  Purport 127.0.0.77  ->  [Postfix 127.0.0.88 | Exim 127.0.0.99]  ->  Purport
                          repairs                                                             checks

Behind a relay that it trusts the last hop judges the forwarder, and the forwarder's prediction holds; behind one that
it does not trust it judges the relay, and the prediction to be made is that for the relay's address.
"""

from __future__ import annotations

import asyncio
import json
import re
import smtplib
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

import pytest

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.sign import FORM
from purport.cli.forward import planned
from purport.dns.lookup import run
from purport.dns.zone import StaticResolver
from purport.forwarding.plan import REPAIRS, Plan, Row
from purport.mail.address import NULL, Mailbox, parse_mailbox
from purport.mail.header import read_header
from support.dkim_keys import ed25519_key, signed
from support.dns_server import DnsServer, dns_server
from support.exim import Exim
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer

pytestmark = [pytest.mark.peer, pytest.mark.slow]

AUTHOR, FORWARDER = "127.0.0.9", "127.0.0.77"
RELAYS: Final = {"postfix": "127.0.0.88", "exim": "127.0.0.99"}
NAME: Final = "mx.company.com.example"  # of the forwarder
KEY: Final = [{"TXT": ed25519_key().record}]


def spf(address: str, rest: str = "-all") -> list[object]:
    return [{"TXT": f"v=spf1 ip4:{address} {rest}"}]


def dmarc(policy: str) -> list[object]:
    return [{"TXT": f"v=DMARC1; p={policy}"}]


ZONE: Final[dict[str, list[Any]]] = {
    "lax.example": spf(AUTHOR),
    "_dmarc.lax.example": dmarc("none"),
    "quarantine.example": spf(AUTHOR),
    "_dmarc.quarantine.example": dmarc("quarantine"),
    "reject.example": spf(AUTHOR),
    "_dmarc.reject.example": dmarc("reject"),
    "signed.example": spf(AUTHOR),
    "_dmarc.signed.example": dmarc("reject"),
    "s1._domainkey.signed.example": KEY,
    "soft.example": spf(AUTHOR, "~all"),
    "_dmarc.soft.example": dmarc("reject"),
    "s1._domainkey.soft.example": KEY,
    "open.example": [{"TXT": "v=spf1 +all"}],
    "bare.example": [{"A": AUTHOR}],
    "opt-out.example": [*spf(AUTHOR), {"TXT": "spf2.0/pra ?all"}],
    "mailer.example": spf(AUTHOR),
    "before.example": spf(AUTHOR),
    "mail.author.example": spf(AUTHOR),
    "company.com.example": spf(FORWARDER),
    NAME: spf(FORWARDER),
    "postfix.example": spf(RELAYS["postfix"]),
    "exim.example": spf(RELAYS["exim"]),
}


@dataclass(frozen=True)
class Kind:
    """A message of an author: the domain of From, whether that signed it, its reverse-path where that is not the
    author, what stands above all this, and a field of which the signature says that there is none."""

    domain: str
    signed: bool = False
    reverse_path: str | None = None
    above: str = ""
    oversigned: str = ""

    @property
    def mail_from(self) -> str:
        return f"alice@{self.domain}" if self.reverse_path is None else self.reverse_path

    def message(self, name: str) -> bytes:
        octets = (
            f"From: alice@{self.domain}\r\nTo: carol@company.com.example\r\nSubject: {name}\r\n"
            f"Date: Mon, 23 Nov 2026 10:00:00 +0000\r\nMessage-ID: <{name}@author.example>\r\n\r\nHello.\r\n"
        ).encode()
        if self.oversigned:
            octets = oversigned(octets, self.domain, self.oversigned)
        elif self.signed:
            octets = signed(octets, domain=self.domain, now=time.time() - 1)
        return self.above.encode() + octets


def oversigned(octets: bytes, domain: str, absent: str) -> bytes:
    """With a signature that says that a field is not there; ours never say it of a field that a forwarder adds."""
    header, key, names = read_header(octets), ed25519_key(), ["from", "subject", absent]
    digest = b64encode(hash_body([octets[header.length :]], FORM)[FORM].digest).decode()
    unsigned = (
        f"DKIM-Signature: v=1; a={key.algorithm}; c=relaxed/relaxed; d={domain}; s=s1;\r\n"
        f" h={':'.join(names)};\r\n bh={digest}; b="
    ).encode()
    value = key.sign(SignedFields(header).octets(names, relaxed=True, signature=unsigned))
    return unsigned + b64encode(value) + b"\r\n" + octets


RESENT: Final = (
    "Resent-From: dave@before.example\r\nResent-Date: Mon, 23 Nov 2026 11:00:00 +0000\r\n"
    "Resent-Message-ID: <r@before.example>\r\n"
)
KINDS: Final = {
    "SPF alone, p=none": Kind("lax.example"),
    "SPF alone, p=quarantine": Kind("quarantine.example"),
    "SPF alone, p=reject": Kind("reject.example"),
    "signed, p=reject": Kind("signed.example", signed=True),
    "signed, softfail": Kind("soft.example", signed=True),
    "Resent-From oversigned": Kind("soft.example", True, "bounces@mailer.example", oversigned="resent-from"),
    "Delivered-To oversigned": Kind("soft.example", True, oversigned="delivered-to"),
    "no records": Kind("bare.example"),
    "no such domain": Kind("missing.example"),
    "Sender ID opted out": Kind("opt-out.example"),
    "resent before": Kind("signed.example", signed=True, above=RESENT),
    "with a Sender": Kind("lax.example", above="Sender: desk@before.example\r\n"),
    "with two Senders": Kind("open.example", above="Sender: a@before.example\r\nSender: b@before.example\r\n"),
    "a report": Kind("signed.example", True, ""),
}
SETTINGS: Final = (*REPAIRS, "least")
Hop = Literal["purport", "postfix", "exim"]

FIRST = """\
[[domain]]
name = "company.com.example"
mailboxes = ["postmaster"]
forwards = {{ {hop} = ["carol@{hop}-last.example"] }}

[forwarding]
repair = "{repair}"

[relay]
default = "smtp:127.0.0.1:{port}"
source = ["127.0.0.77"]
concurrency = 8

[queue]
min_backoff = 1
max_backoff = 2

[dns]
servers = ["{dns}"]
"""
LAST = """\
[[domain]]
name = "purport-last.example"

[[domain]]
name = "postfix-last.example"

[[domain]]
name = "exim-last.example"

[submitter]
check_pra = "always"
reject_at = "data"

[trusted_hops]
networks = {trusted}
names = ["postfix.example", "exim.example"]

[dns]
servers = ["{dns}"]
"""
# In chunks the header alone is refused for Sender ID, before DMARC is asked.
WHOLE: Final = 'service = "mx"\ndiscard_ehlo_keywords = ["CHUNKING"]'
TRUSTED: Final = json.dumps(list(RELAYS.values()))


class Server:
    """A Purport whose tables are changed while it runs."""

    def __init__(self, folder: Path, tables: str, hostname: str, listener: str = 'service = "mx"') -> None:
        self._tables = tables
        self.purport = PurportServer(folder, tables, hostname, listener)

    def change(self, tables: str) -> None:
        if tables == self._tables:
            return
        place, told = self.purport.settings, self.purport.log().count("the settings were read again")
        place.write_text(place.read_text().replace(self._tables, tables))
        self._tables = tables
        self.purport.reload()
        wait_for(lambda: self.purport.log().count("the settings were read again") > told, what="the new settings")

    def records(self) -> dict[str, dict[str, Any]]:
        """What `purport explain` says of each message, by the subject."""
        told = self.purport.command("explain", "--last", "1000", "--json")
        assert told.returncode == 0, told.stderr
        found = [json.loads(line) for line in told.stdout.splitlines()]
        return {
            subject(one["message_id"]): one for one in found if one.get("message_id", "").endswith("@author.example>")
        }

    def has_records(self, names: list[str]) -> bool:
        ledger = b"".join(place.read_bytes() for place in (self.purport.state_dir / "ledger").glob("*.jsonl"))
        return all(b'"message_id":"<%s@' % name.encode() in ledger for name in names)


def subject(message_id: str) -> str:
    return message_id[1:].partition("@")[0]


@dataclass
class House:
    """What is there for all hops: the name server, the last hop, and a folder."""

    dns: DnsServer
    last: Server
    folder: Path

    def first(self, hop: Hop, port: int) -> Server:
        """A forwarder to a next hop on this port."""
        return Server(self.folder / hop, self.repairs(hop, port, "none"), NAME)

    def repairs(self, hop: Hop, port: int, repair: str) -> str:
        return FIRST.format(hop=hop, repair=repair, port=port, dns=self.dns.address)

    def trust(self, networks: str) -> None:
        self.last.change(LAST.format(trusted=networks, dns=self.dns.address))


def send(port: int, hop: Hop, repair: str) -> list[str]:
    """A message of each kind to a forwarder; their subjects."""
    names: list[str] = []
    with smtplib.SMTP("127.0.0.1", port, local_hostname="mail.author.example", source_address=(AUTHOR, 0)) as client:
        for kind, message in KINDS.items():
            name = named(hop, kind, repair)
            names.append(name)
            to = [f"{hop}@company.com.example"]
            client.sendmail(message.mail_from or "<>", to, message.message(name), rcpt_options=["NOTIFY=NEVER"])
    return names


def named(hop: Hop, kind: str, repair: str) -> str:
    return f"{hop}.{re.sub('[^A-Za-z]+', '-', kind)}.{repair}"


@dataclass
class Told:
    """What became of the messages that went over one hop, by subject: records of the first and of the last Purport, and
    the messages that the last one took."""

    hop: Hop
    first: dict[str, dict[str, Any]] = field(default_factory=dict)
    last: dict[str, dict[str, Any]] = field(default_factory=dict)
    taken: dict[str, bytes] = field(default_factory=dict)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("matrix")
    with dns_server(ZONE) as names:
        last = Server(folder / "last", LAST.format(trusted=TRUSTED, dns=names.address), "mx.last.example", WHOLE)
        last.purport.start()
        try:
            yield House(names, last, folder)
        finally:
            last.purport.stop()


@pytest.fixture(scope="module", params=get_args(Hop))
def told(request: pytest.FixtureRequest, house: House) -> Iterator[Told]:
    hop: Hop = request.param
    last = house.last.purport
    with ExitStack() as stack:
        port = last.port
        if hop != "purport":
            require_peer(hop)
            relay = postfix(port) if hop == "postfix" else exim(port)
            stack.callback(relay.stop)
            port = relay.port
        first = house.first(hop, port)
        first.purport.start()
        stack.callback(first.purport.stop)
        yield passed_on(house, first, hop, port)


def postfix(port: int) -> Postfix:
    return Postfix(
        {
            "mydestination": "",
            "relayhost": f"[127.0.0.1]:{port}",
            "smtp_bind_address": RELAYS["postfix"],
            "minimal_backoff_time": "1s",
            "queue_run_delay": "1s",
            "smtp_connection_cache_on_demand": "no",  # a connection keeps the settings that it began with
        }
    )


def exim(port: int) -> Exim:
    return Exim("exim.example", port, f"  interface = {RELAYS['exim']}\n")  # of its transport


def passed_on(house: House, first: Server, hop: Hop, port: int) -> Told:
    """Every kind under every repair, over a hop on this port; and once more where the last one trusts no relay."""
    house.trust(TRUSTED)
    names: list[str] = []
    for repair in SETTINGS:
        first.change(house.repairs(hop, port, repair))
        names += send(first.purport.port, hop, repair)
    wait_for(lambda: house.last.has_records(names), 60, "the record of each message at the last hop")
    if hop != "purport":
        house.trust("[]")
        first.change(house.repairs(hop, port, "both"))
        unknown = [re.sub("both$", "untrusted", name) for name in names if name.endswith("both")]
        send(first.purport.port, hop, "untrusted")
        wait_for(lambda: house.last.has_records(unknown), 60, "the record of each message of an unknown relay")
    found = Told(hop, first.records(), house.last.records())
    accepted = {name for name, record in found.last.items() if name.startswith(hop) and record["decision"] == "accept"}

    def arrived() -> bool:
        for place in (house.last.purport.state_dir / "maildir").glob("**/new/*"):
            message = place.read_bytes()
            field = read_header(message).first("message-id")
            assert field is not None
            found.taken[subject(field.value.decode())] = message
        return accepted <= found.taken.keys()

    wait_for(arrived, what="what was accepted in its mailboxes")
    return found


def predicted(hop: Hop, kind: str, name: str, address: str = FORWARDER, hostname: str = NAME) -> Plan:
    """What `purport forward plan` says, with the zone that everybody asks."""
    message = KINDS[kind].message(name)
    path = KINDS[kind].mail_from
    forwarder = Mailbox(hop, "company.com.example")
    reverse_path = parse_mailbox(path) if path else NULL
    evaluation = planned(message, read_header(message), reverse_path, forwarder, hostname, (address,))
    return asyncio.run(run(evaluation, StaticResolver(ZONE)))


def said(record: dict[str, Any]) -> dict[str, object]:
    """What the last hop found, in the words of a plan."""
    found, check = record["dmarc"], record.get("sender_id") or record.get("pra_check") or {"result": "no PRA"}
    return {
        "SPF": record["spf"]["result"],
        "Sender ID": check["result"],
        "PRA": record["pra"].get("address", ""),
        "DKIM": [(one[0], one[1] == "pass") for one in found.get("dkim", ())],
        "DMARC": found["result"] + (f" ({found['tag']}={found['requested']})" if found["result"] == "fail" else ""),
        "reverse-path": without_hash(record["reverse_path"]),
    }


def expected(row: Row) -> dict[str, object]:
    return {
        "SPF": row.spf,
        "Sender ID": row.sender_id,
        "PRA": row.pra,
        "DKIM": [(one.domain, one.holds) for one in row.dkim],
        "DMARC": row.dmarc,
        "reverse-path": without_hash(row.reverse_path),
    }


def without_hash(path: str) -> str:
    """An SRS address without what our secret makes of it."""
    return re.sub(r"^SRS0=[^=]+=", "SRS0=", path)


def results(message: bytes) -> dict[str, str]:
    """What the Authentication-Results field of the last hop says, by method."""
    field = read_header(message).first("authentication-results")
    assert field is not None
    assert field.text.split(";")[0].strip() == "mx.last.example"
    return dict(re.findall(r"(?<![\w.-])(spf|dmarc|sender-id)=(\w+)", field.text))


@pytest.mark.parametrize("repair", SETTINGS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_last_hop_says_what_was_predicted(told: Told, kind: str, repair: str) -> None:
    name = named(told.hop, kind, repair)
    plan = predicted(told.hop, kind, name)
    (forward,) = told.first[name]["forwards"]
    if repair == "least":
        assert (forward["repair"], forward["expected"]) == (plan.chosen, plan.told)
    else:
        assert forward["repair"] == repair
    row = plan.row(forward["repair"])
    record = told.last[name]
    assert said(record) == expected(row)
    assert record["decided_again"] == {key: record[key] for key in ("decision", "rule", "reply")}
    # This hop refuses by Sender ID and as the owner of the author's domain asks; nobody else is refused.
    refused = row.sender_id in ("fail", "no PRA") or row.dmarc == "fail (p=reject)"
    assert record["decision"] == ("reject" if refused else "accept"), record["rules"]
    if row.outcome == "pass":
        assert not refused
    if row.outcome == "fail":
        assert refused or record["dmarc"]["disposition"] == "quarantine"
    if told.hop != "purport":
        assert record["client"]["address"] == RELAYS[told.hop]
        assert record["behind"]["address"] == FORWARDER
    if not refused:
        field = results(told.taken[name])
        assert (field["spf"], field["sender-id"], field["dmarc"]) == (row.spf, row.sender_id, row.dmarc.split()[0])


@pytest.mark.parametrize("told", RELAYS, indirect=True, scope="module")
@pytest.mark.parametrize("kind", KINDS)
def test_a_relay_that_is_not_trusted_is_judged_itself(told: Told, kind: str) -> None:
    """Then the prediction is that for a server with the relay's name and address."""
    name = named(told.hop, kind, "untrusted")
    plan = predicted(told.hop, kind, name, RELAYS[told.hop], f"{told.hop}.example")
    record = told.last[name]
    assert "behind" not in record
    assert said(record) == expected(plan.row("both"))
    assert record["decision"] == "reject", "the forwarder's domain names another client than this"


def test_each_repair_is_the_least_for_some_kind_of_message() -> None:
    chosen = {predicted("purport", kind, "s").chosen for kind in KINDS}
    assert chosen == set(REPAIRS)
