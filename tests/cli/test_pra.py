"""`purport pra`."""

from __future__ import annotations

import json
from pathlib import Path

from support.cli import purport

SENDER = b"From: alice@example.com, carol@example.com\r\nSender: Bob <bob@almamater.edu.example>\r\n\r\nHi\r\n"


def test_the_address_its_field_and_the_steps_are_told(tmp_path: Path) -> None:
    (tmp_path / "m.eml").write_bytes(SENDER)
    ran = purport("pra", str(tmp_path / "m.eml"))
    assert (ran.code, ran.out) == (0, "bob@almamater.edu.example (from sender, steps 1->2->3->5)\n")


def test_stdin_is_read_too() -> None:
    assert purport("pra", "-", stdin=SENDER).out.startswith("bob@almamater.edu.example ")


def test_several_files_give_one_json_object_each(tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(SENDER)
    (tmp_path / "two.eml").write_bytes(b"From: alice@example.com\n\n")
    ran = purport("pra", "--json", str(tmp_path / "one.eml"), str(tmp_path / "two.eml"))
    one, two = map(json.loads, ran.lines)
    assert ran.code == 0
    assert (one["address"], one["field"], one["step"]) == ("bob@almamater.edu.example", "sender", "1->2->3->5")
    assert (two["file"], two["address"], two["field"]) == (str(tmp_path / "two.eml"), "alice@example.com", "from")


def test_a_message_without_a_responsible_address_exits_with_65(tmp_path: Path) -> None:
    (tmp_path / "none.eml").write_bytes(b"Subject: nobody\n\n")
    (tmp_path / "some.eml").write_bytes(SENDER)
    ran = purport("pra", str(tmp_path / "none.eml"), str(tmp_path / "some.eml"))
    assert ran.code == 65
    assert ran.lines[0].startswith(f"{tmp_path}/none.eml: no responsible address: ")
    assert ran.lines[1].startswith(f"{tmp_path}/some.eml: bob@almamater.edu.example ")
    told = json.loads(purport("pra", "--json", str(tmp_path / "none.eml")).out)
    assert told["address"] is None
    assert told["problem"]


def test_a_file_that_is_not_there_exits_with_66(tmp_path: Path) -> None:
    ran = purport("pra", str(tmp_path / "none.eml"))
    assert (ran.code, ran.out) == (66, "")
    assert ran.err == f"{tmp_path}/none.eml: No such file or directory\n"


def test_what_a_message_says_does_not_command_the_terminal() -> None:
    ran = purport("pra", "-", stdin=b'From: "\x1b[2J"@example.com\n\n')
    assert "\x1b" not in ran.out
