"""Received fields of other servers: the client that they had, or nothing."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from purport.mail.address import parse_mailbox
from purport.mail.header import read_header
from purport.mail.received import ReceivedFrom, received_from
from purport.mail.trace import received

CLIENT = ReceivedFrom("203.0.113.5", "mx.example.com", "mail.example.com", "gw.us.example")
NAMELESS = ReceivedFrom("203.0.113.5", "mx.example.com", None, "gw.us.example")
AS_SAID = ReceivedFrom("203.0.113.5", "mx.example.com", "mx.example.com", "gw.us.example")
REST = "id 4XYZ for <bob@us.example>; Mon, 23 Nov 2026 10:00:00 +0000 (UTC)"


@pytest.mark.parametrize(
    ("value", "client"),
    [
        # Postfix
        ("from mx.example.com (mail.example.com [203.0.113.5]) by gw.us.example (Postfix) with ESMTPS", CLIENT),
        ("from mx.example.com (unknown [203.0.113.5]) by gw.us.example (Postfix) with ESMTP", NAMELESS),
        (
            "from mx.example.com (mail.example.com [203.0.113.5]) (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
            "(256/256 bits)) (No client certificate requested) by gw.us.example (Postfix) with ESMTPS",
            CLIENT,
        ),
        (
            "from [203.0.113.9] (mail.example.com [203.0.113.5]) by gw.us.example (Postfix) with ESMTP",
            ReceivedFrom("203.0.113.5", "[203.0.113.9]", "mail.example.com", "gw.us.example"),
        ),
        (
            "from mx.example.com (mail.example.com [IPv6:2001:DB8::1]) by gw.us.example (Postfix) with ESMTP",
            ReceivedFrom("2001:db8::1", "mx.example.com", "mail.example.com", "gw.us.example"),
        ),
        # Exim
        ("from mail.example.com ([203.0.113.5] helo=mx.example.com) by gw.us.example with esmtps (Exim 4.98)", CLIENT),
        ("from mail.example.com ([203.0.113.5]:4711 helo=mx.example.com) by gw.us.example with esmtp", CLIENT),
        ("from [203.0.113.5] (helo=mx.example.com) by gw.us.example with esmtp (Exim 4.98)", NAMELESS),
        ("from [203.0.113.5] (port=4711 helo=mx.example.com) by gw.us.example with esmtp", NAMELESS),
        (
            "from mail.example.com ([203.0.113.5] helo=[203.0.113.9]) by gw.us.example with esmtp (Exim 4.98)",
            ReceivedFrom("203.0.113.5", "[203.0.113.9]", "mail.example.com", "gw.us.example"),
        ),
        ("from mx.example.com ([203.0.113.5]) by gw.us.example with esmtp (Exim 4.98)", NAMELESS),
        # Sendmail
        ("from mx.example.com (mail.example.com [203.0.113.5]) by gw.us.example (8.18.1/8.18.1) with ESMTP", CLIENT),
        ("from mx.example.com (mail.example.com [203.0.113.5] (may be forged)) by gw.us.example (8.18.1)", CLIENT),
        # Exchange
        ("from mx.example.com (203.0.113.5) by GW.us.example (10.1.2.3) with Microsoft SMTP Server", NAMELESS),
        (
            "from mx.example.com (2001:db8:0:0::1) by gw.us.example (10.1.2.3) with Microsoft SMTP Server",
            ReceivedFrom("2001:db8::1", "mx.example.com", None, "gw.us.example"),
        ),
        # qmail
        ("from unknown (HELO mx.example.com) (203.0.113.5) by gw.us.example with SMTP", NAMELESS),
        ("from mail.example.com (HELO mx.example.com) (203.0.113.5) by gw.us.example with SMTP", CLIENT),
        # Gmail
        ("from mx.example.com (mail.example.com. [203.0.113.5]) by gw.us.example with ESMTPS", CLIENT),
        # OpenSMTPD, Haraka, Purport
        ("from mx.example.com (mx.example.com [203.0.113.5]) by gw.us.example (OpenSMTPD) with ESMTPS", AS_SAID),
        (
            "from mx.example.com (mx.example.com [::ffff:203.0.113.5]) by gw.us.example (Haraka/3.0) with ESMTPS",
            AS_SAID,
        ),
    ],
)
def test_what_other_servers_write(value: str, client: ReceivedFrom) -> None:
    assert received_from(f"{value} {REST}") == client
    assert received_from(f"{value.replace(' ', '  ')} {REST}") == client


@pytest.mark.parametrize(
    ("hello", "rest"),
    [
        ("by", ""),
        ("BY", ""),
        ("mx.example.com", ' with ESMTP id 1 for <"a by b"@us.example>'),
        ("mx.example.com", ' with ESMTP id 1 for <"a(b"@us.example>'),
        ("mx.example.com", ' with ESMTP id 1 for <"a\\")b"@us.example>'),
        ("mx.example.com", ' with esmtp (Exim 4.98) (envelope-from <"x) by (y"@evil.example>)'),
    ],
)
def test_a_client_cannot_make_a_field_say_nothing_by_its_hello_or_its_addresses(hello: str, rest: str) -> None:
    """Of a client that is not known nothing is checked, so that it would like to be none."""
    value = f"from {hello} (mail.example.com [203.0.113.5]) by gw.us.example (Postfix){rest}; Mon, 23 Nov 2026"
    assert received_from(value) == ReceivedFrom("203.0.113.5", hello, "mail.example.com", "gw.us.example")


def test_our_own_field() -> None:
    field = received(
        hello_domain="mx.example.com",
        client_name=None,
        client_address="2001:db8::1",
        hostname="gw.us.example",
        protocol="ESMTPS",
        queue_id="3K2M7Q9H4R1XY",
        forward_path=parse_mailbox("bob@us.example"),
        date="Mon, 23 Nov 2026 10:00:00 +0000",
    )
    (read,) = read_header(field)
    assert received_from(read.text) == ReceivedFrom("2001:db8::1", "mx.example.com", None, "gw.us.example")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "by gw.us.example (Postfix, from userid 1000) id 4XYZ",
        "from mx.example.com by gw.us.example with SMTP",
        "from [203.0.113.5] by gw.us.example with SMTP",  # what the client said, as far as anybody knows
        "from [203.0.113.5] (mx.example.com) by gw.us.example with SMTP",
        "from mx.example.com (mail.example.com [203.0.113.5])",
        "from mx.example.com (mail.example.com [203.0.113.5]) by",
        "from mx.example.com (mail.example.com [203.0.113.5]) by (gw.us.example)",
        "from mx.example.com (mail.example.com [999.0.113.5]) by gw.us.example",
        "from mx.example.com [203.0.113.5] by gw.us.example",
        "from (mail.example.com [203.0.113.5]) by gw.us.example",
        "from mx.example.com (mail.example.com [203.0.113.5] by gw.us.example",
        "from mx.example.com (mail.example.com [203.0.113.5])) by gw.us.example",
        "from mx.example.com (a [203.0.113.5]) (b [203.0.113.6]) by gw.us.example",
        "from mx.example.com (a [203.0.113.5] [203.0.113.6]) by gw.us.example",
        "from mx.example.com (a [203.0.113.5]) by gw.us.example " + "x" * 5000,
    ],
)
def test_a_field_that_does_not_say_it_in_one_way_says_nothing(value: str) -> None:
    with pytest.raises(ValueError):
        received_from(value)


@pytest.mark.parametrize(
    "hello",
    [
        "x (y [203.0.113.9])",
        "x (y [203.0.113.9]) by gw.us.example with ESMTP id 1 (",
        "x (y [203.0.113.9]) by gw.us.example with ESMTP id 1; Mon, 23 Nov 2026 10:00:00 +0000",
        "x (y [203.0.113.9]) by gw.us.example (",
        'x (y [203.0.113.9]) by gw.us.example with ESMTP id 1 for <"',
        'x <"a"@b> (y [203.0.113.9]) by gw.us.example',
        "by (y [203.0.113.9])",
        "by gw.us.example",
        "[203.0.113.9]",
        "x\\",
    ],
)
def test_a_client_that_puts_a_field_into_its_hello_is_not_believed(hello: str) -> None:
    """Servers that write what a client said as it was said."""
    value = f"from {hello} (mail.example.com [203.0.113.5]) by gw.us.example (Postfix) with ESMTP {REST}"
    with contextlib.suppress(ValueError):
        assert received_from(value).address == "203.0.113.5"


@given(st.text(max_size=300))
@example("from \\")
def test_no_text_does_more_than_raise_value_error(text: str) -> None:
    for value in (text, f"from {text} by gw.us.example", f"from x ({text}) by gw.us.example"):
        try:
            found = received_from(value)
        except ValueError:
            continue
        assert found.by
        assert set(found.address) <= set("0123456789abcdef:.")
