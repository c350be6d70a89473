"""Real mail with all checks on: Purport beside Postfix with policyd-spf, opendkim and opendmarc, in turn.

    python bench/realmail.py [--messages 1200] [--runs 5] [--json FILE]

The SpamAssassin corpus (scripts/peers.sh fetches it), each message with the envelope sender that it came with, a tenth
of it signed with a key of this program's. Every domain of a sender or author has records in one zone, which unbound
serves to both on a loopback address; nobody asks anything else. Sent by bench/replay_source.c over 20 connections.
Purport checks what they check, and the responsible address (PRA) besides. Needs root.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from zlib import crc32

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import paths  # noqa: F401  # makes support importable
import servers
from load import cpu_seconds
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM, SigningKey, read_signing_key, sign, strings
from purport.mail.address import Mailbox, parse_mailbox
from purport.mail.domain import is_domain_name, normal_domain
from purport.mail.fields import mailboxes
from purport.mail.header import Header, read_header
from support.peers import UNPACKED, find_peer, wait_for
from support.postfix import Postfix
from support.purport_server import PurportServer, purport_server

GOAL = 2.0  # times the messages a second of the others
CONNECTIONS = 20
CORPUS = UNPACKED / "spamassassin/package/data"
RECIPIENT = b"bob@company.com.example"
RECEIVER = "mx.company.com.example"
SELECTOR = "bench"
SIGNED = 10  # one of so many is signed
NEEDED = ("opendkim", "opendmarc", "policyd-spf", "unbound", "postfix")
SEED = 4405

# What SPF says of our clients, for so many of a hundred domains; what DMARC asks for. Nobody published either in 2002.
CLIENTS = "192.0.2.0/24"
SPF = ((57, f"v=spf1 ip4:{CLIENTS} -all"), (75, "v=spf1 mx ?all"), (90, "v=spf1 a mx ~all"), (91, "v=spf1 -all"))
DMARC = ((30, "v=DMARC1; p=none; rua=mailto:reports@{domain}"), (40, "v=DMARC1; p=quarantine"))

POLICYD = """\
debugLevel = 1
TestOnly = 1
HELO_reject = Fail
Mail_From_reject = Fail
PermError_reject = False
TempError_Defer = False
Header_Type = AR
Authserv_Id = {receiver}
"""

OPENDKIM = """\
Mode v
Socket local:{folder}/opendkim.sock
UMask 000
AuthservID {receiver}
Nameservers {address}
Syslog yes
"""

OPENDMARC = """\
AuthservID {receiver}
TrustedAuthservIDs {receiver}
PublicSuffixList {suffixes}
RejectFailures false
Socket local:{folder}/opendmarc.sock
UMask 0000
Syslog true
"""

UNBOUND = """\
server:
  interface: {address}
  port: 53
  directory: "{folder}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  logfile: "{folder}/unbound.log"
  module-config: "iterator"
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  local-zone: "." static
  local-data: ". 86400 IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 86400"
remote-control:
  control-enable: no
"""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of the corpus as it is sent."""

    name: str
    sender: str  # empty: the null reverse-path
    octets: bytes
    signed: bool

    def packed(self) -> bytes:
        """As bench/replay_source.c reads it."""
        commands = b"MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n" % (self.sender.encode(), RECIPIENT)
        data = self.octets.replace(b"\r\n.", b"\r\n..")
        data = (b"." + data if data.startswith(b".") else data) + b".\r\n"
        return struct.pack(">I", len(commands)) + commands + struct.pack(">I", len(data)) + data


@dataclass
class Side:
    """One of the two, and what it did."""

    work: Callable[[], tuple[str, float, float]]  # outcomes, seconds, CPU seconds
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    outcomes: str = ""


def corpus(count: int, key: SigningKey) -> list[Message]:
    """So many messages, the same each time."""
    files = sorted(CORPUS.glob("*/*.txt"))
    if not files:
        raise SystemExit("bench: the SpamAssassin corpus is not there (scripts/peers.sh fetches it)")
    random.Random(SEED).shuffle(files)
    return [_message(place, number % SIGNED == 0, key) for number, place in enumerate(files[:count])]


