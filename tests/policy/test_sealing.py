"""Sealing what goes on (RFC 8617 section 5.1)."""

from __future__ import annotations

from purport.authentication.arc.chain import validate
from purport.authentication.arc.sets import body_forms
from purport.authentication.dkim.body import BodyHashes, hash_body
from purport.authentication.dkim.sign import FORM
from purport.authentication.dkim.signer import DomainKey
from purport.authentication.message import authenticate
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Answer, Question, Status, replay
from purport.mail.address import Mailbox
from purport.mail.header import Header, read_header
from purport.policy.dmarc import DmarcPolicy
from purport.policy.facts import Client, MailFacts, MessageFacts
from purport.policy.gather import mail_facts
from purport.policy.results import results
from purport.policy.sealing import sealed
from support.arc_chains import DMARC_PASS, MESSAGE, NOW, answers_for, key_of
from support.arc_chains import sealed as sealed_by
from support.dkim_keys import rsa_key

US, LIST = "company.com.example", "lists.example"
RSA = DomainKey(US, "r1", rsa_key())
ED25519 = DomainKey(US, "s1", key_of(US))
ANSWERS = answers_for(US, LIST) | {
    Question(f"r1._domainkey.{US}", "TXT"): Answer(Status.FOUND, (rsa_key().record,)),
    Question("_dmarc.example.com", "TXT"): Answer(Status.FOUND, ("v=DMARC1; p=reject",)),
    Question("lists.example", "TXT"): Answer(Status.FOUND, ("v=spf1 ip4:192.0.2.1 -all",)),
}


def arrived(octets: bytes) -> tuple[Header, BodyHashes, MessageFacts]:
    """A message that came from the list's server."""
    header = read_header(octets)
    hashes = hash_body([octets[header.length :]], FORM, *body_forms(header))
    client = Client("192.0.2.1", None, "mx.lists.example")
    mail: MailFacts = replay(mail_facts(Checker(US), client, Mailbox("bounces", LIST), None, NOW), ANSWERS)
    found = replay(authenticate(header, (), hashes, mail.spf, NOW), ANSWERS)
    return header, hashes, MessageFacts(mail, None, authentication=found)


def test_what_was_found_goes_on_under_our_seal() -> None:
    octets = sealed_by(MESSAGE, LIST, DMARC_PASS)
    header, hashes, facts = arrived(octets)
    said = results(f"mx.{US}", facts, DmarcPolicy())
    octets = sealed([ED25519, RSA], header, hashes, said, facts, NOW) + octets
    chain = replay(validate(read_header(octets), hashes, NOW), ANSWERS)
    assert (chain.result, chain.sealers) == ("pass", (LIST, US)), chain.problem
    ours = chain.hops[1]
    assert (ours.selector, ours.said) == ("r1", said)
    assert [(one.method, one.result) for one in said.results] == [
        ("spf", "pass"),
        ("dkim", "none"),
        ("dmarc", "fail"),
        ("arc", "pass"),
    ]


def test_without_a_key_or_without_results_nothing_is_sealed() -> None:
    header, hashes, facts = arrived(MESSAGE)
    said = results(f"mx.{US}", facts, DmarcPolicy())
    assert sealed([ED25519], header, hashes, said, facts, NOW).startswith(b"ARC-Seal: i=1; a=ed25519-sha256;")
    assert sealed([], header, hashes, said, facts, NOW) == b""
    assert sealed([RSA], header, {}, said, facts, NOW) == b""
    assert sealed([RSA], header, hashes, said, MessageFacts(facts.mail, None), NOW) == b""
