"""Which messages an owner hears of, and as what (RFC 9989 section 4.7, RFC 9991)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from purport.authentication.dkim.result import DkimResult
from purport.authentication.spf.result import SpfResult
from purport.mail.address import NULL
from support.dmarc_failures import BROKEN, HEADER, RUF, STRANGERS, failure, spf

SIGNED = DkimResult("pass", "example.com", "s3")
REVOKED = DkimResult("permerror", "example.com", "s4", problem="the key is revoked")


@pytest.mark.parametrize(
    ("fo", "checked", "signatures", "told"),
    [
        ("0", None, [], "dmarc: dkim, spf"),
        ("", None, [], "dmarc: dkim, spf"),  # as if it were 0
        ("0", spf("pass"), [], ""),
        ("0", spf("pass", "evil.example"), [], "dmarc: dkim, spf"),
        ("0", spf("fail"), [SIGNED], ""),
        ("1", spf("pass"), [], "dmarc: dkim"),
        ("1", spf("pass"), [BROKEN], "dmarc: dkim"),
        ("1", spf("fail"), [SIGNED], "dmarc: spf"),
        ("1", spf("pass"), [SIGNED], ""),
        ("d", None, [], ""),
        ("d", spf("pass"), [BROKEN], "bodyhash: dkim"),
        ("d", spf("pass"), [SIGNED, STRANGERS], "signature: none"),
        ("d", spf("pass"), [REVOKED], "revoked: dkim"),
        ("s", spf("fail", "evil.example"), [SIGNED], "spf: spf"),
        ("s", spf("softfail"), [SIGNED], "spf: spf"),
        ("s", spf("neutral"), [SIGNED], ""),
        ("d:s", spf("fail"), [SIGNED], "spf: spf"),
        ("0:d", None, [BROKEN], "dmarc: dkim, spf"),
        ("1:d:s", spf("pass"), [SIGNED, STRANGERS], "signature: none"),
    ],
)
def test_fo_says_which_failures_are_told(
    fo: str, checked: SpfResult | None, signatures: Sequence[DkimResult], told: str
) -> None:
    found = failure(f"{RUF}; fo={fo}" if fo else RUF, spf=checked, dkim=signatures)
    assert ("" if found is None else f"{found.type}: {', '.join(found.unaligned) or 'none'}") == told


def test_what_failed_for_an_aligned_identifier_is_told_with_it() -> None:
    found = failure(spf=spf("fail"), dkim=[STRANGERS, BROKEN])
    assert found is not None and found.spf is not None
    assert (found.signature, found.spf.domain) == (BROKEN, "example.com")
    other = failure(spf=spf("fail", "evil.example"), dkim=[STRANGERS])
    assert other is not None
    assert (other.signature, other.spf) == (None, None)


@pytest.mark.parametrize("record", ["rua=mailto:a@example.com", "psd=y; " + RUF])
def test_who_did_not_ask_and_a_public_suffix_hear_of_nothing(record: str) -> None:
    assert failure(record) is None


@pytest.mark.parametrize("kind", [b"multipart/report; report-type=feedback-report", b"Multipart/REPORT"])
def test_nothing_is_told_about_a_report(kind: bytes) -> None:
    assert failure(header=HEADER + b"Content-Type: " + kind + b"\r\n") is None


def test_nothing_is_told_about_an_answer_of_a_machine_to_a_machine() -> None:
    automatic = HEADER + b"Auto-Submitted: auto-replied\r\n"
    assert failure(header=automatic, reverse_path=NULL) is None
    assert failure(header=automatic) is not None
    assert failure(header=HEADER, reverse_path=NULL) is not None


def test_without_an_answer_of_the_dns_nothing_failed() -> None:
    assert failure(spf=spf("temperror")) is None
