"""ENHANCEDSTATUSCODES: a status code in the text of replies (RFC 2034, RFC 3463).

    550 5.7.1 Submitter not allowed.

A Reply carries its status code, whether the client said EHLO or HELO (RFC 2034 section 4).
"""

from __future__ import annotations

from typing import Final

from purport.smtp.extension import Extension

EXTENSION: Final = Extension(keyword="ENHANCEDSTATUSCODES", rfc=2034)
