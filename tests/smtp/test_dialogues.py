"""The dialogue suites, played on a session without a socket: whole, in pieces, and octet by octet."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from purport.mail.address import NULL
from purport.smtp.server import Profile
from support.smtp_shell import OWN, ROOT, Shell, dialogues, play
from support.smtp_suites import CHASQUID, SMUGGLING, expect_path, path_cases, path_line
from support.suites import SUITES

CUTS = [pytest.param(0, id="whole"), pytest.param(7, id="sevens"), pytest.param(1, id="octets")]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize(
    "case",
    [
        *dialogues(OWN / "submitter" / "submitter-dialogues.yml"),
        *dialogues(OWN / "smtp" / "rfc5321-dialogues.yml"),
        *dialogues(SUITES / "smtp" / "chasquid-dialogues.yml", CHASQUID),
    ],
)
def test_the_dialogue_goes_as_the_suite_says(case: dict[str, Any], cut: int) -> None:
    shell = play({"domain": "testserver", **case} if "connect" in case["dialogue"][0] else case, cut)
    outcome = case.get("outcome", {})
    if "accepted" in outcome:
        assert bool(shell.messages) == outcome["accepted"]
    if "messages" in outcome:
        assert len(shell.messages) == outcome["messages"]
    if not shell.messages:
        return
    message = shell.messages[-1]
    if "reverse_path" in outcome:
        assert str(message.reverse_path) == outcome["reverse_path"]
        assert (message.reverse_path is NULL) == (outcome["reverse_path"] == "")
    if "pra" in outcome:
        assert str(message.pra) == outcome["pra"]
    if "submitter" in outcome:
        assert (message.submitter and str(message.submitter)) == outcome["submitter"]
    if "recipients" in outcome:
        assert len(message.recipients) == outcome["recipients"]
    if "recipient" in outcome:
        assert [str(recipient) for recipient in message.recipients] == [outcome["recipient"]]
    if "stored_body" in outcome:
        body = outcome["stored_body"].replace("\n", "\r\n").encode("ascii")
        assert message.octets.partition(b"\r\n\r\n")[2] == body


@pytest.mark.parametrize("cut", [*CUTS, pytest.param(2, id="pairs"), pytest.param(3, id="threes")])
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in SMUGGLING["cases"]])
def test_nothing_but_crlf_dot_crlf_ends_a_message(case: dict[str, Any], cut: int) -> None:
    shell = Shell(Profile("mx.company.com.example"))
    shell.hear(b"EHLO sender.example\r\n")
    before, after = SMUGGLING["template"].replace("\n", "\r\n").encode("utf-8").split(b"{octets}")
    sequence = case["octets"].encode("utf-8")
    shell.hear(before + sequence + after, cut)
    assert len(shell.messages) <= 1
    assert not any(message.octets.startswith(b"From: ceo@bank.example") for message in shell.messages)
    assert len(shell.messages) == (0 if case["contains_bare_cr_or_lf"] else 1)
    # An end that another server may have taken for text: what follows it is not run as commands.
    assert shell.session.closed == (case["id"] == "crcrlf-dot-crlf")


@pytest.mark.parametrize(
    "cut", [pytest.param(0, id="whole"), pytest.param(1, id="octets"), pytest.param(3, id="threes")]
)
@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in SMUGGLING["cases"]])
def test_s10_nothing_in_a_chunk_ends_a_message(case: dict[str, Any], cut: int) -> None:
    """The variants of the end of data in BDAT: one message, or a refusal, and never two."""
    before, after = SMUGGLING["template"].replace("\n", "\r\n").encode("utf-8").split(b"{octets}")
    commands, _, text = before.partition(b"DATA\r\n")
    text += case["octets"].encode("utf-8") + after
    for chunk in (len(text), 60):  # octets of a chunk: the variants stand in one, and between two
        shell = Shell(Profile("mx.company.com.example"))
        shell.hear(b"EHLO sender.example\r\n" + commands)
        chunks = [text[start : start + chunk] for start in range(0, len(text), chunk)]
        said = shell.hear(
            b"".join(b"BDAT %d\r\n" % len(octets) + octets for octets in chunks) + b"BDAT 0 LAST\r\n", cut
        )
        assert [message.octets for message in shell.messages] == [text] * (not case["contains_bare_cr_or_lf"])
        assert len(said) == len(chunks) + 1
        assert said[-1][0].startswith("550 5.6.0" if case["contains_bare_cr_or_lf"] else "250 ")
        assert not shell.session.closed


@pytest.mark.parametrize("case", path_cases())
def test_a_path_is_read_as_the_tables_say(case: dict[str, Any]) -> None:
    line = path_line(case)
    shell = Shell(Profile("mx.company.com.example"), domain="domain.com")
    shell.hear(b"EHLO sender.example\r\n")
    if line.startswith("RCPT"):
        shell.hear(b"MAIL FROM:<>\r\n")
    (said,) = shell.say(line.encode("utf-8") + b"\r\n")
    expect_path(case, said)


TEXTS = sorted((ROOT / "tests" / "dialogues").glob("*.txt"))


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("path", TEXTS, ids=[path.stem for path in TEXTS])
def test_the_dialogue_goes_as_it_is_written(path: Path, cut: int) -> None:
    """Lines as RFCs print them. `*` in what the server says is any text, `250-*` any lines before the last."""
    shell = Shell(Profile("mx.company.com.example"))
    said: list[str] = []
    lines = path.read_text(encoding="utf-8").splitlines()
    for who, group in groupby(lines, key=lambda line: line[:2]):
        texts = [line[3:] for line in group]
        if who == "C:":
            assert said == []
            said = [
                line for reply in shell.hear("".join(f"{text}\r\n" for text in texts).encode(), cut) for line in reply
            ]
            continue
        said = said or [line for reply in shell.hear(b"") for line in reply]
        for text in texts:
            if text == "250-*":
                said = [line for line in said if not line.startswith("250-")]
            else:
                assert fnmatchcase(said.pop(0), text)
    assert said == []
