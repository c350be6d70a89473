"""The operator's commands beside a server that runs."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from support.peers import free_port
from support.purport_server import PurportServer, purport_server
from support.scripted_server import ScriptedServer, on_loop

SETTINGS = """\
[[domain]]
name = "elsewhere.example"
deliver = "smtp:127.0.0.1:{port}"

[dns]
zone = "zone.json"
"""


def entries(server: PurportServer) -> list[dict[str, object]]:
    return [json.loads(line) for line in server.command("queue", "list", "--json").stdout.splitlines()]


async def until_queue(server: PurportServer, *names: str) -> list[dict[str, object]]:
    """The queue, once its messages stand where they should."""
    async with asyncio.timeout(20):
        while True:
            found = await asyncio.to_thread(entries, server)
            if [entry["queue_name"] for entry in found] == list(names):
                return found
            await asyncio.sleep(0.02)


@on_loop
async def test_a_message_waits_is_held_and_goes_when_it_is_told(tmp_path: Path) -> None:
    (tmp_path / "zone.json").write_text('{"example.com": [{"TXT": "v=spf1 ip4:127.0.0.1 -all"}]}')
    port = free_port()
    with purport_server(tmp_path, SETTINGS.format(port=port)) as server:

        async def command(*words: str) -> str:
            ran = await asyncio.to_thread(server.command, *words)
            assert (ran.returncode, ran.stderr) == (0, "")
            return ran.stdout

        place = f"127.0.0.1:{server.port}"
        await command("send", "--server", place, "--to", "carol@elsewhere.example", "--from", "alice@example.com")
        (entry,) = await until_queue(server, "deferred")
        queue_id = str(entry["queue_id"])
        (recipient,) = entry["recipients"]  # type: ignore[misc]
        assert "Connection refused" in recipient["delay_reason"]

        assert await command("queue", "hold", queue_id) == f"{queue_id}: held\n"
        await until_queue(server, "hold")
        async with ScriptedServer("SUBMITTER", port=port) as next_hop:
            await command("queue", "release", "ALL")
            await command("queue", "retry", queue_id)
            await next_hop.until(lambda: len(next_hop.messages) == 1)
            await until_queue(server)
        told = json.loads(await command("explain", queue_id, "--json"))
        assert [delivery["outcome"] for delivery in told["deliveries"]] == ["deferred", "sent"]
        assert "status=sent" in server.log()
