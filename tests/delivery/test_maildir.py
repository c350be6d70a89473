"""Delivery to Maildirs: whole, safe, once, and inside of their folder."""

from __future__ import annotations

import gc
import mailbox
import resource
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from purport.delivery.maildir import JUNK_FOLDER, OPEN_FILES, Drop, deliver_many, file_name, folder_name, folder_of
from purport.mail.address import NULL, Mailbox, ReversePath
from purport.mail.envelope import NO_PARAMETERS, Parameters
from purport.queue.body import MemoryBody
from purport.queue.store import Body, QueuedMessage

ALICE = Mailbox("alice", "example.com")
BOB = Mailbox("bob", "company.com.example")
TRACE = b"Received: from mx.example.com\r\n\tby mx.company.com.example\r\n"
MESSAGE = b"From: alice@example.com\r\n\r\nHello\r\n"


class Pieces:
    """A body that is read in the pieces it was given in, and that fails where a piece is None."""

    def __init__(self, *pieces: bytes | None) -> None:
        self._pieces = pieces
        self.size = sum(len(piece or b"") for piece in pieces)

    def octets(self) -> bytes | None:
        return None

    def pieces(self, size: int = 65536) -> Iterator[bytes]:
        for piece in self._pieces:
            if piece is None:
                raise OSError(5, "Input/output error")
            yield piece


def drop(
    body: Body | bytes = MESSAGE,
    *,
    forward_path: Mailbox = BOB,
    queue_id: str = "3K2M7Q9H4R1XY",
    number: int = 0,
    reverse_path: ReversePath = ALICE,
) -> Drop:
    octets = MemoryBody(body) if isinstance(body, bytes) else body
    return Drop(
        QueuedMessage(queue_id, 1795435200.5, reverse_path, NO_PARAMETERS, TRACE, octets, []), number, forward_path
    )


def files(root: Path) -> list[str]:
    return sorted(str(place.relative_to(root)) for place in root.rglob("*") if place.is_file())


def open_files() -> int:
    return sum(1 for _ in Path("/dev/fd").iterdir())


def test_a_message_is_in_new_with_its_envelope_and_trace_on_top(tmp_path: Path) -> None:
    assert deliver_many(tmp_path, [drop()]) == [None]
    place = tmp_path / "company.com.example" / "bob" / "new" / "1795435200.3K2M7Q9H4R1XY_0.purport"
    assert place.read_bytes() == (
        b"Return-Path: <alice@example.com>\n"
        b"Delivered-To: bob@company.com.example\n"
        b"Received: from mx.example.com\n\tby mx.company.com.example\n"
        b"From: alice@example.com\n\nHello\n"
    )
    assert len(files(tmp_path)) == 1
    assert place.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("whole", [True, False])
def test_a_binary_message_stays_as_it_is_to_the_octet(tmp_path: Path, whole: bool) -> None:
    octets = b"From: alice@example.com\r\n\r\n" + bytes(range(256)) + b"\r\r\n\n\r"
    given = drop(octets if whole else Pieces(octets[:30], octets[30:]))
    given.message.parameters = Parameters((("BODY", b"BINARYMIME"),))
    assert deliver_many(tmp_path, [given]) == [None]
    (name,) = files(tmp_path)
    assert (tmp_path / name).read_bytes().endswith(TRACE + octets)


def test_a_reader_of_maildirs_reads_it(tmp_path: Path) -> None:
    deliver_many(tmp_path, [drop(reverse_path=NULL)])
    [message] = mailbox.Maildir(tmp_path / "company.com.example" / "bob", create=False)
    assert message["Return-Path"] == "<>"
    assert message["From"] == "alice@example.com"
    assert message.get_payload() == "Hello\n"


def test_a_delivery_that_is_done_again_makes_no_second_message(tmp_path: Path) -> None:
    assert deliver_many(tmp_path, [drop()]) == deliver_many(tmp_path, [drop()]) == [None]
    assert len(files(tmp_path)) == 1


def test_what_a_crash_left_in_tmp_is_replaced(tmp_path: Path) -> None:
    deliver_many(tmp_path, [drop()])
    left = tmp_path / "company.com.example" / "bob" / "tmp" / file_name(drop(queue_id="NEXT"))
    left.write_bytes(b"x" * 10000)
    assert deliver_many(tmp_path, [drop(queue_id="NEXT")]) == [None]
    assert not left.exists()
    assert all(len((tmp_path / name).read_bytes()) < 1000 for name in files(tmp_path))


def test_recipients_of_one_message_have_a_file_each(tmp_path: Path) -> None:
    assert deliver_many(tmp_path, [drop(), drop(number=1), drop(forward_path=ALICE, number=2)]) == [None] * 3
    assert len(files(tmp_path)) == 3


def test_more_messages_than_files_may_be_open_are_delivered(tmp_path: Path) -> None:
    drops = [drop(queue_id=f"Q{number}") for number in range(OPEN_FILES + 3)]
    gc.collect()  # files of other tests that nobody has let go of yet
    before = open_files()
    assert deliver_many(tmp_path, drops) == [None] * len(drops)
    assert len(files(tmp_path)) == len(drops)
    assert open_files() == before


