"""Whom we sign for: authors whose address belongs to the login that speaks for them.

A login may be let say more than it owns (`submission.author`); a signature says that the domain answers for it, and is
made for what it owns alone.
"""

from __future__ import annotations

from purport.mail.address import Mailbox
from purport.mail.fields import mailboxes
from purport.mail.header import Header
from purport.policy.login import Login
from purport.policy.submission import owns


def signed_author(login: Login, header: Header) -> Mailbox | None:
    """The first author of a submission; None where not every author in From belongs to the login."""
    fields = header.all("from")
    if len(fields) != 1:
        return None
    try:
        authors = mailboxes(fields[0].text)
    except ValueError:
        return None
    return authors[0] if authors and all(owns(login, author) for author in authors) else None
