"""RRVS end to end (RFC 7293): the examples of section 12, and a request on its way over two of our servers."""

from __future__ import annotations

import smtplib
from pathlib import Path

import pytest

from support.peers import wait_for
from support.purport_server import PurportServer, purport_server

SETTINGS = """
[[domain]]
name = "example.com"
mailboxes = ["receiver", "carol", "postmaster"]
since = { receiver = 2014-05-01T00:00:00Z }

[[domain]]
name = "example.net"

[[domain]]
name = "elsewhere.example"
deliver = "smtp:127.0.0.1:%d"

[dns]
zone = "zone.json"
"""
ZONE = '{"example.net": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}]}'
FIELD = "Require-Recipient-Valid-Since: {};\r\n {}\r\n"
BEFORE = "Fri, 28 Jun 2013 18:01:01 +0200"
AFTER = "Sat, 28 Jun 2014 18:01:01 +0200"
TOP = "From: Mister Sender <sender@example.net>\r\nTo: Miss Receiver <receiver@example.com>\r\n"
END = "Subject: Are you still there?\r\n\r\nAre you still there?\r\n"


@pytest.fixture
def server(tmp_path: Path):
    (tmp_path / "zone.json").write_text(ZONE)
    with purport_server(tmp_path, SETTINGS % 1, "mx.example.com") as running:
        yield running


def mails(server: PurportServer, domain: str, local_part: str) -> list[str]:
    folder = server.state_dir / "maildir" / domain / local_part / "new"
    return [file.read_text() for file in folder.iterdir()] if folder.exists() else []


def session(server: PurportServer, hello: str = "ehlo") -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", server.port)
    getattr(client, hello)("client.example.net")
    return client


@pytest.mark.parametrize(
    ("rcpt", "said"),
    [
        ("<receiver@example.com> RRVS=2014-04-03T23:01:00Z", "550 5.7.17 Mailbox owner has changed"),
        ("<receiver@example.com> RRVS=2014-05-01T02:00:00+02:00;C", "250 2.1.5 Ok"),
        ("<carol@example.com> RRVS=2014-04-03T23:01:00Z", "550 5.7.19 RRVS test cannot be completed"),
        ("<postmaster@example.com> RRVS=2014-04-03T23:01:00Z", "250 2.1.5 Ok"),
        ("<nobody@example.com> RRVS=2014-04-03T23:01:00Z", "550 5.1.1 No such mailbox here"),
        ("<anybody@elsewhere.example> RRVS=2014-04-03T23:01:00Z", "250 2.1.5 Ok"),
    ],
)
def test_what_rcpt_is_told(server: PurportServer, rcpt: str, said: str) -> None:
    """RFC 7293 section 12.1, and the other answers of section 5."""
    with session(server) as client:
        assert "rrvs" in client.esmtp_features
        client.mail("sender@example.net")
        code, text = client.docmd("RCPT", f"TO:{rcpt}")
        assert f"{code} {text.decode()}" == said


@pytest.mark.parametrize(("when", "said"), [(BEFORE, 550), (AFTER, 250), ("yesterday", 250)])
@pytest.mark.parametrize("chunks", [False, True])
def test_what_the_header_says_counts_where_rcpt_said_nothing(
    server: PurportServer, when: str, said: int, chunks: bool
) -> None:
    """RFC 7293 section 12.2; into the mailbox the field does not go."""
    message = TOP + FIELD.format("receiver@example.com", when) + END
    with session(server, "ehlo" if chunks else "helo") as client:
        client.mail("sender@example.net")
        client.rcpt("receiver@example.com")
        if chunks:
            client.send(f"BDAT {len(message)} LAST\r\n{message}")
            code, text = client.getreply()
        else:
            code, text = client.data(message)
        assert code == said, text
    if said == 550:
        assert text == b"5.7.17 Mailbox owner has changed"
        return
    wait_for(lambda: mails(server, "example.com", "receiver"))
    (mail,) = mails(server, "example.com", "receiver")
    assert mail.endswith((TOP + END).replace("\r\n", "\n"))
    assert "Valid-Since" not in mail


def test_a_field_is_disregarded_where_rcpt_has_said_it(server: PurportServer) -> None:
    """RFC 7293 section 5: "the parameters of interest are taken only from there"."""
    message = TOP + FIELD.format("receiver@example.com", BEFORE) + END
    with session(server) as client:
        client.sendmail(
            "sender@example.net", "receiver@example.com", message, rcpt_options=["RRVS=2015-01-01T00:00:00Z"]
        )
    wait_for(lambda: mails(server, "example.com", "receiver"))


@pytest.mark.parametrize("said_by", ["field", "parameter"])
def test_a_request_reaches_the_server_that_has_the_mailbox(tmp_path: Path, said_by: str) -> None:
    """RFC 7293 section 5.1.1 and 6.1: the first server passes it on as the parameter; its refusal becomes a report."""
    last = tmp_path / "last"
    first = tmp_path / "first"
    for folder in (last, first):
        folder.mkdir()
        (folder / "zone.json").write_text(ZONE)
    there = (
        '[[domain]]\nname = "elsewhere.example"\nsince = { bob = 2014-05-01T00:00:00Z }\n[dns]\nzone = "zone.json"\n'
    )
    with (
        purport_server(last, there, "mx.elsewhere.example") as owner,
        purport_server(first, SETTINGS % owner.port, "mx.example.com") as relay,
    ):
        field = FIELD.format("bob@elsewhere.example", BEFORE) if said_by == "field" else ""
        options = ["RRVS=2013-06-28T16:01:01Z"] if said_by == "parameter" else []
        with session(relay) as client:
            client.sendmail("sender@example.net", "bob@elsewhere.example", TOP + field + END, rcpt_options=options)
        wait_for(lambda: mails(relay, "example.net", "sender"), what="the report")
        (report,) = mails(relay, "example.net", "sender")
        assert "Status: 5.7.17\n" in report
        assert "RCPT from unknown[127.0.0.1]: 550 5.7.17 Mailbox owner has changed" in owner.log()
        assert mails(owner, "elsewhere.example", "bob") == []
