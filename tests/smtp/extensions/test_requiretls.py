"""REQUIRETLS (RFC 8689): what a session takes and says, and what the header field means."""

from __future__ import annotations

import pytest

from purport.mail.address import Mailbox
from purport.mail.envelope import NO_PARAMETERS, Parameters, Recipient
from purport.mail.header import read_header
from purport.mail.reply import OK
from purport.smtp.client import ClientSession
from purport.smtp.client_event import Finished
from purport.smtp.client_transaction import Stage, Transaction
from purport.smtp.event import Mail
from purport.smtp.extension import CannotForward, Outgoing
from purport.smtp.extensions import ALL
from purport.smtp.extensions.requiretls import (
    EXTENSION,
    MARK,
    NEEDS_REQUIRETLS,
    REQUIRED,
    Demand,
    carried,
    demand_of,
    outbound,
    tagged,
)
from purport.smtp.server import Profile, ServerSession

ALICE = Mailbox("alice", "example.com")
MARKED = Parameters((MARK,))


def heard(line: str, *, secure: bool = True, service: str = "mx") -> tuple[list[Mail], list[str]]:
    """The MAIL events and what the server said, EHLO reply included."""
    session = ServerSession(Profile("mx.company.com.example", service=service), secure=secure)  # type: ignore[arg-type]
    session.receive(f"{'LHLO' if service == 'lmtp' else 'EHLO'} client.example\r\n{line}\r\n".encode())
    events = []
    while (event := session.next_event()) is not None:
        if isinstance(event, Mail):
            events.append(event)
        session.answer(OK)
    return events, session.to_send().decode().splitlines()


# The server


@pytest.mark.parametrize("service", ["mx", "submission", "lmtp"])
@pytest.mark.parametrize("secure", [True, False])
def test_it_is_offered_under_tls_alone(service, secure):
    """For relay, submission and LMTP alike (RFC 8689 section 2 (7))."""
    _, said = heard("NOOP", secure=secure, service=service)
    assert ("250-REQUIRETLS" in said or "250 REQUIRETLS" in said) is secure


@pytest.mark.parametrize("keyword", ["REQUIRETLS", "requiretls", "RequireTLS"])
def test_the_parameter_is_taken_and_kept(keyword):
    (mail,), said = heard(f"MAIL FROM:<alice@example.com> {keyword}")
    assert said[-1] == "250 2.0.0 Ok"
    assert demand_of(mail.parameters) is Demand.REQUIRE_TLS
    assert Parameters.from_octets(mail.parameters.octets()) == REQUIRED


@pytest.mark.parametrize(
    ("line", "secure", "code"),
    [
        ("REQUIRETLS=yes", True, "501 5.5.4 "),
        ("REQUIRETLS=", True, "501 "),
        ("REQUIRETLS REQUIRETLS", True, "501 5.5.4 "),
        ("REQUIRETLS", False, "555 5.5.4 "),
        ("TLS-REQUIRED=NO", True, "555 5.5.4 "),
    ],
)
def test_what_is_refused(line, secure, code):
    events, said = heard(f"MAIL FROM:<alice@example.com> {line}", secure=secure)
    assert events == []
    assert said[-1].startswith(code)


def test_a_line_may_be_longer_by_the_parameter():
    assert EXTENSION.mail_octets == len(" REQUIRETLS")


# The field


@pytest.mark.parametrize(
    ("header", "demand"),
    [
        ("TLS-Required: No", Demand.IGNORE_POLICIES),
        ("tls-required:no", Demand.IGNORE_POLICIES),
        ("TLS-Required:\r\n NO", Demand.IGNORE_POLICIES),
        ("TLS-Required: Yes", Demand.NOTHING),
        ("TLS-Required: No (please)", Demand.NOTHING),
        ("TLS-Required:", Demand.NOTHING),
        ("TLS-Required: No\r\nTLS-Required: No", Demand.NOTHING),
        ("Subject: TLS-Required: No", Demand.NOTHING),
    ],
)
def test_the_field_is_there_once_and_says_no(header, demand):
    """RFC 8689 section 3: "More than one instance [...] MUST NOT appear"."""
    found = read_header(f"From: alice@example.com\r\n{header}\r\n\r\n".encode())
    assert demand_of(tagged(NO_PARAMETERS, found)) is demand


