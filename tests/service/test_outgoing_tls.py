"""DANE, REQUIRETLS and TLS-Required from one server to another, with a DNS server that validates."""

from __future__ import annotations

import email
import json
import smtplib
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.certificates import Authority, chain_in, tlsa
from support.dns_server import dns_server
from support.peers import wait_for
from support.purport_server import PurportServer

HOST = "mx.hoster.example"
MESSAGE = b"From: alice@company.com.example\r\nSubject: a secret subject\r\n\r\nHello\r\n"
OTHER = "3 1 1 " + "ab" * 32  # of a key that nobody has
ZONE = {"company.com.example": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}
CERTIFICATE = '\n[[certificate]]\nchain = "{}"\n'


@dataclass
class Pair:
    """`ours` relays all that is not its own to `theirs`, whose host has a TLSA record."""

    ours: PurportServer
    theirs: PurportServer
    context: ssl.SSLContext

    def send(self, *options: str, header: bytes = b"", to: str = "bob@elsewhere.example") -> None:
        with smtplib.SMTP("127.0.0.1", self.ours.port, timeout=10) as client:
            client._host = "mx.company.com.example"  # type: ignore[attr-defined]  # the name that it asks for
            client.starttls(context=self.context)
            client.sendmail("alice@company.com.example", [to], header + MESSAGE, options)

    @property
    def arrived(self) -> list[bytes]:
        new = self.theirs.state_dir / "maildir" / "elsewhere.example" / "bob" / "new"
        return [file.read_bytes() for file in new.iterdir()] if new.exists() else []

    @property
    def returned(self) -> list[bytes]:
        new = self.ours.state_dir / "maildir" / "company.com.example" / "alice" / "new"
        return [file.read_bytes() for file in new.iterdir()] if new.exists() else []

    def explained(self) -> str:
        return self.ours.command("explain", "--last", "1").stdout


@contextmanager
def pair(
    folder: Path, record: str = "", *, withheld: str = "", signed: bool = True, forwards: str = ""
) -> Iterator[Pair]:
    """`record` of the other host; empty: the right one. `withheld`: an EHLO keyword that it does not offer."""
    authority = Authority(folder / "tls")
    theirs = PurportServer(folder / "theirs", '[[domain]]\nname = "elsewhere.example"\n', HOST)
    path = authority.issue(HOST)
    text = theirs.settings.read_text()
    if withheld:
        text = text.replace("xclient =", f'discard_ehlo_keywords = ["{withheld}"]\nxclient =')
    theirs.settings.write_text(text + CERTIFICATE.format(path))
    authority.issue("mx.company.com.example", file="ours.pem")
    mark = ["SIGNED"] if signed else []
    zone = {
        **ZONE,
        HOST: [*mark, {"A": "127.0.0.1"}],
        f"_{theirs.port}._tcp.{HOST}": [*mark, {"TLSA": record or tlsa(chain_in(path)[0])}],
    }
    with dns_server(zone) as names:
        relay = f'default = "smtp:{HOST}:{theirs.port}"\nauthorities = "{authority.bundle}"'
        settings = f"""
[[domain]]
name = "company.com.example"
{forwards}
[dns]
servers = ["{names.address}"]
[relay]
networks = ["127.0.0.0/8"]
{relay}
"""
        theirs.settings.write_text(theirs.settings.read_text() + f'\n[dns]\nservers = ["{names.address}"]\n')
        ours = PurportServer(folder / "ours", settings)
        ours.settings.write_text(ours.settings.read_text() + CERTIFICATE.format(authority.folder / "ours.pem"))
        context = ssl.create_default_context(cafile=authority.bundle)
        theirs.start()
        ours.start()
        try:
            yield Pair(ours, theirs, context)
        finally:
            ours.stop()
            theirs.stop()


