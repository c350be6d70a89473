"""A report as it is sent: compressed, in a mail or as the body of a POST (RFC 8460 section 5)."""

from __future__ import annotations

import gzip
import zlib
from base64 import encodebytes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from purport.mail.address import Mailbox
from purport.mail.trace import date

LEVEL: Final = zlib.Z_BEST_COMPRESSION  # a report is written once


@dataclass(frozen=True, slots=True)
class Document:
    """What one domain is told about one day.

    The texts are in ASCII, `text` in lines for people. `subject` is in pieces that a line can be folded between, and
    `container` the Content-Type of the mail, without its boundary.
    """

    report_id: str
    content: bytes
    media_type: str  # of the content once it is compressed
    file_name: str
    subject: tuple[str, ...]
    fields: tuple[tuple[str, str], ...]  # of the mail, besides those that every mail has
    container: str
    text: tuple[str, ...]

    def compressed(self) -> bytes:
        """The content as gzip (RFC 1952), the same octets each time."""
        return gzip.compress(self.content, LEVEL, mtime=0)


def mail(document: Document, *, sender: Mailbox, recipients: Sequence[Mailbox], message_id: str, now: float) -> bytes:
    """The report as a message of 7 bits; lines end with CRLF. `now` is in seconds since 1970."""
    boundary = f"=_{message_id.partition('@')[0]}"  # "=_" stands in no base64 text
    subject = "\r\n\t".join(document.subject)
    lines = [
        f"Date: {date(now)}",
        f"From: <{sender}>",
        "To: " + ",\r\n\t".join(f"<{recipient}>" for recipient in recipients),
        f"Subject: {subject}",
        f"Message-ID: <{message_id}>",
        *(f"{name}: {value}" for name, value in document.fields),
        "Auto-Submitted: auto-generated",
        "MIME-Version: 1.0",
        f"Content-Type: {document.container};",
        f'\tboundary="{boundary}"',
        "",
        f"--{boundary}",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        *document.text,
        "",
        f"--{boundary}",
        f"Content-Type: {document.media_type};",
        f'\tname="{document.file_name}"',
        "Content-Transfer-Encoding: base64",
        "Content-Disposition: attachment;",
        f'\tfilename="{document.file_name}"',
        "",
        *encodebytes(document.compressed()).decode("ascii").splitlines(),
        "",
        f"--{boundary}--",
    ]
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")
