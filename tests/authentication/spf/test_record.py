"""Records: selection and grammar (RFC 7208 sections 4.5, 4.6 and 12)."""

from __future__ import annotations

import time
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.spf.errors import PermError
from purport.authentication.spf.record import Directive, Record, parse, select


def only_directive(term: str) -> Directive:
    (directive,) = parse(f"v=spf1 {term}").directives
    return directive


def test_the_version_is_a_word_of_its_own() -> None:
    assert select(["v=spf10 -all", "V=SPF1 mx", "v=spf1.0"]) == "V=SPF1 mx"
    assert select(["v=spf1"]) == "v=spf1"
    assert select(["spf2.0/mfrom -all"]) is None


def test_two_records_are_a_permerror() -> None:
    with pytest.raises(PermError):
        select(["v=spf1 -all", "v=spf1 -all"])


def test_a_record_is_read_term_by_term() -> None:
    record = parse("v=spf1 mx  ~A:mail.example.com/28//64 ?include:%{d2} exists:x.example -all exp=e.example moo=%{d} ")
    assert [(directive.kind, directive.result, directive.text) for directive in record.directives] == [
        ("mx", "pass", "mx"),
        ("a", "softfail", "~A:mail.example.com/28//64"),
        ("include", "neutral", "?include:%{d2}"),
        ("exists", "pass", "exists:x.example"),
        ("all", "fail", "-all"),
    ]
    assert record.directives[1].host_bits == (4, 64)
    assert record.exp is not None
    assert record.exp.name == "e.example"
    assert record.redirect is None


def test_a_redirect_is_overruled_by_all() -> None:
    assert parse("v=spf1 redirect=a.example").redirect is not None
    assert parse("v=spf1 redirect=a.example ?all").redirect is None


@pytest.mark.parametrize(
    ("term", "lowest", "highest"),
    [
        ("ip4:192.0.2.77/24", IPv4Address("192.0.2.0"), IPv4Address("192.0.2.255")),
        ("ip4:192.0.2.1", IPv4Address("192.0.2.1"), IPv4Address("192.0.2.1")),
        ("ip4:1.2.3.4/0", IPv4Address(0), IPv4Address("255.255.255.255")),
        ("ip6:2001:db8::1/64", IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff:ffff:ffff:ffff")),
        ("ip6:::1.2.3.4", IPv6Address("::1.2.3.4"), IPv6Address("::1.2.3.4")),
    ],
)
def test_networks(term: str, lowest: IPv4Address | IPv6Address, highest: IPv4Address | IPv6Address) -> None:
    network = only_directive(term).network
    assert network is not None
    assert (network.version, network.lowest, network.highest) == (lowest.version, int(lowest), int(highest))


@pytest.mark.parametrize(
    "term",
    [
        *(
            "moo",
            "+",
            "-",
            "all:x.example",
            "all/8",
            "include",
            "include:",
            "include:a",
            "exists",
            "exists:a.example/24",
        ),
        *("a:", "a/33", "a//129", "a/24/64", "a/024", "a/", "a:1.2.3.4", "a24", "mx:a.example:25", "ptr/24", "ptr:"),
        *("ip4", "ip4:", "ip4:1.2.3", "ip4:1.2.3.4.5", "ip4:1.2.3.256", "ip4:01.2.3.4", "ip4:1.2.3.4/33"),
        *("ip4:1.2.3.4/08", "ip4:1.2.3.4//32", "ip4:::1", "ip6:1.2.3.4", "ip6:1::2::3", "ip6:::1/129", "ip6:fe80::1%1"),
        *("redirect=", "redirect=a", "exp=", "=all", "1up=x", "moo=%", "moo=ä", "ip4:１.2.3.4", "\u00a0all", "all\tmx"),
        *("redirect=a.example redirect=b.example", "exp=a.example EXP=a.example"),
    ],
)
def test_what_is_wrong_anywhere_is_a_permerror(term: str) -> None:
    with pytest.raises(PermError) as error:
        parse(f"v=spf1 mx {term} -all")
    assert str(error.value).isascii()
    assert str(error.value).isprintable()


def test_unknown_modifiers_are_ignored_wherever_and_however_often() -> None:
    assert parse("v=spf1 a.b-c_d=x/y:z a.b-c_d= all=no mx").directives == parse("v=spf1 mx").directives


def test_particular_terms_are_counted_from() -> None:
    assert parse("v=spf1 mx a:%{d} exists:%{i}.example.com -all").common == 2
    assert parse("v=spf1 ptr -all").common == 0
    assert parse("v=spf1 mx -all").common == 2


@pytest.mark.parametrize("filling", ["ip4:1.2.3.4 ", "a" * 20, "%{d", "a.", "/24", ":", "%%", "moo=x ", "a-"])
def test_a_record_of_64_thousand_octets_takes_no_more_than_its_length(filling: str) -> None:
    text = "v=spf1 " + filling * (64_000 // len(filling))
    begun = time.process_time()
    for record in (text, text.replace("v=spf1 ", "v=spf1 a:"), text + "/33"):
        try:
            parse(record)
        except PermError:
            continue
    assert time.process_time() - begun < 2.0


TERMS = st.lists(
    st.one_of(
        st.sampled_from(
            ["all", "-all", "mx", "a/24", "ip4:1.2.3.4", "include:a.example", "redirect=b.example", "exp=%{d}", "ptr"]
        ),
        st.text(alphabet="+-?~amxipt4610.:/=%{}dlr \tä", max_size=20),
        st.text(max_size=10),
    ),
    max_size=6,
)


@settings(deadline=None, max_examples=400)
@given(TERMS)
def test_any_text_is_a_record_or_a_permerror(terms: list[str]) -> None:
    try:
        record = parse(" ".join(["v=spf1", *terms]))
    except PermError:
        return
    assert isinstance(record, Record)
    # The directives as they stand make the same directives again.
    assert (
        parse(" ".join(["v=spf1", *[directive.text for directive in record.directives]])).directives
        == record.directives
    )
