"""What becomes of signatures (RFC 6376 section 6.1)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.result import DkimResult
from purport.authentication.dkim.sign import SigningKey
from purport.authentication.dkim.signature import signatures
from purport.authentication.dkim.verify import DkimPolicy, verify
from purport.dns.lookup import UNANSWERED, Question
from purport.mail.header import read_header
from support.dkim_keys import MESSAGE, NOW, ed25519_key, rsa_key, signed, zone
from support.dkim_suites import check

ED = ed25519_key()
ZONE = zone(ED)
HEAD, _, BODY = MESSAGE.partition(b"\r\n\r\n")


def by_hand(tags: str, key: SigningKey = ED, body: bytes = BODY, head: bytes = HEAD) -> bytes:
    """A message with a signature whose tags a signer of ours would never write: `bh` and `b` are put behind them."""
    probe = read_header(f"DKIM-Signature: {tags}; bh={base64.b64encode(bytes(32)).decode()}; b=AA\r\n\r\n".encode())
    [signature] = signatures(probe)
    assert signature.result is None, signature.problem
    digest = hash_body([body], signature.form)[signature.form].digest
    unsigned = f"DKIM-Signature: {tags}; bh={base64.b64encode(digest).decode()}; b=".encode()
    header = read_header(head + b"\r\n\r\n")
    octets = SignedFields(header).octets(signature.signed, relaxed=signature.relaxed, signature=unsigned)
    return unsigned + base64.b64encode(key.sign(octets)) + b"\r\n" + head + b"\r\n\r\n" + body


TAGS = "v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.com; s=s1; h=from:to:subject"


def only(results: list[DkimResult]) -> DkimResult:
    [result] = results
    return result


def verified(octets: bytes, **options: object) -> DkimResult:
    return only(check(octets, ZONE, **options))


def test_a_pass_says_who_and_what() -> None:
    result = verified(signed())
    assert result == DkimResult(
        "pass",
        "example.com",
        "s1",
        "@example.com",
        "ed25519-sha256",
        256,
        covered=result.covered,
        b=result.b,
    )
    assert result.covered.count("from") == 2
    assert len(result.b) == 8


def test_all_keys_are_asked_for_at_once_and_each_once() -> None:
    octets = signed(signed(signed(selector="s2")), domain="other.example")
    header = read_header(octets)
    found = signatures(header)
    evaluation = verify(found, header, hash_body([BODY], found[0].form), NOW)
    assert next(evaluation) == (
        Question("s1._domainkey.other.example", "TXT"),
        Question("s1._domainkey.example.com", "TXT"),
        Question("s2._domainkey.example.com", "TXT"),
    )
    with pytest.raises(StopIteration) as stop:
        evaluation.send((UNANSWERED,) * 3)
    assert [result.result for result in stop.value.value] == ["temperror"] * 3


def test_nothing_is_asked_where_no_signature_can_be_used() -> None:
    header = read_header(b"DKIM-Signature: v=1; d=attack.com\0; s=a\r\nFrom: a@b.example\r\n\r\n")
    with pytest.raises(StopIteration) as stop:
        next(verify(signatures(header), header, {}, NOW))
    [result] = stop.value.value
    assert (result.result, result.domain) == ("permerror", "")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        (b"Hi,  bob.", b"Hi,  Bob.", "body was changed"),
        (b"Dinner", b"Lunch", "header was changed"),
        (b"Subject: Dinner\r\n", b"", "header was changed"),
        (b"; d=example.com", b"; d=Example.com", "header was changed"),
        (b"To: bob", b"Cc: carol@example.net\r\nTo: bob", "header was changed"),
    ],
)
def test_changes_are_seen(old: bytes, new: bytes, problem: str) -> None:
    octets = signed()
    assert octets.count(old) == 1
    result = verified(octets.replace(old, new))
    assert result.result == "fail"
    assert problem in result.problem


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Hi,  bob.\r\n\r\n", b"Hi, bob. \r\n"),
        (b"Subject: Dinner", b"SUBJECT:\r\n  Dinner  "),
        (b"From: Alice <alice", b"From: Alice\t<alice"),
        (b"DKIM-Signature: v=1", b"Received: by mx.example.net\r\nDKIM-Signature: v=1"),
        (b"DKIM-Signature: v=1", b"dkim-signature:   v=1"),
    ],
)
def test_what_relaxed_forms_let_pass(old: bytes, new: bytes) -> None:
    octets = signed()
    assert old in octets
    assert verified(octets.replace(old, new)).result == "pass"


# A15, A18: what is signed is counted from below, and what a reader is shown may be another field
@pytest.mark.parametrize(
    ("added", "problem"),
    [
        (b"From: ceo@bank.example\r\n", "From stands there 2 times, and 1 of them signed"),
        (b"from : ceo@bank.example\r\n", "From stands there 2 times, and 1 of them signed"),
        (b"Subject: Wire the money\r\n", "Subject stands there 2 times, and 1 of them signed"),
        (b"To: victim@example.net\r\n", "To stands there 2 times, and 1 of them signed"),
    ],
)
def test_a15_a18_a_field_above_the_signed_one_is_no_pass(added: bytes, problem: str) -> None:
    octets = by_hand(TAGS)
    assert verified(octets).result == "pass"
    result = verified(added + octets)
    assert (result.result, result.problem) == ("policy", problem)
    below = verified(octets.replace(b"\r\n\r\nHi", b"\r\n" + added.strip() + b"\r\n\r\nHi"))
    assert below.result == "fail"


# A14: oversigned, a field cannot even be added
@pytest.mark.parametrize("name", ["From", "Subject", "To", "Cc", "Reply-To", "Content-Type", "MIME-Version", "Date"])
def test_a14_a_field_added_to_what_we_signed_breaks_the_signature(name: str) -> None:
    octets = signed()
    assert verified(f"{name}: added\r\n".encode() + octets).result == "fail"


@pytest.mark.parametrize("name", ["Sender", "Received", "List-Id", "Resent-From", "X-Added", "Comments"])
def test_what_servers_add_breaks_nothing(name: str) -> None:
    assert verified(f"{name}: added@example.net\r\n".encode() + signed()).result == "pass"


# A16, S23: l= is good for what it covers, which has to be all there is
def test_a16_what_is_appended_behind_l_is_no_pass() -> None:
    octets = by_hand(f"{TAGS}; l=10")
    assert verified(octets).result == "pass"  # b"Hi, bob.\r\n", all of it
    result = verified(octets + b"<h1>Pay here</h1>\r\n")
    assert result.result == "policy"
    assert result.problem == "l= leaves 21 octets of the body unsigned"
    assert verified(octets, policy=DkimPolicy(body_length="never")).result == "policy"
    assert verified(octets.replace(b"Hi", b"Ho")).result == "fail"


def test_a16_a_signature_of_no_octet_of_the_body() -> None:
    result = verified(by_hand(f"{TAGS}; l=0"))
    assert result.result == "policy"


def test_l_beyond_the_end_of_the_body() -> None:
    result = verified(by_hand(f"{TAGS}; l=1000"))
    assert (result.result, result.problem) == ("fail", "the body is shorter than what was signed (l=)")


@pytest.mark.parametrize(
    ("tags", "now", "result"),
    [
        (f"t={NOW:.0f}", NOW, "pass"),
        (f"t={NOW + 200:.0f}", NOW, "pass"),  # clocks differ
        (f"t={NOW + 400:.0f}", NOW, "policy"),
        (f"x={NOW:.0f}", NOW + 200, "pass"),
        (f"x={NOW:.0f}", NOW + 400, "permerror"),
        (f"t=1; x={NOW:.0f}", NOW - 1, "pass"),
        ("x=" + "9" * 30, NOW, "pass"),
    ],
)
def test_times(tags: str, now: float, result: str) -> None:
    assert verified(by_hand(f"{TAGS}; {tags}"), now=now).result == result


def test_a_body_that_is_not_relaxed() -> None:
    octets = by_hand(TAGS.replace("relaxed/relaxed", "simple/simple"))
    assert verified(octets).result == "pass"
    assert verified(octets.replace(b"Hi,  bob", b"Hi, bob")).problem == "the body was changed"
    assert verified(octets.replace(b"Subject: D", b"Subject:  D")).result == "fail"


# RFC 6376 section 3.6.1: t=y and t=s
def test_flags_of_the_key() -> None:
    assert only(check(signed(), zone(ED, t="y"))).testing
    strict = zone(ED, t="s")
    assert only(check(by_hand(f"{TAGS}; i=alice@example.com"), strict)).result == "pass"
    result = only(check(by_hand(f"{TAGS}; i=alice@eng.example.com"), strict))
    assert result.result == "permerror"
    assert "t=s" in result.problem


# RFC 8301 section 3.2
def test_short_keys() -> None:
    key = rsa_key(1024)
    tags = TAGS.replace("ed25519", "rsa")
    assert only(check(by_hand(tags, key), zone(key))).key_bits == 1024


def test_a_key_of_another_type_than_the_signature() -> None:
    result = only(check(signed(), zone(rsa_key())))
    assert (result.result, result.problem) == ("permerror", "the key is not of the type ed25519")


# RFC 6376 section 3.6.2.2 leaves several records open: whichever made it
def test_several_keys_in_one_answer() -> None:
    other = rsa_key().record
    name = "s1._domainkey.example.com"
    octets = signed(key=rsa_key(1024))
    records = [{"TXT": other}, {"TXT": ED.record}, {"TXT": rsa_key(1024).record}]
    result = only(check(octets, {name: records}))
    assert (result.result, result.key_bits) == ("pass", 1024)


def test_a_header_that_is_too_long_is_not_trusted() -> None:
    octets = signed(b"X: y\r\n" * 2100 + MESSAGE)
    assert verified(octets).result != "pass"


def test_problems_are_one_printable_line() -> None:
    octets = b"DKIM-Signature: v=1; a=\x1b]0;d=\xe2\x80\xae.example; s=" + b"x" * 5000 + b"\r\n" + MESSAGE
    result = verified(octets)
    assert result.result == "permerror"
    assert result.problem.isascii()
    assert result.problem.isprintable()
    assert len(result.problem) <= 200


@given(data=st.data())
def test_no_changed_octet_of_what_is_signed_passes(data: st.DataObject) -> None:
    octets = signed()
    end = octets.index(b"From: Alice")
    at = data.draw(st.integers(end, len(octets) - 5))
    changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
    assert verified(changed).result != "pass"
