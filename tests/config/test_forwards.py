"""Settings about mail that goes on: what is wrong is told with its place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from purport.config.load import SettingsError, load, read
from purport.mail.address import Mailbox
from purport.parts import make_forwarding, make_forwards, srs_secrets
from support.cli import purport

SMALL = 'hostname = "mx.company.com.example"\n[[listener]]\nbind = ["127.0.0.1:2525"]\n'
DOMAIN = '[[domain]]\nname = "company.com.example"\nmailboxes = ["bob"]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('forwards = { "a b" = ["x@y.example"] }', "no local part"),
        ('forwards = { carol = ["x@@y"] }', 'address 1: .* is no address.*such as "carol@elsewhere.example"'),
        ("forwards = { carol = [] }", "must not be empty"),
        ('forwards = { carol = ["|/bin/sh"] }', "mail is not handed to a program"),
        ('forwards = { carol = ["/var/mail/carol"] }', "mail is not handed to a file"),
        ('forwards = { carol = [":include:/etc/passwd"] }', "in an alias file only"),
        ('forward_command = ["lookup"]', "'lookup' is no absolute path"),
        ('[forwarding]\nrepair = "srss"', 'did you mean "srs"'),
        ('[forwarding]\nsrs_domain = "a b"', "no domain name"),
        ('[forwarding]\nsrs_separator = "/"', 'none of "\\+", "-", "="'),
        ("[forwarding]\nsrs_hash_length = 3", "at least 4"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        read(SMALL + DOMAIN + text)
    assert caught.value.line in (7, 8)


def settings_file(folder: Path, text: str) -> Path:
    place = folder / "purport.toml"
    place.write_text(SMALL + DOMAIN + text)
    return place


def test_alias_files_and_settings_make_one_table_and_the_settings_win(tmp_path: Path) -> None:
    (tmp_path / "team").write_text("dave@example.net\nbob\n")
    (tmp_path / "aliases").write_text(f"Team: :include:{tmp_path}/team\ncarol: carol@old.example\n")
    path = settings_file(tmp_path, 'aliases = "aliases"\nforwards = { CAROL = ["carol@new.example"] }\n')
    forwards = make_forwards(path, load(path))
    assert forwards.entries == {
        "company.com.example": {
            "team": (Mailbox("dave", "example.net"), Mailbox("bob", "")),
            "carol": (Mailbox("carol", "new.example"),),
        }
    }
    assert purport("check", "--config", str(path)).code == 0


def test_the_owner_of_a_list_has_to_be_somebody(tmp_path: Path) -> None:
    """RFC 5321 section 3.9: "a person or other entity who administers the list"."""
    aliases = tmp_path / "aliases"
    path = settings_file(tmp_path, 'aliases = "aliases"\n')
    aliases.write_text("dev: bob, eve@example.net\nowner-dev: nobody\n")
    ran = purport("check", "--config", str(path))
    assert ran.code == 78
    assert "owner-dev@company.com.example is to get the bounces of a list, but leads to no mailbox" in ran.err
    aliases.write_text("dev: bob, eve@example.net\nowner-dev: bob\n")
    assert purport("check", "--config", str(path)).code == 0


def test_a_list_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    """Included lists may belong to users; a reload that reads from a pipe would never end."""
    os.mkfifo(tmp_path / "team")
    (tmp_path / "aliases").write_text(f"team: :include:{tmp_path}/team\n")
    path = settings_file(tmp_path, 'aliases = "aliases"\n')
    with pytest.raises(SettingsError, match="team: is no file"):
        make_forwards(path, load(path))


def test_check_warns_of_mail_that_would_bounce_and_of_secrets_that_all_can_read(tmp_path: Path) -> None:
    (tmp_path / "srs").write_text("secret\n")
    (tmp_path / "srs").chmod(0o644)
    text = 'forwards = { team = ["bob", "nobody"] }\n[forwarding]\nsrs_secret_file = "srs"\n'
    ran = purport("check", "--config", str(settings_file(tmp_path, text)))
    assert ran.code == 0
    assert "mail of team@company.com.example goes to nobody@company.com.example, which is no mailbox" in ran.err
    assert "others can read the secrets of SRS" in ran.err
    assert "bob" not in ran.err


@pytest.mark.parametrize(("content", "told"), [(None, "No such file"), ("\n", "holds no secret")])
def test_check_refuses_secrets_that_are_not_there(tmp_path: Path, content: str | None, told: str) -> None:
    if content is not None:
        (tmp_path / "srs").write_text(content)
    ran = purport("check", "--config", str(settings_file(tmp_path, '[forwarding]\nsrs_secret_file = "srs"\n')))
    assert ran.code == 78
    assert told in ran.err
    assert "forwarding.srs_secret_file" in ran.err


def test_a_secret_is_made_once_and_several_are_read_in_their_order(tmp_path: Path) -> None:
    path = settings_file(tmp_path, "")
    settings = load(path)
    assert make_forwarding(path, settings) is None, "nothing is forwarded"
    assert not (tmp_path / "state").exists()
    made = srs_secrets(path, settings)
    assert srs_secrets(path, settings) == made
    place = tmp_path / "state" / "srs-secret"
    assert place.stat().st_mode & 0o777 == 0o600
    place.write_bytes(b"new\n" + place.read_bytes())
    assert srs_secrets(path, settings) == (b"new", *made)


@pytest.mark.parametrize(
    ("value", "told"),
    [('["localhost"]', "no IP address"), ('["192.0.2.1", "2001:db8::1", "192.0.2.2"]', "there is one of IPv4 already")],
)
def test_addresses_that_connections_come_from_are_one_of_each_family(value: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read(f"{SMALL}[relay]\nsource = {value}\n")
