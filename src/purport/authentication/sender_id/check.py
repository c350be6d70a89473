"""Sender ID: may this client send mail that somebody is responsible for (RFC 4406 section 4)?

check_sender_id("192.0.2.3", "bob@almamater.edu.example", "mx.almamater.edu.example", scope="pra")

The address is the purported responsible one (RFC 4407), taken from the SUBMITTER parameter (RFC 4405) or from the
header; or, under the scope mfrom, the reverse-path. It is what the macros s, l and o stand for.
"""

from __future__ import annotations

from typing import Literal

from purport.authentication.sender_id.record import MFROM, PRA
from purport.authentication.spf.check_host import UNKNOWN, check_host
from purport.authentication.spf.client import ClientAddress
from purport.authentication.spf.result import SpfResult
from purport.dns.lookup import Evaluation


def check_sender_id(
    client_address: str | ClientAddress,
    address: str,
    hello_domain: str,
    *,
    scope: Literal["pra", "mfrom"] = "pra",
    receiver: str = UNKNOWN,
    now: float = 0.0,
) -> Evaluation[SpfResult]:
    """The result for the responsible address, or for the reverse-path.

    Raises ValueError, at the first step, for a client address that is none.
    """
    return check_host(
        client_address,
        address.rpartition("@")[2],
        address,
        hello_domain,
        receiver=receiver,
        scope=scope,
        now=now,
        rules=PRA if scope == "pra" else MFROM,
    )
