"""PIPELINING: commands sent in groups (RFC 2920).

    C: MAIL FROM:<alice@example.com>
    C: RCPT TO:<bob@company.com.example>
    C: DATA
    S: 250 2.1.0 Ok
    S: 250 2.1.5 Ok
    S: 354 End data with <CR><LF>.<CR><LF>

There is nothing to do for it here: the server session takes the next command only when the last one is answered, and
the client session knows its groups.
"""

from __future__ import annotations

from typing import Final

from purport.smtp.extension import Extension

EXTENSION: Final = Extension(keyword="PIPELINING", rfc=2920)
