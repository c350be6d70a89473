"""Purport against its peers on this machine, in turn, in one run: medians and ratios as a Markdown table.

    python bench/run.py [--runs 5] [--quick] [--only accept,relay,...] [--write]

Needs the Debian package postfix (for Postfix itself, smtp-source and smtp-sink) and root, which Postfix asks for.
`--write` puts the table into docs/performance.md and README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import memory
import servers
from load import Run, accept, accept_tls, relay
from paths import PROJECT
from support.certificates import Authority
from support.peers import wait_for
from support.smtp_sink import smtp_sink

MARKS = ("<!-- bench: begin -->", "<!-- bench: end -->")

Row = tuple[str, str, str, str, str]  # work, Purport, peer, ratio or figure, must reach


def say(text: str) -> None:
    """Progress, beside the table."""
    print(text, file=sys.stderr, flush=True)


def compare(name: str, runs: int, sides: dict[str, Callable[[], Run]]) -> dict[str, list[Run]]:
    """Interleaved runs of all sides, after one of each that does not count."""
    for work in sides.values():
        work()
    measured: dict[str, list[Run]] = {side: [] for side in sides}
    for number in range(runs):
        for side, work in sides.items():
            os.sync()  # what one side left to be written must not fall into another's turn
            measured[side].append(work())
        told = ", ".join(f"{side} {found[-1].rate:,.0f}/s {found[-1].cpu:.3f} ms" for side, found in measured.items())
        say(f"  {name}, run {number + 1}: {told}")
    return measured


def rate_row(work: str, measured: dict[str, list[Run]], goal: float) -> Row:
    """Messages a second, and how many times the peers'; the goal is for the first peer."""
    mine, *peers = [statistics.median(run.rate for run in runs) for runs in measured.values()]
    _, *names = measured
    told = ", ".join(f"{name} {rate:,.0f}/s" for name, rate in zip(names, peers, strict=True))
    ratios = "; ".join(f"{mine / rate:.2f} times" for rate in peers)
    return work, f"{mine:,.0f}/s", told, ratios, verdict(mine / peers[0], goal)


def cpu_row(measured: dict[str, list[Run]], goal: float) -> Row:
    """CPU milliseconds a message, beside the peers'."""
    mine, *peers = [statistics.median(run.cpu for run in runs) for runs in measured.values()]
    _, *names = measured
    told = ", ".join(f"{name} {cpu:.3f} ms" for name, cpu in zip(names, peers, strict=True))
    ratios = "; ".join(f"{mine / cpu:.2f} of it" for cpu in peers)
    work = "CPU time a message, accept, whole process trees"
    return work, f"{mine:.3f} ms", told, ratios, verdict(mine / peers[0], goal, at_most=True)


def verdict(reached: float, goal: float, *, at_most: bool = False) -> str:
    """The goal, and whether it was reached."""
    held = reached <= goal if at_most else reached >= goal
    return f"{'at most' if at_most else 'at least'} {goal:g}: {'reached' if held else 'MISSED'}"


def accept_rows(runs: int, scale: float) -> list[Row]:
    """Durable accept: reused, one message per connection, large, one session; CPU of the first."""
    with (
        servers.purport() as ours,
        servers.postfix(**servers.DISCARDING) as theirs,
        servers.postfix(**servers.HOLDING) as holding,
    ):

        def rounds(name: str, messages: int, **options: Any) -> dict[str, list[Run]]:
            count = max(20, int(messages * scale))

            def held() -> Run:
                holding.clear()  # a folder of 60,000 held messages would slow it down
                return accept(holding.master_pid, holding.port, count, **options)

            def discarded() -> Run:
                run = accept(theirs.master_pid, theirs.port, count, **options)
                wait_for(lambda: not theirs.queue_ids(), 60)  # what it still does must not fall into another's turn
                return run

            def kept() -> Run:
                ours.command("queue", "delete", "ALL")  # as for the peer that holds
                return accept(ours.pid, ours.port, count, **options)

            sides = {
                "Purport": kept,
                "Postfix": discarded,
                "holding": held,
            }
            return compare(name, runs, sides)

        reused = rounds("accept, reused", 4000)
        return [
            rate_row("durable accept, 4 KiB, 20 sessions, connections reused, all checks on", reused, 3),
            rate_row("the same, one message per connection", rounds("accept, one each", 3000, reuse=False), 2),
            rate_row("one session, connection reused", rounds("accept, one session", 1500, sessions=1), 1),
            rate_row("100 KiB messages, 20 sessions", rounds("accept, 100 KiB", 1500, size=102400), 2),
            cpu_row(reused, 0.25),
        ]


