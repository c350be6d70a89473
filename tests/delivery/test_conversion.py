"""Messages for hosts without 8BITMIME or BINARYMIME: converted on their way, or returned where that may not be."""

from __future__ import annotations

import email
import smtplib
from pathlib import Path

import pytest

from purport.authentication.dkim.signer import DomainKey, Signer
from purport.delivery.content import in_memory
from purport.delivery.failure import Judgement
from purport.delivery.job import Job
from purport.delivery.pool import PoolSettings
from purport.mail.envelope import Parameters
from support.dkim_keys import ed25519_key, signed, zone
from support.dkim_suites import check, words
from support.outside import Outside, a_message, here
from support.peers import require_peer, wait_for
from support.postfix import Postfix
from support.purport_server import purport_server
from support.scripted_server import ScriptedServer, on_loop

HEADER = b"From: alice@example.com\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
TRACE = b"Received: by client.example; Mon, 23 Nov 2026 22:00:00 +0000\r\n"
SIGNER = Signer([DomainKey("example.com", "s1", ed25519_key())])
EIGHT = HEADER + b"Content-Transfer-Encoding: 8bit\r\n\r\n" + "Grüße an alle\r\n".encode() * 3


def send(
    outside: Outside,
    server: ScriptedServer,
    body: bytes,
    *,
    whole: bool = True,
    parameters: str = "",
    trace: bytes = TRACE,
) -> None:
    message = a_message(body=body, whole=whole)
    message.trace = trace
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
    async with ScriptedServer() as server, Outside() as outside:
        send(outside, server, signed(EIGHT))
        judgement, said = (await outside.outcomes())["bob"]
        assert judgement is Judgement.FAILED
        assert said.startswith("554 5.6.2 ")
        assert "signature of example.com" in said
        assert not [command for command in server.commands if command.startswith("MAIL")]


@on_loop
async def test_a_message_that_we_signed_is_converted_and_signed_again():
    own = signed(EIGHT).removesuffix(EIGHT)
    async with ScriptedServer() as server, Outside(signer=SIGNER) as outside:
        send(outside, server, EIGHT, trace=TRACE + own)
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        [octets] = server.messages
        assert octets.isascii()
        assert octets.startswith(TRACE + b"DKIM-Signature: ")
        assert own not in octets
        assert words(check(octets, zone(ed25519_key()), 1e11)) == ("pass",)


@on_loop
async def test_a_signature_of_ours_whose_key_is_gone_is_left_out():
    own = signed(EIGHT).removesuffix(EIGHT)
    async with ScriptedServer() as server, Outside() as outside:
        send(outside, server, EIGHT, trace=TRACE + own)
        assert (await outside.outcomes())["bob"][0] is Judgement.RELAYED
        assert b"DKIM-Signature" not in server.messages[0]


# Who else could put our name into a message? Only what stands among our own fields is ours.
@on_loop
async def test_what_only_claims_to_be_ours_is_not_signed_again():
    async with ScriptedServer() as server, Outside(signer=SIGNER) as outside:
        send(outside, server, signed(EIGHT))
        assert (await outside.outcomes())["bob"][0] is Judgement.FAILED


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


@pytest.mark.parametrize("charset", ["idna", "undefined", "unknown-charset"])
@on_loop
async def test_a_parameter_in_a_charset_that_cannot_be_read_keeps_no_message_for_ever(charset):
    """RFC 2231 lets a boundary name its charset, and not every codec of Python's reads octets."""
    kind = f"Content-Type: multipart/mixed; boundary*={charset}''b\r\n\r\n".encode()
    body = b"From: alice@example.com\r\nMIME-Version: 1.0\r\n" + kind + b"--b\r\n\r\n\xe9\r\n--b--\r\n"
    async with ScriptedServer() as server, Outside() as outside:
        send(outside, server, body)
        judgement, reply = (await outside.outcomes())["bob"]
        if charset == "unknown-charset":
            assert judgement is Judgement.RELAYED
        else:
            assert judgement is Judgement.FAILED
            assert reply.startswith("554 5.6.3 ")
