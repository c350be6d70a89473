"""Certificates for a test: an authority of its own, and files as the settings name them."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate, load_pem_x509_certificates


class Authority:
    """Writes certificates into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca = trustme.CA()
        self.bundle = folder / "authority.pem"
        self.ca.cert_pem.write_to_path(str(self.bundle))

    def issue(self, *names: str, file: str = "server.pem", expired: bool = False, common: str | None = None) -> Path:
        """One file with key and chain for these names, put in place at once. `common`: the name that old clients want
        to see in the subject too."""
        until = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1) if expired else None
        issued = self.ca.issue_cert(*names, not_after=until, common_name=common)
        return self._write(issued, file)

    def issue_below(self, *names: str, file: str = "server.pem") -> Path:
        """The same, issued by an authority below this one: the chain is one longer."""
        return self._write(self.ca.create_child_ca().issue_cert(*names), file)

    @property
    def certificate(self) -> bytes:
        """The authority's own, DER."""
        return ssl.PEM_cert_to_DER_cert(self.ca.cert_pem.bytes().decode("ascii"))

    def add_itself(self, path: Path) -> Path:
        """Put the authority's certificate at the end of a chain, as DANE-TA wants it (RFC 7672 section 3.1.2)."""
        path.write_bytes(path.read_bytes() + self.ca.cert_pem.bytes())
        return path

    def _write(self, issued: trustme.LeafCert, file: str) -> Path:
        path = self.folder / file
        fresh = self.folder / f"{file}.new"
        issued.private_key_and_cert_chain_pem.write_to_path(str(fresh))
        fresh.rename(path)
        return path


def shows(certificate: Path) -> ssl.SSLContext:
    """What a server does that has this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def chain_in(path: Path) -> list[bytes]:
    """The certificates of a file, DER, the server's own first."""
    return [certificate.public_bytes(Encoding.DER) for certificate in load_pem_x509_certificates(path.read_bytes())]


def tlsa(certificate: bytes, usage: int = 3, selector: int = 1, matching: int = 1) -> str:
    """The TLSA record of a certificate (DER), as a zone has it."""
    octets = certificate
    if selector:
        key = load_der_x509_certificate(certificate).public_key()
        octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    digest = {0: lambda whole: whole, 1: lambda whole: hashlib.sha256(whole).digest(), 2: sha_512}[matching]
    return f"{usage} {selector} {matching} {digest(octets).hex()}"


def sha_512(octets: bytes) -> bytes:
    return hashlib.sha512(octets).digest()