def test_mail_goes_to_a_host_that_its_tlsa_record_proves_and_explain_says_so(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.send()
        wait_for(lambda: both.arrived)
        told = both.explained()
        assert f"asked for dane (dane: TLSA 3 1 1 at _{both.theirs.port}._tcp.{HOST})" in told
        (delivery,) = json.loads(both.ours.command("explain", "--last", "1", "--json").stdout)["deliveries"]
        assert delivery["policy"].startswith("dane (dane: TLSA 3 1 1 at ")
        assert delivery["tls"].startswith("TLSv1.3 ")


def test_a_host_that_its_tlsa_record_does_not_prove_gets_nothing_and_the_queue_says_why(tmp_path: Path) -> None:
    with pair(tmp_path, OTHER) as both:
        both.send()
        wait_for(lambda: "status=deferred" in both.ours.log())
        assert "the certificate matches none of the TLSA records" in both.ours.log()
        (entry,) = map(json.loads, both.ours.command("queue", "list", "--json").stdout.splitlines())
        shown = both.ours.command("queue", "show", entry["queue_id"]).stdout
        assert f"  | T: asked for dane (dane: TLSA 3 1 1 at _{both.theirs.port}._tcp.{HOST})" in shown
        assert "  | C: STARTTLS" in shown
        assert "asks for" not in shown.splitlines()[1]
        assert "matches none of the TLSA records" in shown
        assert both.arrived == []


def test_what_nobody_signed_is_not_insisted_on(tmp_path: Path) -> None:
    with pair(tmp_path, OTHER, signed=False) as both:
        both.send()
        wait_for(lambda: both.arrived)


def test_a_message_with_requiretls_goes_all_the_way_with_it(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.send("REQUIRETLS")
        wait_for(lambda: both.arrived)
        record = json.loads(both.theirs.command("explain", "--last", "1", "--json").stdout)
        assert "REQUIRETLS" in record["parameters"].split()
        assert "asks for   REQUIRETLS" in both.theirs.command("explain", "--last", "1").stdout


@pytest.mark.parametrize("options", [("REQUIRETLS",), ("REQUIRETLS", "RET=FULL")])
def test_a_message_with_requiretls_returns_without_its_text_from_a_host_that_does_not_offer_it(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    with pair(tmp_path, withheld="REQUIRETLS") as both:
        both.send(*options)
        wait_for(lambda: both.returned)
        report = email.message_from_bytes(both.returned[0])
        status = report.get_payload()[1].get_payload()[1]  # type: ignore[index, union-attr]
        assert status["Status"] == "5.7.30"  # type: ignore[index, call-overload]
        assert b"a secret subject" in both.returned[0]
        assert b"Hello" not in both.returned[0]
        assert both.arrived == []


def test_a_message_that_does_not_insist_on_tls_goes_where_the_record_is_wrong(tmp_path: Path) -> None:
    """RFC 8689 section 3: "to report a misconfigured mail server, such as an expired TLS certificate"."""
    with pair(tmp_path, OTHER) as both:
        both.send(header=b"TLS-Required: No\r\n")
        wait_for(lambda: both.arrived)
        assert b"TLS-Required: No\n" in both.arrived[0]  # for the hops behind us


def test_every_copy_of_a_forwarded_message_asks_for_the_same(tmp_path: Path) -> None:
    """RFC 8689 section 4.1: "all instances of the message MUST be tagged in the same manner"."""
    forwards = '[domain.forwards]\nteam = ["bob@elsewhere.example", "alice"]\n'
    with pair(tmp_path, forwards=forwards) as both:
        both.send("REQUIRETLS", to="team@company.com.example")
        wait_for(lambda: both.arrived and both.returned)
        record = json.loads(both.theirs.command("explain", "--last", "1", "--json").stdout)
        assert "REQUIRETLS" in record["parameters"].split()


def test_beside_requiretls_the_field_means_nothing(tmp_path: Path) -> None:
    with pair(tmp_path, OTHER) as both:
        both.send("REQUIRETLS", header=b"TLS-Required: No\r\n")
        wait_for(lambda: both.returned)
        assert b"5.7.10" in both.returned[0]
        assert both.arrived == []


@pytest.mark.parametrize(
    ("options", "header", "asked"),
    [(("REQUIRETLS",), b"", "requiretls"), ((), b"TLS-Required: No\r\n", "tls-required: no")],
)
def test_the_queue_shows_what_a_message_asks_for(
    tmp_path: Path, options: tuple[str, ...], header: bytes, asked: str
) -> None:
    with pair(tmp_path) as both:
        both.theirs.stop()
        both.send(*options, header=header)
        wait_for(lambda: "status=deferred" in both.ours.log())
        (entry,) = map(json.loads, both.ours.command("queue", "list", "--json").stdout.splitlines())
        assert f"(asks for {asked})" in both.ours.command("queue", "show", entry["queue_id"]).stdout
        both.theirs.start()


def test_an_mta_sts_policy_that_was_kept_holds_after_a_restart(tmp_path: Path) -> None:
    """Whatever the DNS says meanwhile (RFC 8461 section 5.1); the host of a route has the policy of its own name."""
    with pair(tmp_path, signed=False, withheld="STARTTLS") as both:
        both.ours.stop()
        policy = {"mode": "enforce", "max_age": 604800, "mx": [HOST]}
        folder = both.ours.state_dir / "mta-sts"
        folder.mkdir(exist_ok=True)
        (folder / f"{HOST}.json").write_text(json.dumps({"id": "1", "fetched_at": time.time(), "policy": policy}))
        both.ours.start()
        both.send()
        wait_for(lambda: "status=deferred" in both.ours.log())
        assert "4.7.4 TLS is required, but was not offered" in both.ours.log()
        assert f"asked for verify (mta-sts: policy of {HOST})" in both.explained()
        assert both.arrived == []
