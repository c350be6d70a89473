"""A host that came for its mail: what it gets, what it leaves behind, and what becomes of that (RFC 2645)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from purport.delivery.patience import Patience
from purport.delivery.visit import BATCH, Visitor, Visits
from purport.smtp.extensions import ALL
from support.delivery_house import HOSTNAME, MESSAGE, NOW, House
from support.scripted_server import DROP, HANG, ScriptedServer, on_loop

HOPS = frozenset(("odmr:branch.example", "odmr:sub.branch.example"))
EVERY = HOPS | {"odmr:other.example"}
DOMAINS = {"branch.example": "odmr", "sub.branch.example": "odmr", "other.example": "odmr"}
WAITS = "deferred {} 4.4.1 450 4.4.1 Waits for its host to come for it"
GERMAN = MESSAGE.replace(b"Hello", "Grüße".encode())


class Scene:
    """A house with mail that waits, and its hosts when they come."""

    def __init__(self, house: House, host: ScriptedServer, patience: Patience) -> None:
        self.house = house
        self.host = host
        self.visits = Visits(house.deliverer, hostname=HOSTNAME, extensions=ALL, patience=patience)

    async def accept(self, *groups: str, body: bytes = MESSAGE, mail: str = "") -> None:
        """A message to each group of recipients, and nothing is said of it but that it waits."""
        for group in groups:
            await self.house.accept(*group.split(), body=body, mail=mail)
        await self.house.told(*(WAITS.format(one) for group in groups for one in group.split()))
        self.house.log.lines.clear()
        async with asyncio.timeout(10):  # told, and then recorded
            while len(await self.house.store.waiting(NOW, list(EVERY), 1000)) < len(groups):
                await asyncio.sleep(0)

    async def begin(self, next_hops: Sequence[str] = tuple(HOPS), tls: str = "") -> asyncio.Future[tuple[int, str]]:
        """A host comes; what it is told at the end."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[tuple[int, str]] = loop.create_future()
        transport, _ = await loop.create_connection(asyncio.Protocol, self.host.address, self.host.port)
        self.visits.begin(
            Visitor(transport, "[192.0.2.1]:1025", tls, frozenset(next_hops), lambda *told: ended.set_result(told))
        )
        return ended

    async def visit(self, next_hops: Sequence[str] = tuple(HOPS), tls: str = "") -> tuple[int, str]:
        async with asyncio.timeout(10):
            return await (await self.begin(next_hops, tls))

    async def waiting(self) -> list[str]:
        """The recipients that wait, with what they met last."""
        await asyncio.sleep(0)
        ids = await self.house.store.waiting(NOW, list(EVERY), 1000)
        details = [self.house.store.show(one) for one in ids]  # type: ignore[attr-defined]
        return [f"{one.address} {one.last_reply}" for detail in details for one in detail.recipients]


@asynccontextmanager
async def scene(folder: Path, host: ScriptedServer, patience: Patience | None = None) -> AsyncIterator[Scene]:
    async with host, House(folder, host, domains=DOMAINS) as house:
        made = Scene(house, host, patience or Patience())
        try:
            yield made
        finally:
            await made.visits.close(0.0)


@on_loop
async def test_it_gets_what_waits_and_nothing_else(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer("PIPELINING")) as here:
        await here.accept("bob@branch.example dave@other.example", "erin@sub.branch.example", "ann@other.example")
        assert await here.visits.any_waits(HOPS)
        assert await here.visit() == (2, "")
        assert here.host.commands == [
            f"EHLO {HOSTNAME}",
            "MAIL FROM:<alice@example.com>",
            "RCPT TO:<bob@branch.example>",
            "DATA",
            "MAIL FROM:<alice@example.com>",
            "RCPT TO:<erin@sub.branch.example>",
            "DATA",
            "QUIT",
        ]
        assert all(message.endswith(MESSAGE) for message in here.host.messages)
        await here.house.told(
            "relayed bob@branch.example 2.0.0 250 2.0.0 Ok: taken",
            "relayed erin@sub.branch.example 2.0.0 250 2.0.0 Ok: taken",
            "removed",
        )
        waits = "450 4.4.1 Waits for its host to come for it"
        assert await here.waiting() == [f"dave@other.example {waits}", f"ann@other.example {waits}"]
        assert not await here.visits.any_waits(HOPS)


