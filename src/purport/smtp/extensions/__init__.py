"""The SMTP extensions of this server and client, one file each. ALL is the order of the EHLO reply."""

from __future__ import annotations

from typing import Final

from purport.smtp.extension import Extension
from purport.smtp.extensions import (
    atrn,
    auth,
    binarymime,
    chunking,
    deliverby,
    dsn,
    eightbitmime,
    enhancedstatuscodes,
    etrn,
    futurerelease,
    limits,
    mtpriority,
    pipelining,
    requiretls,
    rrvs,
    size,
    smtputf8,
    starttls,
    submitter,
    xclient,
)

ALL: Final[tuple[Extension, ...]] = (
    pipelining.EXTENSION,
    size.EXTENSION,
    eightbitmime.EXTENSION,
    smtputf8.EXTENSION,
    enhancedstatuscodes.EXTENSION,
    auth.EXTENSION,
    dsn.EXTENSION,
    chunking.EXTENSION,
    binarymime.EXTENSION,
    limits.EXTENSION,
    starttls.EXTENSION,
    requiretls.EXTENSION,
    deliverby.EXTENSION,
    rrvs.EXTENSION,
    etrn.EXTENSION,
    atrn.EXTENSION,
    mtpriority.EXTENSION,
    futurerelease.EXTENSION,
    submitter.EXTENSION,
    xclient.EXTENSION,
)
