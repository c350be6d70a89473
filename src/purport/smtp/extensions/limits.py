"""LIMITS: how much of something a session may hold (RFC 9422).

    S: 250-LIMITS RCPTMAX=1000

A client that knows does not run into a refusal: it begins another transaction, or another session.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from purport.smtp.extension import Extension, Terms

MOST: Final = 999999  # RFC 9422 section 4: a value has six digits at most
WORD: Final = re.compile(r"[A-Za-z0-9_-]+(=[!-:<-~]+)?")  # a limit, also one that we do not know
VALUE: Final = re.compile(r"[1-9][0-9]{0,5}")


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server said: MAIL commands of a session, recipients of a transaction, and the domains of all recipients
    of a session."""

    mails: int = MOST
    recipients: int = MOST
    domains: int = MOST


NO_LIMITS: Final = Limits()


def read(offer: str | None) -> Limits:
    """The limits of an EHLO reply. A limit that is unknown or no number means nothing, and nothing at all does where
    the words are no limits (RFC 9422 section 3.7)."""
    words = (offer or "").split()
    if not all(WORD.fullmatch(word) for word in words):
        return NO_LIMITS
    pairs = [word.upper().partition("=") for word in words]
    found = {name: int(value) for name, _, value in pairs if VALUE.fullmatch(value)}
    return Limits(found.get("MAILMAX", MOST), found.get("RCPTMAX", MOST), found.get("RCPTDOMAINMAX", MOST))


def offer(terms: Terms) -> str:
    """The limit we have: more recipients get 452 each."""
    return f"RCPTMAX={min(terms.recipients, MOST)}"


EXTENSION: Final = Extension(keyword="LIMITS", rfc=9422, offer=offer)
