"""Whether a handshake proves what the TLSA records of a host say (RFC 6698 section 2.1, RFC 7671 section 5).

3 1 1 0d6f...   DANE-EE: the server's certificate has this key; neither its names nor its dates are looked at
2 0 1 e3b0...   DANE-TA: the chain that came with it leads to this authority, and it has one of the names

`ssl` gives the chain as it came from Python 3.13 on; before that its inner object has it. Where neither does, records
of the usage DANE-TA are not usable (`USAGES`), and those of DANE-EE still are.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import BasicConstraints, Certificate, load_der_x509_certificate
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from purport.dns.tlsa import CERTIFICATE, DANE_EE, DANE_TA, SHA_256, SHA_512, WHOLE, Tlsa
from purport.net.client_tls import UNREADABLE, Flaw, is_presented, names_of

CHAIN: Final = 10  # certificates of a chain that are looked at: nobody has more, and each may cost a signature's check
TA_RECORDS: Final = 10  # certificates that records hold whole, the same way

NO_MATCH: Final = Flaw("validation-failure", "the certificate matches none of the TLSA records")
NO_AUTHORITY: Final = Flaw("certificate-not-trusted", "no authority of the TLSA records is in the chain")
NO_NAME: Final = Flaw("certificate-host-mismatch", "the certificate has none of the names that DANE asks for")
CANNOT_BE_READ: Final = Flaw("validation-failure", "a certificate of the chain cannot be read")
NO_CHAIN: Final = "the chain does not lead to the authority of the TLSA records"

# What is asked of a certificate by itself: RFC 7671 section 5.2 asks for what RFC 5280 does, not for what browsers do.
AUTHORITY: Final = ExtensionPolicy.permit_all().require_present(BasicConstraints, Criticality.AGNOSTIC, None)
SERVER: Final = ExtensionPolicy.permit_all()

_INNER_CHAIN: Final = hasattr(ssl, "_ssl") and hasattr(ssl._ssl._SSLSocket, "get_unverified_chain")
USAGES: Final = (DANE_TA, DANE_EE) if hasattr(ssl.SSLObject, "get_unverified_chain") or _INNER_CHAIN else (DANE_EE,)


def dane_flaw(tls: ssl.SSLObject, records: Sequence[Tlsa], names: Sequence[str], now: float) -> Flaw | None:
    """What is wrong with a finished handshake; None where one of the records is met. `names` are those of which the
    certificate must have one where a record names an authority (RFC 7672 section 3.2.2); `now`: seconds since 1970."""
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return NO_MATCH
    if any(record.usage == DANE_EE and matches(record, leaf) for record in records):
        return None
    authorities = [record for record in records if record.usage == DANE_TA]
    if not authorities:
        return NO_MATCH
    return chain_flaw(chain_of(tls)[:CHAIN] or [leaf], authorities, names, now)


def chain_flaw(chain: Sequence[bytes], records: Sequence[Tlsa], names: Sequence[str], now: float) -> Flaw | None:
    """What is wrong with a chain, the server's certificate first, by records that name authorities."""
    above = chain[1:]
    anchors = [octets for octets in above if any(matches(record, octets) for record in records)]
    # RFC 7671 section 5.2.2: what a record holds whole need not come again.
    whole = [one.association for one in records if (one.selector, one.matching) == (CERTIFICATE, WHOLE)]
    anchors += whole[:TA_RECORDS]
    try:
        leaf = load_der_x509_certificate(chain[0])
        found = [load_der_x509_certificate(octets) for octets in anchors]
        between = [load_der_x509_certificate(octets) for octets in above]
    except UNREADABLE:
        return CANNOT_BE_READ
    if not found:
        return NO_AUTHORITY
    policy = PolicyBuilder().store(Store(found)).time(datetime.fromtimestamp(now, UTC).replace(tzinfo=None))
    verifier = policy.extension_policies(ca_policy=AUTHORITY, ee_policy=SERVER).build_client_verifier()
    try:
        verifier.verify(leaf, between)
    except VerificationError:
        if not_valid_at(leaf, now):
            return Flaw("certificate-expired", "the certificate is not valid at this time")
        return Flaw("certificate-not-trusted", NO_CHAIN)
    except UNREADABLE:
        return CANNOT_BE_READ
    try:
        presented = names_of(leaf, common_name=True)
    except UNREADABLE:
        return CANNOT_BE_READ
    return None if any(is_presented(name, one) for name in names for one in presented) else NO_NAME


def matches(record: Tlsa, certificate: bytes) -> bool:
    """Whether a record means this certificate, which is DER."""
    octets = certificate
    if record.selector != CERTIFICATE:
        try:
            key = load_der_x509_certificate(certificate).public_key()
            octets = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (UnsupportedAlgorithm, *UNREADABLE):
            return False
    if record.matching == WHOLE:
        return octets == record.association
    digest = {SHA_256: hashlib.sha256, SHA_512: hashlib.sha512}[record.matching]
    return digest(octets).digest() == record.association


def chain_of(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that the server sent, its own first; nothing where they cannot be had."""
    ask: Any = getattr(tls, "get_unverified_chain", None)
    if ask is not None:
        return list(ask())
    with suppress(AttributeError):
        return [one.public_bytes(ssl._ssl.ENCODING_DER) for one in tls._sslobj.get_unverified_chain()]  # type: ignore[attr-defined]
    return []


def not_valid_at(certificate: Certificate, now: float) -> bool:
    """Whether a certificate has not begun, or has ended."""
    moment = datetime.fromtimestamp(now, UTC)
    return not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