@on_loop
async def test_a_long_queue_goes_in_batches_and_what_comes_meanwhile_goes_too(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer("PIPELINING")) as here:
        await here.accept(*(f"bob{number}@branch.example" for number in range(BATCH + 5)))
        ended = await here.begin()
        await here.host.until(lambda: here.host.messages)
        await here.house.accept("late@branch.example")
        assert await asyncio.wait_for(ended, 10) in ((BATCH + 6, ""), (BATCH + 5, ""))
        assert len({command for command in here.host.commands if "RCPT" in command}) >= BATCH + 5
        assert len(here.host.connections) == 1


@on_loop
async def test_what_it_refuses_for_now_waits_for_its_next_visit_with_the_reason(tmp_path: Path) -> None:
    host = ScriptedServer().on("RCPT TO:<bob", "450 4.2.1 Not now").on("RCPT TO:<eve", "550 5.1.1 Nobody")
    async with scene(tmp_path, host) as here:
        await here.accept("bob@branch.example eve@branch.example ann@branch.example")
        assert await here.visit() == (1, "")
        await here.house.told(
            "deferred bob@branch.example 4.2.1 450 4.2.1 Not now",
            "failed eve@branch.example 5.1.1 550 5.1.1 Nobody",
            "relayed ann@branch.example 2.0.0 250 2.0.0 Ok: taken",
            "reported to alice@example.com",
        )
        assert await here.waiting() == ["bob@branch.example 450 4.2.1 Not now"]
        here.house.now += 14_401  # its sender is told now, and the reason is not lost
        await here.house.deliverer.retry_now()
        await here.house.log.changed.wait()
        said = "450 4.4.1 Waits for its host to come for it; at last: 450 4.2.1 Not now"
        while not any(said in line for line in here.house.log.lines):
            here.house.log.changed.clear()
            await here.house.log.changed.wait()
        assert await here.waiting() == [f"bob@branch.example {said}"]
        assert any(b"Action: delayed" in one.body.octets() for one in here.house.log.reports)


@pytest.mark.parametrize("greeting", ["554 5.3.2 Not here", "421 4.3.2 Later", "nonsense"])
@on_loop
async def test_a_host_that_takes_nothing_leaves_everything_as_it_was(tmp_path: Path, greeting: str) -> None:
    async with scene(tmp_path, ScriptedServer().on("GREETING", greeting)) as here:
        await here.accept("bob@branch.example")
        taken, refusal = await here.visit()
        assert taken == 0
        assert refusal.startswith("greeting: ")
        assert here.house.log.lines == []
        assert await here.waiting() == ["bob@branch.example 450 4.4.1 Waits for its host to come for it"]


@on_loop
async def test_a_host_that_never_greets_is_let_go(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer().on("GREETING", HANG), Patience(greeting=0.05)) as here:
        await here.accept("bob@branch.example")
        taken, refusal = await here.visit()
        assert (taken, refusal) == (
            0,
            "greeting: 450 4.4.2 Connection with [192.0.2.1]:1025 timed out while waiting for greeting",
        )
        assert await here.visits.any_waits(HOPS)


@on_loop
async def test_a_connection_that_breaks_loses_nothing_and_repeats_nothing(tmp_path: Path) -> None:
    """What was taken is gone, what was on its way is told of, what was not begun is as it was."""
    host = ScriptedServer().on("RCPT TO:<bob1", DROP)
    async with scene(tmp_path, host) as here:
        await here.accept(*(f"bob{number}@branch.example" for number in range(4)))
        assert await here.visit() == (1, "")
        lost = "450 4.4.2 Connection with [192.0.2.1]:1025 lost while waiting for RCPT TO"
        waits = "450 4.4.1 Waits for its host to come for it"
        await here.house.deliverer.retry_now()
        assert await here.waiting() == [
            f"bob1@branch.example {lost}",
            f"bob2@branch.example {waits}",
            f"bob3@branch.example {waits}",
        ]
        host.drop_scripts()
        assert await here.visit() == (3, "")
        assert len(host.messages) == 4
        assert await here.waiting() == []


@on_loop
async def test_two_visits_at_once_share_what_waits(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer()) as here:
        await here.accept(*(f"bob{number}@branch.example" for number in range(2 * BATCH)))
        first, second = await here.begin(), await here.begin()
        async with asyncio.timeout(10):
            (some, _), (others, _) = await first, await second
        assert some + others == 2 * BATCH
        assert len(here.host.messages) == 2 * BATCH


