"""Record selection by scope (RFC 4406 sections 3.1 and 4.4)."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from purport.authentication.sender_id.record import select
from purport.authentication.spf.errors import PermError

SPF1 = "v=spf1 +all"


@pytest.mark.parametrize(
    ("records", "scope", "selected"),
    [
        ([SPF1], "pra", SPF1),
        ([SPF1, "spf2.0/pra -all"], "pra", "spf2.0/pra -all"),
        ([SPF1, "spf2.0/mfrom -all"], "pra", SPF1),
        (["spf2.0/mfrom -all"], "pra", None),
        (["spf2.0/mfrom,prattle,fubar -all"], "pra", None),
        (["spf2.0/mfrom,pra,fubar -all"], "pra", "spf2.0/mfrom,pra,fubar -all"),
        (["spf2.0/mfrom,pra -all"], "mfrom", "spf2.0/mfrom,pra -all"),
        (["SPF2.12/x-y.z_1,PRA"], "pra", "SPF2.12/x-y.z_1,PRA"),
        (["spf2.0 -all", "spf2./pra -all", "spf2.x/pra -all", "spf2.0/ -all", "spf2.0/pra, -all"], "pra", None),
        (["spf2.0/pra\t-all", "xspf2.0/pra -all", "spf2.0/1,pra -all"], "pra", None),
        ([], "pra", None),
    ],
)
def test_selection(records: list[str], scope: Literal["pra", "mfrom"], selected: str | None) -> None:
    assert select(records, scope) == selected


@pytest.mark.parametrize("records", [["spf2.0/pra", "spf2.0/mfrom,pra -all"], [SPF1, SPF1], ["spf2.0/pra", SPF1] * 2])
def test_s9_two_records_for_one_scope_are_a_permerror(records: list[str]) -> None:
    with pytest.raises(PermError):
        select(records, "pra")


@settings(deadline=None)
@given(st.lists(st.text(alphabet="spf2.0/pram,vo=1 -", max_size=20), max_size=4))
def test_any_texts_select_one_of_them_or_none_or_are_a_permerror(records: list[str]) -> None:
    try:
        selected = select(records, "pra")
    except PermError:
        return
    assert selected is None or selected in records
