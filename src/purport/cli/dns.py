"""Who answers the DNS questions of a command: a zone file, the settings' resolvers, or the system's."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from purport.cli.exits import EX_CONFIG, EX_NOINPUT, Failure, settings_of

if TYPE_CHECKING:
    from purport.dns.lookup import Evaluation

T = TypeVar("T")

SECONDS = 20.0  # RFC 7208 section 4.6.4


def evaluate(evaluation: Evaluation[T], zone: str | None, config: str | None) -> T:
    """The result of an evaluation, its questions answered by `zone`, else by the resolvers of `config`, else by the
    system's. Raises Failure."""
    from purport.dns.lookup import Resolver, run
    from purport.dns.zone import StaticResolver, read_zone
    from purport.net.resolver import Resolver as NetworkResolver

    async def main() -> T:
        resolver: Resolver
        if zone is not None:
            resolver = _zone(zone)
        elif config is not None:
            from purport.parts import make_resolver

            path, settings = settings_of(config)
            resolver = make_resolver(path, settings)
        else:
            resolver = NetworkResolver()
        if isinstance(resolver, StaticResolver):
            return await run(evaluation, resolver)
        assert isinstance(resolver, NetworkResolver)
        try:
            return await run(evaluation, resolver.within(SECONDS), asyncio.gather)
        finally:
            resolver.close()

    def _zone(name: str) -> StaticResolver:
        from pathlib import Path

        try:
            return read_zone(Path(name).read_bytes())
        except OSError as error:
            raise Failure(f"{name}: {error.strerror}", EX_NOINPUT) from error

    try:
        return asyncio.run(main())
    except (OSError, ValueError) as error:
        raise Failure(f"{zone or config or 'DNS'}: {error}", EX_CONFIG) from error
