"""The conformance suites of ARC."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from purport.authentication.arc.chain import sealed_octets
from purport.authentication.arc.seal import seal
from purport.authentication.arc.sets import highest_instance
from purport.authentication.authres.reader import read
from purport.authentication.authres.results import AuthenticationResults
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.canonical import SignedFields
from purport.authentication.dkim.key import keys_of
from purport.authentication.dkim.sign import FORM, read_signing_key
from purport.authentication.dkim.signature import read_seal, read_signature
from purport.authentication.dkim.tags import read_tags, words
from purport.dns.lookup import Answer, Question, Status
from purport.mail.header import Field, Header, read_header
from support.arc_chains import validated
from support.arc_suites import Case, cases
from support.suites import SUITES, not_there

WORDS: Final = {"None": "none", "Pass": "pass", "Fail": "fail"}
# The suite has no status for these. RFC 8617 section 5.2 step 2: "If the Chain Validation Status of the highest
# instance value ARC Set is "fail", then the Chain Validation Status is "fail", and the algorithm stops here."
FAILED_BEFORE: Final = {"cv_fail_i1_as_cv_fail": "fail", "cv_fail_i2_as2_fail": "fail"}
DEVIATIONS: Final = {
    # RFC 6376 section 3.5, of h=: "This list MUST NOT be empty."
    "ams_fields_h_empty": "fail",
    # The same: sig-h-tag = %x68 [FWS] "=" [FWS] hdr-name *( [FWS] ":" [FWS] hdr-name ), and no hdr-name is blank.
    "ams_fields_h_mis_hdr": "fail",
}
VALUE_OF_B: Final = re.compile(r"(?<= b=)[^;]*")
SETTINGS: Final = {"domain": "example.org", "selector": "dummy"}


@pytest.mark.parametrize("case", cases(SUITES / "arc" / "arc-validation.yml"))
def test_validation(case: Case) -> None:
    expected = DEVIATIONS.get(case.name) or FAILED_BEFORE.get(case.name) or WORDS[case.given["cv"]]
    result = validated(case.message, case.answers)
    assert result.result == expected, result.problem
    assert bool(result.problem) == (expected == "fail")


def found(header: Header) -> AuthenticationResults:
    """What the sealer of a case found: the fields with its name, one after the other."""
    said = [read(field.text) for field in header.all("authentication-results")]
    ours = [one for one in said if one.authserv_id == "lists.example.org"]
    return AuthenticationResults("lists.example.org", tuple(result for one in ours for result in one.results))


def meaning(field: Field) -> dict[str, object]:
    """The tags of a field of a chain, the signature aside: it depends on the order of the tags, where the suite has i=
    further behind and RFC 8617 section 4.1 has it first."""
    tags = read_tags(field.text)
    return {name: words(value.lower()) if name == "h" else value for name, value in tags.items() if name != "b"}


def given(case: Case) -> list[Field]:
    """The fields that the suite asks for, from the top. Their seals were made before b= was folded."""
    names = {"ARC-Seal": "AS", "ARC-Message-Signature": "AMS", "ARC-Authentication-Results": "AAR"}
    values = {name: " ".join(case.given[key].split()) for name, key in names.items()}
    fields = [f"{name}: {VALUE_OF_B.sub(unfolded, value)}\r\n" for name, value in values.items()]
    return read_header("".join(fields).encode()).fields


def unfolded(value: re.Match[str]) -> str:
    return value[0].replace(" ", "")


@pytest.mark.parametrize("case", cases(SUITES / "arc" / "arc-signing.yml"))
def test_sealing(case: Case) -> None:
    header = read_header(case.message)
    body_hash = hash_body([case.message[header.length :]], FORM)[FORM].digest
    octets = seal(
        header,
        body_hash,
        found(header),
        validated(case.message, case.answers),
        read_signing_key(case.private_key.encode()),
        now=float(case.given["t"]),
        names=case.given["sig-headers"].split(":"),
        **SETTINGS,
    )
    if not case.given["AS"]:
        assert octets == b""
        return
    ours, theirs = read_header(octets).fields, given(case)
    assert [field.name for field in ours] == [field.name for field in theirs]
    assert [meaning(field) for field in ours[:2]] == [meaning(field) for field in theirs[:2]]
    assert " ".join(ours[2].text.split()) == " ".join(theirs[2].text.split())
    for fields in (octets, b"".join(field.raw for field in theirs)):
        if "cv=fail" in case.given["AS"]:  # the set stands alone (RFC 8617 section 5.1.2): as the first, it would pass
            assert alone_passes(fields + case.message, case.answers)
        else:
            result = validated(fields + case.message, case.answers)
            assert result.result == "pass", result.problem
            assert result.oldest_pass == 0
            assert result.instance == highest_instance(header) + 1


def alone_passes(octets: bytes, answers: Any) -> bool:
    """Whether the newest set verifies by itself, which its cv=fail hides from a validator."""
    header = read_header(octets)
    field, signature, results = header.fields[:3]
    their_seal, _ = read_seal(field)
    (key,) = keys_of(answers[their_seal.question], "rsa")
    message_signature = read_signature(signature, arc=True)
    signed = SignedFields(header).octets(
        message_signature.signed, relaxed=True, signature=signature.raw, apart=signature
    )
    return key.verifies(their_seal.octets, sealed_octets(b"", results, signature, field.raw)) and key.verifies(
        message_signature.octets, signed
    )


def mail_auth() -> list[Any]:
    path = SUITES / "dkim" / "mail-auth" / "expected.yml"
    if not path.exists():
        return not_there(path, "")
    tests = yaml.safe_load(path.read_text(encoding="utf-8"))["cases"]
    return [
        pytest.param(path.parent / test["file"], test["expect"]["arc"], id=test["file"])
        for test in tests
        if "arc" in test["expect"]
    ]


@pytest.mark.parametrize(("path", "expected"), mail_auth())
def test_messages_of_mail_auth(path: Path, expected: str) -> None:
    records, _, octets = path.read_bytes().partition(b"\n\n")
    answers = {}
    for line in records.decode().splitlines():
        name, text = line.split(" ", 1)
        answers[Question(name, "TXT")] = Answer(Status.FOUND, (text,))
    result = validated(octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"), answers, now=1667843664.0)
    assert result.result == expected, result.problem
    assert all(hop.said is not None for hop in result.hops)
