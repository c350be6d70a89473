"""Whose word is taken (RFC 8617 section 7.2)."""

from __future__ import annotations

from dataclasses import replace

from purport.authentication.arc.seal import seal
from purport.authentication.arc.trust import vouched
from purport.authentication.authres.results import AuthenticationResults, MethodResult
from purport.authentication.dkim.body import hash_body
from purport.authentication.dkim.sign import FORM
from purport.mail.header import read_header
from support.arc_chains import DMARC_FAIL, DMARC_PASS, MESSAGE, NOW, answers_for, key_of, sealed, validated

A, B, C = "a.example", "b.example", "c.example"
ALL = answers_for(A, B, C)


def changed(octets: bytes) -> bytes:
    """As a mailing list does it."""
    return octets.replace(b"\r\nSubject: ", b"\r\nSubject: [list] ")


def test_a_trusted_sealer_says_what_the_message_was() -> None:
    chain = validated(sealed(sealed(MESSAGE, A, DMARC_PASS), B, DMARC_FAIL, change=changed), ALL)
    testimony = vouched(chain, {A, B})
    assert testimony is not None
    assert (testimony.sealer, testimony.instance) == (A, 1)
    assert testimony.dmarc == (DMARC_PASS,)
    assert testimony.spf == testimony.dkim == ()
    assert testimony.dmarc_passed("EXAMPLE.com")
    assert not testimony.dmarc_passed("bank.example")
    assert not testimony.dmarc_passed("")
    assert testimony.reason == "trusted ARC sealer a.example (i=1) found pass"
    assert testimony.comment == (
        "arc=pass as[2].d=b.example as[2].s=s1 as[1].d=a.example as[1].s=s1 remote-ip[1]=192.0.2.1"
    )


def test_without_trust_nobody_is_taken_at_their_word() -> None:
    chain = validated(sealed(MESSAGE, A, DMARC_PASS), ALL)
    assert vouched(chain, ()) is None
    assert vouched(chain, {"example", "x.a.example", B}) is None


def test_a_chain_that_failed_vouches_for_nothing() -> None:
    octets = sealed(MESSAGE, A, DMARC_PASS)
    assert vouched(validated(octets.replace(b"Dinner", b"Lunch"), ALL), {A}) is None
    assert vouched(validated(octets, {}), {A}) is None
    assert vouched(validated(MESSAGE, ALL), {A}) is None


def test_somebody_who_is_not_trusted_puts_nothing_under_the_words_of_who_is() -> None:
    """A takes part in a list; C takes a message that A sealed, writes another one under it, and seals that."""
    taken = sealed(MESSAGE, A, DMARC_PASS)
    forged = sealed(taken, C, change=lambda octets: octets.replace(b"Hi,  all.", b"Buy this."))
    chain = validated(forged, ALL)
    assert (chain.result, chain.oldest_pass) == ("pass", 2)
    assert vouched(chain, {A}) is None
    # Were it trusted, or had it changed nothing, the word of A would count.
    assert vouched(chain, {A, C}) is not None
    assert vouched(validated(sealed(taken, C), ALL), {A}) is not None


def test_the_newest_trusted_one_counts_where_an_older_one_does_not() -> None:
    chain = validated(sealed(sealed(MESSAGE, C, DMARC_PASS), B, DMARC_FAIL, change=changed), ALL)
    testimony = vouched(chain, {B})
    assert testimony is not None
    assert (testimony.sealer, testimony.dmarc) == (B, (DMARC_FAIL,))
    assert not testimony.dmarc_passed("example.com")


def test_the_word_of_one_that_cannot_be_read_does_not_count() -> None:
    chain = validated(sealed(sealed(MESSAGE, A, DMARC_PASS), B), ALL)
    unread = replace(chain, hops=(replace(chain.hops[0], results=None), chain.hops[1]))
    testimony = vouched(unread, {A, B})
    assert testimony is not None
    assert testimony.sealer == B


def test_a_from_that_was_not_signed_is_nobodys() -> None:
    header = read_header(MESSAGE)
    octets = (
        seal(
            header,
            hash_body([MESSAGE[header.length :]], FORM)[FORM].digest,
            AuthenticationResults("mx.a.example", (DMARC_PASS,)),
            validated(MESSAGE, {}),
            key_of(A),
            domain=A,
            selector="s1",
            now=NOW,
            names=["From", "Subject"],
        )
        + MESSAGE
    )
    assert vouched(validated(octets, ALL), {A}) is not None
    twice = validated(b"From: ceo@bank.example\r\n" + octets, ALL)
    assert twice.result == "pass"
    assert vouched(twice, {A}) is None


def test_what_a_first_sealer_says_of_an_address_is_one_or_is_left_out() -> None:
    odd = MethodResult("arc", "none", properties=(("smtp", "remote-ip", "192.0.2.1 as[1].d=bank.example"),))
    testimony = vouched(validated(sealed(MESSAGE, A, odd), ALL), {A})
    assert testimony is not None
    assert testimony.comment == "arc=pass as[1].d=a.example as[1].s=s1 remote-ip[1]=192.0.2.1"
    assert testimony.reason == "trusted ARC sealer a.example (i=1) found no DMARC result"
