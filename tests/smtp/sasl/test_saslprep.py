"""SASLprep: the examples of RFC 4013 section 3, and what may not pass."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.smtp.sasl.saslprep import saslprep


@pytest.mark.parametrize(
    ("given_text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("a\u00a0b", "a b")],
)
def test_the_examples_of_rfc_4013(given_text: str, prepared: str) -> None:
    assert saslprep(given_text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "\u0627\u0031", "a\u0627", "\ud800", "\ue000", "\u200e", "\ufffd", "é\0"])
def test_what_is_prohibited(text: str) -> None:
    with pytest.raises(ValueError):
        saslprep(text)


def test_right_to_left_text_may_stand_alone() -> None:
    assert saslprep("\u05d0\u05d1") == "\u05d0\u05d1"


def test_a_code_point_that_nobody_assigned_is_refused_where_it_is_stored() -> None:
    assert saslprep("\u0221") == "\u0221"
    with pytest.raises(ValueError, match="does not know"):
        saslprep("\u0221", stored=True)


@given(st.text(max_size=20))
def test_what_was_prepared_stays_as_it_is(text: str) -> None:
    try:
        prepared = saslprep(text)
    except ValueError:
        return
    assert saslprep(prepared) == prepared
