"""TLS to other hosts: what their certificates have to show, by the level of protection that is asked for.

level             the certificate
may, encrypt      is not looked at: whoever answers is the host
verify            has the host's name, and a chain to an authority

What has to be shown beyond that (TLSA records, RFC 7672) is a check on the finished handshake.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from cryptography.x509 import DNSName, ExtensionNotFound, SubjectAlternativeName, load_der_x509_certificate

NOT_CHECKED: Final = "certificate not checked"
VERIFIED: Final = "certificate verified"
NO_SUCH_NAME: Final = "the certificate has none of the names that are asked for"


def nothing_wrong(_tls: ssl.SSLObject) -> str:
    """The check of a handshake that nothing more is asked of."""
    return ""


@final
@dataclass(frozen=True, slots=True)
class Protection:
    """How TLS is begun with one host. `problem` says what is wrong with a finished handshake, and nothing where all is
    well; `told` is what the dialogue says about the certificate."""

    context: ssl.SSLContext
    host: str  # the name that the server is asked for (SNI), and that its certificate must have where it is looked at
    told: str
    problem: Callable[[ssl.SSLObject], str] = nothing_wrong


@final
class ClientContexts:
    """What a client needs to begin TLS: made once, used by every connection."""

    def __init__(self, authorities: Path | None = None) -> None:
        """`authorities`: certificates of those that are believed, PEM; None: the system's. Raises OSError, and
        ssl.SSLError (which is one), where they cannot be read."""
        self._trusting = _context()
        self._trusting.check_hostname = False
        self._trusting.verify_mode = ssl.CERT_NONE
        self._verifying = _context()
        self._naming = _context()
        self._naming.check_hostname = False
        for context in (self._verifying, self._naming):
            if authorities is None:
                context.load_default_certs(ssl.Purpose.SERVER_AUTH)
            else:
                context.load_verify_locations(authorities)

    def trusting(self, host: str, problem: Callable[[ssl.SSLObject], str] = nothing_wrong) -> Protection:
        """Against those who only listen."""
        return Protection(self._trusting, host, NOT_CHECKED, problem)

    def verifying(self, host: str, names: Sequence[str] = ()) -> Protection:
        """Also against those who answer in the host's place (RFC 6125 section 6). `names` stand in for the host's own:
        the certificate must have one of them, or of those below one that begins with a dot."""
        if not names:
            return Protection(self._verifying, host, VERIFIED)
        return Protection(self._naming, host, VERIFIED, lambda tls: "" if has_name(tls, names) else NO_SUCH_NAME)


def has_name(tls: ssl.SSLObject, names: Sequence[str]) -> bool:
    """Whether the certificate of a handshake that was verified has one of these names."""
    octets = tls.getpeercert(binary_form=True)
    if octets is None:
        return False
    try:
        extension = load_der_x509_certificate(octets).extensions.get_extension_for_class(SubjectAlternativeName)
    except (ValueError, ExtensionNotFound):
        return False
    presented = [name.lower() for name in extension.value.get_values_for_type(DNSName)]
    return any(is_presented(name, identifier) for name in names for identifier in presented)


def is_presented(name: str, identifier: str) -> bool:
    """Whether a certificate's identifier, which may begin with `*.`, stands for a name (RFC 6125 section 6.4); for all
    names below it where the name begins with a dot."""
    if name.startswith("."):
        return identifier.endswith(name)
    if identifier.startswith("*."):
        return name.partition(".")[2] == identifier[2:]
    return identifier == name


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    return context
