"""From connections of the pool to the report: what happened is what is told."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path

from purport.delivery.pool import PoolSettings
from purport.delivery.sts_cache import StsPolicies
from purport.dns.zone import StaticResolver
from purport.net.client_tls import ClientContexts
from purport.reporting.database import migrate
from purport.reporting.tls import counts
from purport.reporting.tls.report import TlsReport
from support.certificates import Authority, shows
from support.outside import Outside
from support.reporting import DAY, ORGANIZATION
from support.scripted_server import ScriptedServer, on_loop

DOMAIN = "company.com.example"
POLICY = "version: STSv1\nmode: enforce\nmx: *.hoster.example\nmax_age: 604800"
RESOLVER = StaticResolver(
    {
        DOMAIN: [{"MX": [10, "mx.hoster.example"]}],
        "mx.hoster.example": [{"A": "127.0.0.1"}],
        f"_mta-sts.{DOMAIN}": [{"TXT": "v=STSv1; id=1"}],
    }
)


async def policy_of(domain: str) -> bytes:
    assert domain == DOMAIN
    return POLICY.encode()


@on_loop
async def test_good_and_bad_connections_of_a_day_are_one_report(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    good = shows(authority.issue("mx.hoster.example"))
    expired = shows(authority.issue("mx.hoster.example", file="expired.pem", expired=True))
    outcomes = []
    for server in (
        ScriptedServer("STARTTLS", tls=good),
        ScriptedServer("STARTTLS", tls=good),
        ScriptedServer("STARTTLS", tls=expired),
        ScriptedServer("PIPELINING"),
    ):
        async with (
            server,
            Outside(
                RESOLVER,
                PoolSettings(port=server.port),
                contexts=ClientContexts(authority.bundle),
                sts=StsPolicies(tmp_path / "mta-sts", RESOLVER, policy_of),
            ) as outside,
        ):
            outside.send(f"mx:{DOMAIN}")
            await outside.outcomes()
        outcomes += outside.reported
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        assert counts.write(connection, DAY, Counter(outcomes)) == 0
        report = TlsReport(ORGANIZATION, DAY, DOMAIN, counts.policies(connection, DAY, DOMAIN))
    (told,) = json.loads(report.json())["policies"]
    assert told["policy"] == {
        "policy-type": "sts",
        "policy-string": POLICY.split("\n"),
        "policy-domain": DOMAIN,
        "mx-host": ["*.hoster.example"],
    }
    assert told["summary"] == {"total-successful-session-count": 2, "total-failure-session-count": 2}
    assert {details.pop("result-type"): details for details in told["failure-details"]} == {
        "certificate-expired": {
            "sending-mta-ip": "127.0.0.1",
            "receiving-mx-hostname": "mx.hoster.example",
            "receiving-ip": "127.0.0.1",
            "failed-session-count": 1,
            "failure-reason-code": "certificate has expired",
        },
        "starttls-not-supported": {
            "sending-mta-ip": "127.0.0.1",
            "receiving-mx-hostname": "mx.hoster.example",
            "receiving-ip": "127.0.0.1",
            "failed-session-count": 1,
        },
    }
