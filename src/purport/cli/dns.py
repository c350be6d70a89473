"""Who answers the DNS questions of a command: a zone file, the settings' resolvers, or the system's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from purport.cli.exits import EX_CONFIG, EX_DATAERR, Failure, read_input

if TYPE_CHECKING:
    from purport.config.schema import Settings
    from purport.dns.lookup import Evaluation
    from purport.dns.zone import StaticResolver
    from purport.net.resolver import Resolver

T = TypeVar("T")

SECONDS: Final = 20.0  # for all questions of one check (RFC 7208 section 4.6.4)


def evaluate(evaluation: Evaluation[T], zone: str | None, settings: tuple[Path, Settings] | None) -> T:
    """The result of an evaluation, its questions answered by the zone file, else as the settings say, else by the
    system's resolvers. Raises Failure."""
    from purport.dns.lookup import run
    from purport.dns.zone import StaticResolver

    async def main() -> T:
        resolver = resolver_of(zone, settings)
        if isinstance(resolver, StaticResolver):
            return await run(evaluation, resolver)
        try:
            return await run(evaluation, resolver.within(SECONDS), asyncio.gather)
        finally:
            resolver.close()

    return asyncio.run(main())


def resolver_of(zone: str | None, settings: tuple[Path, Settings] | None) -> Resolver | StaticResolver:
    """Who answers: the zone file, else whom the settings name, else the system's resolvers. Raises Failure."""
    from purport.dns.zone import read_zone
    from purport.net.resolver import Resolver
    from purport.parts.resolver import make_resolver

    if zone is not None:
        try:
            return read_zone(read_input(zone))
        except ValueError as error:
            raise Failure(f"{zone}: {error}", EX_DATAERR) from error
    if settings is None:
        return Resolver()
    path, said = settings
    try:
        return make_resolver(path, said)
    except (OSError, ValueError) as error:
        raise Failure(f"{path}: dns: {error}", EX_CONFIG) from error
