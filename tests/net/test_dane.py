"""Whether a chain of certificates proves what TLSA records say (RFC 6698 section 2.1, RFC 7671 section 5)."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.dns.tlsa import Tlsa, usable
from purport.net.dane import NO_AUTHORITY, NO_NAME, USAGES, chain_flaw, matches
from support.certificates import Authority, chain_in, tlsa

NAMES = ("mx.example.com", "example.com")
NOW = time.time()


def records(*texts: str) -> list[Tlsa]:
    found = usable(texts)
    assert len(found) == len(texts)
    return found


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def chain(authority: Authority) -> list[bytes]:
    """Server, authority in between, authority."""
    return chain_in(authority.add_itself(authority.issue_below("mx.example.com", file="below.pem")))


@pytest.mark.parametrize("selector", [0, 1])
@pytest.mark.parametrize("matching", [0, 1, 2])
def test_every_selector_and_matching_type_means_the_certificate_it_was_made_of(
    chain: list[bytes], selector: int, matching: int
) -> None:
    (record,) = records(tlsa(chain[0], 3, selector, matching))
    assert matches(record, chain[0])
    assert not matches(record, chain[1])


@given(st.binary(max_size=200))
def test_what_is_no_certificate_matches_no_key_and_raises_nothing(octets: bytes) -> None:
    assert not matches(Tlsa(3, 1, 1, bytes(32)), octets)
    assert not matches(Tlsa(3, 0, 0, b"\0" * 201), octets)


@pytest.mark.parametrize("place", [1, 2])
@pytest.mark.parametrize("selector", [0, 1])
def test_an_authority_of_the_chain_that_a_record_names_is_believed(
    chain: list[bytes], place: int, selector: int
) -> None:
    """Also one in the middle: what stands above it does not matter."""
    record = records(tlsa(chain[place], 2, selector))
    assert chain_flaw(chain, record, NAMES, NOW) is None
    assert chain_flaw(chain[: place + 1], record, NAMES, NOW) is None


def test_an_authority_that_a_record_holds_whole_need_not_come_with_the_chain(chain: list[bytes]) -> None:
    assert chain_flaw(chain[:2], records(tlsa(chain[2], 2, 0, 0)), NAMES, NOW) is None
    assert chain_flaw(chain[:2], records(tlsa(chain[2], 2, 0, 1)), NAMES, NOW) == NO_AUTHORITY


def test_the_name_is_that_of_the_host_or_of_the_domain(authority: Authority) -> None:
    record = records(tlsa(authority.certificate, 2, 0))
    for name, flaw in (("mx.example.com", None), ("example.com", None), ("*.example.com", None), ("a.test", NO_NAME)):
        chain = chain_in(authority.add_itself(authority.issue(name, file="named.pem")))
        assert chain_flaw(chain, record, NAMES, NOW) == flaw, name


def test_a_certificate_whose_time_is_over_proves_nothing_by_its_authority(authority: Authority) -> None:
    chain = chain_in(authority.add_itself(authority.issue("mx.example.com", expired=True, file="old.pem")))
    flaw = chain_flaw(chain, records(tlsa(authority.certificate, 2, 0)), NAMES, NOW)
    assert flaw is not None
    assert flaw.result == "certificate-expired"


def test_another_certificate_with_the_authoritys_name_is_not_the_authority(
    authority: Authority, tmp_path: Path, chain: list[bytes]
) -> None:
    """Who answers in the host's place can put the true authority beside a certificate that it never signed."""
    other = Authority(tmp_path)
    forged = [*chain_in(other.issue("mx.example.com")), other.certificate, authority.certificate]
    flaw = chain_flaw(forged, records(tlsa(authority.certificate, 2, 0)), NAMES, NOW)
    assert flaw is not None
    assert flaw.result == "certificate-not-trusted"


def test_the_servers_own_certificate_is_no_authority(chain: list[bytes]) -> None:
    """With usage DANE-TA the record is about what issued it (RFC 7671 section 5.2)."""
    assert chain_flaw(chain, records(tlsa(chain[0], 2, 1)), NAMES, NOW) == NO_AUTHORITY


def test_a_server_certificate_cannot_issue_others(authority: Authority, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

    path = authority.issue("mx.example.com", file="issuer.pem")
    key = load_pem_private_key(path.read_bytes(), None)
    issuer = x509.load_pem_x509_certificates(path.read_bytes())[0]
    now = datetime.datetime.now(datetime.UTC)
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.example.com")]), critical=True)
        .sign(key, hashes.SHA256())  # type: ignore[arg-type]
        .public_bytes(Encoding.DER)
    )
    chain = [forged, issuer.public_bytes(Encoding.DER), authority.certificate]
    flaw = chain_flaw(chain, records(tlsa(authority.certificate, 2, 0)), NAMES, NOW)
    assert flaw is not None
    assert flaw.result == "certificate-not-trusted"


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=4))
def test_a_chain_of_garbage_is_a_flaw_and_no_error(chain: list[bytes]) -> None:
    assert chain_flaw(chain, [Tlsa(2, 0, 0, b"garbage")], NAMES, NOW) is not None


def test_this_python_shows_the_chain() -> None:
    assert USAGES == (2, 3)


def test_a_certificate_of_an_unknown_version_proves_nothing_and_raises_nothing(chain: list[bytes]) -> None:
    """OpenSSL takes it for one in a handshake in which nothing is asked of it."""
    odd = chain[0].replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x07", 1)
    assert odd != chain[0]
    assert not matches(records(tlsa(chain[0], 3, 1))[0], odd)
    flaw = chain_flaw([odd, *chain[1:]], records(tlsa(chain[2], 2, 0)), NAMES, NOW)
    assert flaw is not None
    assert flaw.result == "validation-failure"
