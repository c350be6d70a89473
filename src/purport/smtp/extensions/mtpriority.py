"""MT-PRIORITY: how urgent a message is, from -9 to 9 (RFC 6710).

    S: 250-MT-PRIORITY MIXER
    C: MAIL FROM:<alice@example.com> MT-PRIORITY=3
    S: 250 2.3.6 0 is the new priority of this message

What stands after the keyword names the Priority Assignment Policy: what the numbers mean to those who use them. A
server that knows it treats all 19 values apart, so it can say any. Who may ask for more than 0 is for the policy to
say (`policy/priority.py`); the next hop hears the priority that came of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from purport.mail.envelope import Parameter
from purport.smtp.extension import Extension, Outgoing, Terms

VALUE: Final = re.compile(rb"0|-?[1-9]")  # RFC 6710 section 7: no "-0", no "+3", no "03"


def decode(value: bytes | None) -> int:
    """The priority. Raises ValueError."""
    if value is None or VALUE.fullmatch(value) is None:
        raise ValueError("a priority is a whole number from -9 to 9")
    return int(value)


def encode(priority: int) -> bytes:
    """A priority as it stands in MAIL."""
    return b"%d" % priority


MT_PRIORITY: Final = Parameter("MT-PRIORITY", decode, encode, "5.5.2")  # RFC 6710 section 4.1


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes]:
    """The priority, 0 too (RFC 6710 section 4.2); a host that does not offer MT-PRIORITY gets the message without it
    (section 4.3)."""
    priority = message.priority
    return {} if offer is None or priority is None else {MT_PRIORITY.keyword: encode(priority)}


def offer(terms: Terms) -> str:
    """The name of the Priority Assignment Policy, where it is disclosed."""
    return terms.priority_policy


EXTENSION: Final = Extension(
    keyword="MT-PRIORITY",
    rfc=6710,
    offer=offer,
    mail=(MT_PRIORITY,),
    mail_octets=15,  # RFC 6710 section 3 (6)
    outbound=outbound,
)