def _message(place: Path, to_sign: bool, key: SigningKey) -> Message:
    octets = place.read_bytes()
    if octets.startswith(b"From "):  # of a mailbox file
        octets = octets.partition(b"\n")[2]
    octets = (
        b"\r\n".join(octets.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removesuffix(b"\n").split(b"\n")) + b"\r\n"
    )
    header = read_header(octets)
    domain = next(iter(authors(header)), "")
    to_sign = to_sign and bool(domain)
    if to_sign:
        digest = hash_body((octets[header.length :],), FORM)[FORM].digest
        octets = sign(header, digest, key, domain=domain, selector=SELECTOR, now=time.time() - 60) + octets
    return Message(f"{place.parent.name}/{place.name}", str(sender(header) or ""), octets, to_sign)


def sender(header: Header) -> Mailbox | None:
    """The reverse-path that a message came with; else its author's address; else none."""
    for name in ("return-path", "from"):
        found = header.first(name)
        if found is None:
            continue
        try:
            address = mailboxes(found.text)[0]
            if is_domain_name(address.domain):
                return parse_mailbox(str(address))
        except ValueError:
            continue
    return None


def authors(header: Header) -> Iterator[str]:
    """The domains of the author fields, as far as they are any."""
    for name in ("from", "sender", "resent-from", "resent-sender"):
        for found in header.all(name):
            try:
                domains = [normal_domain(mailbox.domain) for mailbox in mailboxes(found.text)]
            except ValueError:
                continue
            yield from filter(is_domain_name, domains)


def zone(messages: Iterable[Message], record: str) -> str:
    """The records of all domains that are named, as lines of unbound's settings."""
    domains, signers = set(), set()
    for message in messages:
        header = read_header(message.octets)
        named = list(authors(header))
        domains.update(named)
        if message.sender:
            domains.add(normal_domain(message.sender.rpartition("@")[2]))
        if message.signed:
            signers.add(named[0])
    lines = [f"local-data: '{name}. 86400 IN {kind} {data}'" for name, kind, data in _records(domains)]
    quoted = " ".join(f'"{text}"' for text in strings(record))
    lines += [f"local-data: '{SELECTOR}._domainkey.{name}. 86400 IN TXT {quoted}'" for name in sorted(signers)]
    return "".join(f"  {line}\n" for line in lines)


