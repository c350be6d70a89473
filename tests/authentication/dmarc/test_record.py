"""DMARC Policy Records: the grammar of RFC 9989 section 4.8, and what counts where a record breaks it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.authentication.dmarc.record import REQUESTS, DmarcRecord, is_record, parse, weaker


def test_a_whole_record_says_everything() -> None:
    text = (
        "v=DMARC1; p=reject; sp=quarantine; np=none; adkim=s; aspf=s; fo=1:d:s; psd=n; t=y; "
        "rua=mailto:a@example.com, https://example.com/r; ruf=mailto:f@example.com"
    )
    assert parse(text) == DmarcRecord(
        text,
        "reject",
        "quarantine",
        "none",
        "s",
        "s",
        ("1", "d", "s"),
        ("mailto:a@example.com", "https://example.com/r"),
        ("mailto:f@example.com",),
        "n",
        testing=True,
    )


def test_what_is_left_out_has_its_default() -> None:
    assert parse("v=DMARC1;p=none") == DmarcRecord("v=DMARC1;p=none", "none")


@pytest.mark.parametrize(
    "text",
    ["v=DMARC1", "v=DMARC1;", "V = DMARC1 ; p=none", "v=DMARC1\t;p=none", "v=DMARC1 "],
)
def test_the_version_stands_first(text: str) -> None:
    assert is_record(text)


@pytest.mark.parametrize(
    "text",
    [
        "v=dmarc1; p=none",
        "v=DMARC12; p=none",
        "v=DMARC1 p=none",
        "p=none; v=DMARC1",
        " v=DMARC1; p=none",
        "v=",
        "",
        "spf",
    ],
)
def test_any_other_text_is_no_record(text: str) -> None:
    """RFC 9989 section 4.7: the value is case sensitive, and the tag the first; else the entire record is ignored."""
    assert not is_record(text)
    with pytest.raises(ValueError, match="v=DMARC1"):
        parse(text)


@pytest.mark.parametrize("text", ["p=REJECT", "P = Reject", "adkim=r;p=reject", "p=reject;;aspf=r;", "p\t=\treject ;"])
def test_case_white_space_and_order_do_not_matter_behind_the_version(text: str) -> None:
    assert parse(f"v=DMARC1; {text}").p == "reject"


@pytest.mark.parametrize(
    "bad", ["", "p=", "p=bob", "p=n", "p=none; p=reject", "p=none; sp=x", "p=reject; np=", "sp=reject"]
)
def test_s22_a_policy_that_is_missing_or_broken_is_none_with_a_place_for_reports_and_nothing_without(bad: str) -> None:
    """RFC 9989 section 4.10.1."""
    reported = parse(f"v=DMARC1; {bad}; rua=mailto:a@example.com")
    assert (reported.usable, reported.p, reported.sp, reported.np) == (True, "none", None, None)
    silent = parse(f"v=DMARC1; {bad}")
    assert (silent.usable, silent.p) == (False, None)
    assert silent.problems


@pytest.mark.parametrize(
    ("tag", "name", "default"),
    [
        ("adkim=strict", "adkim", "r"),
        ("aspf=", "aspf", "r"),
        ("psd=maybe", "psd", "u"),
        ("t=1", "testing", False),
        ("fo=2; ruf=mailto:a@example.com", "fo", ("0",)),
        ("fo=0:1; ruf=mailto:a@example.com", "fo", ("0",)),
        ("fo=d:d; ruf=mailto:a@example.com", "fo", ("0",)),
        ("adkim=s; adkim=s", "adkim", "r"),
        ("rua=bogus", "rua", ()),
    ],
)
def test_any_other_tag_that_is_broken_has_its_default(tag: str, name: str, default: object) -> None:
    """RFC 9989 section 4.8: syntax errors are discarded in favor of default values."""
    record = parse(f"v=DMARC1; p=reject; {tag}")
    assert record.p == "reject"
    assert getattr(record, name) == default
    assert record.problems


def test_unknown_and_historic_tags_are_ignored_and_remarked() -> None:
    record = parse("v=DMARC1; p=reject; pct=0; ri=nonsense; rf=x; future=1; bogus")
    assert (record.p, record.usable) == ("reject", True)
    assert record.remarks == (
        "pct is historic, and ignored",
        "ri is historic, and ignored",
        "rf is historic, and ignored",
        "future is unknown, and ignored",
    )
    assert record.problems == ("bogus: this is no tag",)


def test_fo_counts_only_with_ruf() -> None:
    assert parse("v=DMARC1; p=none; fo=1").fo == ("0",)
    assert parse("v=DMARC1; p=none; fo=1; ruf=mailto:a@example.com").fo == ("1",)


@pytest.mark.parametrize(
    ("value", "uris"),
    [
        ("mailto:a@example.com!10m", ("mailto:a@example.com",)),
        ("mailto:a@example.com!50", ("mailto:a@example.com",)),
        ("mailto:a@example.com!", ()),
        ("mailto:a@example.com!10p", ()),
        ("mailto:nobody", ()),
        ("mailto:a%40b@example.com", ()),
        ("mailto:a%2Bb@example.com?subject=x", ("mailto:a%2Bb@example.com?subject=x",)),
        ("bogus , mailto:b@example.com", ("mailto:b@example.com",)),
        ("https://example.com/%zz", ()),
    ],
)
def test_places_for_reports(value: str, uris: tuple[str, ...]) -> None:
    assert parse(f"v=DMARC1; p=none; rua={value}").rua == uris


def test_t_y_asks_for_one_level_less() -> None:
    assert [weaker(request) for request in REQUESTS] == ["none", "none", "quarantine"]


@given(st.text(st.characters(max_codepoint=0xFF), max_size=200))
def test_no_text_behind_the_version_makes_it_raise(text: str) -> None:
    record = parse(f"v=DMARC1;{text}")
    assert record.p is not None or not record.usable
    assert record.usable or not record.rua


@given(
    st.lists(
        st.sampled_from(
            [
                "p=reject",
                "sp=none",
                "np=quarantine",
                "adkim=s",
                "t=y",
                "psd=y",
                "pct=3",
                "x=y",
                "rua=mailto:a@b.example",
            ]
        ),
        unique=True,
    )
)
def test_the_order_of_tags_does_not_matter(tags: list[str]) -> None:
    one, other = parse("v=DMARC1;" + ";".join(tags)), parse("v=DMARC1;" + ";".join(reversed(tags)))
    for name in ("p", "sp", "np", "adkim", "aspf", "rua", "psd", "testing", "usable"):
        assert getattr(one, name) == getattr(other, name)