def test_beside_the_parameter_the_field_is_ignored():
    """RFC 8689 section 4.1."""
    found = read_header(b"TLS-Required: No\r\n\r\n")
    assert tagged(REQUIRED, found) == REQUIRED


def test_the_mark_survives_the_queue():
    assert demand_of(Parameters.from_octets(MARKED.octets())) is Demand.IGNORE_POLICIES


def test_every_copy_of_a_message_carries_what_it_asks_for():
    """RFC 8689 section 4.1: "all instances of the message MUST be tagged in the same manner"."""
    assert carried(Parameters((("SIZE", b"10"), *REQUIRED.items, ("BODY", b"8BITMIME")))) == REQUIRED
    assert carried(Parameters((*MARKED.items, ("SIZE", b"10")))) == MARKED
    assert carried(Parameters((("SIZE", b"10"),))) == NO_PARAMETERS


# The client


@pytest.mark.parametrize(
    ("parameters", "offer", "protected", "required", "sent"),
    [
        (REQUIRED, "", True, True, {"REQUIRETLS": None}),
        (REQUIRED, "", True, False, {"REQUIRETLS": None}),
        (REQUIRED, "", False, False, {}),
        (REQUIRED, None, True, False, {}),
        (MARKED, "", True, False, {}),
        (NO_PARAMETERS, "", True, False, {}),
    ],
)
def test_what_goes_out(parameters, offer, protected, required, sent):
    message = Outgoing(10, parameters=parameters, protected=protected, requires_tls=required)
    assert outbound(message, offer) == sent


@pytest.mark.parametrize(("offer", "protected"), [(None, True), ("", False), (None, False)])
def test_what_does_not_go_out_where_it_must_not(offer, protected):
    message = Outgoing(10, parameters=REQUIRED, protected=protected, requires_tls=True)
    with pytest.raises(CannotForward) as caught:
        outbound(message, offer)
    assert caught.value.reply == NEEDS_REQUIRETLS


def test_an_offer_in_clear_is_forgotten_under_tls():
    """Who stands between can put it into the reply that nothing protects."""
    session = ClientSession("client.example", ALL, starttls=True, tls_required=True)
    session.receive(b"220 mx ESMTP\r\n")
    session.next_event()
    session.receive(b"250-mx\r\n250-REQUIRETLS\r\n250 STARTTLS\r\n")
    session.next_event()
    session.receive(b"220 2.0.0 Ready\r\n")
    session.next_event()
    session.secured()
    session.receive(b"250-mx\r\n250 PIPELINING\r\n")
    session.next_event()
    session.to_send()
    outgoing = Outgoing(10, parameters=REQUIRED, protected=True, requires_tls=True)
    transaction = Transaction(ALICE, [Recipient(Mailbox("bob", "company.com.example"))], outgoing)
    session.begin(transaction)
    assert session.to_send() == []
    assert isinstance(session.next_event(), Finished)
    assert transaction.replies == [NEEDS_REQUIRETLS]
    assert transaction.stages == [Stage.MAIL]


def test_a_message_with_it_comes_in_and_goes_out_again():
    """The MAIL command that one session reads is the one that another writes."""
    (mail,), _ = heard("MAIL FROM:<alice@example.com> REQUIRETLS")
    session = ClientSession("client.example", ALL, secure=True)
    session.receive(b"220 mx ESMTP\r\n")
    session.next_event()
    session.receive(b"250-mx\r\n250 REQUIRETLS\r\n")
    session.next_event()
    session.to_send()
    outgoing = Outgoing(10, parameters=mail.parameters, protected=True, requires_tls=True)
    session.begin(Transaction(ALICE, [Recipient(Mailbox("bob", "company.com.example"))], outgoing))
    assert session.to_send() == [b"MAIL FROM:<alice@example.com> REQUIRETLS\r\n"]
