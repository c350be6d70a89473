"""Sealing (RFC 8617 section 5.1)."""

from __future__ import annotations

import pytest
from dkim import CV_Fail, CV_None, CV_Pass, arc_verify

from purport.authentication.arc.seal import names_to_sign, seal
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM, SigningKey
from purport.dns.lookup import Answer, Question, Status
from purport.mail.header import read_header
from support.arc_chains import DMARC_PASS, MESSAGE, NOW, answers_for, key_of, sealed, validated
from support.dkim_keys import rsa_key

A, B = "a.example", "b.example"


def with_key(octets: bytes, key: SigningKey, answers: dict[Question, Answer]) -> bytes:
    header = read_header(octets)
    body_hash = hash_body([octets[header.length :]], FORM)[FORM].digest
    said = AuthenticationResults("mx.a.example", (DMARC_PASS,))
    chain = validated(octets, answers)
    return seal(header, body_hash, said, chain, key, domain=A, selector="s1", now=NOW) + octets


def rsa_answers() -> dict[Question, Answer]:
    return {Question("s1._domainkey.a.example", "TXT"): Answer(Status.FOUND, (rsa_key().record,))}


def dkimpy_says(octets: bytes) -> bytes:
    return arc_verify(octets, dnsfunc=lambda name, timeout=5: rsa_key().record.encode())[0]


def test_dkimpy_validates_what_we_seal() -> None:
    octets = MESSAGE
    for _ in range(3):
        octets = with_key(octets, rsa_key(), rsa_answers())
        assert dkimpy_says(octets) == CV_Pass
    assert dkimpy_says(octets.replace(b"Dinner", b"Lunch")) == CV_Fail
    assert dkimpy_says(MESSAGE) == CV_None


def test_a_set_is_three_fields_in_lines_of_bounded_length() -> None:
    octets = with_key(MESSAGE, rsa_key(), {})
    fields = read_header(octets).fields[:3]
    assert [field.name for field in fields] == ["arc-seal", "arc-message-signature", "arc-authentication-results"]
    assert all(field.text.startswith("i=1;") for field in fields)
    assert all(len(line) <= 78 for field in fields for line in field.raw.split(b"\r\n"))


def test_a_chain_that_failed_is_marked_and_the_mark_stands_alone() -> None:
    broken = sealed(MESSAGE, A).replace(b"Dinner", b"Lunch")
    marked = sealed(broken, B, answers=answers_for(A))
    top = read_header(marked).fields[0]
    assert "cv=fail" in top.text
    assert top.text.startswith("i=2;")
    result = validated(marked, answers_for(A, B))
    assert (result.result, result.instance) == ("fail", 2)
    assert sealed(marked, A) == marked  # nobody seals again (RFC 8617 section 5.1 step 2)


def test_a_chain_without_any_instance_is_marked_by_a_first_set() -> None:
    broken = b"ARC-Seal: i=; a=rsa-sha256; cv=none; d=x.example; s=s; b=MTIz\r\n" + MESSAGE
    top = read_header(sealed(broken, B)).fields[0]
    assert "cv=fail" in top.text
    assert top.text.startswith("i=1;")


def test_what_others_take_out_is_not_signed() -> None:
    signed = b"DKIM-Signature: v=1; d=example.com\r\nAuthentication-Results: x.example; none\r\n" + sealed(MESSAGE, A)
    names = names_to_sign(read_header(signed))
    assert "DKIM-Signature" in names
    assert names.count("From") == 2
    assert not {"authentication-results", "arc-seal"} & {name.lower() for name in names}
    for wrong in (["From", "ARC-Seal"], ["From", "authentication-RESULTS"], ["Subject"], []):
        with pytest.raises(ValueError, match="signed"):
            seal(
                read_header(MESSAGE),
                b"",
                AuthenticationResults("x"),
                validated(MESSAGE, {}),
                key_of(A),
                domain=A,
                selector="s1",
                now=NOW,
                names=wrong,
            )


@pytest.mark.parametrize("text", ["x; dkim=pass", "x\r\nARC-Seal: i=9", "x) ; arc=pass", "é\0"])
def test_a5_s6_what_came_from_others_breaks_out_of_no_field_of_a_set(text: str) -> None:
    octets = sealed(MESSAGE, A, MethodResult("spf", "fail", text, (("smtp", "mailfrom", text),), text))
    result = validated(octets, answers_for(A))
    assert result.result == "pass"
    said = result.hops[0].said
    assert said is not None
    assert [(one.method, one.result) for one in said.results] == [("spf", "fail"), ("arc", "none")]


def test_an_internationalized_message_keeps_its_names() -> None:
    header = read_header(MESSAGE)
    said = AuthenticationResults("bücher.example", (DMARC_PASS,))
    octets = seal(header, b"", said, validated(MESSAGE, {}), key_of(A), domain=A, selector="s1", now=NOW, utf8=True)
    assert "bücher.example;".encode() in octets
