"""Command lines: paths, raw parameters, and the replies to what is neither (RFC 5321 section 4.1.1)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox
from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import SYNTAX_ERROR, UNKNOWN_PARAMETER, Rejected, Reply, reply
from purport.smtp.command import (
    BAD_FORWARD_PATH,
    BAD_REVERSE_PATH,
    NEEDS_DOMAIN,
    RECIPIENT_NEEDS_ASCII,
    SENDER_NEEDS_ASCII,
    hello_domain,
    mail_argument,
    parameters,
    rcpt_argument,
)

WORD = Parameter("WORD", lambda value: value, lambda value: value)
NUMBER = Parameter("MT-NUMBER", lambda value: int(value or b"none"), lambda value: b"%d" % value)
KNOWN = {b"WORD": WORD, b"MT-NUMBER": NUMBER}


def reply_to(octets: bytes) -> Reply:
    with pytest.raises(Rejected) as rejected:
        parameters(octets, KNOWN)
    return rejected.value.reply


def test_parameters_keep_their_order_and_their_values() -> None:
    found = parameters(b" mt-number=7 Word=aBc", KNOWN)
    assert found == Parameters((("MT-NUMBER", b"7"), ("WORD", b"aBc")))
    assert found.get(NUMBER) == 7
    assert found.get(WORD) == b"aBc"


def test_no_value_and_an_empty_value_are_different() -> None:
    assert parameters(b" WORD", KNOWN).items == (("WORD", None),)
    assert reply_to(b" WORD=") is SYNTAX_ERROR


@pytest.mark.parametrize(
    "octets", [b"WORD=a", b" ", b"  WORD=a", b" WORD=a ", b" WORD=a=b", b" WORD=\x7f", b" =a", b" -A"]
)
def test_what_is_no_parameter_is_a_syntax_error(octets: bytes) -> None:
    assert reply_to(octets) is SYNTAX_ERROR


def test_what_is_not_in_force_is_unknown_but_a_syntax_error_counts_first() -> None:
    assert reply_to(b" OTHER=1") is UNKNOWN_PARAMETER
    assert reply_to(b" OTHER=1 WORD=") is SYNTAX_ERROR
    assert reply_to(b" OTHER=1 WORD=a WORD=a") == reply(501, "5.5.4", "Parameter given twice")


def test_a_value_that_its_owner_cannot_read_is_named() -> None:
    assert str(reply_to(b" WORD=a MT-NUMBER=x")) == "501 5.5.4 Bad value of MT-NUMBER"


@pytest.mark.parametrize(
    "value", [b"a b", b"a\tb", b"", b"a" * 256, b"a\xe9", b"(a)", b"<a>", b'"a"', b"a,b", b"a;b", b"a=b"]
)
def test_a_hello_domain_that_could_mean_something_in_a_field_is_refused(value: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        hello_domain(value)
    assert rejected.value.reply is NEEDS_DOMAIN


@pytest.mark.parametrize(
    "value", ["client.example", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost", "MY_PC", "192.0.2.1"]
)
def test_what_clients_say_in_hello_is_taken(value: str) -> None:
    assert hello_domain(value.encode()) == value


def test_mail_and_rcpt() -> None:
    assert mail_argument(b"from:<> WORD=x", KNOWN) == (NULL, Parameters((("WORD", b"x"),)))
    assert rcpt_argument(b"To:<@a.example:b@c.example>", {}) == (Mailbox("b", "c.example"), Parameters())
    assert rcpt_argument(b'TO:<"> a"@c.example> WORD', KNOWN) == (
        Mailbox("> a", "c.example"),
        Parameters((("WORD", None),)),
    )


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"FROM:<a>", BAD_REVERSE_PATH),
        (b"FROM:<\xe9@b.example>", SENDER_NEEDS_ASCII),
        (b"FRM:<a@b.example>", SYNTAX_ERROR),
        (b"", SYNTAX_ERROR),
    ],
)
def test_a_bad_reverse_path_has_its_reply(argument: bytes, expected: Reply) -> None:
    with pytest.raises(Rejected) as rejected:
        mail_argument(argument, KNOWN)
    assert rejected.value.reply is expected


@pytest.mark.parametrize(
    ("argument", "expected"),
    [(b"TO:<>", BAD_FORWARD_PATH), (b"TO:<\xe9@b.example>", RECIPIENT_NEEDS_ASCII), (b"TO", SYNTAX_ERROR)],
)
def test_a_bad_forward_path_has_its_reply(argument: bytes, expected: Reply) -> None:
    with pytest.raises(Rejected) as rejected:
        rcpt_argument(argument, KNOWN)
    assert rejected.value.reply is expected


@settings(deadline=None)
@given(octets=st.one_of(st.binary(max_size=80), st.text(' <>@"=\\abWORD.[]:+,', max_size=60).map(str.encode)))
def test_any_argument_is_read_or_rejected(octets: bytes) -> None:
    for read, prefix in ((mail_argument, b"FROM:"), (rcpt_argument, b"TO:")):
        try:
            path, found = read(prefix + octets, KNOWN)
        except Rejected:
            continue
        assert str(path).isprintable()
        assert found == Parameters.from_octets(found.octets())
