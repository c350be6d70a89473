"""Who answers questions about domains."""

from __future__ import annotations

from pathlib import Path

from purport.config.schema import Settings
from purport.dns.zone import StaticResolver, read_zone
from purport.net.resolver import Resolver


def make_resolver(path: Path, settings: Settings) -> Resolver | StaticResolver:
    """Who answers questions. Raises ValueError or OSError for a zone file that is none."""
    dns = settings.dns
    if dns.zone:
        return read_zone((path.parent / dns.zone).read_bytes())
    return Resolver(dns.servers or None, timeout=dns.timeout, cache_size=dns.cache_entries, trust_ad=dns.trust_ad)
