"""DKIM signatures: Purport and dkimpy on the same message with the same keys, in turn, in one process.

    python bench/signatures.py [--rounds 5] [--json FILE]

Prints microseconds for a message of 20 KiB, medians of interleaved rounds. Both begin with the octets of the message,
and have the key record at hand; nothing is kept from one message to the next.
"""

from __future__ import annotations

import argparse
import base64
import json
import logging
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dkim
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from purport.authentication.dkim.body import MessageHasher, hash_body
from purport.authentication.dkim.sign import FORM, SigningKey, read_signing_key, sign
from purport.authentication.dkim.signature import Signature, signatures
from purport.authentication.dkim.verify import verify
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver
from purport.mail.header import Header, read_header
from spf import timed

OCTETS = 20 * 1024
NOW = 1_795_500_000.0
DOMAIN, SELECTOR = "example.com", "s1"
HEADER = b"""\
Received: from mail.example.com (mail.example.com [192.0.2.1])
\tby mx.example.net (Purport) with ESMTPS id 08XFKQY11Q9KQ
\tfor <bob@example.net>; Mon, 23 Nov 2026 10:00:01 +0000
From: Alice Example <alice@example.com>
To: Bob <bob@example.net>, carol@example.net
Subject: The minutes of the meeting, and what is left to do before the next one
Date: Mon, 23 Nov 2026 10:00:00 +0000
Message-ID: <20261123100000.4711@example.com>
References: <20261120090000.4242@example.net> <20261121090000.4343@example.com>
In-Reply-To: <20261121090000.4343@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8; format=flowed
Content-Transfer-Encoding: 7bit

"""
LINE = b"What was said about it is written here, in lines as people and programs write.\r\n"


@dataclass
class Work:
    """Something that both do; `goal` is how many times faster Purport must be, 0 where that is only watched."""

    name: str
    purport: Callable[[], str]
    dkimpy: Callable[[], str]
    goal: float = 0.0
    figures: dict[str, list[float]] = field(default_factory=dict)


def message() -> bytes:
    """20 KiB of text."""
    head = HEADER.replace(b"\n", b"\r\n")
    return head + LINE * ((OCTETS - len(head)) // len(LINE))


def keys() -> list[tuple[str, bytes, SigningKey]]:
    """A key of each type: its name, as dkimpy takes it, as we do."""
    rsa, ed25519 = generate_private_key(65537, 2048), Ed25519PrivateKey.generate()
    pem = _pem(rsa, PrivateFormat.TraditionalOpenSSL)
    seed = base64.b64encode(ed25519.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption()))
    return [
        ("rsa-sha256 (2048 bits)", pem, read_signing_key(pem)),
        ("ed25519-sha256", seed, read_signing_key(_pem(ed25519, PrivateFormat.PKCS8))),
    ]


def works() -> list[Work]:
    """What is measured."""
    found = []
    octets = message()
    for name, theirs, ours in keys():
        rsa = ours.kind == "rsa"
        signed = signature(octets, ours) + octets
        found.append(Work(f"sign, {name}", signing(octets, ours), dkimpy_signing(octets, theirs, ours), 10.0 * rsa))
        found.append(Work(f"verify, {name}", verifying(signed, ours), dkimpy_verifying(signed, ours), 5.0 * rsa))
    return found


def signature(octets: bytes, key: SigningKey) -> bytes:
    """The field of ours for a message."""
    header = read_header(octets)
    digest = hash_body((octets[header.length :],), FORM)[FORM].digest
    return sign(header, digest, key, domain=DOMAIN, selector=SELECTOR, now=NOW)


def signing(octets: bytes, key: SigningKey) -> Callable[[], str]:
    """Purport signs."""
    return lambda: signature(octets, key)[:4].decode()


def dkimpy_signing(octets: bytes, key: bytes, ours: SigningKey) -> Callable[[], str]:
    """dkimpy signs."""
    options = {"signature_algorithm": ours.algorithm.encode(), "canonicalize": (b"relaxed", b"relaxed")}
    return lambda: dkim.sign(octets, SELECTOR.encode(), DOMAIN.encode(), key, **options)[:4].decode()


def verifying(octets: bytes, key: SigningKey) -> Callable[[], str]:
    """Purport verifies, as a server does: the signatures are read when the header is there, the body is hashed, the key
    is asked for."""
    resolver = StaticResolver({f"{SELECTOR}._domainkey.{DOMAIN}": [{"TXT": key.record}]})

    def check() -> str:
        found: tuple[Signature, ...] = ()

        def forms(header: Header) -> list[object]:
            nonlocal found
            found = signatures(header)
            return [one.form for one in found]

        hasher = MessageHasher(forms)
        hasher.update(octets)
        hashes = hasher.finish()
        results = start(verify(found, hasher.header, hashes, NOW), resolver)
        assert not isinstance(results, Suspended)
        return results[0].result

    return check


def dkimpy_verifying(octets: bytes, key: SigningKey) -> Callable[[], str]:
    """dkimpy verifies."""
    record = key.record.encode()
    return lambda: "pass" if dkim.verify(octets, dnsfunc=lambda *_, **__: record) else "fail"


def _pem(key: RSAPrivateKey | Ed25519PrivateKey, form: PrivateFormat) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


def measure(rounds: int) -> list[Work]:
    """All works, both programs, in turn, `rounds` times."""
    found = works()
    for _ in range(rounds):
        for work in found:
            expected = "DKIM" if work.name.startswith("sign") else "pass"
            for name, program in (("purport", work.purport), ("dkimpy", work.dkimpy)):
                work.figures.setdefault(name, []).append(timed(program, expected))
    return found


def main() -> int:
    """Print the table; the exit code is 1 where a goal is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    logging.disable()  # dkimpy tells what it hashes
    rows = [figures(work) for work in measure(options.rounds)]
    report(rows)
    if options.json:
        options.json.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return 0 if all(row["dkimpy"] / row["purport"] >= row["goal"] for row in rows) else 1


def figures(work: Work) -> dict[str, object]:
    """Medians, and the goal."""
    medians = {name: statistics.median(values) for name, values in work.figures.items()}
    return {"work": work.name, **medians, "goal": work.goal}


def report(rows: Sequence[dict[str, object]]) -> None:
    """One line per work; a ratio says how many times faster Purport is."""
    for row in rows:
        ratio = row["dkimpy"] / row["purport"]
        print(f"{row['work']:32} {row['purport']:10.1f} {row['dkimpy']:10.1f}   {ratio:6.1f} x dkimpy")


if __name__ == "__main__":
    sys.exit(main())
