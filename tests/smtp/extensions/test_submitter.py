"""SUBMITTER (RFC 4405): tests of a sentence of the RFC are named r1 and so on, those of a vector t1 and so on."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox, parse_mailbox
from purport.mail.envelope import Parameters
from purport.smtp.event import Mail
from purport.smtp.extension import Outgoing, Terms
from purport.smtp.extensions import ALL, submitter
from purport.smtp.extensions.submitter import CANNOT_VERIFY, DOES_NOT_MATCH, EXTENSION, NOT_ALLOWED, SUBMITTER
from purport.smtp.server import Profile
from purport.smtp.state import TRANSITIONS
from support.smtp_shell import Shell

EHLO = b"EHLO client.example\r\n"
OK = "250 2.1.0 Ok"
SYNTAX = "501 5.5.4 "
UNKNOWN = "555 5.5.4 Parameters not recognized or not implemented"
PRA = Mailbox("bob+tag", "almamater.edu.example")


def shell(extensions: tuple[submitter.Extension, ...] = ALL) -> Shell:
    server = Shell(Profile("mx.company.com.example", extensions=extensions))
    server.hear(b"")
    return server


def after_ehlo() -> Shell:
    server = shell()
    server.hear(EHLO)
    return server


def mail(server: Shell) -> Mail:
    """The last MAIL that reached the shell."""
    return [event for event in server.events if isinstance(event, Mail)][-1]


def message(*fields: bytes) -> bytes:
    return b"RCPT TO:<bob@company.com.example>\r\nDATA\r\n" + b"".join(b"%s\r\n" % one for one in fields) + b"\r\n.\r\n"


# What the extension is


def test_r1_the_extension_is_responsible_submitter() -> None:
    assert EXTENSION.rfc == 4405
    assert "Responsible Submitter" in (submitter.__doc__ or "")


def test_r2_the_keyword_is_submitter() -> None:
    assert EXTENSION.keyword == "SUBMITTER"


@pytest.mark.parametrize("allowed", [False, True])
def test_r3_the_keyword_has_no_parameters(allowed: bool) -> None:
    assert EXTENSION.offer(Terms(1000, xclient_allowed=allowed)) == ""
    (lines,) = shell().hear(EHLO)
    assert [line[4:] for line in lines if "SUBMITTER" in line] == ["SUBMITTER"]


def test_r4_there_are_no_new_verbs() -> None:
    assert not EXTENSION.verbs
    assert not EXTENSION.commands
    with_it, without = (
        Profile("x", extensions=some).dialect(Terms(1000), extended=True).table for some in ((EXTENSION,), ())
    )
    assert with_it == without == {state: dict(row) for state, row in TRANSITIONS.items()}


def test_r5_mail_has_one_more_optional_parameter_and_rcpt_none() -> None:
    assert EXTENSION.mail == (SUBMITTER,)
    assert EXTENSION.rcpt == ()
    server = after_ehlo()
    assert server.say(b"MAIL FROM:<a@b.example>\r\n") == [OK]
    assert server.say(b"RCPT TO:<bob@company.com.example> SUBMITTER=a@b.example\r\n") == [UNKNOWN]


def test_r6_it_serves_submission_too() -> None:
    """Nothing that it declares depends on what a listener is for; a submitting client may leave it out, and give it."""
    server = after_ehlo()
    assert server.say(b"MAIL FROM:<a@b.example>\r\nRSET\r\nMAIL FROM:<a@b.example> SUBMITTER=a@b.example\r\n")[2] == OK


@pytest.mark.parametrize("hello", [b"EHLO", b"ehlo"])
def test_r7_t1_the_ehlo_reply_lists_the_keyword_alone(hello: bytes) -> None:
    (lines,) = shell().hear(hello + b" client.example\r\n")
    assert lines[-1] == "250 SUBMITTER"


def test_r7_t1_the_helo_reply_lists_nothing() -> None:
    assert shell().hear(b"HELO client.example\r\n") == [["250 mx.company.com.example"]]


# Syntax


@pytest.mark.parametrize(
    ("value", "mailbox"),
    [
        (b"bob@almamater.edu.example", Mailbox("bob", "almamater.edu.example")),
        (b"alice+2Btag@example.com", Mailbox("alice+tag", "example.com")),
        (b"e+3Dmc2@example.com", Mailbox("e=mc2", "example.com")),  # RFC 4954 section 5
        (b'"a+20b"@example.com', Mailbox("a b", "example.com")),
        (b"+22john+20doe+22@example.com", Mailbox("john doe", "example.com")),
        (b"+61@b.example", Mailbox("a", "b.example")),
        (b"bob+40evil.example", Mailbox("bob", "evil.example")),
        (b"a@[192.0.2.1]", Mailbox("a", "[192.0.2.1]")),
    ],
    ids=repr,
)
def test_r8_r9_t2_the_value_is_the_xtext_of_a_mailbox(value: bytes, mailbox: Mailbox) -> None:
    server = after_ehlo()
    assert server.say(b"MAIL FROM:<alice@example.com> SUBMITTER=" + value + b"\r\n") == [OK]
    assert mail(server).parameters.get(SUBMITTER) == mailbox


def test_r9_space_plus_and_equals_are_encoded() -> None:
    assert submitter.encode(Mailbox("a b+c=d", "example.com")) == b'"a+20b+2Bc+3Dd"@example.com'


def bad(*values: str | bytes) -> list[object]:
    return [pytest.param(value.encode("utf-8") if isinstance(value, str) else value, id=str(value)) for value in values]


@pytest.mark.parametrize(
    "parameter",
    [
        *bad(
            "SUBMITTER=", "SUBMITTER", "SUBMITTER=a@b.example SUBMITTER=a@b.example", "SUBMITTER=a@b.example submitter="
        ),
        *bad("SUBMITTER=a@b.example submitter=c@d.example"),
    ],
)
def test_t4_a_missing_empty_or_repeated_value_is_refused(parameter: bytes) -> None:
    refused(parameter)


@pytest.mark.parametrize(
    "value", bad("a+0D+0AX@b.example", "a+00@b.example", "a+FF@b.example", '"a+0A"@b.example', "+0A")
)
def test_t7_s4_control_octets_are_refused_and_reach_nobody(value: bytes) -> None:
    refused(b"SUBMITTER=" + value)


@pytest.mark.parametrize(
    "value", bad("a+2b@b.example", "a+zz@b.example", "a+@b.example", "a+tag@b.example", "a@b.exampl+")
)
def test_t8_what_is_not_xtext_is_refused(value: bytes) -> None:
    refused(b"SUBMITTER=" + value)


@pytest.mark.parametrize(
    "value",
    bad(
        "<a@b.example>", "<>", "a", "@b.example", "a@", "a@b@c.example", "a@b..example", "a@b.example.",
        "a=b@c.example", "élise@example.com", b"\xff@example.com", "a" * 65 + "@b.example", "+2B" * 65 + "@b.example",
        "a@[192.0.2]", "postmaster", "a@" + "d" * 64 + ".example", "a+20b@c.example",
    ),
)  # fmt: skip
def test_r8_what_is_not_a_mailbox_is_refused(value: bytes) -> None:
    refused(b"SUBMITTER=" + value)


def refused(parameter: bytes) -> None:
    """501 5.5.4, nothing for the shell to see, and the session goes on."""
    server = after_ehlo()
    (said,) = server.say(b"MAIL FROM:<alice@example.com> " + parameter + b"\r\n")
    assert said.startswith(SYNTAX)
    assert said[len(SYNTAX) :] in (
        "Syntax error in parameters or arguments",
        "Parameter given twice",
        "Bad value of SUBMITTER",
    )
    assert not any(isinstance(event, Mail) for event in server.events)
    assert server.say(b"MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com\r\n") == [OK]


def test_t9_where_it_is_not_offered_the_parameter_is_unknown() -> None:
    server = shell(tuple(one for one in ALL if one is not EXTENSION))
    (lines,) = server.hear(EHLO)
    assert "SUBMITTER" not in " ".join(lines)
    assert server.say(b"MAIL FROM:<a@b.example> SUBMITTER=a@b.example\r\n") == [UNKNOWN]


def test_t9_after_helo_the_parameter_is_unknown() -> None:
    server = shell()
    server.say(b"HELO client.example\r\n")
    assert server.say(b"MAIL FROM:<a@b.example> SUBMITTER=a@b.example\r\n") == [UNKNOWN]
    assert server.say(b"MAIL FROM:<a@b.example>\r\n") == [OK]


# What it means in a session


@pytest.mark.parametrize(
    ("value", "author"),
    [
        pytest.param(b"a@B.EXAMPLE", b"a@b.example", id="t3-case-of-the-domain"),
        pytest.param(b"a+2Btag@b.example", b"<a+tag@b.example>", id="t5-plus"),
        pytest.param(b"+61@b.example", b"a@b.example", id="t6-needless-hexchar"),
        pytest.param(b'"a"@b.example', b"a@b.example", id="t6-needless-quotes"),
    ],
)
def test_t3_t5_t6_s24_the_same_address_in_another_spelling_matches(value: bytes, author: bytes) -> None:
    server = after_ehlo()
    said = server.say(b"mail from:<x@b.example> submitter=" + value + b"\r\n" + message(b"From: " + author))
    assert said[-1] == "250 2.0.0 Ok"


def test_t3_another_case_of_the_local_part_is_another_address() -> None:
    server = after_ehlo()
    said = server.say(b"MAIL FROM:<x@b.example> submitter=A@B.EXAMPLE\r\n" + message(b"From: a@b.example"))
    assert said[-1] == "550 5.7.1 Submitter does not match header."


@pytest.mark.parametrize("path", [b"<alice@example.com>", b"<>"])
def test_r20_the_reverse_path_stays_what_it_is(path: bytes) -> None:
    server = after_ehlo()
    server.say(b"MAIL FROM:" + path + b" SUBMITTER=bob@almamater.edu.example\r\n")
    assert mail(server).reverse_path == (NULL if path == b"<>" else Mailbox("alice", "example.com"))


def test_t21_a_bad_value_in_a_pipeline_stops_the_transaction() -> None:
    server = after_ehlo()
    said = server.say(
        b"MAIL FROM:<a@b.example> SUBMITTER=<a@b.example>\r\nRCPT TO:<bob@company.com.example>\r\nDATA\r\n"
    )
    assert [line[:10] for line in said] == ["501 5.5.4 ", "503 5.5.1 ", "503 5.5.1 "]


@pytest.mark.parametrize(
    "between", [b"RSET\r\n", EHLO, message(b"From: secretary@b.example")], ids=["RSET", "EHLO", "."]
)
def test_t23_the_submitter_of_one_transaction_is_not_that_of_the_next(between: bytes) -> None:
    server = after_ehlo()
    server.say(b"MAIL FROM:<a@b.example> SUBMITTER=secretary@b.example\r\n" + between)
    assert server.say(b"MAIL FROM:<a@b.example>\r\n" + message(b"From: a@b.example"))[-1] == "250 2.0.0 Ok"
    assert mail(server).parameters.get(SUBMITTER) is None
    assert server.messages[-1].submitter is None


def test_t23_a_second_mail_is_refused_and_the_first_stands() -> None:
    server = after_ehlo()
    server.say(b"MAIL FROM:<a@b.example> SUBMITTER=a@b.example\r\n")
    assert server.say(b"MAIL FROM:<a@b.example> SUBMITTER=c@d.example\r\n") == ["503 5.5.1 Bad sequence of commands"]
    assert server.say(message(b"From: a@b.example"))[-1] == "250 2.0.0 Ok"
    assert server.messages[-1].submitter == Mailbox("a", "b.example")


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
def test_t24_it_stands_with_other_parameters_in_any_order(order: tuple[int, ...]) -> None:
    words = (b"SIZE=300", b"SUBMITTER=a@b.example", b"BODY=8BITMIME")
    server = after_ehlo()
    assert server.say(b"MAIL FROM:<a@b.example> " + b" ".join(words[index] for index in order) + b"\r\n") == [OK]
    assert mail(server).parameters.octets().split() == [words[index] for index in order]
    assert mail(server).parameters.get(SUBMITTER) == Mailbox("a", "b.example")


def test_the_texts_are_those_of_the_rfc() -> None:
    assert [str(one) for one in (NOT_ALLOWED, DOES_NOT_MATCH, CANNOT_VERIFY)] == [
        "550 5.7.1 Submitter not allowed.",
        "550 5.7.1 Submitter does not match header.",
        "554 5.7.7 Cannot verify submitter address.",
    ]


# What our client does


def test_r10_r11_every_message_carries_its_pra_whatever_the_reverse_path() -> None:
    """`outbound` does not even see the reverse-path."""
    assert submitter.outbound(Outgoing(1, PRA), "") == {"SUBMITTER": b"bob+2Btag@almamater.edu.example"}


def test_r11_the_value_is_computed_and_not_copied() -> None:
    came_with = Parameters((("SUBMITTER", b"alice@example.com"),))
    assert submitter.outbound(Outgoing(1, PRA, parameters=came_with), "") == {"SUBMITTER": submitter.encode(PRA)}
    assert submitter.outbound(Outgoing(1, None, parameters=came_with), "") == {}


def test_r25_nothing_is_said_to_a_host_without_the_extension() -> None:
    assert submitter.outbound(Outgoing(1, PRA), None) == {}


def test_an_offer_with_something_behind_it_is_an_offer() -> None:
    assert submitter.outbound(Outgoing(1, PRA), "junk") == {"SUBMITTER": submitter.encode(PRA)}


def test_an_address_that_needs_smtputf8_is_left_out() -> None:
    assert submitter.outbound(Outgoing(1, Mailbox("élise", "example.com")), "") == {}


# The codec

local_parts = st.one_of(
    st.from_regex(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,20}", fullmatch=True),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=64),
)
domains = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z0-9]{1,10}){0,3}", fullmatch=True)
mailboxes = st.builds(Mailbox, local_parts, domains)


@settings(deadline=None)
@given(mailbox=mailboxes)
def test_what_is_encoded_decodes_to_itself(mailbox: Mailbox) -> None:
    value = submitter.encode(mailbox)
    assert submitter.decode(value) == mailbox == parse_mailbox(str(mailbox))
    assert value.isascii()
    assert not set(value) & set(b" =\r\n\0")
    server = after_ehlo()
    assert server.say(b"MAIL FROM:<> SUBMITTER=" + value + b"\r\n") == [OK]


@settings(deadline=None)
@given(value=st.binary(max_size=60))
def test_any_octets_decode_or_are_a_value_error(value: bytes) -> None:
    try:
        mailbox = submitter.decode(value)
    except ValueError:
        return
    assert submitter.decode(submitter.encode(mailbox)) == mailbox


def test_the_longest_value_is_as_long_as_declared() -> None:
    domain = ".".join(["d" * 63] * 4)
    longest = submitter.encode(Mailbox("+" * 64, domain))
    assert submitter.decode(longest) == Mailbox("+" * 64, domain)
    assert len(b" SUBMITTER=" + longest) == EXTENSION.mail_octets == 459
