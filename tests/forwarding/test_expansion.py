"""Aliases of aliases, and what bounds them."""

from __future__ import annotations

import pytest

from purport.forwarding.expansion import (
    ADDRESSES,
    CannotExpand,
    Expansion,
    Forward,
    Forwards,
    expand,
    leads_somewhere,
)
from purport.mail.address import Mailbox, parse_mailbox

OURS = frozenset(("company.com.example", "branch.example"))


def at(text: str) -> Mailbox:
    return parse_mailbox(text if "@" in text else f"{text}@company.com.example")


def expanded(entries: dict[str, list[str]], name: str, answers: dict[str, list[str]] | None = None) -> Expansion | None:
    table: dict[str, dict[str, tuple[Mailbox, ...]]] = {}
    for key, targets in entries.items():
        mailbox = at(key)
        table.setdefault(mailbox.domain, {})[mailbox.local_part] = tuple(
            parse_mailbox(one) if "@" in one else Mailbox(one, "") for one in targets
        )
    asked = frozenset(("branch.example",)) if answers is not None else frozenset[str]()
    expanding = expand(Forwards(OURS, table, asked), at(name))
    try:
        question = next(expanding)
        while True:
            question = expanding.send(tuple(at(one) for one in (answers or {}).get(str(question), [])))
    except StopIteration as done:
        found: Expansion | None = done.value
        return found


def test_a_mailbox_without_an_entry_is_itself() -> None:
    assert expanded({"carol": ["carol@elsewhere.example"]}, "bob") is None


def test_a_forward_is_its_mailboxs_own() -> None:
    carol = at("carol@company.com.example")
    assert expanded({"carol": ["carol@elsewhere.example"]}, "carol") == Expansion(
        (), (Forward(carol, (at("carol@elsewhere.example"),)),)
    )


def test_a_name_in_its_own_entry_keeps_a_copy() -> None:
    found = expanded({"carol": ["carol", "carol@elsewhere.example"]}, "Carol@Company.com.example")
    assert found is not None
    assert [str(one) for one in found.mailboxes] == ["carol@Company.com.example"]
    assert [len(one.forward_paths) for one in found.forwards] == [1]


def test_who_sets_up_the_last_forward_is_the_forwarder() -> None:
    entries = {
        "team": ["bob", "carol", "dave@branch.example", "eve@elsewhere.example"],
        "carol": ["carol@elsewhere.example"],
        "dave@branch.example": ["dave@example.net", "dave@EXAMPLE.net"],
    }
    found = expanded(entries, "team")
    assert found is not None
    assert found.mailboxes == (at("bob"),)
    assert [(str(one.forwarder), [str(to) for to in one.forward_paths]) for one in found.forwards] == [
        ("carol@company.com.example", ["carol@elsewhere.example"]),
        ("dave@branch.example", ["dave@example.net"]),
        ("team@company.com.example", ["eve@elsewhere.example"]),
    ]


def test_a_circle_of_aliases_delivers_to_what_it_meets_and_leads_nowhere_alone() -> None:
    circle = {"a": ["b"], "b": ["c", "x@elsewhere.example"], "c": ["a"]}
    found = expanded(circle, "a")
    assert found is not None
    assert found.count == 1
    with pytest.raises(CannotExpand, match="back to themselves"):
        expanded({"a": ["b"], "b": ["a"]}, "a")


def test_depth_and_number_are_bounded() -> None:
    chain = {f"n{number}": [f"n{number + 1}"] for number in range(20)}
    with pytest.raises(CannotExpand, match="10 aliases"):
        expanded(chain, "n0")
    assert expanded(chain, "n11") is not None
    with pytest.raises(CannotExpand, match="1000 addresses"):
        expanded({"all": [f"n{number}@elsewhere.example" for number in range(ADDRESSES + 1)]}, "all")


def test_who_is_asked_may_lead_on() -> None:
    answers = {
        "x@branch.example": ["bob", "y@branch.example"],
        "y@branch.example": ["x@branch.example", "y@elsewhere.example"],
    }
    found = expanded({}, "x@branch.example", answers)
    assert found is not None
    assert found.mailboxes == (at("bob"),)
    assert [str(one.forwarder) for one in found.forwards] == ["y@branch.example"]
    assert expanded({}, "nobody@branch.example", answers) is None


LISTS = {
    "owner-dev": ["bob"],
    "dev": ["bob", "carol", "eve@elsewhere.example", "all-hands", "help"],
    "carol": ["carol@elsewhere.example"],
    "help": ["frank@example.net"],
    "owner-all-hands": ["root@example.net"],
    "all-hands": ["gina", "eve@elsewhere.example"],
}


def told(found: Expansion | None) -> dict[str, tuple[str, set[str]]]:
    assert found is not None
    return {
        str(one.forwarder): (str(one.owner or ""), {str(path) for path in one.forward_paths}) for one in found.forwards
    }


def test_who_reads_a_list_gets_what_its_owner_sends_whatever_aliases_lead_there() -> None:
    """RFC 5321 section 3.9.2. Of lists in lists the inner one has its own owner."""
    found = expanded(LISTS, "Dev")
    assert told(found) == {
        "Dev@company.com.example": (
            "owner-dev@company.com.example",
            {"bob@company.com.example", "carol@elsewhere.example", "eve@elsewhere.example", "frank@example.net"},
        ),
        "all-hands@company.com.example": (
            "owner-all-hands@company.com.example",
            {"gina@company.com.example", "eve@elsewhere.example"},
        ),
    }
    assert found is not None
    assert not found.mailboxes
    assert (found.count, found.places) == (6, 2)


def test_an_owner_is_no_list_and_its_mail_goes_on_as_of_any_alias() -> None:
    found = expanded({**LISTS, "owner-owner-dev": ["bob"], "owner-dev": ["x@example.net"]}, "owner-dev")
    assert told(found) == {"owner-dev@company.com.example": ("", {"x@example.net"})}


def test_only_a_name_that_has_an_entry_is_a_list() -> None:
    forwards = Forwards(OURS, {"company.com.example": {"owner-bob": (at("root"),), "team": (at("bob"),)}})
    assert forwards.owner(at("bob")) is None
    assert forwards.owner(at("team")) is None
    assert list(forwards.owners()) == []


@pytest.mark.parametrize(
    ("owner", "leads"),
    [("bob", True), ("x@example.net", True), ("nobody", False), ("owner-dev", False), ("loop", False)],
)
def test_where_an_owner_leads_is_known_beforehand(owner: str, leads: bool) -> None:
    entries = {"dev": (at("bob"),), "owner-dev": (at(owner),), "loop": (at("pool"),), "pool": (at("loop"),)}
    forwards = Forwards(OURS, {"company.com.example": entries})
    assert leads_somewhere(forwards, at("owner-dev"), lambda mailbox: mailbox == at("bob")) is leads