def tls_rows(runs: int, scale: float) -> list[Row]:
    """Durable accept over TLS 1.3."""
    messages = max(50, int(3000 * scale))
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        certificate = Authority(Path(folder)).issue("mx.company.com.example")
        certificate.chmod(0o644)
        more = f'\n[[certificate]]\nchain = "{certificate}"\n'
        theirs_tls = {"smtpd_tls_security_level": "may", "smtpd_tls_chain_files": str(certificate)}
        with (
            servers.purport(more=more) as ours,
            servers.postfix(**servers.DISCARDING, **theirs_tls) as theirs,
        ):

            def kept() -> Run:
                ours.command("queue", "delete", "ALL")
                return accept_tls(ours.pid, ours.port, messages)

            def discarded() -> Run:
                run = accept_tls(theirs.master_pid, theirs.port, messages)
                wait_for(lambda: not theirs.queue_ids(), 60)
                return run

            measured = compare("accept, TLS", runs, {"Purport": kept, "Postfix": discarded})
    return [rate_row("durable accept over TLS 1.3 (STARTTLS), 4 KiB, 20 sessions, connections reused", measured, 2)]


def relay_rows(runs: int, scale: float) -> list[Row]:
    """Accepted and sent on to smtp-sink."""
    messages = max(50, int(4000 * scale))
    with (
        smtp_sink() as sink,
        smtp_sink() as other,
        servers.purport(sink.port) as ours,
        servers.postfix(**servers.relaying_postfix(other.port)) as theirs,
    ):
        sides = {
            "Purport": lambda: relay(ours.pid, ours.port, sink, messages),
            "Postfix": lambda: relay(theirs.master_pid, theirs.port, other, messages),
        }
        measured = compare("relay", runs, sides)
    work = "relay end to end into smtp-sink, 20 sessions, connections reused on both sides"
    return [rate_row(work, measured, 4)]


def spf_rows(runs: int, scale: float) -> list[Row]:
    """SPF checks of warm domains (bench/spf.py)."""
    del runs, scale
    return [spf_row(item) for item in measured_by("spf.py")]


def measured_by(program: str, *options: str) -> list[dict[str, Any]]:
    """What another program of this folder measured."""
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder, "figures.json")
        # It ends with 1 where a goal was missed: the table says so too.
        subprocess.run(
            [sys.executable, str(PROJECT / "bench" / program), *options, "--json", str(figures)],
            check=False,
            stdout=subprocess.DEVNULL,
        )
        rows: list[dict[str, Any]] = json.loads(figures.read_text())["rows"]
    return rows


def spf_row(item: dict[str, float | str]) -> Row:
    """One line of bench/spf.py: microseconds a check, beside pyspf and, where it could be built, libspf2."""
    ours, pyspf, libspf2 = (float(item.get(name, 0.0)) for name in ("purport", "pyspf", "libspf2"))
    peers, ratio = f"pyspf {pyspf:.1f} us", f"{pyspf / ours:.1f} times pyspf"
    goal = verdict(pyspf / ours, float(item["goal"]))
    if libspf2:
        peers += f", libspf2 {libspf2:.2f} us"
        ratio += f", {libspf2 / ours:.1f} times libspf2"
        if item["goal_libspf2"]:
            goal += f"; libspf2: {verdict(libspf2 / ours, float(item['goal_libspf2']))}"
    return f"SPF check, warm: {item['work']}", f"{ours:.2f} us", peers, ratio, goal


def dkim_rows(runs: int, scale: float) -> list[Row]:
    """DKIM signatures (bench/signatures.py)."""
    del runs, scale
    return [dkim_row(item) for item in measured_by("signatures.py")]


def dkim_row(item: dict[str, Any]) -> Row:
    """One line of bench/signatures.py: microseconds a message of 20 KiB, beside dkimpy."""
    ratio = item["dkimpy"] / item["purport"]
    goal = verdict(ratio, item["goal"]) if item["goal"] else ""
    told = f"{item['purport']:.0f} us", f"dkimpy {item['dkimpy']:.0f} us", f"{ratio:.1f} times"
    return f"DKIM, 20 KiB: {item['work']}", *told, goal


def chain_rows(runs: int, scale: float) -> list[Row]:
    """All that is checked about one message (bench/chain.py)."""
    del runs, scale
    (item,) = measured_by("chain.py")
    ratio = item["peers"] / item["purport"]
    told = f"{item['purport']:.0f} us", f"pyspf, dkimpy, authheaders {item['peers']:.0f} us", f"{ratio:.1f} times"
    return [(f"all checks of a message, 20 KiB: {item['work']}", *told, verdict(ratio, item["goal"]))]


