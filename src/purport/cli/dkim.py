"""`purport dkim`: make keys, publish them, sign and verify messages (RFC 6376)."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from purport.cli.exits import (
    EX_CONFIG,
    EX_DATAERR,
    EX_USAGE,
    Failure,
    config_option,
    read_input,
    settings_if_any,
    settings_of,
    with_crlf,
    zone_option,
)
from purport.mail.text import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from purport.authentication.dkim.result import DkimResult
    from purport.authentication.dkim.sign import SigningKey
    from purport.authentication.dkim.signer import Signer
    from purport.config.schema import Settings
    from purport.mail.address import Mailbox
    from purport.mail.header import Header

EX_CANTCREAT: Final = 73
NO_PASS: Final = 1  # the exit code: no sysexit says it
BITS: Final = 2048  # RFC 8301 section 3.2: signers should use no less; more does not fit into every resolver's answer
COLOURS: Final = {"pass": "green", "fail": "red", "permerror": "red", "temperror": "yellow", "policy": "yellow"}


@click.group("dkim")
def command() -> None:
    """Make keys, publish them, sign and verify messages."""


@command.command("keygen")
@click.argument("domain")
@click.argument("selector")
@click.option("--type", "kind", type=click.Choice(["rsa", "ed25519"]), default="rsa", help="Default: rsa.")
@click.option("--bits", type=click.IntRange(1024, 4096), default=BITS, help=f"Of an RSA key; default: {BITS}.")
@click.option("--out", metavar="FILE", help="Where the private key goes; default: SELECTOR.DOMAIN.pem.")
def keygen(domain: str, selector: str, kind: str, bits: int, out: str | None) -> None:
    """Make a key, print the DNS record of its public part, and say what to put into the settings. A file that is there
    is never written over."""
    from purport.authentication.dkim.sign import read_signing_key
    from purport.authentication.dkim.signature import key_name

    domain, selector = name_of(domain, "domain"), name_of(selector, "selector")
    octets = new_key(kind, bits)
    file = Path(out or f"{selector}.{domain}.pem")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(octets)
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}", EX_CANTCREAT) from error
    click.echo(record_line(read_signing_key(octets), f"{key_name(selector, domain)}."))
    click.echo(f"{file}: the private key; publish the record above, then put this into the settings:", err=True)
    click.echo(f'\n[[dkim]]\ndomain = "{domain}"\nselector = "{selector}"\nkey = "{file}"', err=True)


@command.command("txt")
@click.argument("keyfile")
@click.option("--name", default="", metavar="SELECTOR._domainkey.DOMAIN", help="Print a whole line of a zone file.")
def txt(keyfile: str, name: str) -> None:
    """Print the TXT record of a private key's public part, in strings as a zone file has them."""
    click.echo(record_line(key_in(keyfile), name))


@command.command("verify")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a message.")
@zone_option
@config_option
def verify(files: tuple[str, ...], as_json: bool, zone: str | None, config: str | None) -> None:
    """Verify the signatures of messages; `-` is stdin. Exits with 0 where each message has one that passes, else 1."""
    import json

    from purport.authentication.dkim.message import verify_message
    from purport.cli.dns import evaluate

    settings = settings_if_any(config)
    code = 0
    for file in files:
        results = evaluate(verify_message(with_crlf(read_input(file)), time.time()), zone, settings)
        if not any(result.result == "pass" for result in results):
            code = NO_PASS
        if as_json:
            click.echo(json.dumps({"file": file, "signatures": [as_object(result) for result in results]}))
        else:
            show(file if len(files) > 1 else "", results)
    raise click.exceptions.Exit(code)


