"""SMTPUTF8: addresses and header fields in UTF-8 (RFC 6531, RFC 6532).

    MAIL FROM:<élise@bücher.example> SMTPUTF8

Nothing is downgraded on the way (RFC 6531 section 3.2): where the header or the reverse-path needs the extension and a
next hop does not offer it, the message does not go there; where a recipient needs it, that recipient alone fails. An
address whose domain alone is beyond ASCII goes with its A-labels (section 3.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from purport.mail.envelope import Parameter, Parameters
from purport.mail.reply import reply
from purport.smtp.extension import CannotForward, Extension, Outgoing

# RFC 6531 section 3.5: 5.6.7 is X.6.7, "Non-ASCII addresses not permitted for that sender/recipient".
NEEDS_SMTPUTF8: Final = reply(
    553, "5.6.7", "Message has addresses or a header in UTF-8 and the next hop does not offer SMTPUTF8"
)


def decode(value: bytes | None) -> bool:
    """The parameter stands alone (RFC 6531 section 3.4). Raises ValueError."""
    if value is not None:
        raise ValueError("SMTPUTF8 has no value")
    return True


def encode(_given: bool) -> None:
    """Nothing stands behind the keyword."""


SMTPUTF8: Final = Parameter("SMTPUTF8", decode, encode)


INTERNATIONAL: Final = Parameters(((SMTPUTF8.keyword, None),))  # of a MAIL command of ours


def is_international(parameters: Parameters) -> bool:
    """Whether the MAIL command allowed UTF-8."""
    return bool(parameters.items) and SMTPUTF8.keyword in parameters


def outbound(message: Outgoing, offer: str | None) -> Mapping[str, bytes | None]:
    """The parameter where the message needs it, or one of its recipients does that the host will hear of."""
    if offer is None:
        if message.utf8:
            raise CannotForward(NEEDS_SMTPUTF8)
        return {}
    return {SMTPUTF8.keyword: None} if message.utf8 or message.utf8_recipients else {}


EXTENSION: Final = Extension(
    keyword="SMTPUTF8",
    rfc=6531,
    mail=(SMTPUTF8,),
    mail_octets=10,  # RFC 6531 section 3.1 (7)
    outbound=outbound,
)
