"""The two servers of the comparison, as an administrator would run them, but for addresses."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import paths  # noqa: F401  # makes support importable
from support.postfix import Postfix
from support.purport_server import PurportServer

# What the checks of each message find: SPF of the reverse-path, Sender ID of the PRA.
ZONE = {
    "example.com": [{"TXT": "v=spf1 ip4:127.0.0.0/8 -all"}, {"MX": [10, "mx.example.com"]}],
    "mx.example.com": [{"A": "127.0.0.1"}],
    "bank.example": [{"TXT": "v=spf1 -all"}],
}

# Every check on: SPF, PRA and Sender ID for each message, whether it names a submitter or not.
CHECKS = """
[dns]
zone = "zone.json"

[submitter]
check_pra = "always"

[spf]
on_fail = "reject"
"""

WIDE = """
[limits]
connections = 20000
connections_per_client = 1000
"""


def purport(kind: str, sink_port: int = 0) -> PurportServer:
    """Purport, started. `kind` is `accept` (stored and held) or `relay` (stored and sent to the sink)."""
    folder = Path(tempfile.mkdtemp(prefix="purport-bench-", dir="/var/tmp"))
    (folder / "zone.json").write_text(json.dumps(ZONE))
    deliver = f"smtp:127.0.0.1:{sink_port}" if kind == "relay" else "maildir"
    hold = "\n[queue]\nhold = true\n" if kind == "accept" else ""
    domain = f'\n[[domain]]\nname = "company.com.example"\ndeliver = "{deliver}"\n'
    server = PurportServer(folder, CHECKS + WIDE + hold + domain)
    server.start()
    return server


def postfix(kind: str, sink_port: int = 0) -> Postfix:
    """Postfix with Debian's defaults, started. For `accept` each message goes into its hold queue, as Purport's do:
    of all ways to keep it from delivering this is the one that costs it least (deferring takes a third more CPU)."""
    settings = {"mydestination": "", "relay_domains": "company.com.example"}
    if kind == "accept":
        settings["smtpd_data_restrictions"] = "check_client_access static:HOLD"
    else:
        settings["relay_transport"] = f"smtp:[127.0.0.1]:{sink_port}"
    return Postfix(settings)