@command.command("sign")
@click.argument("file")
@click.option("--key", metavar="KEYFILE", help="Sign with this key instead of those of the settings.")
@click.option("--domain", metavar="DOMAIN", help="d=, with --key; default: the domain of From.")
@click.option("--selector", metavar="SELECTOR", help="s=, with --key.")
@config_option
def sign(file: str, key: str | None, domain: str | None, selector: str | None, config: str | None) -> None:
    """Print a message with signatures on top, made with the keys that the settings have for the author in From. `-` is
    stdin. Exits with 65 where there is no key for it."""
    from purport.authentication.dkim.body import hash_body
    from purport.authentication.dkim.sign import FORM
    from purport.mail.header import read_header

    octets = read_input(file)
    message = with_crlf(octets)
    header = read_header(message)
    author = author_of(header)
    if key is not None:
        signer = signer_of(key, domain or author.domain, selector)
        author = type(author)(author.local_part, domain or author.domain)
    elif domain or selector:
        raise Failure("--domain and --selector go with --key", EX_USAGE)
    else:
        signer = settings_signer(settings_of(config))
    fields = signer.fields(author, header, hash_body((message[header.length :],), FORM), time.time())
    if not fields:
        raise Failure(f"{file}: there is no key for {author}", EX_DATAERR)
    sys.stdout.buffer.write((fields if b"\r\n" in octets else fields.replace(b"\r\n", b"\n")) + octets)


def new_key(kind: str, bits: int) -> bytes:
    """A private key, as its file has it."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.generate() if kind == "ed25519" else generate_private_key(65537, bits)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def key_in(file: str) -> SigningKey:
    """The private key in a file. Raises Failure."""
    from purport.authentication.dkim.sign import read_signing_key

    try:
        return read_signing_key(read_input(file))
    except ValueError as error:
        raise Failure(f"{file}: {error}", EX_DATAERR) from error


def record_line(key: SigningKey, name: str) -> str:
    """A TXT record; with a name a whole line of a zone file."""
    from purport.authentication.dkim.sign import strings

    parts = [f'"{part}"' for part in strings(key.record)]
    if not name:
        return " ".join(parts)
    return f"{safe(name)} IN TXT " + (parts[0] if len(parts) == 1 else "( " + "\n    ".join(parts) + " )")


def name_of(text: str, what: str) -> str:
    """A domain or selector given as an argument. Raises Failure."""
    from purport.authentication.dkim.signature import Malformed, dns_name

    try:
        return dns_name(text, what)
    except Malformed as error:
        raise Failure(str(error), EX_USAGE) from error


def author_of(header: Header) -> Mailbox:
    """The one author in From. Raises Failure."""
    from purport.mail.fields import single_mailbox

    fields = header.all("from")
    try:
        if len(fields) != 1:
            raise ValueError("there is no From field, or are several")
        return single_mailbox(fields[0].text)
    except ValueError as error:
        raise Failure(f"the message has no author: {error}", EX_DATAERR) from error


def signer_of(key: str, domain: str, selector: str | None) -> Signer:
    """What signs with one key."""
    from purport.authentication.dkim.signer import DomainKey, Signer

    if selector is None:
        raise Failure("--selector is missing", EX_USAGE)
    return Signer([DomainKey(name_of(domain, "domain"), name_of(selector, "selector"), key_in(key))])


def settings_signer(settings: tuple[Path, Settings]) -> Signer:
    """What signs by the settings. Raises Failure."""
    from purport.config.dkim import load_signer
    from purport.config.load import SettingsError

    try:
        return load_signer(*settings)
    except SettingsError as error:
        raise Failure(str(error), EX_CONFIG) from error


def as_object(result: DkimResult) -> dict[str, object]:
    """A result as JSON has it."""
    return {
        "result": result.result,
        "domain": result.domain,
        "selector": result.selector,
        "identity": result.identity,
        "algorithm": result.algorithm,
        "key_bits": result.key_bits,
        "testing": result.testing,
        "problem": result.problem,
        "covered": result.covered,
    }


def show(file: str, results: Sequence[DkimResult]) -> None:
    """Results for people, a line each."""
    if file:
        click.echo(f"{safe(file)}:")
    if not results:
        click.echo("no signature")
    terminal = sys.stdout.isatty()
    for result in results:
        word = click.style(result.result, fg=COLOURS.get(result.result)) if terminal else result.result
        bits = f", {result.key_bits} bits" if result.key_bits else ""
        about = [result.domain or "?", result.selector, f"{result.algorithm}{bits}", result.problem]
        if result.testing:
            about.append("the domain only tries it out (t=y)")
        click.echo(f"{word}: {safe('; '.join(part for part in about if part))}")
