"""MTA-STS policies that are kept (RFC 8461 section 3.3, 5.1 and 10.2)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from purport.delivery.sts_cache import AGAIN, ENTRIES, FRESH, StsPolicies
from purport.delivery.tls_outcome import TlsOutcome
from purport.dns.lookup import Answer, Question, Status
from purport.net.policy_host import NoPolicy
from support.scripted_server import on_loop

WEEK = 604800
DOMAIN = "example.com"


def written(mode: str = "enforce", mx: str = "mx.example.com", max_age: int = WEEK) -> bytes:
    return f"version: STSv1\nmode: {mode}\nmx: {mx}\nmax_age: {max_age}\n".encode()


class Domain:
    """What a domain publishes, and how often its policy host was asked; the host may be down, or slow."""

    def __init__(self, folder: Path, policy: bytes | NoPolicy | None = None) -> None:
        self.folder = folder
        self.now = 1_795_471_200.0
        self.id: str | None = "1"
        self.policy: bytes | NoPolicy = written() if policy is None else policy
        self.fetched: list[str] = []
        self.gate: asyncio.Event | None = None
        self.silent = False  # whether its name server is
        self.warnings: list[str] = []
        self.reported: list[TlsOutcome] = []
        self.store = self.restart()

    def restart(self, entries: int = ENTRIES) -> StsPolicies:
        self.store = StsPolicies(
            self.folder,
            self,
            self.fetch,
            warn=self.warnings.append,
            report=self.reported.append,
            clock=lambda: self.now,
            wait=0.05 if self.gate or self.silent else 10,
            entries=entries,
        )
        return self.store

    async def fetch(self, domain: str) -> bytes:
        self.fetched.append(domain)
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.policy, NoPolicy):
            raise self.policy
        return self.policy

    async def mode(self, domain: str = DOMAIN) -> str | None:
        found = await self.store.policy(domain)
        return None if found is None else found.mode

    async def settled(self) -> None:
        """Once no fetch is under way."""
        async with asyncio.timeout(10):
            while self.store.fetching:
                await asyncio.sleep(0)

    # The DNS

    def cached(self, question: Question) -> Answer | None:
        assert question.type == "TXT"
        assert question.name.startswith("_mta-sts.")
        if self.silent:
            return None
        if self.id is None:
            return Answer(Status.MISSING)
        return Answer(Status.FOUND, (f"v=STSv1; id={self.id}",), 300)

    async def resolve(self, question: Question) -> Answer:
        return await asyncio.get_running_loop().create_future()  # no answer ever comes


DOWN = NoPolicy("sts-policy-fetch-error", "mta-sts.example.com cannot be reached, or speaks no HTTPS")


@on_loop
async def test_a_policy_is_fetched_once_and_kept(tmp_path):
    domain = Domain(tmp_path)
    assert [await domain.mode() for _ in range(3)] == ["enforce"] * 3
    assert domain.fetched == [DOMAIN]


@on_loop
async def test_where_the_dns_names_no_policy_nobody_is_asked(tmp_path):
    domain = Domain(tmp_path)
    domain.id = None
    assert await domain.mode() is None
    assert domain.fetched == []


@on_loop
async def test_another_id_means_another_policy(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    domain.id, domain.policy = "2", written("testing")
    assert await domain.mode() == "testing"
    assert len(domain.fetched) == 2


@on_loop
async def test_a_policy_that_is_kept_survives_a_restart(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    await domain.settled()
    domain.policy = DOWN
    domain.restart()
    assert await domain.mode() == "enforce"
    assert len(domain.fetched) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["example.com.json"]
    assert (tmp_path / "example.com.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("gone", ["record", "host", "both"])
@on_loop
async def test_what_disappears_holds_until_its_time_is_over(tmp_path, gone):
    """Who can take it away could be who wants the mail (RFC 8461 section 10.2)."""
    domain = Domain(tmp_path)
    await domain.mode()
    if gone != "host":
        domain.id = None
    if gone != "record":
        domain.id, domain.policy = domain.id and "2", DOWN
    domain.now += WEEK / 2
    assert await domain.mode() == "enforce"
    await domain.settled()
    domain.restart()
    assert await domain.mode() == "enforce"
    domain.id, domain.policy = None, DOWN
    await domain.settled()
    domain.now += 2 * WEEK
    assert await domain.mode() is None


@on_loop
async def test_a_host_that_is_down_is_not_asked_again_for_five_minutes(tmp_path):
    domain = Domain(tmp_path, DOWN)
    assert await domain.mode() is None
    domain.policy = written()
    domain.now += AGAIN - 1
    assert await domain.mode() is None
    assert len(domain.fetched) == 1
    domain.now += 2
    assert await domain.mode() == "enforce"


@on_loop
async def test_another_id_is_asked_for_at_once_after_a_failure(tmp_path):
    domain = Domain(tmp_path, DOWN)
    assert await domain.mode() is None
    domain.id, domain.policy = "2", written()
    assert await domain.mode() == "enforce"


@on_loop
async def test_a_slow_host_delays_no_message_for_long_and_is_heard_for_the_next_one(tmp_path):
    domain = Domain(tmp_path)
    domain.gate = asyncio.Event()
    domain.restart()
    assert await domain.mode() is None
    domain.gate.set()
    await domain.settled()
    assert await domain.mode() == "enforce"
    assert len(domain.fetched) == 1


@on_loop
async def test_a_slow_host_leaves_the_policy_that_is_kept_in_force(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    await domain.settled()
    domain.id, domain.policy, domain.gate = "2", written("none"), asyncio.Event()
    domain.restart()
    assert await domain.mode() == "enforce"
    domain.gate.set()
    await domain.settled()
    assert await domain.mode() == "none"


@pytest.mark.parametrize("known", [True, False])
@on_loop
async def test_a_silent_name_server_delays_no_message_for_long_and_takes_no_policy_away(tmp_path, known):
    domain = Domain(tmp_path)
    if known:
        await domain.mode()
        await domain.settled()
    domain.silent = True
    domain.restart()
    assert await domain.mode() == ("enforce" if known else None)


@on_loop
async def test_what_is_used_is_fetched_anew_after_a_day_without_waiting(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    domain.now += FRESH + 1
    assert await domain.mode() == "enforce"
    await domain.settled()
    assert len(domain.fetched) == 2
    domain.now += WEEK - 2
    assert await domain.mode() == "enforce"


@on_loop
async def test_what_is_not_used_is_fetched_anew_too_but_not_where_mta_sts_was_given_up(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    domain.store.refresh()
    assert len(domain.fetched) == 1
    domain.now += FRESH + 1
    domain.id = None  # RFC 8461 section 10.2: "regardless of the state of the TXT record"
    domain.policy = written("none")
    domain.store.refresh()
    await domain.settled()
    assert len(domain.fetched) == 2
    domain.now += FRESH + 1
    domain.store.refresh()
    assert len(domain.fetched) == 2


@on_loop
async def test_an_operator_and_a_report_hear_of_a_failure(tmp_path):
    domain = Domain(tmp_path, DOWN)
    await domain.mode()
    assert domain.warnings == [
        "the MTA-STS policy of example.com cannot be had (mta-sts.example.com cannot be reached, or speaks no HTTPS): "
        "there is none for now"
    ]
    assert domain.reported == [
        TlsOutcome("sts", "example.com", (), (), "sts-policy-fetch-error", reason=str(DOWN)),
    ]


@on_loop
async def test_a_policy_that_is_none_counts_as_none_and_is_told_of(tmp_path):
    domain = Domain(tmp_path, b"<html>")
    assert await domain.mode() is None
    assert [report.result for report in domain.reported] == ["sts-policy-invalid"]


@on_loop
async def test_nobody_hears_of_failures_of_a_domain_that_gave_mta_sts_up(tmp_path):
    """RFC 8461 section 8.3."""
    domain = Domain(tmp_path, written("none"))
    await domain.mode()
    domain.id, domain.policy = "2", DOWN
    assert await domain.mode() == "none"
    assert domain.warnings == []
    assert domain.reported == []


@on_loop
async def test_files_that_are_none_of_ours_are_not_read_as_policies(tmp_path):
    domain = Domain(tmp_path)
    await domain.mode()
    await domain.settled()
    good = (tmp_path / "example.com.json").read_bytes()
    for name, octets in (("a.example.json", b"{}"), ("b.example.json", good[:-5]), ("c_d.json", good), ("e", b"")):
        (tmp_path / name).write_bytes(octets)
    domain.restart()
    domain.id = None
    assert [await domain.mode(name) for name in (DOMAIN, "a.example", "b.example", "c_d")] == [
        "enforce",
        None,
        None,
        None,
    ]


@on_loop
async def test_a_file_whose_time_is_over_is_removed(tmp_path):
    domain = Domain(tmp_path, written(max_age=60))
    await domain.mode()
    await domain.settled()
    domain.now += 61
    domain.restart()
    assert list(tmp_path.iterdir()) == []


@on_loop
async def test_a_folder_that_cannot_be_written_costs_no_mail(tmp_path):
    place = tmp_path / "file"
    place.write_bytes(b"")
    domain = Domain(place / "folder")
    assert await domain.mode() == "enforce"
    assert domain.warnings[0].startswith("the MTA-STS policy of example.com is not on disk: ")


@on_loop
async def test_a_name_that_is_no_domain_is_neither_asked_for_nor_a_file(tmp_path):
    domain = Domain(tmp_path)
    assert await domain.mode("../../etc/passwd") is None
    assert domain.fetched == []


@on_loop
async def test_the_oldest_policies_make_room_in_memory_and_on_disk(tmp_path):
    domain = Domain(tmp_path)
    domain.restart(entries=3)
    for number in range(5):
        domain.now += 1
        await domain.mode(f"d{number}.example")
    await domain.settled()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"d{number}.example.json" for number in (2, 3, 4)]
