"""Where a report goes: the URIs of `rua` (RFC 8460 section 3, RFC 6068, RFC 3986).

    mailto:tls-reports@example.com    https://reports.example.com/v1/tlsrpt

They come from the DNS of strangers: what is no plain address and no plain https URI is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from purport.mail.address import Mailbox, parse_mailbox
from purport.mail.domain import is_domain_name

MOST: Final = 5  # destinations of one report: a record with more is no wish but a weapon
URI_LIMIT: Final = 1024  # characters; longer ones stand in no record of a person
HTTPS: Final = re.compile(
    r"[Hh][Tt][Tt][Pp][Ss]://(?P<host>[A-Za-z0-9.-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>[/?][!-~]*)?"
)
SIZE: Final = re.compile(r"![0-9]+[kmgtKMGT]?$")  # a limit as RFC 7489 had it: RFC 9990 ignores it


@dataclass(frozen=True, slots=True)
class ByMail:
    """A mailbox."""

    mailbox: Mailbox

    def __str__(self) -> str:
        return f"mailto:{self.mailbox}"


@dataclass(frozen=True, slots=True)
class ByPost:
    """An https address: `target` is path and query."""

    host: str
    port: int
    target: str

    def __str__(self) -> str:
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{self.host}{port}{self.target}"


Destination = ByMail | ByPost


def destinations(uris: str) -> tuple[Destination, ...]:
    """The ones that can be used of a comma-separated list, each once, in their order."""
    found = [destination for uri in uris.split(",") if (destination := parse(uri.strip(" \t"))) is not None]
    return tuple(dict.fromkeys(found))[:MOST]


def parse(uri: str) -> Destination | None:
    """One URI; None where it is of another scheme, or wrong."""
    if len(uri) > URI_LIMIT:
        return None
    uri = SIZE.sub("", uri)
    if uri[:7].lower() == "mailto:":
        return _by_mail(uri[7:])
    found = HTTPS.fullmatch(uri)
    if found is None or not is_domain_name(found["host"]) or found["host"].rpartition(".")[2].isdigit():
        return None
    port = int(found["port"] or 443)
    rest = (found["rest"] or "").partition("#")[0]
    if not 0 < port < 65536:
        return None
    return ByPost(found["host"].lower(), port, rest if rest.startswith("/") else f"/{rest}")


def _by_mail(text: str) -> ByMail | None:
    """One mailbox with a domain; what `?` adds is for people who write by hand (RFC 6068 section 2)."""
    try:
        mailbox = parse_mailbox(unquote(text.partition("?")[0], errors="strict"))
    except ValueError:
        return None
    return ByMail(mailbox) if is_domain_name(mailbox.domain) else None