def _records(domains: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    for domain in sorted(domains):
        number = crc32(domain.encode())
        for text in _chosen(SPF, number % 100):
            yield domain, "TXT", f'"{text}"'
        for text in _chosen(DMARC, number // 100 % 100):
            yield f"_dmarc.{domain}", "TXT", f'"{text.format(domain=domain)}"'
        yield domain, "MX", f"10 mx.{domain}."
        yield domain, "A", "198.51.100.1"
        yield f"mx.{domain}", "A", "198.51.100.2"


def _chosen(shares: Sequence[tuple[int, str]], number: int) -> list[str]:
    return [text for limit, text in shares if number < limit][:1]


@contextmanager
def running(*command: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A program for the length of a `with` block."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=None if env is None else {**os.environ, **env})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def name_server(stack: ExitStack, folder: Path, data: str) -> str:
    """unbound on port 53 of a loopback address of its own, since resolv.conf(5) names no ports: the address."""
    address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255 or 1}"
    settings = folder / "unbound.conf"
    head, tail = UNBOUND.format(address=address, folder=folder).split("remote-control:")
    settings.write_text(f"{head}{data}remote-control:{tail}")
    stack.enter_context(running(find_peer("unbound") or "", "-d", "-c", str(settings)))
    log = folder / "unbound.log"
    wait_for(lambda: log.exists() and "start of service" in log.read_text(), what="unbound")
    return address


def others(stack: ExitStack, folder: Path, address: str) -> tuple[Postfix, list[int]]:
    """Postfix with all three as Debian documents it, and the processes that are not its own."""
    resolv_conf = folder / "resolv.conf"
    resolv_conf.write_text(f"nameserver {address}\n")
    # They see another resolv.conf: no question leaves this machine.
    script = f'mount --bind {resolv_conf} /etc/resolv.conf && exec "$@"'
    under = ["unshare", "--mount", "sh", "-c", script, "sh"]
    values = {
        "receiver": RECEIVER,
        "address": address,
        "folder": folder,
        "suffixes": UNPACKED / "opendmarc/usr/share/publicsuffix/public_suffix_list.dat",
    }
    for name, text in (("policyd-spf", POLICYD), ("opendkim", OPENDKIM), ("opendmarc", OPENDMARC)):
        (folder / f"{name}.conf").write_text(text.format(**values))
    filters = [
        stack.enter_context(running(*under, find_peer(name) or "", "-f", option, str(folder / f"{name}.conf")))
        for name, option in (("opendkim", "-x"), ("opendmarc", "-c"))
    ]
    sockets = [folder / f"{name}.sock" for name in ("opendkim", "opendmarc")]
    wait_for(lambda: all(place.exists() for place in sockets), what="the milters")
    modules = UNPACKED / "policyd-spf/usr/lib/python3/dist-packages"
    program = f"/usr/bin/env PYTHONPATH={modules} /usr/bin/python3 {find_peer('policyd-spf')} {folder}/policyd-spf.conf"
    postfix = Postfix(
        {
            "mydestination": "",
            "relay_domains": "company.com.example",
            "mynetworks": "127.0.0.1",
            "smtpd_authorized_xclient_hosts": "127.0.0.1",
            "smtpd_recipient_restrictions": "reject_unauth_destination, check_policy_service unix:private/policyd-spf",
            "policyd-spf_time_limit": "3600",
            "smtpd_milters": ", ".join(f"unix:{place}" for place in sockets),
            "message_size_limit": "200000000",
            **servers.DISCARDING,
        },
        hostname=RECEIVER,
        services=f"policyd-spf unix - n n - 0 spawn\n  user=nobody argv={program}\n",
        under=under,
    )
    stack.callback(postfix.stop)
    return postfix, [postfix.master_pid, *[process.pid for process in filters]]


def source(folder: Path) -> Path:
    """The sender, compiled."""
    program = folder / "replay_source"
    subprocess.run(["gcc", "-O2", "-o", str(program), str(Path(__file__).with_name("replay_source.c"))], check=True)
    return program


def sent(program: Path, port: int, packed: Path, pids: Sequence[int]) -> tuple[str, float, float]:
    """Send all messages: the outcomes, the seconds, and the CPU seconds of the servers."""
    before = sum(map(cpu_seconds, pids))
    with packed.open("rb") as octets:
        command = [str(program), str(port), str(CONNECTIONS)]
        told = subprocess.run(command, stdin=octets, capture_output=True, text=True, check=True, timeout=600).stdout
    outcomes, seconds = told.split()
    return outcomes, float(seconds), sum(map(cpu_seconds, pids)) - before


def measure(count: int, runs: int) -> dict[str, Side]:
    """Both, in turn, after a run of each that does not count: it fills the caches."""
    missing = [name for name in NEEDED if find_peer(name) is None]
    if missing or os.geteuid() != 0:
        raise SystemExit(
            f"bench: needs root and what scripts/peers.sh installs; missing: {', '.join(missing) or 'root'}"
        )
    pem = generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = read_signing_key(pem)
    messages = corpus(count, key)
    folder = Path(tempfile.mkdtemp(prefix="purport-realmail-", dir="/var/tmp"))
    folder.chmod(0o755)  # for Postfix and the policy service, which are other users
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        packed = folder / "messages"
        packed.write_bytes(b"".join(message.packed() for message in messages))
        address = name_server(stack, folder, zone(messages, key.record))
        program = source(folder)
        postfix, pids = others(stack, folder, address)
        settings = servers.SETTINGS.format(name_server=f"{address}:53", hold="true", deliver="maildir")
        purport = stack.enter_context(purport_server(folder / "purport", settings, RECEIVER))

        def ours() -> tuple[str, float, float]:
            purport.command("queue", "delete", "ALL")  # it holds what it accepts
            return sent(program, purport.port, packed, [purport.pid])

        def theirs() -> tuple[str, float, float]:
            found = sent(program, postfix.port, packed, pids)
            wait_for(lambda: not postfix.queue_ids(), 120)  # what it still does must not fall into the other's turn
            return found

        sides = {"Purport": Side(ours), "Postfix": Side(theirs)}
        for number in range(runs + 1):
            for name, side in sides.items():
                os.sync()
                side.outcomes, seconds, cpu = side.work()
                accepted = side.outcomes.count("A")
                if number:
                    side.rates.append(accepted / seconds)
                    side.cpu.append(cpu / len(messages) * 1000)
                told = f"{accepted / seconds:,.0f}/s, {cpu / len(messages) * 1000:.3f} ms"
                print(f"  real mail, run {number}: {name} {told}", file=sys.stderr, flush=True)
        compare_checks(postfix, purport, lambda name: sides[name].work())
    return sides


def compare_checks(postfix: Postfix, purport: PurportServer, turn: Callable[[str], object]) -> None:
    """One more turn of each, not counted, to see that both really checked, and found the same. Raises SystemExit."""
    place = postfix.config / "header_checks"
    place.write_text("/^Authentication-Results:.*(dkim|dmarc)=/ INFO\n")
    with (postfix.config / "main.cf").open("a") as settings:
        settings.write(f"milter_header_checks = regexp:{place}\n")
    postfix.command("reload")
    before, begun = len(postfix.log()), len(recorded(purport))
    turn("Postfix")
    turn("Purport")
    theirs = Counter(re.findall(r"Authentication-Results: .*?((?:dkim|dmarc)=\w+)", postfix.log()[before:]))
    ours: Counter[str] = Counter()
    for record in map(json.loads, recorded(purport)[begun:]):
        if "dmarc" in record:
            ours.update(
                [f"dmarc={record['dmarc']['result']}", *(f"dkim={one[1]}" for one in record["dmarc"].get("dkim", ()))]
            )
    print(f"  found by Purport: {dict(ours)}; by the others: {dict(theirs)}", file=sys.stderr)
    for result in ("dkim=pass", "dmarc=pass", "dmarc=fail", "dmarc=none"):
        if not ours[result] or not 0.9 < theirs[result] / ours[result] < 1.1:
            raise SystemExit(f"bench: {result}: {ours[result]} by Purport, {theirs[result]} by the others")


def recorded(purport: PurportServer) -> list[bytes]:
    """The lines of its ledger."""
    places = sorted(place for place in (purport.state_dir / "ledger").rglob("*") if place.is_file())
    return [line for place in places for line in place.read_bytes().splitlines() if line.startswith(b"{")]


def refused(sides: Mapping[str, Side]) -> dict[str, int]:
    """How many messages both refused, and each alone. Nothing may be left undone: that would be no accepting."""
    ours, theirs = (side.outcomes for side in sides.values())
    if "4" in ours or "4" in theirs:
        raise SystemExit(f"bench: deferred: Purport {ours.count('4')}, Postfix {theirs.count('4')} messages")
    pairs = [(one != "A", other != "A") for one, other in zip(ours, theirs, strict=True)]
    return {
        "both": pairs.count((True, True)),
        "Purport": pairs.count((True, False)),
        "Postfix": pairs.count((False, True)),
    }


def main() -> int:
    """Print the figures; the exit code is 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=1200)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    sides = measure(options.messages, options.runs)
    row: dict[str, object] = {"goal": GOAL, "refused": refused(sides)}
    for name, side in sides.items():
        rate, cpu = statistics.median(side.rates), statistics.median(side.cpu)
        row[name] = {"rate": rate, "cpu": cpu}
        print(f"{name:10} {rate:8,.0f}/s accepted {cpu:8.3f} ms CPU")
    ratio = statistics.median(sides["Purport"].rates) / statistics.median(sides["Postfix"].rates)
    print(f"{ratio:.2f} times; refused of {options.messages} messages: {row['refused']}")
    if options.json:
        options.json.write_text(json.dumps({"rows": [row]}, indent=1) + "\n")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
