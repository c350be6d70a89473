"""What a login may say (RFC 6409), as tables, and for whatever header comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.sender_id.pra import purported_responsible_address
from purport.mail.address import NULL, Mailbox, ReversePath, parse_mailbox
from purport.mail.header import Header, read_header
from purport.policy.facts import Client, MailFacts
from purport.policy.login import Login
from purport.policy.submission import Author, SubmissionPolicy, may_be_author, may_send_as, missing_fields, owns

OURS = frozenset(("company.com.example",))
ALICE = Login("alice", ("alice@company.com.example", "@alice.example"), "PLAIN")
SENT = Mailbox("alice", "company.com.example")


def policy(author: Author) -> SubmissionPolicy:
    return SubmissionPolicy(author, OURS)


def facts(reverse_path: ReversePath = SENT, submitter: Mailbox | None = None, login: Login = ALICE) -> MailFacts:
    return MailFacts(Client("192.0.2.1", None, "laptop", login=login), reverse_path, submitter, None, None, None)


def header(text: str) -> Header:
    return read_header(text.replace("\n", "\r\n").encode() + b"\r\n")


def completed(
    author: Author, text: str, reverse_path: ReversePath = SENT, login: Login = ALICE
) -> tuple[bytes, Header]:
    before = header(text)
    added = missing_fields(policy(author), login, reverse_path, before, date="today", message_id="1@mx")
    return added, before.below(read_header(added).fields) if added else before


@pytest.mark.parametrize(
    ("address", "owned"),
    [
        ("alice@company.com.example", True),
        ("Alice@COMPANY.com.example", True),
        ("bob@company.com.example", False),
        ("anything@alice.example", True),
        ("anything@sub.alice.example", False),
        ("alice@elsewhere.example", False),
    ],
)
def test_which_addresses_belong_to_a_login(address, owned):
    assert owns(ALICE, parse_mailbox(address)) is owned


def test_a_star_speaks_for_everybody_and_nothing_for_nobody():
    assert owns(Login("robot", ("*",)), Mailbox("bob", "anywhere.example"))
    assert not owns(Login("robot", ()), Mailbox("robot", "anywhere.example"))


@pytest.mark.parametrize(
    ("author", "reverse_path", "submitter", "refusal"),
    [
        ("ours", "alice@company.com.example", None, None),
        ("ours", "alice@elsewhere.example", None, None),
        ("strict", "alice@elsewhere.example", None, "change the reverse-path (MAIL FROM)"),
        ("sender", "alice@elsewhere.example", None, "change the reverse-path (MAIL FROM)"),
        ("ours", "ceo@company.com.example", None, "change the reverse-path (MAIL FROM)"),
        ("ours", "", None, None),
        ("strict", "", "alice@alice.example", None),
        ("ours", "alice@company.com.example", "ceo@company.com.example", "change SUBMITTER"),
        ("strict", "alice@company.com.example", "alice@elsewhere.example", "change SUBMITTER"),
    ],
)
def test_what_a_login_may_name_in_mail(author, reverse_path, submitter, refusal):
    named = None if submitter is None else parse_mailbox(submitter)
    path = parse_mailbox(reverse_path) if reverse_path else NULL
    refusals = [given for _, given in may_send_as(policy(author), ALICE, facts(path, named)) if given is not None]
    if refusal is None:
        assert refusals == []
    else:
        (given,) = refusals
        wrong = submitter if "SUBMITTER" in refusal else reverse_path
        assert str(given) == f"550 5.7.1 alice may not send as {wrong}: {refusal}"


RESENT = "Resent-From: {}\nReceived: x\nFrom: carol@elsewhere.example\n"


@pytest.mark.parametrize(
    ("text", "ours", "strict", "sender"),
    [
        ("From: alice@company.com.example\n", "", "", ""),
        ("From: Alice <any@alice.example>\n", "", "", ""),
        ("From: carol@elsewhere.example\n", "", "From", "+Sender"),
        ("From: ceo@company.com.example\n", "+Sender then From", "From", "+Sender"),
        ("From: ceo@company.com.example\nSender: alice@company.com.example\n", "From", "From", ""),
        ("From: alice@company.com.example\nSender: ceo@company.com.example\n", "Sender", "Sender", "Sender"),
        ("From: alice@company.com.example, x@alice.example\n", "+Sender", "+Sender", "+Sender"),
        ("From: alice@company.com.example, ceo@company.com.example\n", "From", "From", "+Sender"),
        (RESENT.format("alice@company.com.example"), "", "From", ""),
        (RESENT.format("ceo@company.com.example"), "Resent-From", "Resent-From", "+Resent-Sender"),
        (
            "Resent-Sender: ceo@company.com.example\nFrom: a@alice.example\n",
            "Resent-Sender",
            "Resent-Sender",
            "Resent-Sender",
        ),
        ("Subject: t\n", "554", "554", "554"),
        ("From: \n", "554", "554", "554"),
        ("From: alice@company.com.example\nFrom: ceo@company.com.example\n", "554", "554", "554"),
        ("From : alice@company.com.example\n", "554", "554", "554"),
        ("From: a@alice.example\nSender: a@alice.example\nSender: b@alice.example\n", "554", "554", "554"),
        ("From: undisclosed:;\n", "554", "554", "554"),
        ("From: <alice@company.com.example\n", "554", "554", "554"),
    ],
)
def test_what_a_header_may_say_and_what_is_added_to_it(text, ours, strict, sender):
    for author, expected in (("ours", ours), ("strict", strict), ("sender", sender)):
        added, whole = completed(author, text)
        rule, refusal = may_be_author(policy(author), ALICE, whole)
        fields = [line.partition(b":")[0].decode() for line in added.split(b"\r\n")[:-1]]
        assert fields[-2:] == ["Date", "Message-ID"]
        wanted, _, then = expected.partition(" then ")
        if wanted.startswith("+"):
            assert fields[0] == wanted[1:], author
            expected = then
        if not expected:
            assert refusal is None, (author, refusal)
            assert rule.outcome == "pass"
        elif expected == "554":
            assert str(refusal).startswith("554 5.6.0 The message cannot be sent: "), author
        else:
            assert str(refusal).endswith(f": change {expected}"), author


def test_the_sender_that_is_added_is_the_reverse_path_or_the_first_own_address():
    text = "From: carol@elsewhere.example\n"
    for reverse_path, own in (
        (Mailbox("list", "alice.example"), "list@alice.example"),
        (NULL, "alice@company.com.example"),
    ):
        added, whole = completed("sender", text, reverse_path)
        assert added.startswith(f"Sender: {own}\r\n".encode())
        assert may_be_author(policy("sender"), ALICE, whole)[1] is None
    added, whole = completed("sender", "From: a@x.example, b@x.example\n", NULL, Login("bob", ("@bob.example",)))
    assert not added.startswith(b"Sender")
    refusal = may_be_author(policy("sender"), Login("bob", ("@bob.example",)), whole)[1]
    assert str(refusal) == "550 5.7.1 bob has to name one address of its own in Sender"


@pytest.mark.parametrize("author", ["ours", "strict", "sender"])
def test_t25_a_header_without_a_responsible_address_gets_the_login_as_sender(author):
    text = "From: alice@company.com.example, any@alice.example\n"
    assert purported_responsible_address(header(text)).address is None
    _, whole = completed(author, text)
    pra = purported_responsible_address(whole)
    assert (pra.field, str(pra.address)) == ("sender", "alice@company.com.example")


def test_fields_that_are_there_are_not_added():
    added, _ = completed("ours", "Date: then\nMessage-ID: <2@x>\nFrom: alice@company.com.example\n")
    assert added == b""


NAMED = st.sampled_from(
    ["alice@company.com.example", "x@alice.example", "ceo@company.com.example", "carol@elsewhere.example"]
)
FIELDS = st.lists(
    st.one_of(
        st.builds("{}: {}\n".format, st.sampled_from(["From", "Sender", "Resent-From", "Resent-Sender"]), NAMED),
        st.builds("{}: {}, {}\n".format, st.sampled_from(["From", "Resent-From"]), NAMED, NAMED),
        st.sampled_from(["Received: x\n", "From: \n", "From: broken\n", "Subject: t\n"]),
    ),
    max_size=6,
).map("".join)


@given(st.sampled_from(["ours", "strict", "sender"]), FIELDS)
def test_whatever_a_header_says_what_leaves_has_a_responsible_address_that_the_login_may_use(author, text):
    _, whole = completed(author, text)
    if may_be_author(policy(author), ALICE, whole)[1] is not None:
        return
    pra = purported_responsible_address(whole)
    assert pra.address is not None
    assert policy(author).may_speak(ALICE, pra.address)
    if author != "ours":
        assert owns(ALICE, pra.address)


@given(st.sampled_from(["ours", "strict", "sender"]), FIELDS)
def test_nothing_is_added_twice(author, text):
    _, whole = completed(author, text)
    assert missing_fields(policy(author), ALICE, SENT, whole, date="today", message_id="1@mx") == b""


@given(st.text(max_size=400), st.text(max_size=100))
def test_a_refusal_is_one_line_of_printable_ascii(name, local_part):
    login = Login(name, ())
    address = Mailbox(local_part, "company.com.example")
    for _, refusal in may_send_as(policy("ours"), login, facts(address, login=login)):
        if refusal is not None:
            octets = refusal.octets()
            assert len(octets) <= 512
            assert octets.count(b"\r\n") == 1
            assert octets[:-2].decode("ascii").isprintable()


@pytest.mark.parametrize(
    ("text", "added"),
    [
        ("From: alice@elsewhere.example\n", "Sender: alice@company.com.example\r\n"),
        ("From: alice@company.com.example\n", ""),
        ("From: a@elsewhere.example\nSender: b@elsewhere.example\n", ""),
        (
            "Resent-From: a@elsewhere.example\nFrom: b@elsewhere.example\n",
            "Resent-Sender: alice@company.com.example\r\n",
        ),
    ],
)
def test_rfc4405_5_3_a_service_that_answers_for_its_users_names_them(text, added):
    answering = SubmissionPolicy("ours", OURS, sender_for_others=True)
    whole = header(f"{text}Date: today\nMessage-ID: <1@mx>\n")
    given = missing_fields(answering, ALICE, SENT, whole, date="today", message_id="1@mx")
    assert given.decode() == added
    if added.startswith("Sender"):
        assert missing_fields(policy("ours"), ALICE, SENT, whole, date="today", message_id="1@mx") == b""
