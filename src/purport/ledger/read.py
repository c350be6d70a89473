"""Finds the record of a transaction again: by its queue id, by a Message-ID, or the last ones."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from purport.ledger.record import Delivery, DeliveryRecord, Record
from purport.ledger.writer import NAME

LINE_LIMIT: Final = 8 * 1024 * 1024  # octets of one line; a record of 1,000 recipients and 200 long fields has fewer


@dataclass(frozen=True, slots=True)
class Entry:
    """A transaction and what became of its message since."""

    record: Record
    deliveries: tuple[Delivery, ...] = ()


def by_id(folder: Path, queue_id: str) -> Entry | None:
    """The entry with this id, or of the transaction that a message with this id was made of to go on; with what became
    of all of its messages."""
    record, deliveries = _with_id(folder, queue_id)
    if record is None:
        return None
    others = {record.id, *(forward.id for forward in record.forwards)} - {queue_id}
    for other in others:
        deliveries += _with_id(folder, other)[1]
    if others:
        deliveries.sort(key=lambda delivery: delivery.time)
    return Entry(record, tuple(deliveries))


def _with_id(folder: Path, queue_id: str) -> tuple[Record | None, list[Delivery]]:
    """The record that has or holds this id, and what became of the message with it."""
    needle = b'{"id":' + msgspec.json.encode(queue_id) + b","
    record: Record | None = None
    deliveries: list[Delivery] = []
    for place in days(folder):
        for line in _lines_with(place, needle):
            found = _decoded(line)
            if isinstance(found, Record):
                record = found
            elif found is not None:
                deliveries.append(found.delivery)
    return record, deliveries


def by_message_id(folder: Path, message_id: str) -> list[Entry]:
    """The entries of all transactions that brought this Message-ID, the newest first."""
    needle = b'"message_id":' + msgspec.json.encode(message_id)
    ids: list[str] = []
    for place in reversed(days(folder)):
        found = [_decoded(line) for line in _lines_with(place, needle)]
        ids += [record.id for record in reversed(found) if isinstance(record, Record)]
    return [entry for queue_id in ids if (entry := by_id(folder, queue_id)) is not None]


def last(folder: Path, count: int) -> list[Entry]:
    """The newest entries, the newest first."""
    ids: list[str] = []
    for place in reversed(days(folder)):
        for line in _lines_backwards(place):
            found = _decoded(line)
            if isinstance(found, Record):
                ids.append(found.id)
                if len(ids) == count:
                    break
        if len(ids) == count:
            break
    return [entry for queue_id in ids if (entry := by_id(folder, queue_id)) is not None]


def days(folder: Path) -> list[Path]:
    """The files, the oldest first."""
    return sorted(place for place in folder.glob("*.jsonl") if NAME.fullmatch(place.name))


def _lines_with(place: Path, needle: bytes) -> Iterator[bytes]:
    """The lines that hold these octets; found by a search of the whole file, which runs at the speed of memory."""
    if place.stat().st_size == 0:
        return
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        position = 0
        while (found := octets.find(needle, position)) >= 0:
            begin = octets.rfind(b"\n", 0, found) + 1
            end = octets.find(b"\n", found)
            if end < 0:
                return  # torn: the server was stopped while it wrote
            if end - begin <= LINE_LIMIT:
                yield octets[begin:end]
            position = end


def _lines_backwards(place: Path) -> Iterator[bytes]:
    if place.stat().st_size == 0:
        return
    with place.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as octets:
        end = octets.rfind(b"\n")
        while end >= 0:
            begin = octets.rfind(b"\n", 0, end) + 1
            if end - begin <= LINE_LIMIT:
                yield octets[begin:end]
            end = begin - 1


def _decoded(line: bytes) -> Record | DeliveryRecord | None:
    """The record in a line; None for a line that a full disk or a crash tore."""
    try:
        if line.find(b',"delivery":{') >= 0 and line.find(b'"decision":') < 0:
            return msgspec.json.decode(line, type=DeliveryRecord)
        return msgspec.json.decode(line, type=Record)
    except msgspec.DecodeError:
        return None
