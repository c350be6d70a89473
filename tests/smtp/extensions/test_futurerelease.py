"""FUTURERELEASE (RFC 4865): what stands on the wire, and what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.mail.address import NULL, Mailbox
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.mail.reply import OK
from purport.smtp.extension import CannotForward, Outgoing
from purport.smtp.extensions.futurerelease import (
    DAY,
    EXTENSION,
    HOLDFOR,
    HOLDUNTIL,
    LATE_BEFORE_RELEASED,
    NOT_FOR_REPORTS,
    NOT_IN_THE_FUTURE,
    NOT_OFFERED,
    TOO_LONG,
    decode_interval,
    decode_moment,
    encode_interval,
    encode_moment,
    outbound,
    refusal,
    release_at,
    request,
)
from purport.smtp.server import Profile, ServerSession

ALICE = Mailbox("alice", "example.com")
TODAY = 20_781  # 2026-11-24
NOW = TODAY * DAY + 40_000.0
PROFILE = Profile("mx.company.com.example", service="submission", hold_seconds=30 * DAY)
OFFER = "2592000 2026-12-24T00:00:00Z"


def said(line: str, profile: Profile = PROFILE, today: int = TODAY) -> list[str]:
    """What a server says to EHLO, and to one more command, of a client that logged in; an event is as good as a yes."""
    session = ServerSession(profile, today=today)
    session.log_in()
    hello = "LHLO" if profile.service == "lmtp" else "EHLO"
    session.receive(f"{hello} client.example\r\n{line}\r\n".encode())
    while session.next_event() is not None:
        session.answer(OK)
    return session.to_send().decode().splitlines()


def mail(parameters: str) -> str:
    return said(f"MAIL FROM:<alice@example.com> {parameters}")[-1]


def parameters(text: str) -> Parameters:
    return Parameters.from_octets(text.encode())


# Values


@given(st.integers(1, 999_999_999))
def test_an_interval_comes_back_as_it_was(seconds: int) -> None:
    assert decode_interval(encode_interval(seconds)) == seconds
    assert len(b" HOLDFOR=" + encode_interval(seconds)) <= EXTENSION.mail_octets


@given(st.integers(-62_135_596_800, 253_402_300_799))  # the years 1 to 9999
def test_a_moment_comes_back_as_it_was(seconds: int) -> None:
    assert decode_moment(encode_moment(seconds)) == seconds
    assert len(b" HOLDUNTIL=" + encode_moment(seconds)) <= EXTENSION.mail_octets


@given(st.one_of(st.binary(max_size=30), st.from_regex(rb"[0-9T:Z.+-]{15,25}", fullmatch=True)))
def test_whatever_is_sent_is_read_or_refused(value: bytes) -> None:
    for decode in (decode_interval, decode_moment):
        try:
            assert decode(value) is not None
        except ValueError:
            continue


@pytest.mark.parametrize("value", [None, b"", b"0", b"01", b"-1", b"+1", b"1.5", b"1000000000", b"1h"])
def test_what_is_no_interval(value: bytes | None) -> None:
    with pytest.raises(ValueError, match="1 to 9 digits"):
        decode_interval(value)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"2026-12-01",
        b"2026-12-01 08:00:00Z",
        b"2026-12-01T08:00Z",
        b"2026-12-01T08:00:00",
        b"2026-12-01T08:00:00+01:00",
        b"2026-02-30T08:00:00Z",
        b"2026-12-01T24:00:00Z",
        b"2026-12-01T08:00:61Z",
        b"0000-12-01T08:00:00Z",
        b"2026-12-01T08:00:00.Z",
        "２026-12-01T08:00:00Z".encode(),
    ],
)
def test_what_is_no_moment(value: bytes | None) -> None:
    """RFC 3339 section 5.6, and UTC alone (RFC 4865 section 3)."""
    with pytest.raises(ValueError, match=r"HOLDUNTIL|day|hour|second|year"):
        decode_moment(value)


def test_a_moment_is_never_read_as_an_earlier_one() -> None:
    assert decode_moment(b"2026-12-01t08:00:00.25z") == datetime(2026, 12, 1, 8, tzinfo=UTC).timestamp() + 0.25
    assert decode_moment(b"2016-12-31T23:59:60Z") == datetime(2017, 1, 1, tzinfo=UTC).timestamp()


# The offer


def test_the_offer_names_the_longest_time_and_the_last_date() -> None:
    assert f"250-FUTURERELEASE {OFFER}" in said("NOOP")


def test_a_session_of_the_next_day_hears_the_next_date() -> None:
    assert f"250-FUTURERELEASE {OFFER}" in said("NOOP")
    assert "250-FUTURERELEASE 2592000 2026-12-25T00:00:00Z" in said("NOOP", today=TODAY + 1)
    assert f"250-FUTURERELEASE {OFFER}" in said("NOOP")  # of one that began before midnight


def test_no_more_than_a_few_days_are_kept() -> None:
    profile = Profile("mx.company.com.example", service="submission", hold_seconds=DAY)
    for day in range(100):
        said("NOOP", profile, today=TODAY + day)
    assert len(profile._dialects) <= 2


@pytest.mark.parametrize(
    "profile",
    [
        Profile("mx.company.com.example", hold_seconds=DAY),
        Profile("mx.company.com.example", service="lmtp", hold_seconds=DAY),
        Profile("mx.company.com.example", service="submission"),
    ],
    ids=["mx", "lmtp", "switched off"],
)
def test_only_the_submission_service_offers_it(profile: Profile) -> None:
    """RFC 4865 section 4.2 (2)."""
    heard = said("MAIL FROM:<alice@example.com> HOLDFOR=60", profile)
    assert not any("FUTURERELEASE" in line for line in heard)
    assert heard[-1].startswith("555 5.5.4 ")


# MAIL


@pytest.mark.parametrize(
    "text", ["HOLDFOR=1", "HOLDFOR=2592000", "HOLDUNTIL=2026-12-24T00:00:00Z", "holduntil=2026-11-25T00:00:00Z"]
)
def test_a_time_within_the_offer_is_accepted(text: str) -> None:
    assert mail(text).startswith("250 ")


@pytest.mark.parametrize(
    "text",
    [
        "HOLDFOR=2592001",
        "HOLDUNTIL=2026-12-24T00:00:01Z",
        "HOLDUNTIL=9999-12-31T23:59:59Z",
        "HOLDFOR=60 HOLDUNTIL=2026-12-01T08:00:00Z",
        "HOLDFOR=60 HOLDFOR=60",
        "HOLDUNTIL=2026-12-01T08:00:00Z HOLDUNTIL=2026-12-01T08:00:00Z",
        "HOLDFOR",
        "HOLDFOR=0",
        "HOLDUNTIL=tomorrow",
    ],
)
def test_what_is_beyond_the_offer_or_given_twice_is_refused(text: str) -> None:
    """RFC 4865 section 4.2 (7) to (11)."""
    assert mail(text).startswith("501 5.5.4 ")


@pytest.mark.parametrize(
    ("text", "moment"),
    [("HOLDFOR=60", NOW + 60), ("HOLDUNTIL=2026-11-25T00:00:00Z", (TODAY + 1) * DAY), ("SIZE=100", None)],
)
def test_when_a_message_is_released(text: str, moment: float | None) -> None:
    assert release_at(parameters(text), NOW) == moment
    assert refusal(parameters(text), ALICE, NOW) is None


def test_what_the_clock_and_the_reverse_path_have_against_it() -> None:
    """RFC 4865 section 4.2 (8), 5.1.1 and 5.3.1."""
    assert refusal(parameters("HOLDFOR=60"), NULL, NOW) is NOT_FOR_REPORTS
    assert refusal(NO_PARAMETERS, NULL, NOW) is None
    for moment in (b"1970-01-01T00:00:00Z", b"1969-12-31T00:00:00Z", encode_moment(NOW)):
        assert refusal(Parameters((("HOLDUNTIL", moment),)), ALICE, NOW) is NOT_IN_THE_FUTURE


@pytest.mark.parametrize(
    ("text", "refused"),
    [
        ("HOLDFOR=60 BY=120;R", False),
        ("HOLDFOR=120 BY=120;R", False),
        ("HOLDFOR=121 BY=120;NT", True),
        ("BY=-3;N HOLDFOR=1", True),
        ("HOLDUNTIL=2026-11-25T00:00:00Z BY=120;R", True),
        ("BY=120;R", False),
    ],
)
def test_a_message_cannot_be_late_before_it_is_released(text: str, refused: bool) -> None:
    """RFC 4865 section 5.2.2."""
    assert (refusal(parameters(text), ALICE, NOW) is LATE_BEFORE_RELEASED) is refused


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SIZE=9 HOLDFOR=3600", "for;3600"),
        ("HOLDUNTIL=2026-12-01T08:00:00Z", "until;2026-12-01T08:00:00Z"),
        ("SIZE=9", ""),
    ],
)
def test_what_a_report_quotes(text: str, told: str) -> None:
    """RFC 4865 section 5.1.2."""
    assert request(parameters(text)) == told


# The client


def test_a_relay_does_not_pass_it_on() -> None:
    assert outbound(Outgoing(100, parameters=parameters("HOLDFOR=60")), OFFER) == {}


@pytest.mark.parametrize("hold", [(HOLDFOR.keyword, b"2592000"), (HOLDUNTIL.keyword, b"2026-12-24T00:00:00Z")])
def test_a_submission_says_how_long(hold: tuple[str, bytes]) -> None:
    assert outbound(Outgoing(100, hold=hold), OFFER) == {hold[0]: hold[1]}


@pytest.mark.parametrize(
    ("hold", "offer", "reply"),
    [
        ((HOLDFOR.keyword, b"60"), None, NOT_OFFERED),
        ((HOLDFOR.keyword, b"2592001"), OFFER, TOO_LONG),
        ((HOLDUNTIL.keyword, b"2026-12-24T00:00:01Z"), OFFER, TOO_LONG),
        ((HOLDFOR.keyword, b"60"), "", TOO_LONG),
        ((HOLDFOR.keyword, b"60"), "some time", TOO_LONG),
    ],
)
def test_a_submission_that_would_not_be_held_is_not_sent(
    hold: tuple[str, bytes], offer: str | None, reply: object
) -> None:
    """RFC 4865 section 4.1."""
    with pytest.raises(CannotForward) as refused:
        outbound(Outgoing(100, hold=hold), offer)
    assert refused.value.reply is reply