@on_loop
async def test_a_message_is_converted_for_a_host_without_8bitmime(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer()) as here:
        await here.accept(
            "bob@branch.example",
            body=GERMAN.replace(
                b"Subject: t",
                b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit",
            ),
        )
        await here.accept("ann@branch.example")
        assert await here.visit() == (2, "")
        assert any(b"Gr=C3=BC=C3=9Fe" in message for message in here.host.messages)


@on_loop
async def test_a_host_with_limits_gets_what_fits(tmp_path: Path) -> None:
    """RFC 9422: one recipient a transaction, one domain a connection; the rest waits for the next visit."""
    async with scene(tmp_path, ScriptedServer("LIMITS RCPTMAX=1 RCPTDOMAINMAX=1")) as here:
        await here.accept("bob@branch.example ann@branch.example", "erin@sub.branch.example")
        assert await here.visit() == (2, "")
        assert [command for command in here.host.commands if command.startswith("RCPT")] == [
            "RCPT TO:<bob@branch.example>",
            "RCPT TO:<ann@branch.example>",
        ]
        assert await here.visit() == (1, "")


@on_loop
async def test_a_large_body_goes_from_the_disk(tmp_path: Path) -> None:
    from purport.queue.sqlite import SqliteStore

    body = MESSAGE + b"x" * 70 + b"\r\n" + b"0123456789abcde\r\n" * 40_000
    host = ScriptedServer("PIPELINING")
    async with host:
        store = SqliteStore(tmp_path / "spool")
        async with House(tmp_path, host, store=store, domains=DOMAINS) as house:
            here = Scene(house, host, Patience())
            await here.accept("bob@branch.example", body=body)
            assert await here.visit() == (1, "")
            assert host.messages[0].endswith(body)
            assert not await here.visits.any_waits(HOPS)


@on_loop
async def test_when_the_server_stops_what_is_under_way_ends_and_the_rest_stays(tmp_path: Path) -> None:
    host = ScriptedServer().on(".", HANG)
    async with scene(tmp_path, host) as here:
        await here.accept("bob@branch.example", "ann@branch.example")
        ended = await here.begin()
        await here.host.until(lambda: here.host.messages)
        await here.visits.close(0.1)
        assert await asyncio.wait_for(ended, 10) == (0, "")
        told = await here.waiting()
        assert told[0].startswith("bob@branch.example 450 4.4.2 Connection with [192.0.2.1]:1025 ended: this server st")
        assert told[1] == "ann@branch.example 450 4.4.1 Waits for its host to come for it"


@on_loop
async def test_its_time_runs_out_without_a_visit(tmp_path: Path) -> None:
    async with scene(tmp_path, ScriptedServer()) as here:
        await here.accept("bob@branch.example")
        here.house.now += 5 * 86_400 + 1
        await here.house.deliverer.retry_now()
        while not here.house.log.reports:
            here.house.log.changed.clear()
            await here.house.log.changed.wait()
        assert b"Delivery time expired" in here.house.log.reports[0].body.octets()
        assert not await here.visits.any_waits(HOPS)
        assert here.host.connections == []


@pytest.mark.parametrize(
    ("offers", "tls", "taken"),
    [(("REQUIRETLS",), "TLSv1.3 AES", 1), ((), "TLSv1.3 AES", 0), (("REQUIRETLS",), "", 0)],
)
@on_loop
async def test_a_message_with_requiretls_goes_under_tls_to_a_host_that_offers_it(
    tmp_path: Path, offers: tuple[str, ...], tls: str, taken: int
) -> None:
    """The host logged in, so it is the right one; what it cannot have is returned (RFC 8689 section 4.2.1)."""
    async with scene(tmp_path, ScriptedServer(*offers)) as here:
        await here.accept("bob@branch.example", mail="REQUIRETLS")
        assert await here.visit(tls=tls) == (taken, "")
        said = "MAIL FROM:<alice@example.com> REQUIRETLS"
        assert (said in here.host.commands) is bool(taken)
        if not taken:
            assert here.house.log.lines[0] == "failed bob@branch.example 5.7.30 550 5.7.30 REQUIRETLS support required"
