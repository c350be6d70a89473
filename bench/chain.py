"""All that is checked about one message: Purport, and dkimpy, pyspf and authheaders together, in turn, in one process.

    python bench/chain.py [--rounds 5] [--json FILE]

A message of 20 KiB with an RSA signature of its author and the ARC set of a list, from a client that SPF allows, of a
domain that wants everything else rejected. Prints microseconds a message, medians of interleaved rounds. Both begin with
the octets of the message, and have all answers of the DNS at hand. Purport finds and checks the responsible address (PRA)
besides; it remembers policies and keys as it does in the server.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from purport.authentication.arc.result import NO_CHAIN
from purport.authentication.arc.seal import seal
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM, SigningKey, read_signing_key
from purport.authentication.message import MessageReader
from purport.authentication.sender_id.pra import purported_responsible_address
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Evaluation, Suspended, T, start
from purport.dns.zone import StaticResolver
from purport.mail.address import parse_mailbox
from purport.mail.header import read_header
from purport.policy.facts import Client
from purport.policy.gather import mail_facts, message_facts, whole_message_facts
from purport.policy.submitter import SubmitterPolicy
from signatures import DOMAIN, NOW, SELECTOR, message, signature
from spf import installed_pyspf, timed

pyspf = installed_pyspf()
sys.modules["spf"] = pyspf  # what authheaders takes; the file beside this one has the same name
import authheaders  # noqa: E402
import authheaders.dmarc_lookup as dmarc_lookup  # noqa: E402

GOAL = 5.0  # times faster than they are together
CLIENT, HELLO, SENDER = "192.0.2.1", "mail.example.com", f"alice@{DOMAIN}"
SEALER, SEALER_SELECTOR = "lists.example.org", "seal"
SPF, DMARC = "v=spf1 ip4:192.0.2.0/24 -all", "v=DMARC1; p=reject; rua=mailto:reports@example.com"
FOUND = "spf=pass dkim=pass arc=pass dmarc=pass"


def keys() -> tuple[SigningKey, SigningKey]:
    """RSA of 2048 bits: the author's, and the list's."""
    author, sealer = (
        read_signing_key(
            generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        for _ in range(2)
    )
    return author, sealer


def signed_and_sealed(author: SigningKey, sealer: SigningKey) -> bytes:
    """The message as it comes: signed by its author's server, sealed by a list that changed nothing."""
    octets = message()
    octets = signature(octets, author) + octets
    header = read_header(octets)
    digest = hash_body((octets[header.length :],), FORM)[FORM].digest
    said = AuthenticationResults(SEALER, (MethodResult("dmarc", "pass", properties=(("header", "from", DOMAIN),)),))
    fields = seal(header, digest, said, NO_CHAIN, sealer, domain=SEALER, selector=SEALER_SELECTOR, now=NOW)
    return fields + octets


def zone(author: SigningKey, sealer: SigningKey) -> dict[str, str]:
    """The TXT records by name."""
    return {
        DOMAIN: SPF,
        f"_dmarc.{DOMAIN}": DMARC,
        f"{SELECTOR}._domainkey.{DOMAIN}": author.record,
        f"{SEALER_SELECTOR}._domainkey.{SEALER}": sealer.record,
    }


def purport_checks(octets: bytes, records: Mapping[str, str]) -> Callable[[], str]:
    """Purport, as its listener goes about it."""
    resolver = StaticResolver({name: [{"TXT": record}] for name, record in records.items()})
    checker, policy = Checker("mx.example.net"), SubmitterPolicy(check_pra="always")
    client, reverse_path = Client(CLIENT, None, HELLO), parse_mailbox(SENDER)

    def done(evaluation: Evaluation[T]) -> T:
        result = start(evaluation, resolver)
        assert not isinstance(result, Suspended)
        return result

    def check() -> str:
        mail = done(mail_facts(checker, client, reverse_path, None, NOW))
        reader = MessageReader()
        reader.update(octets)
        hashes, header = reader.finish(), reader.header
        assert header is not None and mail.spf is not None
        of_header = message_facts(checker, mail, purported_responsible_address(header), NOW, policy)
        facts = done(whole_message_facts(of_header, mail, header, reader.signatures, hashes, NOW))
        found = facts.authentication
        assert found is not None and facts.sender_id is not None and facts.sender_id.result == "pass"
        dkim, arc, dmarc = found.dkim[0].result, found.arc.result, found.dmarc.result
        return f"spf={mail.spf.result} dkim={dkim} arc={arc} dmarc={dmarc}"

    return check


def peers_check(octets: bytes, records: Mapping[str, str]) -> Callable[[], str]:
    """authheaders, which has pyspf check SPF, dkimpy the signature and the chain, and DMARC done by itself."""

    def spf_answer(name: str, kind: str, *_: object, **__: object) -> list[tuple[tuple[str, str], list[bytes]]]:
        found = records.get(name.lower()) if kind == "TXT" else None
        return [] if found is None else [((name, kind), [found.encode()])]

    def txt(name: str | bytes, *_: object, **__: object) -> str | bytes | None:
        plain = name if isinstance(name, str) else name.decode()
        found = records.get(plain.rstrip(".").lower())
        return found if found is None or isinstance(name, str) else found.encode()

    vars(pyspf)["DNSLookup"] = spf_answer
    # It reads its list of public suffixes from the disk for every domain, which takes longer than all the rest; a server
    # that used it would keep the answers.
    remembered = lru_cache(1024)(dmarc_lookup.get_org_domain)
    vars(dmarc_lookup)["get_org_domain"] = vars(authheaders)["get_org_domain"] = remembered

    def check() -> str:
        spf = authheaders.check_spf(CLIENT, SENDER, HELLO)
        dkim = authheaders.check_dkim(octets, dnsfunc=txt)
        arc = authheaders.check_arc(octets, dnsfunc=txt)
        dmarc = authheaders.check_dmarc(octets, spf, dkim, dnsfunc=txt)
        return f"spf={spf.result} dkim={dkim.result} arc={arc.result} dmarc={dmarc.result}"

    return check


def measure(rounds: int) -> dict[str, list[float]]:
    """Microseconds a message of each, in turn; both have to find the same."""
    author, sealer = keys()
    octets, records = signed_and_sealed(author, sealer), zone(author, sealer)
    sides = {"purport": purport_checks(octets, records), "peers": peers_check(octets, records)}
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, check in sides.items():
            figures[name].append(timed(check, FOUND))
    return figures


def main() -> int:
    """Print the figures; the exit code is 1 where the goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.disable()  # dkimpy tells what it hashes
    medians = {name: statistics.median(values) for name, values in measure(options.rounds).items()}
    ratio = medians["peers"] / medians["purport"]
    print(f"{medians['purport']:10.1f} {medians['peers']:10.1f}   {ratio:6.1f} x dkimpy, pyspf and authheaders")
    row = {"work": "SPF, PRA, DKIM, ARC and DMARC", **medians, "goal": GOAL}
    if options.json:
        options.json.write_text(json.dumps({"rows": [row]}, indent=1) + "\n")
    return 0 if ratio >= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
