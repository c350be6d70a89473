"""TLS to other hosts: what their certificates have to show, by the level of protection that is asked for.

level             the certificate
may, encrypt      is not looked at: whoever answers is the host
verify            has the host's name, and a chain to an authority
dane              is what TLSA records say (`dane.py`): a check on the finished handshake
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

from cryptography.x509 import (
    Certificate,
    DNSName,
    DuplicateExtension,
    ExtensionNotFound,
    InvalidVersion,
    NameOID,
    SubjectAlternativeName,
    UnsupportedGeneralNameType,
    load_der_x509_certificate,
)

from purport.net.tls import problem_of

NOT_CHECKED: Final = "certificate not checked"
VERIFIED: Final = "certificate verified"

# What reading a certificate raises that somebody put together by hand: OpenSSL takes many of them in a handshake.
UNREADABLE: Final = (ValueError, TypeError, InvalidVersion, DuplicateExtension, UnsupportedGeneralNameType)

# RFC 5280 as OpenSSL's verify(1) numbers it, and what RFC 8460 section 4.3 calls it.
EXPIRED: Final = frozenset((9, 10))  # not yet valid, no longer valid
NOT_TRUSTED: Final = frozenset((2, 18, 19, 20, 21, 24, 27))  # no issuer, self-signed, no authority that is believed
OTHER_NAME: Final = frozenset((62, 64))  # host name or IP address


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong with a handshake: the result type of RFC 8460 section 4.3, and in words."""

    result: str
    text: str


NO_SUCH_NAME: Final = Flaw("certificate-host-mismatch", "the certificate has none of the names that are asked for")


def flaw_of(error: BaseException) -> Flaw:
    """What the failure of a handshake comes to."""
    result = "validation-failure"
    if isinstance(error, ssl.SSLCertVerificationError):
        code = error.verify_code
        if code in EXPIRED:
            result = "certificate-expired"
        elif code in OTHER_NAME:
            result = "certificate-host-mismatch"
        elif code in NOT_TRUSTED:
            result = "certificate-not-trusted"
    return Flaw(result, problem_of(error))


def nothing_wrong(_tls: ssl.SSLObject) -> Flaw | None:
    """The check of a handshake that nothing more is asked of."""
    return None


Check = Callable[[ssl.SSLObject], Flaw | None]


@final
@dataclass(frozen=True, slots=True)
class Protection:
    """How TLS is begun with one host. `check` says what is wrong with a finished handshake, before anything is said
    under its protection; `told` is what the dialogue says about the certificate."""

    context: ssl.SSLContext
    host: str  # the name that the server is asked for (SNI), and that its certificate must have where it is looked at
    told: str
    check: Check = nothing_wrong


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

    def trusting(self, host: str, check: Check = nothing_wrong, told: str = NOT_CHECKED) -> Protection:
        """Against those who only listen, and all whom `check` finds out."""
        return Protection(self._trusting, host, told, check)

    def verifying(self, host: str, names: Sequence[str] = ()) -> Protection:
        """Also against those who answer in the host's place (RFC 6125 section 6). `names` stand in for the host's own:
        the certificate must have one of them, or of those below one that begins with a dot."""
        if not names:
            return Protection(self._verifying, host, VERIFIED)
        return Protection(self._naming, host, VERIFIED, lambda tls: None if has_name(tls, names) else NO_SUCH_NAME)


def has_name(tls: ssl.SSLObject, names: Sequence[str]) -> bool:
    """Whether the certificate of a handshake that was verified has one of these names."""
    octets = tls.getpeercert(binary_form=True)
    if octets is None:
        return False
    try:
        presented = names_of(load_der_x509_certificate(octets))
    except UNREADABLE:
        return False
    return any(is_presented(name, identifier) for name in names for identifier in presented)


def names_of(certificate: Certificate, *, common_name: bool = False) -> list[str]:
    """The names that a certificate presents, in lower case; where it presents none, `common_name`: that of its subject
    (RFC 7672 section 3.2.3)."""
    try:
        extension = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
        presented = [name.lower() for name in extension.value.get_values_for_type(DNSName)]
    except (ExtensionNotFound, *UNREADABLE):
        presented = []
    if presented or not common_name:
        return presented
    return [str(name.value).lower() for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


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
