"""Connections to next hops, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.delivery.content import in_memory
from purport.delivery.destination import Destination, rank_of
from purport.delivery.failure import Judgement
from purport.delivery.job import Job
from purport.delivery.patience import Patience
from purport.delivery.pool import PoolSettings
from purport.dns.lookup import Answer, Question
from purport.dns.zone import StaticResolver
from purport.mail.address import Mailbox
from purport.smtp.sasl.credentials import Credentials
from support.outside import MESSAGE, SETTINGS, Outside, a_message, here
from support.scripted_server import DROP, HANG, ScriptedServer, on_loop


@on_loop
async def test_a_message_is_relayed_as_it_is_with_our_trace_fields_on_top():
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        message = a_message("bob", "carol")
        outside.send(here(server), message)
        assert await outside.outcomes(2) == {
            "bob": (Judgement.RELAYED, "250 2.0.0 Ok: taken"),
            "carol": (Judgement.RELAYED, "250 2.0.0 Ok: taken"),
        }
        assert server.messages == [message.trace + MESSAGE]
        assert outside.settled[0][2].host == f"127.0.0.1[127.0.0.1]:{server.port}"


@on_loop
async def test_a_body_on_disk_is_sent_piece_by_piece():
    body = b"From: alice@example.com\r\n\r\n" + b".x" * 30 + b"\r\n" + (b"." + b"y" * 70 + b"\r\n") * 20_000
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        message = a_message(body=body, whole=False)
        outside.send(here(server), message)
        await outside.outcomes()
        assert server.messages == [message.trace + body]


BIG = b"From: alice@example.com\r\n\r\n" + (b"." + b"y" * 70 + b"\r\n") * 20_000


@pytest.mark.parametrize("offers", [("CHUNKING",), ("PIPELINING", "CHUNKING")])
@pytest.mark.parametrize("whole", [True, False])
@on_loop
async def test_header_and_body_go_in_chunks_where_they_are_taken(offers, whole):
    async with ScriptedServer(*offers) as server, Outside() as outside:
        message = a_message(body=BIG, whole=whole)
        outside.send(here(server), message)
        outside.send(here(server), a_message())
        await outside.outcomes(1)
        await server.until(lambda: len(server.messages) == 2)
        assert sorted(server.messages, key=len) == [message.trace + MESSAGE, message.trace + BIG]
        chunks = [command for command in server.commands if command.startswith("BDAT")]
        header = len(message.trace) + len(b"From: alice@example.com\r\n\r\n")
        assert f"BDAT {header}" in chunks
        assert sum(command.endswith("LAST") for command in chunks) == 2
        assert len(chunks) == (4 if whole else 3 + len(BIG) // 65536 + 1)
        assert "DATA" not in server.commands


@pytest.mark.parametrize("offers", [("CHUNKING",), ("PIPELINING", "CHUNKING")])
@on_loop
async def test_a_message_refused_at_its_header_is_not_sent_on(offers):
    async with ScriptedServer(*offers) as server, Outside() as outside:
        server.on("BDAT", "550 5.7.1 Submitter does not match header.", "503 5.5.1 Bad sequence")
        message = a_message()
        message.body = body = Endless()
        job = Job(message, message.recipients, here(server), in_memory(message, MESSAGE), outside._settle)
        outside.pool.deliver(job)
        assert await outside.outcomes() == {
            "bob": (Judgement.FAILED, "550 5.7.1 Submitter does not match header."),
        }
        assert body.read < 32_000_000
        assert "BDAT" in outside.settled[0][2].transcript


@on_loop
async def test_the_connection_goes_on_after_a_message_that_was_refused_at_a_chunk():
    async with (
        ScriptedServer("PIPELINING", "CHUNKING") as server,
        Outside(settings=PoolSettings(per_destination=1)) as outside,
    ):
        server.on("BDAT", "452 4.3.1 Full", "503 5.5.1 Bad sequence", "250 2.0.0 Ok")
        outside.send(here(server))
        await outside.outcomes()
        outside.send(here(server), a_message("carol"))
        await server.until(lambda: server.messages)
        assert len(server.connections) == 1
        assert "RSET" in server.commands


@on_loop
async def test_messages_share_a_connection_and_their_commands_leave_together():
    async with ScriptedServer("PIPELINING") as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        for _ in range(5):
            outside.send(here(server))
        await outside.outcomes(1)
        await server.until(lambda: len(server.messages) == 5)
        assert len(server.connections) == 1
        outside.send(here(server))
        await server.until(lambda: len(server.messages) == 6)
        assert len(server.connections) == 1, "an idle connection is used again"


@on_loop
async def test_a_connection_is_left_after_its_last_transaction():
    settings = PoolSettings(per_destination=1, reuse=2)
    async with ScriptedServer("PIPELINING") as server, Outside(settings=settings) as outside:
        for _ in range(5):
            outside.send(here(server))
        await server.until(lambda: len(server.messages) == 5)
        assert [len(seen.messages) for seen in server.connections] == [2, 2, 1]
        assert server.connections[0].commands[-1] == "QUIT"


@on_loop
async def test_an_idle_connection_says_quit():
    async with ScriptedServer("PIPELINING") as server, Outside(patience=Patience(idle=0.05)) as outside:
        outside.send(here(server))
        await server.until(lambda: server.commands[-1:] == ["QUIT"])
        await server.until(lambda: server.open == 0)


@on_loop
async def test_no_more_connections_than_the_limit_are_opened_to_one_destination():
    settings = PoolSettings(per_destination=3)
    async with ScriptedServer() as server, Outside(settings=settings) as outside:
        for _ in range(30):
            outside.send(here(server))
        await server.until(lambda: len(server.messages) == 30)
        assert server.most_open == 3


@on_loop
async def test_all_destinations_share_the_total_and_none_waits_for_ever():
    settings = PoolSettings(total=2)
    async with (
        ScriptedServer() as first,
        ScriptedServer() as second,
        ScriptedServer() as third,
        Outside(settings=settings) as outside,
    ):
        for server in (first, second, third):
            for _ in range(4):
                outside.send(here(server))
        await third.until(lambda: len(third.messages) == 4)
        await outside.outcomes(1)
        assert outside.pool.connections <= 2
        for server in (first, second, third):
            await server.until(lambda server=server: len(server.messages) == 4)


@pytest.mark.parametrize("offers", [("PIPELINING",), ()])
@pytest.mark.parametrize(
    ("beginning", "said", "judgement", "told"),
    [
        ("MAIL", "550 5.7.1 Submitter not allowed.", Judgement.FAILED, "550 5.7.1 Submitter not allowed."),
        ("MAIL", "451 4.3.0 Later", Judgement.DEFERRED, "451 4.3.0 Later"),
        ("RCPT", "550 5.1.1 Who?", Judgement.FAILED, "550 5.1.1 Who?"),
        ("RCPT", "450 4.2.0 Greylisted", Judgement.DEFERRED, "450 4.2.0 Greylisted"),
        ("RCPT", "552 5.5.3 Too many", Judgement.DEFERRED, "552 5.5.3 Too many"),
        ("DATA", "554 5.5.1 No", Judgement.FAILED, "554 5.5.1 No"),
        ("DATA", "451 4.3.0 No", Judgement.DEFERRED, "451 4.3.0 No"),
        (".", "554 5.7.1 Spam", Judgement.FAILED, "554 5.7.1 Spam"),
        (".", "452 4.3.1 Full", Judgement.DEFERRED, "452 4.3.1 Full"),
        ("GREETING", "554 5.7.1 Blocked", Judgement.DEFERRED, "554 5.7.1 Blocked"),
        ("GREETING", "521 5.3.2 No mail here", Judgement.FAILED, "521 5.3.2 No mail here"),
        ("GREETING", "421 4.3.2 Busy", Judgement.DEFERRED, "421 4.3.2 Busy"),
    ],
)
@on_loop
async def test_a_refusal_at_each_stage(offers, beginning, said, judgement, told):
    async with ScriptedServer(*offers) as server, Outside() as outside:
        server.on(beginning, said)
        outside.send(here(server), a_message("bob", "carol"))
        assert await outside.outcomes(2) == {"bob": (judgement, told), "carol": (judgement, told)}
        if beginning != "GREETING":
            assert f"S: {told}" in outside.settled[0][2].transcript


@on_loop
async def test_recipients_of_one_message_may_fare_differently():
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        server.on("RCPT TO:<bob", "550 5.1.1 No bob").on("RCPT TO:<carol", "450 4.2.0 Later")
        outside.send(here(server), a_message("bob", "carol", "dave"))
        assert await outside.outcomes(3) == {
            "bob": (Judgement.FAILED, "550 5.1.1 No bob"),
            "carol": (Judgement.DEFERRED, "450 4.2.0 Later"),
            "dave": (Judgement.RELAYED, "250 2.0.0 Ok: taken"),
        }
        assert len(server.messages) == 1


@on_loop
async def test_an_old_server_is_spoken_to_with_helo():
    async with ScriptedServer() as server, Outside() as outside:
        server.on("EHLO", "502 5.5.1 EHLO?")
        outside.send(here(server))
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert server.commands[:2] == ["EHLO client.example", "HELO client.example"]


@pytest.mark.parametrize(
    ("beginning", "text"),
    [
        ("GREETING", "lost while waiting for greeting"),
        ("EHLO", "lost while waiting for EHLO"),
        ("RCPT", "lost while waiting for RCPT TO"),
        ("DATA", "lost while waiting for DATA"),
    ],
)
@on_loop
async def test_a_lost_connection_defers(beginning, text):
    async with ScriptedServer() as server, Outside() as outside:
        server.on(beginning, DROP)
        outside.send(here(server))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert text in told
        assert "4.4.2" in told


@on_loop
async def test_a_connection_lost_after_the_end_of_data_may_mean_a_duplicate():
    async with ScriptedServer("PIPELINING") as server, Outside() as outside:
        server.on(".", DROP)
        outside.send(here(server))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert "may arrive twice" in told
        assert len(server.connections) == 1, "it is not sent again at once"


@on_loop
async def test_a_used_connection_that_ends_before_a_reply_costs_nothing():
    async with ScriptedServer() as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        server.on("MAIL", "250 Ok", DROP, "250 Ok")
        outside.send(here(server))
        await outside.outcomes(1)
        outside.send(here(server))
        outcome = await outside.outcomes(2)
        assert outcome["bob"][0] is Judgement.RELAYED
        assert len(server.connections) == 2


@on_loop
async def test_a_fresh_connection_that_ends_before_a_reply_defers():
    async with ScriptedServer() as server, Outside() as outside:
        server.on("MAIL", "421 4.7.0 Not you")
        outside.send(here(server))
        assert await outside.outcomes() == {"bob": (Judgement.DEFERRED, "421 4.7.0 Not you")}
        assert len(server.connections) == 1


@pytest.mark.parametrize(
    ("beginning", "patience", "text"),
    [
        ("GREETING", Patience(greeting=0.05), "greeting"),
        ("EHLO", Patience(hello=0.05), "EHLO"),
        ("MAIL", Patience(mail=0.05), "MAIL FROM"),
        ("RCPT", Patience(rcpt=0.05), "RCPT TO"),
        ("DATA", Patience(data=0.05), "DATA"),
        (".", Patience(end_of_data=0.05), "end of data; the message may arrive twice"),
    ],
)
@on_loop
async def test_a_server_that_says_nothing_is_given_up_after_its_time(beginning, patience, text):
    async with ScriptedServer() as server, Outside(patience=patience) as outside:
        server.on(beginning, HANG)
        outside.send(here(server))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert told.endswith(f"timed out while waiting for {text}")


@on_loop
async def test_a_server_that_drips_a_reply_is_given_up_too():
    async with ScriptedServer() as server, Outside(patience=Patience(mail=0.2)) as outside:
        server.on("MAIL", b"250-" + b"x" * 100)
        outside.send(here(server))
        assert "timed out" in (await outside.outcomes())["bob"][1]


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\r\n", b"250-a\r\n550 b\r\n", b"250 a\n", b"x" * 100_000, b"250-x\r\n" * 10_000]
)
@on_loop
async def test_a_hostile_reply_ends_the_connection_and_defers(garbage):
    async with ScriptedServer() as server, Outside() as outside:
        server.on("MAIL", garbage)
        outside.send(here(server))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert "protocol error" in told
        await server.until(lambda: server.open == 0)


TWO_HOSTS = {
    "company.com.example": [{"MX": [10, "mx1.company.com.example"]}, {"MX": [20, "mx2.company.com.example"]}],
    "mx1.company.com.example": [{"A": "127.0.0.2"}],
    "mx2.company.com.example": [{"A": "127.0.0.3"}],
}


@on_loop
async def test_the_next_host_is_tried_when_one_cannot_be_reached():
    async with (
        ScriptedServer(address="127.0.0.3") as second,
        Outside(StaticResolver(TWO_HOSTS), PoolSettings(port=second.port)) as outside,
    ):
        outside.send("mx:company.com.example")
        await outside.outcomes()
        assert outside.settled[0][2].host == f"mx2.company.com.example[127.0.0.3]:{second.port}"


@pytest.mark.parametrize("beginning", ["GREETING", "EHLO", "MAIL", "RCPT", "DATA", "."])
@on_loop
async def test_the_next_host_is_tried_when_one_says_not_now(beginning):
    async with ScriptedServer(address="127.0.0.2") as first:
        first.on(beginning, "450 4.2.1 Not now")
        async with (
            ScriptedServer(address="127.0.0.3", port=first.port) as second,
            Outside(StaticResolver(TWO_HOSTS), PoolSettings(port=first.port)) as outside,
        ):
            outside.send("mx:company.com.example", a_message("bob", "carol"))
            assert set((await outside.outcomes(2)).values()) == {(Judgement.RELAYED, "250 2.0.0 Ok: taken")}
            assert len(second.messages) == 1


@on_loop
async def test_a_message_refused_for_good_is_not_tried_elsewhere():
    async with ScriptedServer(address="127.0.0.2") as first:
        first.on("RCPT", "550 5.1.1 No")
        async with (
            ScriptedServer(address="127.0.0.3", port=first.port) as second,
            Outside(StaticResolver(TWO_HOSTS), PoolSettings(port=first.port)) as outside,
        ):
            outside.send("mx:company.com.example")
            assert (await outside.outcomes())["bob"] == (Judgement.FAILED, "550 5.1.1 No")
            assert not second.connections


@on_loop
async def test_what_the_first_host_said_is_told_when_there_is_no_second():
    async with ScriptedServer(address="127.0.0.2") as first:
        first.on("RCPT TO:<bob", "450 4.2.0 Greylisted")
        async with Outside(StaticResolver(TWO_HOSTS), PoolSettings(port=first.port)) as outside:
            outside.send("mx:company.com.example", a_message("bob", "carol"))
            assert await outside.outcomes(2) == {
                "bob": (Judgement.DEFERRED, "450 4.2.0 Greylisted"),
                "carol": (Judgement.RELAYED, "250 2.0.0 Ok: taken"),
            }


@on_loop
async def test_a_host_that_never_takes_mail_decides_only_if_no_other_might():
    async with ScriptedServer(address="127.0.0.3") as second:
        second.on("GREETING", "521 5.3.2 No mail here")
        async with Outside(StaticResolver(TWO_HOSTS), PoolSettings(port=second.port)) as outside:
            outside.send("mx:company.com.example")
            judgement, told = (await outside.outcomes())["bob"]
            assert judgement is Judgement.DEFERRED, "the first host was only not there"
            assert "connect to mx1" in told


class Endless:
    """A body that never ends, and how much of it was read."""

    size = 10**10
    read = 0

    def octets(self) -> None:
        return None

    def pieces(self, size: int = 65536):
        while True:
            self.read += size
            yield b"x" * (size - 2) + b"\r\n"


@on_loop
async def test_a_server_that_does_not_read_gets_no_more_than_the_buffers_hold():
    async def stuck(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx\r\n")
        await reader.readuntil(b"\r\n")
        writer.write(b"250-mx\r\n250 PIPELINING\r\n")
        await reader.readuntil(b"DATA\r\n")
        writer.write(b"250 Ok\r\n250 Ok\r\n354 go\r\n")
        writer.transport.pause_reading()
        await writer.wait_closed()

    server = await asyncio.start_server(stuck, "127.0.0.1", 0)
    async with server, Outside(patience=Patience(block=0.3)) as outside:
        message = a_message()
        message.body = body = Endless()
        next_hop = f"smtp:127.0.0.1:{server.sockets[0].getsockname()[1]}"
        content = in_memory(message, MESSAGE)
        outside.pool.deliver(Job(message, message.recipients, next_hop, content, outside._settle))
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert told.endswith("timed out while waiting for mail data")
        assert body.read < 32_000_000


@pytest.mark.parametrize(
    ("zone", "judgement", "told"),
    [
        ({"company.com.example": [{"MX": [0, "."]}]}, Judgement.FAILED, "556 5.1.10"),
        ({}, Judgement.FAILED, "550 5.1.2"),
        ({"company.com.example": ["TIMEOUT"]}, Judgement.DEFERRED, "451 4.4.3"),
        ({"company.com.example": [{"MX": [0, "client.example"]}]}, Judgement.FAILED, "554 5.4.6"),
        ({"company.com.example": [{"MX": [0, "gone.example"]}]}, Judgement.FAILED, "550 5.4.4"),
    ],
)
@on_loop
async def test_a_domain_without_a_host_to_ask(zone, judgement, told):
    async with Outside(StaticResolver(zone)) as outside:
        outside.send("mx:company.com.example")
        found, said = (await outside.outcomes())["bob"]
        assert found is judgement
        assert said.startswith(told)


@on_loop
async def test_a_destination_that_cannot_be_reached_again_and_again_is_left_alone():
    async with ScriptedServer() as server:
        nowhere = here(server)
    async with Outside(settings=PoolSettings(failures=2, pause=60.0)) as outside:
        for count in (1, 2):
            outside.send(nowhere)
            assert "connect to" in (await outside.outcomes(count))["bob"][1]
        outside.send(nowhere)
        assert len(outside.settled) == 3, "settled without trying"
        judgement, answer = outside.settled[2][1:]
        assert judgement is Judgement.DEFERRED
        assert str(answer.reply).startswith("450 4.4.1 Delivery temporarily suspended: 450 4.4.1 connect to")
        server.port = int(nowhere.rpartition(":")[2])
        async with server:
            outside.pool.revive()
            outside.send(nowhere)
            assert (await outside.outcomes(4))["bob"][0] is Judgement.RELAYED


@on_loop
async def test_a_destination_left_alone_is_tried_again_after_its_pause():
    async with ScriptedServer() as server:
        nowhere = here(server)
    async with Outside(settings=PoolSettings(failures=1, pause=0.05), patience=Patience(idle=0.05)) as outside:
        outside.send(nowhere)
        await outside.outcomes(1)
        async with asyncio.timeout(5):
            while outside.pool.destinations:
                await asyncio.sleep(0.01)
        server.port = int(nowhere.rpartition(":")[2])
        async with server:
            outside.send(nowhere)
            assert (await outside.outcomes(2))["bob"][0] is Judgement.RELAYED


@on_loop
async def test_stopping_finishes_what_runs_and_breaks_off_the_rest():
    async with ScriptedServer() as server:
        server.on(".", HANG)
        outside = Outside()
        outside.send(here(server))
        await server.until(lambda: server.messages)
        await outside.pool.close(0.05)
        judgement, told = (await outside.outcomes())["bob"]
        assert judgement is Judgement.DEFERRED
        assert "this server stops" in told


CAPRICES = [
    *[DROP, "250 Ok", "250 Ok", "250 Ok", "250 Ok", "450 4.2.0 Later", "550 5.1.1 No", "421 4.3.2 Bye"],
    *["354 Go", "250-a\n251 b", b"\x00\r\n", b"250 a\r\n250 b\r\n"],
]


@pytest.mark.parametrize("seed", range(12))
@on_loop
async def test_whatever_servers_do_each_recipient_is_settled_once(seed):
    chance = random.Random(seed)
    offers = [("CHUNKING",), ("PIPELINING",), ("PIPELINING", "CHUNKING"), ()][seed % 4]
    async with (
        ScriptedServer(*offers, address="127.0.0.2") as first,
        ScriptedServer(*offers, address="127.0.0.3", port=first.port) as second,
    ):
        for server in (first, second):
            for beginning in ("GREETING", "EHLO", "MAIL", "RCPT", "DATA", "BDAT", ".", "RSET"):
                if chance.random() < 0.7:
                    usual = {"GREETING": "220 mx", "DATA": "354 Go"}.get(beginning, "250 Ok")
                    odd = [chance.choice(CAPRICES) if chance.random() < 0.4 else usual for _ in range(30)]
                    server.on(beginning, *odd, usual)
        settings = PoolSettings(per_destination=3, reuse=4, port=first.port, failures=100)
        patience = Patience(*[0.3] * 9, idle=0.05)
        async with Outside(StaticResolver(TWO_HOSTS), settings, patience) as outside:
            for number in range(40):
                outside.send("mx:company.com.example", a_message(f"a{number}", f"b{number}", whole=number % 2 == 0))
                await asyncio.sleep(0)
            await outside.outcomes(80)
            await asyncio.sleep(0.01)
            assert len(outside.settled) == len({local_part for local_part, _, _ in outside.settled}) == 80


@on_loop
async def test_no_transaction_has_more_recipients_and_no_session_more_mail_than_the_host_takes():
    """RFC 9422 section 4.1 and 4.2."""
    one = PoolSettings(per_destination=1)
    async with (
        ScriptedServer("PIPELINING", "LIMITS RCPTMAX=2 MAILMAX=2") as server,
        Outside(settings=one) as outside,
    ):
        names = [f"user{number}" for number in range(7)]
        outside.send(here(server), a_message(*names))
        told = await outside.outcomes(7)
        assert told == dict.fromkeys(names, (Judgement.RELAYED, "250 2.0.0 Ok: taken"))
        said = [command.partition(" ")[0] for command in server.commands]
        assert (said.count("MAIL"), said.count("RCPT"), said.count("EHLO")) == (4, 7, 2)


@on_loop
async def test_no_session_has_more_domains_than_the_host_takes():
    """RFC 9422 section 4.3."""
    async with ScriptedServer("PIPELINING", "LIMITS RCPTDOMAINMAX=1") as server, Outside() as outside:
        message = a_message("bob", "carol", "dave")
        message.recipients[1].forward_path = Mailbox("carol", "b.example")
        message.recipients[2].forward_path = Mailbox("dave", "COMPANY.com.example")
        outside.send(here(server), message)
        told = await outside.outcomes(3)
        assert {judgement for judgement, _ in told.values()} == {Judgement.RELAYED}
        said = [command.partition(" ")[0] for command in server.commands]
        assert (said.count("MAIL"), said.count("EHLO")) == (2, 2)
        assert server.commands.index("RCPT TO:<dave@COMPANY.com.example>") < server.commands.index("QUIT")


# Who goes first (RFC 6710 section 5.1)


def told(server: ScriptedServer) -> list[str]:
    """The recipients that a server heard of, in order."""
    return [command.split("<")[1].split("@")[0] for command in server.commands if command.startswith("RCPT")]


@on_loop
async def test_jobs_that_wait_leave_in_the_order_of_their_priority():
    priorities = [0, -9, 3, 0, 9, -1, 3, 0]
    async with ScriptedServer("PIPELINING") as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        for number, priority in enumerate(priorities):
            outside.send(here(server), a_message(f"r{number}", priority=priority))
        await outside.outcomes(len(priorities))
        assert told(server) == ["r4", "r2", "r6", "r0", "r3", "r7", "r5", "r1"]


@on_loop
async def test_under_load_an_urgent_job_waits_for_no_more_than_what_is_being_sent():
    async with ScriptedServer("PIPELINING") as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        for number in range(200):
            outside.send(here(server), a_message(f"r{number}"))
        await outside.outcomes(50)
        before = len(told(server))
        outside.send(here(server), a_message("urgent", priority=1))
        await outside.outcomes(201)
        assert told(server).index("urgent") - before <= 2
        assert [one for one in told(server) if one != "urgent"] == [f"r{number}" for number in range(200)]


@on_loop
async def test_without_priorities_jobs_leave_in_the_order_they_came():
    async with ScriptedServer("PIPELINING") as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        for number in range(30):
            outside.send(here(server), a_message(f"r{number}"))
        await outside.outcomes(30)
        assert told(server) == [f"r{number}" for number in range(30)]


@on_loop
async def test_a_destination_with_an_urgent_job_gets_the_place_of_another():
    settings = PoolSettings(total=1)
    async with (
        ScriptedServer("PIPELINING") as busy,
        ScriptedServer("PIPELINING") as other,
        Outside(settings=settings) as outside,
    ):
        for number in range(100):
            outside.send(here(busy), a_message(f"r{number}"))
        await outside.outcomes(10)
        before = len(outside.settled)
        outside.send(here(other), a_message("urgent", priority=9))
        await outside.outcomes(101)
        assert [local_part for local_part, *_ in outside.settled].index("urgent") - before <= 3
        assert told(busy) == [f"r{number}" for number in range(100)]
        assert len(busy.connections) == 2


@on_loop
async def test_two_destinations_of_one_priority_do_not_take_each_others_place():
    async with (
        ScriptedServer("PIPELINING") as one,
        ScriptedServer("PIPELINING") as other,
        Outside(settings=PoolSettings(total=1)) as outside,
    ):
        for number in range(40):
            outside.send(here(one), a_message(f"a{number}", priority=2))
            outside.send(here(other), a_message(f"b{number}", priority=2))
        await outside.outcomes(80)
        assert len(one.connections) + len(other.connections) == 2


@on_loop
async def test_a_next_hop_hears_the_priority_where_it_offers_the_extension():
    async with (
        ScriptedServer("PIPELINING", "MT-PRIORITY STANAG4406") as server,
        ScriptedServer("PIPELINING") as deaf,
        Outside() as outside,
    ):
        for host in (server, deaf):
            outside.send(here(host), a_message(priority=3))
        await outside.outcomes(2)
        await server.until(lambda: server.messages)
        assert [one for one in server.commands if one.startswith("MAIL")] == [
            "MAIL FROM:<alice@example.com> MT-PRIORITY=3"
        ]
        await deaf.until(lambda: deaf.messages)
        assert [one for one in deaf.commands if one.startswith("MAIL")] == ["MAIL FROM:<alice@example.com>"]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5))))
def test_a_queue_is_in_order_whatever_comes_and_comes_back(steps: list[tuple[bool, int]]) -> None:
    destination = Destination("example.com")
    message = a_message()
    for back, rank in steps:
        job = Job(message, message.recipients, "example.com", in_memory(message, MESSAGE), lambda *_: None)
        job.rank = rank
        (destination.give_back if back else destination.append)(job)
        same = [one for one in destination.queue if one.rank == rank]
        assert (same[0] if back else same[-1]) is job
    assert [one.rank for one in destination.queue] == sorted(rank for _, rank in steps)
    assert not steps or rank_of(destination) == min(rank for _, rank in steps)


# Logins


def logging_in(server: ScriptedServer, settings: PoolSettings = SETTINGS) -> Outside:
    return Outside(settings=settings, credentials={here(server): Credentials("relay", "secret", without_tls=True)})


@on_loop
async def test_a_host_where_we_log_in_is_told_who_we_are_once_a_connection():
    one = PoolSettings(at_first=1)
    async with ScriptedServer("PIPELINING", "AUTH PLAIN") as server, logging_in(server, one) as outside:
        server.on("AUTH", "235 2.7.0 Welcome")
        outside.send(here(server))
        outside.send(here(server))
        await outside.outcomes(2)
        verbs = [command.partition(" ")[0] for command in server.connections[0].commands]
        assert verbs[:3] == ["EHLO", "AUTH", "MAIL"]
        assert verbs.count("AUTH") == 1
        assert all("AUTH=<>" in command for command in server.commands if command.startswith("MAIL"))


@on_loop
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("535 5.7.8 Who are you", "535 5.7.8 Who are you"),
        ("454 4.7.0 Later", "454 4.7.0 Later"),
        ("334 !", "450 4.7.0 Login cancelled: the server's challenge is not base64"),
    ],
)
async def test_a_host_that_does_not_let_us_in_defers_the_mail(said, reason):
    async with ScriptedServer("AUTH PLAIN") as server, logging_in(server) as outside:
        server.on("AUTH", said).on("*", "501 5.7.0 Cancelled")
        outside.send(here(server))
        assert await outside.outcomes() == {"bob": (Judgement.DEFERRED, reason)}
        assert not any(command.startswith("MAIL") for command in server.commands)
        assert "secret" not in outside.settled[0][2].transcript


@on_loop
async def test_a_host_without_auth_defers_the_mail():
    async with ScriptedServer("PIPELINING") as server, logging_in(server) as outside:
        outside.send(here(server))
        assert await outside.outcomes() == {"bob": (Judgement.DEFERRED, "450 4.7.0 The server does not offer AUTH")}


class OutOfOrder:
    """A resolver with a fault of its own."""

    def cached(self, question: Question) -> None:
        return None

    async def resolve(self, question: Question) -> Answer:
        raise RuntimeError("out of order")


@on_loop
async def test_a_fault_of_ours_while_a_connection_is_made_costs_an_attempt_and_no_place():
    told: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    async with Outside(OutOfOrder()) as outside:
        for _ in range(2):
            outside.send("mx:company.com.example")
            assert (await outside.outcomes())["bob"] == (Judgement.DEFERRED, "451 4.3.0 Local error in processing")
            outside.settled.clear()
        assert outside.pool.connections == 0
    assert told == ["out of order", "out of order"]
