"""The name that results are told under, and what bears one of ours already (RFC 8601 sections 2.5 and 5)."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from purport.authentication.authres.reader import read
from purport.mail.header import read_header
from purport.policy.policy import Policy
from support.dkim_suites import crlf
from support.peers import wait_for
from support.purport_server import purport_server

HOST, DOMAIN = "mx.company.com.example", "company.com.example"
SETTINGS = """
[[domain]]
name = "company.com.example"

[spf]
received_spf = true

[authentication_results]
id = "Mail.Company.example"
aliases = ["old.company.com.example", "gw.company.com.example"]
{more}
[dns]
zone = "zone.json"
"""
NAMES = (HOST, "mail.company.example", "OLD.company.com.example.", "gw.company.com.example", "other.example")
MESSAGE = "".join(f"Authentication-Results: {name}; dmarc=pass header.from=bank.example\r\n" for name in NAMES)


@pytest.mark.parametrize(
    ("more", "kept"),
    [
        ("", ["other.example"]),
        (
            '[trusted_hops]\nnetworks = ["127.0.0.0/8"]\n',
            ["OLD.company.com.example.", "gw.company.com.example", "other.example"],
        ),
    ],
    ids=["a stranger", "a host of ours"],
)
def test_what_bears_a_name_of_ours_goes_and_our_results_bear_it(tmp_path: Path, more: str, kept: list[str]) -> None:
    (tmp_path / "zone.json").write_text("{}")
    with purport_server(tmp_path, SETTINGS.format(more=more)) as server:
        with smtplib.SMTP("127.0.0.1", server.port) as client:
            client.sendmail("a@mail.example", f"bob@{DOMAIN}", f"{MESSAGE}From: a@mail.example\r\n\r\nHi\r\n")
        new = tmp_path / "state" / "maildir" / DOMAIN / "bob" / "new"
        wait_for(lambda: new.exists() and list(new.iterdir()))
    (file,) = new.iterdir()
    header = read_header(crlf(file.read_bytes()))
    found = [read(field.text).authserv_id for field in header.all("authentication-results")]
    assert found == (kept if more else ["Mail.Company.example", *kept])  # nothing is asked about a trusted hop
    received_spf = header.first("received-spf")
    assert more or (received_spf is not None and f"receiver={HOST}" in received_spf.text)


def test_without_a_setting_the_name_is_that_of_the_host() -> None:
    policy = Policy(HOST)
    assert policy.authserv_id == HOST
    assert policy.forged_ids(ours=False) == policy.forged_ids(ours=True) == {HOST}
