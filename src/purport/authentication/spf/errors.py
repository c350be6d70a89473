"""How an evaluation ends early; these exceptions stay inside this folder, whose callers get a result."""

from __future__ import annotations


class SpfError(Exception):
    """The message says why, in words for the domain's owner."""


class TempError(SpfError):
    """The DNS did not answer (RFC 7208 section 2.6.6)."""


class PermError(SpfError):
    """The published record cannot be interpreted (RFC 7208 section 2.6.7)."""
