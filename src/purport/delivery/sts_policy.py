"""MTA-STS: what a domain says about its mail servers, in a TXT record and a policy (RFC 8461 section 3).

_mta-sts.company.com.example.  TXT  "v=STSv1; id=20261123T100000;"

https://mta-sts.company.com.example/.well-known/mta-sts.txt:
version: STSv1
mode: enforce
mx: mx.company.com.example
mx: *.hoster.example
max_age: 604800
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from purport.dns.lookup import Evaluation, Question, Status
from purport.mail.domain import is_domain_name
from purport.net.client_tls import is_presented

LONGEST: Final = 31557600  # seconds that a policy may be good for (RFC 8461 section 3.2)
PATTERNS: Final = 64  # of MX hosts in one policy: nobody has more, and all of them are kept in memory
LINES: Final = 200  # of a policy that are read

RECORD: Final = re.compile(r"v=STSv1[ \t]*;")
ID: Final = re.compile(r"[A-Za-z0-9]{1,32}")
EXTENSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}=[\x21-\x3a\x3c\x3e-\x7e]+")
KEY: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
MAX_AGE: Final = re.compile(r"[0-9]{1,10}")

Mode = Literal["enforce", "testing", "none"]
MODES: Final[dict[str, Mode]] = {"enforce": "enforce", "testing": "testing", "none": "none"}


class StsPolicy(msgspec.Struct, frozen=True):
    """A policy, for `max_age` seconds after it was fetched. `mx` is what the names of MX hosts have to match, in lower
    case."""

    mode: Mode
    max_age: int
    mx: tuple[str, ...]

    @property
    def enforced(self) -> bool:
        """Whether hosts that do not keep to it get no mail."""
        return self.mode == "enforce"

    @property
    def strings(self) -> tuple[str, ...]:
        """Its lines, as a report quotes them (RFC 8460 section 4.4)."""
        patterns = [f"mx: {pattern}" for pattern in self.mx]
        return ("version: STSv1", f"mode: {self.mode}", *patterns, f"max_age: {self.max_age}")

    def allows(self, host: str) -> bool:
        """Whether an MX host is one of the domain's (RFC 8461 section 4.1)."""
        return any(is_presented(host, pattern) for pattern in self.mx)


def sts_id(domain: str) -> Evaluation[str | None]:
    """The id of the policy that a domain has by its TXT record; None where it has none, or the DNS cannot be asked."""
    (answer,) = yield (Question(f"_mta-sts.{domain}", "TXT"),)
    if answer.status is not Status.FOUND:
        return None
    records = [record for record in answer.records if RECORD.match(record)]
    return read_record(records[0]) if len(records) == 1 else None


def read_record(record: str) -> str | None:
    """The id in a TXT record that begins with the version; None where the record breaks the grammar (RFC 8461 section
    3.1)."""
    fields = [field.strip(" \t") for field in record.split(";")]
    if fields[-1] == "":
        fields.pop()
    found: str | None = None
    for field in fields[1:]:
        name, _, value = field.partition("=")
        if EXTENSION.fullmatch(field) is None or (name == "id" and ID.fullmatch(value) is None):
            return None
        if name == "id" and found is None:  # RFC 8461 section 3.2: all but the first are ignored
            found = value
    return found


def read_policy(octets: bytes) -> StsPolicy:
    """The policy in a file. Raises ValueError, saying what is wrong with it."""
    try:
        lines = octets.decode("utf-8").replace("\r\n", "\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError("the policy is no UTF-8") from None
    if len(lines) > LINES:
        raise ValueError(f"the policy has more than {LINES} lines")
    values: dict[str, str] = {}
    patterns: list[str] = []
    for line in lines:
        if not line.strip(" \t"):  # the grammar has no empty lines, but many a file ends with some
            continue
        key, colon, value = line.partition(":")
        value = value.strip(" \t")
        if not colon or KEY.fullmatch(key) is None or not value.isprintable():
            raise ValueError("a line of the policy is no key with a value")
        if key == "mx":
            patterns.append(value.lower())
        else:
            values.setdefault(key, value)
    return _policy(values, patterns)


def _policy(values: dict[str, str], patterns: list[str]) -> StsPolicy:
    mode, max_age = MODES.get(values.get("mode", "")), values.get("max_age", "")
    if values.get("version") != "STSv1":
        raise ValueError("the policy's version is not STSv1")
    if mode is None:
        raise ValueError("the policy's mode is none of enforce, testing, none")
    if MAX_AGE.fullmatch(max_age) is None:
        raise ValueError("the policy's max_age is no number of seconds")
    if not patterns and mode != "none":
        raise ValueError("the policy names no MX host")
    if len(patterns) > PATTERNS:
        raise ValueError(f"the policy names more than {PATTERNS} MX hosts")
    if not all(is_domain_name(pattern.removeprefix("*.")) for pattern in patterns):
        raise ValueError("the policy names an MX host that is none")
    return StsPolicy(mode, min(int(max_age), LONGEST), tuple(patterns))
