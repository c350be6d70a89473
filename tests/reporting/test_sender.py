"""A report's way: counted, due, asked for, sent by mail and HTTPS, tried again, caught up after a restart."""

from __future__ import annotations

import asyncio
import email
import email.policy
import gzip
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from purport.authentication.dkim.signer import NO_SIGNER
from purport.dns.lookup import Answer, Question
from purport.dns.zone import StaticResolver, ZoneData
from purport.reporting import standing
from purport.reporting.database import read
from purport.reporting.post import Poster
from purport.reporting.standing import Standing
from support.certificates import Authority
from support.delivery_house import House
from support.dkim_suites import check, crlf
from support.dmarc_rows import FAILED, PASSED, of_domain
from support.https_receiver import https_receiver
from support.reporting import DAY, KEYS, NEXT_DAY, Round, failed, succeeded
from support.scripted_server import ScriptedServer, on_loop

DUE = NEXT_DAY + 14_400.0
BY_MAIL = "v=TLSRPTv1; rua=mailto:bob@company.com.example"


def zone(**records: object) -> ZoneData:
    return {"_smtp._tls.example.com": [records]}  # type: ignore[list-item]


def standings(folder: Path) -> list[Standing]:
    return read(folder, standing.standings) or []


@on_loop
async def test_a_report_arrives_in_a_maildir_and_can_be_read(tmp_path: Path) -> None:
    resolver = StaticResolver(zone(TXT=BY_MAIL))
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        async with Round(tmp_path, house, resolver) as current:
            for outcome in (succeeded(), succeeded(), failed(reason="certificate has expired")):
                current.tally.add(outcome)
            assert await current.sender.send_due() is None  # the day is not over
            house.now = NEXT_DAY
            due_at = await current.sender.send_due()
            assert due_at == NEXT_DAY + 300.0 + 0.5 * 14_100.0
            assert house.mail("bob") == []
            house.now = due_at
            assert await current.sender.send_due() is None
            await house.told("delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir", "removed")
            await current.sender.send_due()
        (octets,) = house.mail("bob")
    (signature,) = check(crlf(octets), KEYS, DUE)
    assert (signature.result, signature.domain) == ("pass", "mx.company.com.example")
    assert {"tls-report-domain", "tls-report-submitter", "tls-required"} <= set(signature.covered)
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Return-Path"] == "<tls-reports@mx.company.com.example>"
    assert message["From"].addresses[0].addr_spec == "tls-reports@mx.company.com.example"
    assert message["TLS-Required"] == "No"
    _, attached = message.iter_parts()
    told = json.loads(gzip.decompress(attached.get_content()))
    assert told["contact-info"] == "postmaster@mx.company.com.example"
    assert told["date-range"]["start-datetime"] == "2026-11-23T00:00:00Z"
    (policy,) = told["policies"]
    assert policy["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 1}
    assert policy["failure-details"] == [
        {
            "result-type": "certificate-expired",
            "sending-mta-ip": "192.0.2.1",
            "receiving-mx-hostname": "mx.example.com",
            "receiving-ip": "192.0.2.25",
            "failed-session-count": 1,
            "failure-reason-code": "certificate has expired",
        }
    ]
    assert [one.state for one in standings(tmp_path)] == ["sent"]
    assert len(current.notes) == 1
    assert current.warnings == []


@on_loop
async def test_a_report_goes_by_https_with_the_type_of_section_5_4(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    with https_receiver(authority.issue("reports.example")) as receiver:
        record = f"v=TLSRPTv1; rua=https://reports.example:{receiver.port}/v1"
        resolver = StaticResolver({**zone(TXT=record), "reports.example": [{"A": "127.0.0.1"}]})
        poster = Poster(resolver, permitted=lambda _: True, authorities=str(authority.bundle))
        async with (
            ScriptedServer() as server,
            House(tmp_path, server) as house,
            Round(tmp_path, house, resolver, poster=poster, signer=NO_SIGNER) as current,
        ):
            current.tally.add(failed())
            await current.sender.flush()
            house.now = DUE
            await current.sender.send_due()
            house.now += 600
            await current.sender.send_due()
        (posted,) = receiver.posted
    assert posted.headers["Content-Type"] == "application/tlsrpt+gzip"
    assert json.loads(gzip.decompress(posted.octets))["report-id"] == "2026-11-23.example.com@mx.company.com.example"
    assert [one.told for one in standings(tmp_path)] == ["reports.example answered 201"]


@on_loop
async def test_a_receiver_that_fails_is_tried_again_and_one_that_took_it_is_enough(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    with https_receiver(authority.issue("reports.example")) as receiver:
        receiver.status = 503
        record = f"{BY_MAIL},https://reports.example:{receiver.port}/v1"
        resolver = StaticResolver({**zone(TXT=record), "reports.example": [{"A": "127.0.0.1"}]})
        poster = Poster(resolver, permitted=lambda _: True, authorities=str(authority.bundle))
        async with (
            ScriptedServer() as server,
            House(tmp_path, server) as house,
            Round(tmp_path, house, resolver, poster=poster, signer=NO_SIGNER, chance=0.0) as current,
        ):
            current.tally.add(failed())
            await current.sender.flush()
            house.now = DUE
            due_at = await current.sender.send_due()
            assert due_at == DUE + 900.0
            (waiting,) = standings(tmp_path)
            assert waiting.told == (
                "not sent to mailto:bob@company.com.example: there is no DKIM key for mx.company.com.example; "
                "reports.example answered 503"
            )
            receiver.status = 200
            house.now = due_at
            assert await current.sender.send_due() is None
        assert len(receiver.posted) == 2
    assert [one.state for one in standings(tmp_path)] == ["sent"]
    assert len(current.warnings) == 1


@pytest.mark.parametrize(
    ("records", "state", "told"),
    [
        ({"TXT": "v=spf1 -all"}, "unwanted", "no TLSRPT record"),
        ({"TXT": "TIMEOUT"}, "waiting", "the DNS cannot be asked for _smtp._tls.example.com"),
    ],
)
@on_loop
async def test_a_domain_is_asked_first(tmp_path: Path, records: dict[str, object], state: str, told: str) -> None:
    resolver = StaticResolver(zone(**records))
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        async with Round(tmp_path, house, resolver, chance=0.0) as current:
            current.tally.add(succeeded())
            await current.sender.flush()
            house.now = DUE
            await current.sender.send_due()
        assert house.log.lines == []
    assert [(one.state, one.told) for one in standings(tmp_path)] == [(state, told)]


@on_loop
async def test_what_was_missed_is_caught_up_after_a_restart_but_for_old_days(tmp_path: Path) -> None:
    resolver = StaticResolver(zone(TXT=BY_MAIL))
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        for day in range(5):
            async with Round(tmp_path, house, resolver) as current:
                house.now = (DAY + day) * 86400.0 + 1
                current.tally.add(succeeded())
        async with Round(tmp_path, house, resolver, chance=0.5) as current:
            house.now = (DAY + 4) * 86400.0 + 82_800.0  # its fifth day is not over
            due_at = await current.sender.send_due()
            assert due_at == house.now + 300.0
        async with Round(tmp_path, house, resolver) as current:
            house.now = due_at
            assert await current.sender.send_due() is None
            found = [(one.day - DAY, one.state) for one in standings(tmp_path)]
            assert found == [(1, "sent"), (2, "sent"), (3, "sent")]
            house.now = (DAY + 9) * 86400.0
            await current.sender.send_due()
            assert standings(tmp_path) == []


@on_loop
async def test_what_was_counted_is_there_after_a_restart_within_the_same_day(tmp_path: Path) -> None:
    resolver = StaticResolver(zone(TXT=BY_MAIL))
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        for _ in range(2):
            async with Round(tmp_path, house, resolver) as current:
                current.tally.add(succeeded())
        async with Round(tmp_path, house, resolver) as current:
            house.now = NEXT_DAY
            told = await current.sender.send("tls", DAY, "example.com")
            assert told.startswith("sent: queued as ")
            await house.told("delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir", "removed")
            assert b"2 sessions were as they should be, 0 failed." in house.mail("bob")[0]
            # It was sent by hand, so it is not due any more.
            house.now = DUE
            assert await current.sender.send_due() is None
    assert len(house.log.lines) == 2


@on_loop
async def test_a_report_can_be_sent_by_hand_again_and_only_where_there_is_one(tmp_path: Path) -> None:
    resolver = StaticResolver(zone(TXT=BY_MAIL))
    async with (
        ScriptedServer() as server,
        House(tmp_path, server) as house,
        Round(tmp_path, house, resolver) as current,
    ):
        current.tally.add(succeeded())
        with pytest.raises(LookupError, match="2026-11-23 is not over yet"):
            await current.sender.send("tls", DAY, "example.com")
        house.now = NEXT_DAY
        for _ in range(2):
            assert (await current.sender.send("tls", DAY, "example.com")).startswith("sent: queued as ")
        with pytest.raises(LookupError, match=r"nothing was counted for other\.example on 2026-11-23"):
            await current.sender.send("tls", DAY, "other.example")
        with pytest.raises(LookupError, match="of the kind moon are not sent here"):
            await current.sender.send("moon", DAY, "example.com")


@pytest.mark.parametrize("faulty", [True, False])
@on_loop
async def test_the_round_runs_by_itself_and_a_fault_of_ours_is_told(tmp_path: Path, faulty: bool) -> None:
    class Faulty(StaticResolver):
        def cached(self, question: Question) -> Answer:
            raise RuntimeError("a fault")

    resolver = Faulty({}) if faulty else StaticResolver(zone(TXT=BY_MAIL))
    async with (
        ScriptedServer() as server,
        House(tmp_path, server) as house,
        Round(tmp_path, house, resolver, chance=0.0) as current,
    ):
        current.tally.add(succeeded())
        await current.sender.flush()
        house.now = NEXT_DAY
        await current.sender.send_due()
        house.now = DUE
        current.sender.start()
        async with asyncio.timeout(10):
            while not (current.faults or current.notes):
                await asyncio.sleep(0)
        assert [str(error) for error in current.faults] == (["a fault"] if faulty else [])
        await current.sender.stop()
        state = "waiting" if faulty else "sent"
        assert [one.state for one in standings(tmp_path)] == [state]


@on_loop
async def test_a_receiver_that_hangs_holds_no_other_report_up(tmp_path: Path) -> None:
    class Slow(StaticResolver):
        def cached(self, question: Question) -> Answer:
            return None if "hangs" in question.name else super().cached(question)  # type: ignore[return-value]

        async def resolve(self, question: Question) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

    resolver = Slow({"_smtp._tls.quick.example": [{"TXT": BY_MAIL}], "_smtp._tls.hangs.example": [{"TXT": BY_MAIL}]})
    async with (
        ScriptedServer() as server,
        House(tmp_path, server) as house,
        Round(tmp_path, house, resolver, chance=0.0) as current,
    ):
        for domain in ("hangs.example", "quick.example"):
            current.tally.add(succeeded(domain))
        await current.sender.flush()
        house.now = NEXT_DAY
        await current.sender.send_due()
        house.now = DUE
        current.sender.start()
        async with asyncio.timeout(10):
            while not current.notes:
                await asyncio.sleep(0)
        assert await current.sender.send("tls", DAY, "hangs.example") == "it is being sent"
        await current.sender.stop()
    assert [one.state for one in standings(tmp_path)] == ["waiting", "sent"]


@on_loop
async def test_an_aggregate_report_arrives_in_a_maildir_and_can_be_read(tmp_path: Path) -> None:
    """RFC 9990: to a mailbox of another organization, which says that it takes reports about this one."""
    resolver = StaticResolver(
        {"author.example._report._dmarc.company.com.example": [{"TXT": "v=DMARC1"}], "author.example": [{"A": "::1"}]}
    )
    row = of_domain("author.example", FAILED, "mailto:bob@company.com.example", "mailto:victim@elsewhere.example")
    async with ScriptedServer() as server, House(tmp_path, server) as house:
        async with Round(tmp_path, house, resolver, signer=NO_SIGNER) as current:
            for _ in range(3):
                current.rows.add(row)
            current.rows.add(of_domain("author.example", PASSED, *row.policy.rua))
            current.rows.add(of_domain("other.example", PASSED, "mailto:victim@elsewhere.example"))
            await current.sender.flush()
            house.now = NEXT_DAY
            await current.sender.send_due()
            house.now = DUE
            assert await current.sender.send_due() is None
            await house.told("delivered bob@company.com.example 2.0.0 250 2.0.0 delivered to maildir", "removed")
        (octets,) = house.mail("bob")
    message = email.message_from_bytes(octets, policy=email.policy.default)
    assert message["Subject"].startswith("Report Domain: author.example")
    _, attached = message.iter_parts()
    report = ElementTree.fromstring(gzip.decompress(attached.get_content()))
    counts = [element.text for element in report.iter("{urn:ietf:params:xml:ns:dmarc-2.0}count")]
    assert counts == ["3", "1"]
    assert [(one.domain, one.state) for one in standings(tmp_path)] == [
        ("author.example", "sent"),
        ("other.example", "unwanted"),
    ]
    assert server.messages == []


@on_loop
async def test_a_fault_of_ours_in_a_round_is_told_and_neither_ends_the_rounds_nor_the_stop_of_the_server(
    tmp_path: Path,
) -> None:
    async with (
        ScriptedServer() as server,
        House(tmp_path, server) as house,
        Round(tmp_path, house, StaticResolver({})) as current,
    ):
        current.tally.add(failed())
        house.now = NEXT_DAY
        del current.chance
        current.sender.start()
        async with asyncio.timeout(10):
            while not current.faults:
                await asyncio.sleep(0)
        await current.sender.stop()
        assert "chance" in str(current.faults[0])
