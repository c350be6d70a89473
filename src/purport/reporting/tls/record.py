"""Whether a domain wants reports about TLS, and where (RFC 8460 section 3).

_smtp._tls.example.com.  TXT  "v=TLSRPTv1; rua=mailto:tls-reports@example.com,https://reports.example.com/v1"
"""

from __future__ import annotations

import re
from typing import Final

from purport.dns.lookup import Evaluation, Question, Status
from purport.reporting.destination import destinations
from purport.reporting.wish import Unknown, Unwanted, Wanted, Wish

VERSION: Final = re.compile(r"v=TLSRPTv1[ \t]*;")
FIELD: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]{0,31})=(?P<value>[!-:<-~ \t]+)")
FIELDS: Final = 64  # of one record: a TXT record of 64 KiB could hold thousands


def wish_of(domain: str) -> Evaluation[Wish]:
    """What the record of a domain asks for."""
    (answer,) = yield (Question(f"_smtp._tls.{domain}", "TXT"),)
    if answer.status is Status.FAILED:
        return Unknown(f"the DNS cannot be asked for _smtp._tls.{domain}")
    records = [record for record in answer.records if VERSION.match(record) is not None]
    if len(records) != 1:
        return Unwanted(f"{len(records)} TLSRPT records" if records else "no TLSRPT record")
    return read(records[0])


def read(record: str) -> Wish:
    """One record that begins with its version. Fields that are not known are ignored, as long as they are fields."""
    uris = []
    fields = record.split(";")[1:]
    if not fields[-1].strip(" \t"):
        fields.pop()
    if len(fields) > FIELDS:
        return Unwanted("the TLSRPT record has too many fields")
    for text in fields:
        found = FIELD.fullmatch(text.strip(" \t"))
        if found is None:
            return Unwanted("the TLSRPT record is not well-formed")
        if found["name"] == "rua":
            uris.append(found["value"])
    places = destinations(",".join(uris))
    return Wanted(places) if places else Unwanted("the TLSRPT record names no address that reports can go to")
