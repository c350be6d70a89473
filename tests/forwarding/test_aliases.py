"""Alias files as Postfix and Sendmail read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purport.forwarding.aliases import Alias, Include, Problem, read_aliases, read_list
from purport.mail.address import Mailbox

FILE = """\
# Who gets what
postmaster: root
"bob brown": bob, bob@elsewhere.example,
    # a comment between
    "b, b"@example.net
team:   :include:/etc/mail/team
  , \\carol
Dave: Dave Doe <dave@example.org>
"""


def local(name: str) -> Mailbox:
    return Mailbox(name, "")


def test_names_continuation_lines_quotes_and_inclusions_are_read() -> None:
    aliases, problems = read_aliases(FILE)
    assert problems == []
    assert aliases == [
        Alias("postmaster", (local("root"),), 2),
        Alias("bob brown", (local("bob"), Mailbox("bob", "elsewhere.example"), Mailbox("b, b", "example.net")), 3),
        Alias("team", (Include("/etc/mail/team"), local("carol")), 6),
        Alias("dave", (Mailbox("dave", "example.org"),), 8),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: |/usr/bin/vacation", "mail is not handed to a program"),
        ('a: "|/usr/bin/vacation -x, y"', "mail is not handed to a program"),
        ("a: /var/mail/a", "mail is not handed to a file"),
        ("a: :include:team", "'team' is no absolute path"),
        ("a:", "goes nowhere"),
        ("a", "no colon"),
        ('"a: b', "does not end"),
        ("a@b.example: c", "no local part"),
        ("a: b c", "is no address"),
        ("a: b@@c", "is no address"),
        ("a: x\na: y", "stands in line 1 already"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_line(text: str, problem: str) -> None:
    _, problems = read_aliases(f"ok: b\n{text}\n")
    assert problem in problems[0].text.replace("line 2", "line 1")
    assert problems[0].line in (2, 3)


def test_a_list_holds_addresses_and_no_further_lists() -> None:
    found, problems = read_list("# team\ncarol, dave@example.org\n\n:include:/more\n|x\n")
    assert found == [local("carol"), Mailbox("dave", "example.org")]
    assert [problem.line for problem in problems] == [4, 5]


@given(st.text(max_size=200))
def test_no_text_does_harm(text: str) -> None:
    aliases, problems = read_aliases(text)
    assert all(alias.targets for alias in aliases)
    assert all(isinstance(problem, Problem) for problem in problems)
    read_list(text)
