"""`purport demo`: the dialogues of RFC 4405 section 5, played by five processes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    folder = tmp_path_factory.mktemp("played")
    command = [sys.executable, "-m", "purport", "demo", "--folder", str(folder)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=110)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout, folder


def dialogue(played: tuple[str, Path], number: str) -> str:
    """What was told of one section of the RFC."""
    (text,) = (part for part in played[0].split("\n\n") if part.startswith(number))
    return text


def mail_lines(text: str) -> list[str]:
    return re.findall(r"MAIL FROM:.*", text)


def test_rfc4405_5_2_a_forwarder_is_responsible_for_what_it_forwards(played: tuple[str, Path]) -> None:
    text = dialogue(played, "5.1")
    assert mail_lines(text) == [
        "MAIL FROM:<alice@example.com>",
        "MAIL FROM:<alice@example.com> SUBMITTER=alice@example.com",
        "MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example",
    ]
    assert text.count("Sender ID pass") == 2
    header = text.partition("in the mailbox")[2]
    assert header.index("Resent-From: bob@almamater.edu.example") < header.index("Received: from example.com")


def test_rfc4405_5_3_a_mobile_network_names_itself_as_sender(played: tuple[str, Path]) -> None:
    text = dialogue(played, "5.3")
    assert mail_lines(text)[1:] == [
        "MAIL FROM:<alice@example.com> SUBMITTER=alice@mobile.net.example",
        "MAIL FROM:<alice@example.com> SUBMITTER=bob@almamater.edu.example",
    ]
    assert "Sender: alice@mobile.net.example" in text


def test_rfc4405_5_4_a_hotel_answers_for_its_guests(played: tuple[str, Path]) -> None:
    text = dialogue(played, "5.4")
    assert mail_lines(text)[1] == "MAIL FROM:<alice@example.com> SUBMITTER=guest.services@email.hotel.com.example"
    assert text.count("Resent-From: ") == 2


def test_rfc4405_5_5_a_report_has_its_daemon_for_submitter(played: tuple[str, Path]) -> None:
    text = dialogue(played, "5.5")
    assert mail_lines(text)[-1] == "MAIL FROM:<> SUBMITTER=mailer-daemon@almamater.edu.example"
    assert "550 5.1.1 No such mailbox here" in text


def test_what_it_did_can_be_looked_at(played: tuple[str, Path]) -> None:
    out, folder = played
    assert out.splitlines()[-1] == "Every hop was told who is responsible, as the RFC shows it."
    (report,) = (folder / "example.com" / "maildir" / "example.com" / "alice" / "new").iterdir()
    assert b"Final-Recipient: rfc822; dan@company.com.example" in report.read_bytes()
    explained = subprocess.run(
        [sys.executable, "-m", "purport", "explain", "--last", "--config", str(folder / "almamater.edu.example.toml")],
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "forwarded for dan@almamater.edu.example" in explained.stdout
