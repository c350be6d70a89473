"""What became of a signature (RFC 8601 section 2.7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from purport.mail.text import safe

ResultWord = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]
PROBLEM_LENGTH: Final = 200  # characters; a problem has to fit into a log line and a header field


@dataclass(frozen=True, slots=True)
class DkimResult:
    """The outcome of one signature.

    `domain` took responsibility where the result is pass: in A-labels and lower case, empty where it could not be read.
    `identity` is i=, or what stands for it. `covered` are the names of the signed fields, in lower case, as often as
    they are signed. `testing` says that the domain only tries it out (t=y in the key record): whatever the result, the
    message is to be treated as one without this signature (RFC 6376 section 3.6.1). `b` is the beginning of the
    signature, which tells it from others of the message (RFC 6008). `problem` is one printable line, empty for a pass.
    """

    result: ResultWord
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    key_bits: int = 0
    testing: bool = False
    problem: str = ""
    covered: tuple[str, ...] = ()
    b: str = ""


def shown(text: str, length: int = PROBLEM_LENGTH) -> str:
    """Text of others as a problem may have it: printable ASCII, in bounds."""
    plain = safe(text[:length]).encode("ascii", "backslashreplace").decode("ascii")
    return plain[:length]
