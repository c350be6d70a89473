"""Which record answers for a scope (RFC 4406 sections 3.1 and 4.4).

spf2.0/mfrom,pra +mx +ip4:192.168.0.100 -all

Where section 3.4 (v=spf1 counts "provided no record starting with spf2.0 exists") and section 4.4 step 4 (v=spf1 is
selected beside an spf2 record of another scope) disagree, section 4.4 is followed. Only TXT is asked: the record type
of step 1 is no longer used (RFC 7208 section 3.1). The positional modifiers of section 3.3 have none defined, and what
is not recognised is ignored; so the terms of an spf2.0 record are those of RFC 7208.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal

from purport.authentication.spf.record import SPF, Rules, only
from purport.authentication.spf.record import select as select_spf1
from purport.authentication.spf.result import Scope

# The version section of spf2; a minor version other than 0 must be well-formed and is otherwise ignored (section 4.4).
SPF2: Final = re.compile(r"spf2\.[0-9]+/([a-z][a-z0-9._-]*(?:,[a-z][a-z0-9._-]*)*)(?: |\Z)", re.IGNORECASE)


def select(texts: Sequence[str], scope: Literal["mfrom", "pra"]) -> str | None:
    """The one record for the scope, or None; raises PermError for several."""
    records = [
        text for text in texts if (version := SPF2.match(text)) is not None and scope in version[1].lower().split(",")
    ]
    return only(records) if records else select_spf1(texts)


def _for_pra(texts: Sequence[str]) -> str | None:
    return select(texts, "pra")


def _for_mfrom(texts: Sequence[str]) -> str | None:
    return select(texts, "mfrom")


# A domain that does not exist fails the PRA check at once (RFC 4406 section 4.3).
PRA: Final = Rules(_for_pra, "fail")
MFROM: Final = Rules(_for_mfrom, "none")

# SPF for the reverse-path and the HELO domain, Sender ID for the responsible address: what a mail server asks.
BY_SCOPE: Final[Mapping[Scope, Rules]] = MappingProxyType({"mfrom": SPF, "helo": SPF, "pra": PRA})
