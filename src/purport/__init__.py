"""Purport: the mail server that asks who is responsible, and a library of its parts.

    from purport import purported_responsible_address, check_host, check_sender_id, Resolver, StaticResolver

The names are imported when they are first used, so that `purport --help` need not wait for them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from purport.authentication.api import check_host as check_host
    from purport.authentication.api import check_sender_id as check_sender_id
    from purport.authentication.check_message import check_message as check_message
    from purport.authentication.dkim.message import verify_dkim as verify_dkim
    from purport.authentication.dkim.result import DkimResult as DkimResult
    from purport.authentication.sender_id.pra import PurportedResponsibleAddress as PurportedResponsibleAddress
    from purport.authentication.sender_id.pra import purported_responsible_address as purported_responsible_address
    from purport.authentication.spf.result import SpfResult as SpfResult
    from purport.dns.zone import StaticResolver as StaticResolver
    from purport.mail.address import Mailbox as Mailbox
    from purport.net.resolver import Resolver as Resolver

__version__ = "0.1.0"

__all__ = [
    "DkimResult",
    "Mailbox",
    "PurportedResponsibleAddress",
    "Resolver",
    "SpfResult",
    "StaticResolver",
    "__version__",
    "check_host",
    "check_message",
    "check_sender_id",
    "purported_responsible_address",
    "verify_dkim",
]

_WHERE: Final = {
    "DkimResult": "purport.authentication.dkim.result",
    "Mailbox": "purport.mail.address",
    "PurportedResponsibleAddress": "purport.authentication.sender_id.pra",
    "Resolver": "purport.net.resolver",
    "SpfResult": "purport.authentication.spf.result",
    "StaticResolver": "purport.dns.zone",
    "check_host": "purport.authentication.api",
    "check_message": "purport.authentication.check_message",
    "check_sender_id": "purport.authentication.api",
    "purported_responsible_address": "purport.authentication.sender_id.pra",
    "verify_dkim": "purport.authentication.dkim.message",
}


def __getattr__(name: str) -> object:
    """A public name, imported from where it lives."""
    where = _WHERE.get(name)
    if where is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(where), name)


def __dir__() -> list[str]:
    return sorted(__all__)
