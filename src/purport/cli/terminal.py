"""What looks better on a terminal than in a pipe: tables with colours. Imported for a terminal only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from purport.mail.moment import day_and_time
from purport.mail.text import safe

if TYPE_CHECKING:
    from purport.queue.operator import Entry

STYLES: Final = {"active": "green", "deferred": "yellow", "hold": "magenta", "scheduled": "cyan"}
UNITS: Final = ((86_400, "d"), (3600, "h"), (60, "min"))  # seconds


def show_queue(entries: Sequence[Entry], now: float, console: Console | None = None) -> None:
    """The queue as a table; `now`, in seconds since 1970, is what ages are counted from."""
    console = console or Console(highlight=False)
    if not entries:
        console.print("The queue is empty.")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("Queue ID", no_wrap=True, style="bold")
    table.add_column("State", no_wrap=True)
    table.add_column("Size", no_wrap=True, justify="right")
    table.add_column("Age", no_wrap=True, justify="right")
    table.add_column("Sender and recipients", overflow="fold")
    for entry in entries:
        state = entry.queue_name.value
        people = Text(safe(entry.sender) or "<>")
        if entry.release_at:
            people.append(f"\n  to be released at {day_and_time(entry.release_at)} UTC")
        if entry.priority:
            people.append(f"\n  priority {entry.priority}")
        for one in entry.recipients:
            people.append(f"\n  {safe(one.address)}")
            if one.delay_reason:
                people.append(f"\n    {safe(one.delay_reason)}", style="dim")
        table.add_row(
            entry.queue_id,
            Text(state, style=STYLES.get(state, "")),
            size(entry.message_size),
            age(now - entry.arrival_time),
            people,
        )
    console.print(table)
    whole = sum(entry.message_size for entry in entries)
    console.print(f"{len(entries)} message{'s' if len(entries) != 1 else ''}, {size(whole)}")


def size(octets: int) -> str:
    """Octets in a unit that fits."""
    if octets < 10_240:
        return f"{octets} B"
    return f"{octets / 1024:.0f} KiB" if octets < 10_485_760 else f"{octets / 1_048_576:.0f} MiB"


def age(seconds: float) -> str:
    """A time span in its largest unit."""
    for length, unit in UNITS:
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{max(0, int(seconds))} s"
