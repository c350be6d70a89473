"""Messages for hosts without 8BITMIME or BINARYMIME: converted on their way, or returned where that may not be."""

from __future__ import annotations

import base64
import email
import smtplib
from pathlib import Path

import pytest

from purport.delivery.attempt import Job
from purport.delivery.content import in_memory
from purport.delivery.failure import Judgement
from purport.delivery.pool import PoolSettings
from purport.mail.body_hash import body_hash
from purport.mail.envelope import Parameters
from support.outside import Outside, a_message, here
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import purport_server
from support.scripted_server import ScriptedServer, on_loop

HEADER = b"From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
EIGHT = HEADER + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Grüße an alle\r\n".encode() * 3


def send(outside: Outside, server: ScriptedServer, body: bytes, *, whole: bool = True, parameters: str = "") -> None:
    message = a_message(body=body, whole=whole)
    if parameters:
        message.parameters = Parameters.from_octets(parameters.encode())
    outside.pool.deliver(Job(message, message.recipients, here(server), in_memory(message, body), outside._settle))


@pytest.mark.parametrize("whole", [True, False])
@on_loop
async def test_text_is_converted_for_a_host_that_takes_7_bits_alone(whole):
    async with ScriptedServer("SIZE 10000") as server, Outside() as outside:
        send(outside, server, EIGHT, whole=whole)
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        (octets,) = server.messages
        assert octets.isascii()
        assert octets.endswith(b"Gr=C3=BC=C3=9Fe an alle\r\n" * 3)
        assert b"\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" in octets
        (mail,) = [command for command in server.commands if command.startswith("MAIL")]
        assert mail == f"MAIL FROM:<alice@example.com> SIZE={len(octets)}"


@on_loop
async def test_a_host_that_takes_8_bits_gets_it_as_it_is():
    async with ScriptedServer("8BITMIME") as server, Outside() as outside:
        send(outside, server, EIGHT)
        await outside.outcomes()
        assert server.messages[0].endswith(EIGHT)
        assert "MAIL FROM:<alice@example.com> BODY=8BITMIME" in server.commands


@pytest.mark.parametrize("offers", [("8BITMIME", "CHUNKING"), ()])
@on_loop
async def test_any_octets_become_base64_for_a_host_without_binarymime(offers):
    body = HEADER.replace(b"text/plain; charset=utf-8", b"image/png") + b"\r\n" + bytes(range(256)) * 20
    async with ScriptedServer(*offers) as server, Outside() as outside:
        send(outside, server, body, parameters="BODY=BINARYMIME")
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        found = email.message_from_bytes(server.messages[0])
        assert found.get_payload(decode=True) == bytes(range(256)) * 20
        assert not any("BODY=" in command for command in server.commands)


@on_loop
async def test_a_message_whose_signature_fits_is_returned_instead():
    body = EIGHT.partition(b"\r\n\r\n")[2]
    hashed = base64.b64encode(body_hash(body, relaxed=True))
    field = b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; bh=" + hashed + b"; b=x\r\n"
    async with ScriptedServer() as server, Outside() as outside:
        send(outside, server, field + EIGHT)
        judgement, said = (await outside.outcomes())["bob"]
        assert judgement is Judgement.FAILED
        assert said.startswith("554 5.6.2 ")
        assert "signature of example.com" in said
        assert not [command for command in server.commands if command.startswith("MAIL")]


@on_loop
async def test_others_do_not_wait_for_a_conversion():
    async with ScriptedServer("PIPELINING") as server, Outside(settings=PoolSettings(per_destination=1)) as outside:
        send(outside, server, EIGHT + b"x" * 3_000_000)
        for _ in range(20):
            outside.send(here(server))
        outcomes = []
        await outside.outcomes(21)
        outcomes = [len(octets) for octets in server.messages]
        assert len(outcomes) == 21
        assert max(outcomes[:10]) < 1000


@pytest.mark.peer
@pytest.mark.xdist_group("relays")
def test_postfix_without_8bitmime_gets_what_it_can_take(tmp_path: Path) -> None:
    require_peer("postfix")
    postfix = Postfix(
        {
            "mydestination": "",
            "relay_domains": "elsewhere.example",
            "relay_transport": "discard",
            "smtpd_discard_ehlo_keywords": "8bitmime, chunking",
        }
    )
    try:
        settings = f'[[domain]]\nname = "elsewhere.example"\ndeliver = "smtp:127.0.0.1:{postfix.port}"\n'
        with purport_server(tmp_path, settings) as server:
            with smtplib.SMTP("127.0.0.1", server.port) as client:
                client.ehlo()
                client.sendmail("alice@[127.0.0.1]", ["bob@elsewhere.example"], EIGHT, ["BODY=8BITMIME"])
            wait_for(lambda: "status=sent" in server.log(), what="the delivery in our log")
    finally:
        postfix.stop()
