"""Who was responsible on each hop: claimed, proven, contradicted."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.arc.result import NO_CHAIN, ArcResult
from purport.authentication.arc.result import Hop as Sealed
from purport.authentication.dkim.result import DkimResult
from purport.authentication.spf.checker import Checker
from purport.dns.lookup import run
from purport.dns.zone import StaticResolver
from purport.forwarding.chain import Link, Proofs, Submission, chain
from purport.forwarding.hops import hops_of
from purport.forwarding.srs import Srs
from purport.mail.address import Mailbox
from purport.mail.header import read_header

NOW = 1577836860.0  # 2020-01-01 00:01:00 UTC
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:192.0.2.1 -all"}],
    "almamater.edu.example": [{"TXT": "v=spf1 ip4:192.0.2.2 -all"}],
}


def received(by: str, client: str, hello: str = "client.example", at: str = "Wed, 1 Jan 2020 00:00:00 +0000") -> str:
    return f"Received: from {hello} (unknown [{client}])\r\n\tby {by} with ESMTP id 2P30K1Q7XH4MR; {at}\r\n"


# RFC 4405 section 5.2, as company.com.example has it.
FORWARDED = (
    received("mx.company.com.example", "192.0.2.2", "almamater.edu.example")
    + "Resent-From: bob@almamater.edu.example\r\n"
    + received("mx.almamater.edu.example", "192.0.2.1", "example.com")
    + "From: alice@example.com\r\nSubject: s\r\n"
)


def links(text: str, proofs: Proofs | None = None) -> tuple[Link, ...]:
    hops = hops_of(read_header(f"{text}\r\n".encode()))
    evaluation = chain(hops, proofs or Proofs((), NO_CHAIN), Checker("mx.company.com.example"), NOW)
    return asyncio.run(run(evaluation, StaticResolver(ZONE)))


def told(link: Link) -> str:
    return "; ".join(one.text for one in link.evidence)


def test_a_header_alone_is_a_claim() -> None:
    author, forwarder, last = links(FORWARDED)
    assert [str(one.hop.pra.address) for one in (author, forwarder, last)] == [
        "alice@example.com",
        "bob@almamater.edu.example",
        "bob@almamater.edu.example",
    ]
    assert [one.hop.server for one in (author, forwarder, last)] == [
        "",
        "mx.almamater.edu.example",
        "mx.company.com.example",
    ]
    assert [one.status for one in (author, forwarder, last)] == ["claimed"] * 3
    assert "Sender ID of almamater.edu.example is pass" in told(forwarder)


def test_a_server_that_is_trusted_proves_whom_it_had_it_from() -> None:
    author, forwarder, _ = links(FORWARDED, Proofs((), NO_CHAIN, {"mx.company.com.example"}))
    assert forwarder.status == "proven"
    assert author.status == "claimed", "what mx.almamater.edu.example saw is its own word"


def test_a_client_that_may_not_speak_contradicts() -> None:
    forged = FORWARDED.replace("[192.0.2.2]", "[198.51.100.7]")
    _, forwarder, _ = links(forged)
    assert forwarder.status == "contradicted"
    assert "Sender ID of almamater.edu.example is fail" in told(forwarder)


def test_a_forwarder_that_repairs_nothing_is_contradicted_for_the_author() -> None:
    plain = FORWARDED.replace("Resent-From: bob@almamater.edu.example\r\n", "")
    _, forwarder, _ = links(plain)
    assert str(forwarder.hop.pra.address) == "alice@example.com"
    assert forwarder.status == "contradicted"


@pytest.mark.parametrize(
    ("result", "covered", "domain", "status"),
    [
        ("pass", ("from", "subject"), "example.com", "proven"),
        ("pass", ("subject",), "example.com", "claimed"),
        ("pass", ("from",), "mailer.example", "claimed"),
        ("fail", ("from",), "example.com", "claimed"),
    ],
)
def test_a_signature_proves_the_field_that_it_covers(
    result: str, covered: tuple[str, ...], domain: str, status: str
) -> None:
    signature = DkimResult(result, domain, "s1", covered=covered)  # type: ignore[arg-type]
    author, forwarder, _ = links(FORWARDED, Proofs((signature,), NO_CHAIN))
    assert author.status == status
    assert forwarder.status == "claimed", "it says nothing about who passed it on"


def test_a_seal_proves_its_sealer_and_a_broken_chain_contradicts() -> None:
    seal = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=almamater.edu.example; s=s1; t=1; b=AAAA\r\n"
    text = FORWARDED.replace("Resent-From", f"{seal}Resent-From")
    hop = Sealed(1, "almamater.edu.example", "s1", None)
    _, forwarder, _ = links(text, Proofs((), ArcResult("pass", 1, (hop,))))
    assert forwarder.status == "proven"
    assert "ARC set 1 was sealed by almamater.edu.example" in told(forwarder)
    stranger = Sealed(1, "lists.example", "s1", None)
    assert links(text, Proofs((), ArcResult("pass", 1, (stranger,))))[1].status == "claimed"
    _, broken, _ = links(text, Proofs((), ArcResult("fail", 1, (hop,), problem="the body was changed")))
    assert broken.status == "contradicted"
    assert "the body was changed" in told(broken)


@pytest.mark.parametrize(
    ("submitter", "result", "status"),
    [
        ("bob@almamater.edu.example", "pass", "proven"),
        ("bob@almamater.edu.example", "none", "claimed"),
        ("bob@almamater.edu.example", "fail", "contradicted"),
        ("eve@almamater.edu.example", "pass", "contradicted"),
    ],
)
def test_our_own_record_of_submitter_counts(submitter: str, result: str, status: str) -> None:
    record = {2: Submission("2P30K1Q7XH4MR", submitter, result)}
    text = FORWARDED.replace("[192.0.2.2]", "[10.1.2.3]")  # else the DNS would speak too
    assert links(text, Proofs((), NO_CHAIN, submissions=record))[1].status == status


def test_an_srs_address_tells_who_rewrote_it_and_our_secret_proves_it() -> None:
    srs = Srs((b"secret",))
    path = srs.rewritten(Mailbox("alice", "example.com"), "almamater.edu.example", NOW)
    _, forwarder, _ = links(FORWARDED, Proofs((), NO_CHAIN, reverse_path=path))
    assert forwarder.status == "claimed"
    assert "rewritten by almamater.edu.example (SRS) and leads back to alice@example.com" in told(forwarder)
    assert links(FORWARDED, Proofs((), NO_CHAIN, srs=srs, reverse_path=path))[1].status == "proven"
    other = Srs((b"other",))
    assert links(FORWARDED, Proofs((), NO_CHAIN, srs=other, reverse_path=path))[1].status == "contradicted"
    twice = Srs((b"x",)).rewritten(path, "company.com.example", NOW)
    assert "leads back to the forwarder almamater.edu.example" in told(
        links(FORWARDED, Proofs((), NO_CHAIN, reverse_path=twice))[2]
    )


def test_a_clock_that_runs_ahead_contradicts() -> None:
    late = FORWARDED.replace("+0000\r\nFrom", "+0000\r\nX: y\r\nFrom").split("Resent-From")
    text = late[0] + "Resent-From" + late[1].replace("1 Jan 2020", "3 Jan 2020")
    _, forwarder, _ = links(text)
    assert "48 hours ahead" in told(forwarder)
    assert forwarder.status == "contradicted"


def test_what_goes_on_inside_of_one_house_is_not_judged() -> None:
    inner = received("store.company.com.example", "203.0.113.9", "mx.company.com.example") + FORWARDED
    assert links(inner)[2].status == "claimed"
    assert "inside of one house" in told(links(inner)[2])
    filtered = received("mx.company.com.example", "127.0.0.1") + FORWARDED
    assert "inside of one house" in told(links(filtered)[2])


def test_a_header_that_names_nobody_is_contradicted_and_one_that_cannot_be_read_tells_so() -> None:
    author, *_ = links(FORWARDED.replace("From: alice@example.com\r\n", "From: a@b.example\r\nFrom: c@d.example\r\n"))
    assert author.status == "contradicted"
    assert "there are several From fields" in told(author)
    _, forwarder, last = links("Received: by somebody\r\n" + FORWARDED.split("\r\n", 3)[3])
    assert "does not say" in told(forwarder)
    assert last.hop.server == ""


@given(st.text(max_size=300))
def test_no_header_does_harm(text: str) -> None:
    for one in links(f"Received: {text}\r\nReceived: from x\r\n{text}"):
        assert one.status in ("claimed", "proven", "contradicted")
