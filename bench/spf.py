"""SPF checks from a warm memory: Purport, pyspf and libspf2 on the same zones, in turn.

    python bench/spf.py [--rounds 5] [--markdown] [--json FILE]

Prints microseconds per check, medians of interleaved rounds. pyspf answers from a dictionary, libspf2 (a C program,
compiled on the spot where its headers are) from its own zone layer behind its own cache.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import module_from_spec
from itertools import cycle
from pathlib import Path
from types import ModuleType

from purport.authentication.spf.checker import Checker
from purport.dns.lookup import Suspended, start
from purport.dns.zone import StaticResolver, ZoneData

PEERS = ("pyspf", "libspf2")
NESTED = 6
NETWORKS_IN_EACH = (5, 5, 5, 5, 5, 6)  # 31 in all

# Seconds that one measurement should last: long beside the clock, short enough that all take turns often.
TURN = 0.15


@dataclass(frozen=True)
class Work:
    """A zone, and the checks to make in it, one after another and over again."""

    name: str
    zone: ZoneData
    checks: Sequence[tuple[str, str]]  # client address, sender
    result: str = "pass"
    at_least: tuple[float, float] = (0.0, 0.0)  # times pyspf, times libspf2
    figures: dict[str, list[float]] = field(default_factory=dict)


def nested_zone() -> ZoneData:
    """Six records, each including the next, of 31 networks."""
    zone: dict[str, list[dict[str, str]]] = {"example.com": [{"TXT": "v=spf1 include:_spf1.example.com -all"}]}
    for record, count in enumerate(NETWORKS_IN_EACH, 1):
        networks = " ".join(f"ip4:198.{17 + record}.{network}.0/24" for network in range(count))
        include = f" include:_spf{record + 1}.example.com" if record < NESTED else ""
        zone[f"_spf{record}.example.com"] = [{"TXT": f"v=spf1 {networks}{include} ~all"}]
    return zone


def mixed_zone(exists: str) -> ZoneData:
    """Mail exchangers, a host, and a name made from the client's address, which is what matches."""
    return {
        "example.com": [
            {"TXT": f"v=spf1 mx a:host.example.com exists:{exists}%{{ir}}.%{{v}}._spf.%{{d2}} -all"},
            {"MX": [10, "mx1.example.com"]},
            {"MX": [20, "mx2.example.com"]},
        ],
        "mx1.example.com": [{"A": "198.51.100.1"}],
        "mx2.example.com": [{"A": "198.51.100.2"}],
        "host.example.com": [{"A": "198.51.100.3"}],
        "7.2.0.192.in-addr._spf.example.com": [{"A": "127.0.0.2"}],
        "alice.7.2.0.192.in-addr._spf.example.com": [{"A": "127.0.0.2"}],
    }


SENDER = "alice@example.com"
EVERY_NETWORK = [
    (f"198.{17 + record}.{network}.7", SENDER)
    for record, count in enumerate(NETWORKS_IN_EACH, 1)
    for network in range(count)
]


def works() -> list[Work]:
    """What is measured; the first three are those of the requirements."""
    return [
        Work(
            "`v=spf1 ip4:192.0.2.0/24 -all`",
            {"example.com": [{"TXT": "v=spf1 ip4:192.0.2.0/24 -all"}]},
            [("192.0.2.7", SENDER)],
            at_least=(15.0, 0.0),
        ),
        Work(
            "six nested records, 31 networks, the last one matches",
            nested_zone(),
            EVERY_NETWORK[-1:],
            at_least=(60.0, 1.0),
        ),
        Work(
            "`mx a:… exists:%{ir}.%{v}._spf.%{d2} -all`",
            mixed_zone(""),
            [("192.0.2.7", SENDER)],
            at_least=(3.0, 0.0),
        ),
        Work(
            "the nested records, clients of all 31 networks in turn",
            nested_zone(),
            EVERY_NETWORK,
            at_least=(60.0, 1.0),
        ),
        Work(
            "`mx a:… exists:%{l}.%{ir}.%{v}._spf.%{d2} -all`, never kept",
            mixed_zone("%{l}."),
            [("192.0.2.7", SENDER)],
            at_least=(3.0, 0.0),
        ),
    ]


