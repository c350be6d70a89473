"""Who signs for whom. How keys are found is tested with the settings that name them (tests/config/test_dkim.py)."""

from __future__ import annotations

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM
from purport.authentication.dkim.signature import signatures
from purport.authentication.dkim.signer import NO_SIGNER, DomainKey, Signer, SigningTable
from purport.mail.address import Mailbox
from purport.mail.header import read_header
from support.dkim_keys import MESSAGE, NOW, ed25519_key, rsa_key, signed, zone
from support.dkim_suites import check

ALICE = Mailbox("alice", "example.com")
HEADER = read_header(MESSAGE)
HASHES = hash_body([MESSAGE[HEADER.length :]], FORM)
KEY = DomainKey("example.com", "s1", ed25519_key())


def test_each_key_makes_a_signature_that_verifies() -> None:
    signer = Signer([KEY, DomainKey("example.com", "r1", rsa_key())], lifetime=60)
    octets = signer.fields(ALICE, HEADER, HASHES, NOW) + MESSAGE
    records = zone(ed25519_key()) | zone(rsa_key(), "r1")
    assert [result.result for result in check(octets, records)] == ["pass", "pass"]
    assert [result.result for result in check(octets, records, NOW + 1000)] == ["permerror"] * 2


def test_nothing_is_signed_without_a_key_or_a_hash() -> None:
    assert NO_SIGNER.fields(ALICE, HEADER, HASHES, NOW) == b""
    assert Signer([KEY]).fields(ALICE, HEADER, {}, NOW) == b""
    assert Signer([KEY]).fields(Mailbox("a", "[192.0.2.1]"), HEADER, HASHES, NOW) == b""


def test_a_signature_is_made_again_by_the_key_that_made_it() -> None:
    table = SigningTable((), {"any": DomainKey("%", "t1", rsa_key())})
    signer = Signer([DomainKey("example.com", "other", rsa_key()), KEY], table)
    for made, record in (
        (signed(identity="a@eu.example.com"), zone(ed25519_key())),
        (signed(key=rsa_key(), selector="t1"), zone(rsa_key(), "t1")),
    ):
        [old] = signatures(read_header(made))
        changed = MESSAGE + b"more\r\n"
        again = signer.again(old, HEADER, hash_body([changed[HEADER.length :]], FORM), NOW)
        [result] = check(again + changed, record)
        assert (result.result, result.identity) == ("pass", old.identity)
    [gone] = signatures(read_header(signed(selector="gone")))
    assert signer.again(gone, HEADER, HASHES, NOW) == b""