@given(st.binary(max_size=30), st.lists(st.integers(0, 30), max_size=4))
@settings(deadline=None, max_examples=40)
@example(b"a\r\nb\rc\nd\r", [2, 5])
def test_line_ends_are_those_of_a_file_in_whatever_pieces_it_comes(
    tmp_path_factory: pytest.TempPathFactory, octets: bytes, cuts: list[int]
) -> None:
    root = tmp_path_factory.mktemp("maildir")
    bounds = [0, *sorted(cuts), len(octets)]
    pieces = [octets[begin:end] for begin, end in pairwise(bounds)]
    deliver_many(root, [drop(Pieces(*pieces)), drop(octets, number=1)])
    in_pieces, whole = [(root / name).read_bytes() for name in files(root)]
    assert in_pieces == whole
    assert whole.endswith((TRACE + octets).replace(b"\r\n", b"\n"))


def test_a_body_that_cannot_be_read_leaves_nothing_behind(tmp_path: Path) -> None:
    first, second = deliver_many(tmp_path, [drop(Pieces(b"From: x\r\n", None)), drop(number=1)])
    assert first is not None
    assert (first.reason, first.full) == ("Input/output error", False)
    assert second is None
    assert [name[-9:] for name in files(tmp_path)] == ["1.purport"]


def test_a_mailbox_that_cannot_be_used_does_not_stop_the_others(tmp_path: Path) -> None:
    (tmp_path / "company.com.example").mkdir()
    (tmp_path / "company.com.example" / "bob").write_bytes(b"a file")
    first, second = deliver_many(tmp_path, [drop(), drop(forward_path=ALICE)])
    assert first is not None
    assert first.reason
    assert not first.full
    assert second is None


def test_a_folder_that_lost_its_new_is_told(tmp_path: Path) -> None:
    deliver_many(tmp_path, [drop()])
    box = tmp_path / "company.com.example" / "bob"
    (box / "new" / file_name(drop())).unlink()
    (box / "new").rmdir()
    [failure] = deliver_many(tmp_path, [drop()])
    assert failure is not None
    assert files(tmp_path) == []


def test_no_room_is_told_from_other_faults(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    deliver_many(tmp_path, [drop()])
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        [failure] = deliver_many(tmp_path, [drop(b"x" * 2000, queue_id="BIG")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert failure is not None
    assert failure.full
    assert len(files(tmp_path)) == 1


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    deliver_many(tmp_path, [drop()])
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    (tmp_path / "company.com.example" / "bob" / "tmp" / file_name(drop(queue_id="NEXT"))).symlink_to(outside)
    [failure] = deliver_many(tmp_path, [drop(queue_id="NEXT")])
    assert failure is not None
    assert outside.read_bytes() == b"precious"


@given(st.text(max_size=64), st.text(max_size=64))
@settings(deadline=None)
@example("..", ".")
@example("../../etc/passwd", "a/b")
@example("\x00", "%00")
@example("", "%")
@example("a.", "a")
def test_a_name_stays_in_its_folder_and_is_its_own(one: str, other: str) -> None:
    try:
        names = [folder_name(one), folder_name(other)]
    except UnicodeEncodeError:
        return  # a lone surrogate, which no parsed address holds
    for name in names:
        assert name
        assert not name.startswith(".")
        assert not set("/\x00") & set(name)
        assert name.isascii()
    assert (names[0] == names[1]) == (one == other)


def test_a_mailbox_has_one_folder_however_it_is_written() -> None:
    folder = folder_of(Path("/mail"), Mailbox("Bob+Tag", "Bücher.example"))
    assert folder == Path("/mail/xn--bcher-kva.example/bob+tag")
    assert folder_of(Path("/mail"), Mailbox("../x y", "a.example")) == Path("/mail/a.example/%2e.%2fx%20y")


def test_what_is_in_quarantine_lies_in_a_folder_that_readers_of_maildirs_know(tmp_path: Path) -> None:
    junk = Drop(drop().message, 0, BOB, folder=JUNK_FOLDER)
    for _ in range(2):  # done again after a crash: the same file
        assert deliver_many(tmp_path, [junk]) == [None]
    inbox = mailbox.Maildir(folder_of(tmp_path, BOB), create=False)
    assert len(inbox) == 0
    assert inbox.list_folders() == ["Junk"]
    assert [message["From"] for message in inbox.get_folder("Junk")] == ["alice@example.com"]
    assert (folder_of(tmp_path, BOB) / ".Junk" / "maildirfolder").exists()


def test_no_local_part_leads_into_a_folder(tmp_path: Path) -> None:
    assert deliver_many(tmp_path, [drop(forward_path=Mailbox(".Junk", "company.com.example"))]) == [None]
    assert files(tmp_path)[0].startswith("company.com.example/%2ejunk/new/")