def timed(check: Callable[[], str], expected: str) -> float:
    """Microseconds per call."""
    if (found := check()) != expected:
        raise SystemExit(f"bench: expected {expected}, found {found}")
    calls = 1
    while True:
        begun = time.perf_counter()
        for _ in range(calls):
            check()
        passed = time.perf_counter() - begun
        if passed >= TURN:
            return passed / calls * 1e6
        calls = max(calls * 2, int(calls * TURN / max(passed, 1e-6)) + 1)


def purport_turn(work: Work) -> Callable[[], Callable[[], str]]:
    """A warm checker, as the server uses it."""
    zone = StaticResolver(work.zone)
    checker = Checker("mx.example.org")
    known = checker.known

    def begin() -> Callable[[], str]:
        turns = cycle(work.checks)

        def check() -> str:
            client, sender = next(turns)
            result = known("mfrom", client, "example.com", sender, "mail.example.com", 1.0)
            if result is not None:
                return result.result
            learned = start(checker.check("mfrom", client, "example.com", sender, "mail.example.com", 1.0), zone)
            return "suspended" if isinstance(learned, Suspended) else learned.result

        for _ in work.checks:
            check()
        return check

    return begin


def installed_pyspf() -> ModuleType:
    """The module `spf` of pyspf, which has the name of this file."""
    here = Path(__file__).resolve().parent
    spec = PathFinder.find_spec("spf", [path for path in sys.path if Path(path).resolve() != here])
    if spec is None or spec.loader is None:
        raise SystemExit("bench: pyspf is not installed")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pyspf_turn(work: Work) -> Callable[[], Callable[[], str]]:
    """pyspf, its DNS function replaced by a dictionary."""
    zone: dict[tuple[str, str], list[tuple[tuple[str, str], object]]] = {}
    for name, records in work.zone.items():
        for record in records:
            for kind, value in _items(record):
                zone.setdefault((name, kind), []).append(((name, kind), _pyspf_value(kind, value)))
    pyspf = installed_pyspf()
    vars(pyspf)["DNSLookup"] = lambda name, kind, *_, **__: zone.get((name.lower(), kind), [])

    def begin() -> Callable[[], str]:
        turns = cycle(work.checks)

        def check() -> str:
            client, sender = next(turns)
            query = pyspf.query(i=client, s=sender, h="mail.example.com", receiver="mx.example.org")
            return str(query.check()[0])

        return check

    return begin


def _items(record: object) -> Iterator[tuple[str, object]]:
    if isinstance(record, dict):
        yield from record.items()


def _pyspf_value(kind: str, value: object) -> object:
    if kind == "TXT":
        return [str(value).encode()]
    return tuple(value) if isinstance(value, list) else value


LIBSPF2 = r"""
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <netinet/in.h>
#include <arpa/nameser.h>
#include <spf2/spf.h>
#include <spf2/spf_dns_zone.h>
#include <spf2/spf_dns_cache.h>

#define CHECKS 64

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

static ns_type type_of(const char *name) {
    return !strcmp(name, "TXT") ? ns_t_txt : !strcmp(name, "MX") ? ns_t_mx : ns_t_a;
}

/* Arguments: iterations. Input: "Z name type data" and "C address sender" lines. Output: result, microseconds. */
int main(int argc, char **argv) {
    long calls = atol(argv[1]);
    char line[4096], name[512], kind[16], data[3072];
    static char client[CHECKS][64], sender[CHECKS][512];
    int checks = 0;
    SPF_dns_server_t *zone = SPF_dns_zone_new(NULL, "bench", 0);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "Z %511s %15s %3071[^\n]", name, kind, data) == 3)
            SPF_dns_zone_add_str(zone, name, type_of(kind), NETDB_SUCCESS, data);
        else if (checks < CHECKS && sscanf(line, "C %63s %511s", client[checks], sender[checks]) == 2)
            checks++;
    }
    SPF_server_t *server = SPF_server_new_dns(SPF_dns_cache_new(zone, "cache", 0, 8), 0);
    SPF_server_set_rec_dom(server, "mx.example.org");
    const char *word = "";
    double begun = 0;
    for (long call = -checks; call < calls; call++) {
        int which = (int)((call + checks) % checks);
        if (call == 0)
            begun = now();
        SPF_request_t *request = SPF_request_new(server);
        SPF_response_t *response = NULL;
        SPF_request_set_ipv4_str(request, client[which]);
        SPF_request_set_helo_dom(request, "mail.example.com");
        SPF_request_set_env_from(request, sender[which]);
        SPF_request_query_mailfrom(request, &response);
        word = SPF_strresult(SPF_response_result(response));
        SPF_response_free(response);
        SPF_request_free(request);
    }
    printf("%s %f\n", word, (now() - begun) / calls);
    return 0;
}
"""


