"""Reports by HTTPS: to a receiver on loopback, with good certificates and others."""

from __future__ import annotations

from pathlib import Path

import pytest

from purport.dns.zone import StaticResolver
from purport.reporting.destination import ByPost
from purport.reporting.post import NotPosted, Poster, is_public
from support.certificates import Authority
from support.https_receiver import https_receiver
from support.peers import free_port
from support.scripted_server import on_loop

HOST = "reports.example"
TYPE = "application/tlsrpt+gzip"
ZONE = StaticResolver({HOST: [{"A": "127.0.0.1"}]})


def everywhere(_address: str) -> bool:
    return True


@on_loop
async def test_a_report_is_posted_to_the_path_of_its_uri(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with https_receiver(authority.issue(HOST)) as receiver:
        poster = Poster(ZONE, permitted=everywhere, authorities=str(authority.bundle))
        told = await poster.post(ByPost(HOST, receiver.port, "/v1/tlsrpt?x=y"), b"octets", TYPE)
        assert told == "reports.example answered 201"
        (posted,) = receiver.posted
    assert (posted.path, posted.octets) == ("/v1/tlsrpt?x=y", b"octets")
    assert posted.headers["Content-Type"] == TYPE
    assert posted.headers["Host"] == f"{HOST}:{receiver.port}"


@pytest.mark.parametrize("status", [302, 400, 404, 500, 503])
@on_loop
async def test_an_answer_that_is_no_success_is_none(tmp_path: Path, status: int) -> None:
    authority = Authority(tmp_path)
    with https_receiver(authority.issue(HOST)) as receiver:
        receiver.status = status
        poster = Poster(ZONE, permitted=everywhere, authorities=str(authority.bundle))
        with pytest.raises(NotPosted, match=f"reports.example answered {status}"):
            await poster.post(ByPost(HOST, receiver.port, "/"), b"octets", TYPE)
        assert len(receiver.posted) == 1


@pytest.mark.parametrize("fault", ["expired", "other name", "unknown authority"])
@on_loop
async def test_who_has_a_bad_certificate_hears_of_it_all_the_same(tmp_path: Path, fault: str) -> None:
    """RFC 8460 section 7: the reports are about such faults."""
    authority = Authority(tmp_path / "theirs")
    trusted = Authority(tmp_path / "others") if fault == "unknown authority" else authority
    name = "other.example" if fault == "other name" else HOST
    with https_receiver(authority.issue(name, expired=fault == "expired")) as receiver:
        poster = Poster(ZONE, permitted=everywhere, authorities=str(trusted.bundle))
        told = await poster.post(ByPost(HOST, receiver.port, "/"), b"octets", TYPE)
        assert told.startswith("reports.example answered 201, its certificate is not good: ")
        assert len(receiver.posted) == 1


@on_loop
async def test_nothing_is_posted_into_our_own_network(tmp_path: Path) -> None:
    with https_receiver(Authority(tmp_path).issue(HOST)) as receiver:
        with pytest.raises(NotPosted, match="has no address that may be used"):
            await Poster(ZONE).post(ByPost(HOST, receiver.port, "/"), b"octets", TYPE)
        assert receiver.posted == []


@on_loop
async def test_a_host_that_is_not_there_is_no_traceback() -> None:
    poster = Poster(ZONE, permitted=everywhere)
    with pytest.raises(NotPosted, match=r"reports\.example: ConnectError"):
        await poster.post(ByPost(HOST, free_port(), "/"), b"octets", TYPE)
    with pytest.raises(NotPosted, match=r"missing\.example has no address"):
        await poster.post(ByPost("missing.example", 443, "/"), b"octets", TYPE)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("ff02::1", False),
        ("64:ff9b::7f00:1", False),
        ("2002:7f00:1::", False),
        ("::127.0.0.1", False),
    ],
)
def test_an_address_is_of_the_public_internet_or_not(address: str, public: bool) -> None:
    assert is_public(address) == public
