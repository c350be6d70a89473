"""Trusted sealers and the policy of an author's domain (RFC 8617 section 7.2)."""

from __future__ import annotations

from msgspec.structs import replace

from purport.authentication.dmarc.author import Author
from purport.authentication.dmarc.result import DmarcResult
from purport.policy.arc import sealed_override
from purport.policy.facts import Override
from support.arc_chains import DMARC_FAIL, DMARC_PASS, MESSAGE, answers_for, sealed, validated

LIST = "lists.example"
FAILED = DmarcResult("fail", Author("named", ("example.com",)), "example.com", "example.com")
CHAIN = validated(sealed(MESSAGE, LIST, DMARC_PASS), answers_for(LIST))


def test_a_trusted_list_that_saw_dmarc_pass_is_why_the_policy_is_not_applied() -> None:
    comment = "arc=pass as[1].d=lists.example as[1].s=s1 remote-ip[1]=192.0.2.1"
    assert sealed_override(CHAIN, FAILED, {LIST}) == Override("local_policy", LIST, comment)


def test_nobody_else_is() -> None:
    assert sealed_override(CHAIN, FAILED, {"other.example"}) is None
    assert sealed_override(CHAIN, replace(FAILED, result="pass"), {LIST}) is None
    assert sealed_override(CHAIN, replace(FAILED, author_domain="bank.example"), {LIST}) is None
    assert sealed_override(CHAIN, replace(FAILED, author_domain=None), {LIST}) is None
    failed_there = validated(sealed(MESSAGE, LIST, DMARC_FAIL), answers_for(LIST))
    assert sealed_override(failed_there, FAILED, {LIST}) is None