def realmail_rows(runs: int, scale: float) -> list[Row]:
    """Real mail, all checks on (bench/realmail.py)."""
    messages = max(100, int(1200 * scale))
    (item,) = measured_by("realmail.py", "--runs", str(runs), "--messages", str(messages))
    ours, theirs, refused = item["Purport"], item["Postfix"], item["refused"]
    ratio = ours["rate"] / theirs["rate"]
    return [
        (
            f"durable accept of real mail, all checks on, 20 sessions (of {messages:,}: both refuse {refused['both']}, "
            f"Purport alone {refused['Purport']}, Postfix alone {refused['Postfix']})",
            f"{ours['rate']:,.0f}/s, {ours['cpu']:.2f} ms CPU",
            f"Postfix with policyd-spf, opendkim, opendmarc {theirs['rate']:,.0f}/s, {theirs['cpu']:.2f} ms CPU",
            f"{ratio:.2f} times",
            verdict(ratio, item["goal"]),
        )
    ]


def chunk_rows(runs: int, scale: float) -> list[Row]:
    """A large message in one chunk, beside a server that looks for the end of the data line by line."""
    size = max(2**20, int(100 * 2**20 * scale))
    ours, theirs, grown = [], [], 0
    with servers.purport() as server, servers.aiosmtpd() as port:
        for number in range(runs + 1):  # the first does not count
            grown, rate = memory.chunked_message(server.pid, server.port, size)
            ours.append(rate)
            theirs.append(memory.lines_of_data(port, size))
            say(f"  chunks, run {number}: Purport {rate / 1e6:.0f} MB/s, aiosmtpd {theirs[-1] / 1e6:.0f} MB/s")
            os.sync()
    mine, peer = statistics.median(ours[1:]), statistics.median(theirs[1:])
    work = f"a message of {size // 2**20} MiB"
    return [
        (
            f"{work} in one chunk (BDAT), on stable storage; aiosmtpd: DATA, forgotten",
            f"{mine / 1e6:.0f} MB/s",
            f"aiosmtpd {peer / 1e6:.0f} MB/s",
            f"{mine / peer:.1f} times",
            verdict(mine / peer, 3),
        ),
        (
            f"more memory while {work} passes in one chunk",
            f"{grown / 2**20:.2f} MiB",
            "",
            "",
            verdict(grown / 2**20, 10, at_most=True),
        ),
    ]


def memory_rows(runs: int, scale: float) -> list[Row]:
    """Idle sessions, a large message, a forged one."""
    del runs
    sessions = max(500, int(10000 * scale))
    with servers.purport() as server:
        idle, greeted = memory.idle_sessions(server.pid, server.port, sessions)
    with servers.purport() as server:
        growth = memory.large_message(server.pid, server.port, 10 * 1024 * 1024)
        forged = memory.forged_message(server.port, 5 * 1024 * 1024)
    start = memory.help_seconds()
    return [
        (
            f"{sessions:,} idle sessions after EHLO, in all",
            f"{idle / 2**20:.1f} MiB; a new one greeted in {greeted * 1000:.1f} ms",
            "",
            "",
            verdict(idle / 2**20, 100, at_most=True) + "; " + verdict(greeted * 1000, 100, at_most=True),
        ),
        (
            "more memory while a 10 MiB message passes",
            f"{growth / 2**20:.2f} MiB",
            "",
            "",
            verdict(growth / 2**20, 10, at_most=True),
        ),
        (
            "octets taken from the client of a forged 5 MiB message with SUBMITTER",
            f"{forged}",
            "",
            "",
            verdict(forged, 1024, at_most=True),
        ),
        ("`purport --help`", f"{start:.3f} s", "", "", verdict(start, 0.3, at_most=True)),
    ]


PARTS: dict[str, Callable[[int, float], list[Row]]] = {
    "accept": accept_rows,
    "tls": tls_rows,
    "relay": relay_rows,
    "spf": spf_rows,
    "dkim": dkim_rows,
    "chain": chain_rows,
    "realmail": realmail_rows,
    "chunks": chunk_rows,
    "memory": memory_rows,
}


def table(rows: list[Row]) -> str:
    """The rows as Markdown."""
    lines = ["| work | Purport | peer | ratio | goal |", "|---|---|---|---|---|"]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def write_into(place: Path, text: str) -> None:
    """Replace what stands between the marks."""
    begin, end = MARKS
    between = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    written, found = between.subn(lambda _: f"{begin}\n{text}\n{end}", place.read_text())
    if not found:
        raise SystemExit(f"bench: {place} has no {begin} and {end} to write between")
    place.write_text(written)


def main() -> int:
    """Measure what was asked for; 1 where a goal was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each side (default 5)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the messages, two runs: to see that it works")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    parser.add_argument("--write", action="store_true", help="write the table into docs/performance.md and README.md")
    options = parser.parse_args()
    runs, scale = (2, 0.1) if options.quick else (options.runs, 1.0)
    rows: list[Row] = []
    for name in options.only.split(","):
        say(f"{name}:")
        rows += PARTS[name](runs, scale)
    text = table(rows)
    print(text)
    if options.write:
        for place in (PROJECT / "docs/performance.md", PROJECT / "README.md"):
            write_into(place, text)
    return 1 if "MISSED" in text else 0


if __name__ == "__main__":
    sys.exit(main())
