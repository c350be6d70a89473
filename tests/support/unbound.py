"""An Unbound of the test's own: a resolver that validates the signatures of a zone which the test signs."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.dnssec
import dns.rdataclass
import dns.zone
from cryptography.hazmat.primitives.asymmetric import ec

from support.peers import free_port, require_peer, wait_for

HEAD = """$TTL 300
@ IN SOA ns.example. hostmaster.example. 1 3600 600 86400 60
@ IN NS ns.example.
ns IN A 127.0.0.1
"""
CONFIGURATION = """\
server:
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    interface: 127.0.0.1@{port}
    use-syslog: no
    logfile: "{folder}/log"
    module-config: "validator iterator"
    trust-anchor: "example. DNSKEY {key}"
remote-control:
    control-enable: no
auth-zone:
    name: "example."
    zonefile: "{folder}/example.zone"
    for-downstream: no
    fallback-enabled: no
auth-zone:
    name: "plain."
    zonefile: "{folder}/plain.zone"
    for-downstream: no
    fallback-enabled: no
"""


def signed(records: str) -> tuple[str, str]:
    """A zone `example.` with these records and their signatures, and its key."""
    zone = dns.zone.from_text(HEAD + records, "example.", relativize=False)
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)
    with zone.writer() as transaction:
        dns.dnssec.sign_zone(zone, transaction, keys=[(private, key)], lifetime=86400)
    return zone.to_text(relativize=False), key.to_text()


@contextmanager
def unbound(folder: Path, records: str, *, forged: tuple[str, str] = ("", ""), plain: str = "") -> Iterator[str]:
    """Its address, for the length of a `with` block. `records` are those of the signed zone `example.`, in which a
    text is changed after it was signed; `plain` those of the zone `plain.`, which nobody signed."""
    program = require_peer("unbound")
    folder.mkdir(parents=True, exist_ok=True)
    text, key = signed(records)
    if forged[0]:
        assert forged[0] in text
        text = text.replace(*forged)
    (folder / "example.zone").write_text(text)
    (folder / "plain.zone").write_text(HEAD.replace("example.", "plain.") + plain)
    port = free_port()
    (folder / "unbound.conf").write_text(CONFIGURATION.format(folder=folder, port=port, key=key))
    process = subprocess.Popen([program, "-d", "-c", str(folder / "unbound.conf")], stderr=subprocess.PIPE)
    log = folder / "log"
    try:
        wait_for(
            lambda: process.poll() is not None or (log.exists() and re.search("start of service", log.read_text())),
            what="Unbound",
        )
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
        if process.stderr is not None:
            process.stderr.close()
