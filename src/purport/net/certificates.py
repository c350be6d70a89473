"""Certificates: those of the settings, chosen by the name that a client asks for (RFC 6066 section 3).

[[certificate]]
chain = "/etc/letsencrypt/live/mx.company.com.example/fullchain.pem"
key = "/etc/letsencrypt/live/mx.company.com.example/privkey.pem"

The files are looked at again and again: a certificate that was renewed is used by the next connection.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from cryptography import x509

VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}  # RFC 8996 left no others


Stamp = tuple[tuple[int, int, int], ...] | None


class CertificateError(Exception):
    """A certificate or its key cannot be used."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}")
        self.path = path
        self.problem = problem


@final
@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate with the chain to its authority, and its key, both PEM. One file may hold both."""

    chain: Path
    key: Path

    def stamp(self) -> Stamp:
        """What changes with the files; None where one is missing."""
        try:
            found = [path.stat() for path in (self.chain, self.key)]
        except OSError:
            return None
        return tuple((stat.st_ino, stat.st_mtime_ns, stat.st_size) for stat in found)


@final
class Certificates:
    """What a server shows to prove its names. The first certificate is for who asks for no name of the others."""

    def __init__(self, files: Sequence[CertificateFiles], *, min_version: str = "1.2", ciphers: str = "") -> None:
        """Raises CertificateError."""
        self._files = tuple(files)
        self._min_version = min_version
        self._ciphers = ciphers
        self._stamps = [files.stamp() for files in self._files]
        self.context = self._load()

    def refresh(self) -> bool:
        """Load the files anew where they changed; whether they had. Raises CertificateError, once for each change, and
        goes on with what was loaded before."""
        stamps = [files.stamp() for files in self._files]
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        self.context = self._load()
        return True

    def _load(self) -> ssl.SSLContext:
        contexts = [self._context(files) for files in self._files]
        if len(contexts) == 1:
            return contexts[0]
        by_name: dict[str, ssl.SSLContext] = {}
        for files, context in zip(self._files, contexts, strict=True):
            for name in names_of(files.chain):
                by_name.setdefault(name, context)

        def choose(connection: ssl.SSLObject, name: str | None, _default: ssl.SSLContext) -> None:
            asked = (name or "").lower().rstrip(".")
            found = by_name.get(asked) or by_name.get(f"*.{asked.partition('.')[2]}")
            if found is not None:
                connection.context = found

        contexts[0].sni_callback = choose
        return contexts[0]

    def _context(self, files: CertificateFiles) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = VERSIONS[self._min_version]
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        if self._ciphers:
            context.set_ciphers(self._ciphers)
        try:
            context.load_cert_chain(files.chain, files.key, password=_no_password)
        except OSError as error:  # ssl.SSLError is one
            raise CertificateError(*_blamed(files, error)) from error
        return context


def names_of(chain: Path) -> list[str]:
    """The host names of the first certificate of a file, in lower case. Raises CertificateError."""
    from cryptography import x509  # a tenth of a second, and most have one certificate

    try:
        found = certificate_of(chain).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return [name.lower() for name in found.value.get_values_for_type(x509.DNSName)]
    except x509.ExtensionNotFound:
        return []
    except ValueError as error:
        raise CertificateError(chain, "is no certificate") from error


def expiry_of(chain: Path) -> float:
    """When the first certificate of a file expires, in seconds since 1970. Raises CertificateError."""
    return certificate_of(chain).not_valid_after_utc.timestamp()


def certificate_of(chain: Path) -> x509.Certificate:
    """The first certificate of a file. Raises CertificateError."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(chain.read_bytes())
    except OSError as error:
        raise CertificateError(chain, error.strerror or str(error)) from error
    except ValueError as error:
        raise CertificateError(chain, "is no certificate") from error


def _no_password() -> str:
    """A key that is encrypted cannot be used: nobody is there to be asked."""
    return ""


def _blamed(files: CertificateFiles, error: OSError) -> tuple[Path, str]:
    """Which of the files is wrong, and how."""
    if not isinstance(error, ssl.SSLError):
        missing = files.chain if not files.chain.exists() else files.key
        return missing, error.strerror or str(error)
    if error.reason == "KEY_VALUES_MISMATCH":
        return files.key, "is not the key of the certificate"
    try:
        certificate_of(files.chain)
    except CertificateError as wrong:
        return wrong.path, wrong.problem
    return files.key, "is no key without a password"