@contextmanager
def libspf2() -> Iterator[Path | None]:
    """The compiled C program, or None with the reason on stderr."""
    if shutil.which("gcc") is None or not Path("/usr/include/spf2/spf.h").exists():
        print("bench: libspf2 is left out: it needs gcc and the headers of libspf2-dev", file=sys.stderr)
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder, "bench.c"), Path(folder, "bench")
        source.write_text(LIBSPF2)
        command = ["gcc", "-O2", "-w", "-DHAVE_NS_TYPE", str(source), "-o", str(program), "-lspf2"]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if built.returncode:
            print(f"bench: libspf2 is left out: {built.stderr.strip()}", file=sys.stderr)
            yield None
        else:
            yield program


def libspf2_time(program: Path, work: Work) -> float:
    """Microseconds per check of the C program."""
    lines = [f"C {client} {sender}" for client, sender in work.checks]
    for name, records in work.zone.items():
        for record in records:
            for kind, value in _items(record):
                data = " ".join(map(str, value)) if isinstance(value, list) else value
                lines.append(f"Z {name} {kind} {data}")
    # About a tenth of a second's work.
    done = subprocess.run([program, "20000"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    word, microseconds = done.stdout.split()
    if word != work.result:
        # 1.2.10 as Debian patches it expands %{ir} and %{d2} to something else; it makes the same look-ups.
        print(f"bench: {work.name}: libspf2 says {word}", file=sys.stderr)
    return float(microseconds)


def measure(rounds: int) -> list[Work]:
    """All works, all programs, in turn, `rounds` times."""
    found = works()
    turns = [(work, {"purport": purport_turn(work), "pyspf": pyspf_turn(work)}) for work in found]
    with libspf2() as program:
        for _ in range(rounds):
            for work, programs in turns:
                for name, begin in programs.items():
                    work.figures.setdefault(name, []).append(timed(begin(), work.result))
                if program is not None:
                    work.figures.setdefault("libspf2", []).append(libspf2_time(program, work))
    return found


def main() -> int:
    """Print the table; the exit code is 1 where a requirement is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = measure(options.rounds)
    report(found, markdown=options.markdown)
    if options.json:
        options.json.write_text(json.dumps({"rows": [_figures(work) for work in found]}, indent=1) + "\n")
    return 0 if all(_reached(work) for work in found) else 1


def _medians(work: Work) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in work.figures.items()}


def _figures(work: Work) -> dict[str, object]:
    medians = _medians(work)
    return {
        "work": work.name,
        **medians,
        "goal": work.at_least[0],
        "goal_libspf2": work.at_least[1],
        "rounds": work.figures,
    }


def _reached(work: Work) -> bool:
    medians = _medians(work)
    pairs = zip(PEERS, work.at_least, strict=True)
    return all(medians.get(name, float("inf")) / medians["purport"] >= least for name, least in pairs)


HEADING = "| SPF check, answers in memory, µs | Purport | pyspf | libspf2 (C) | x pyspf | x libspf2 | required |"


def report(found: Sequence[Work], *, markdown: bool) -> None:
    """One line per work; a ratio says how many times faster Purport is."""
    if markdown:
        print(HEADING)
        print("|---|---|---|---|---|---|---|")
    for work in found:
        medians = _medians(work)
        times = [f"{medians[name]:.2f}" if name in medians else "-" for name in ("purport", *PEERS)]
        ratios = [f"{medians[name] / medians['purport']:.1f}" if name in medians else "-" for name in PEERS]
        wanted = [f"{least:g} x {name}" for name, least in zip(PEERS, work.at_least, strict=True) if least]
        if markdown:
            print("| " + " | ".join([work.name, *times, *ratios, ", ".join(wanted) or "-"]) + " |")
        else:
            ours, theirs, c = times
            print(f"{work.name:62} {ours:>8} {theirs:>8} {c:>8}   {ratios[0]:>6} x pyspf {ratios[1]:>6} x libspf2")


if __name__ == "__main__":
    sys.exit(main())
