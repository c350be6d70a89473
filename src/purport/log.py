"""The mail log: one function per event, nothing else writes it.

The shape is Postfix's, so that the tools that read its log read ours:

    Nov 23 21:34:09 mx purport/smtpd[4711]: 1M2QX7H40K2R9: client=unknown[192.0.2.7], from=<alice@example.com>, ...
    Nov 23 21:34:09 mx purport/smtpd[4711]: 1M2QX7H40K2R9: responsible submitter=<alice@example.com> pra=...

Lines are collected and written once per turn of the event loop. What a peer said is escaped here, once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Final

from purport.mail.address import Mailbox, ReversePath
from purport.mail.reply import Reply

TEXT_LIMIT: Final = 512  # characters of one untrusted value; a log line must not be longer because a peer wishes so
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Schedule = Callable[[Callable[[], None]], object]


def escaped(text: str) -> str:
    """`text` as one bounded run of printable ASCII: everything else stands there as an escape."""
    if len(text) > TEXT_LIMIT:
        text = text[:TEXT_LIMIT] + "..."
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return text.encode("unicode_escape").decode("ascii")


def path(address: ReversePath) -> str:
    """A reverse-path or forward-path in angle brackets."""
    return f"<{escaped(str(address))}>"


def client_text(name: str | None, address: str) -> str:
    """The client as Postfix writes it: `mail.example.com[192.0.2.1]`, `unknown[192.0.2.1]`."""
    return f"{escaped(name) if name else 'unknown'}[{address}]"


def login_text(mechanism: str, name: str) -> str:
    """Who logged in and how, as it follows the client in Postfix' log."""
    return f", sasl_method={mechanism}, sasl_username={escaped(name)}"


class MailLog:
    """Writes the lines to a file descriptor (stderr, where systemd and a terminal look for it)."""

    def __init__(
        self,
        hostname: str,
        *,
        descriptor: int = 2,
        schedule: Schedule | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._descriptor = descriptor
        self._schedule = schedule
        self._clock = clock
        self._lines: list[str] = []
        self._second = 0
        self._stamp = ""
        short_name = hostname.partition(".")[0]
        self._smtpd, self._smtp, self._queue, self._main = (
            f" {short_name} purport/{part}[{os.getpid()}]: " for part in ("smtpd", "smtp", "queue", "main")
        )

    # The server's side

    def accepted(
        self,
        queue_id: str,
        *,
        client: str,
        message_id: str,
        reverse_path: ReversePath,
        size: int,
        recipients: int,
        protocol: str,
        hello_domain: str,
        login: str = "",
        notes: str = "",
    ) -> None:
        self._write(
            self._smtpd,
            f"{queue_id}: client={client}{login}, message-id={escaped(message_id)}, from={path(reverse_path)}, "
            f"size={size}, nrcpt={recipients}, proto={protocol}, helo=<{escaped(hello_domain)}>{notes} (queue active)",
        )

    def responsible(self, queue_id: str, line: str) -> None:
        """Who answers for the message and what was decided; `line` is already escaped."""
        self._write(self._smtpd, f"{queue_id}: responsible {line}")

    def refused(
        self,
        queue_id: str,
        stage: str,
        reply: Reply,
        *,
        client: str,
        reverse_path: ReversePath,
        forward_path: Mailbox | None,
        protocol: str,
        hello_domain: str,
    ) -> None:
        """A command was refused by a decision; `stage` is its verb."""
        to = f" to={path(forward_path)}" if forward_path is not None else ""
        self._write(
            self._smtpd,
            f"{queue_id}: reject: {stage} from {client}: {escaped(str(reply))}; from={path(reverse_path)}{to} "
            f"proto={protocol} helo=<{escaped(hello_domain)}>",
        )

    def connection(self, client: str, what: str) -> None:
        """Something about a connection that an operator wants to know: `timeout after DATA`, `too many errors`."""
        self._write(self._smtpd, f"{what} from {client}")

    def login_failed(self, client: str, mechanism: str, reason: str, name: str | None) -> None:
        """Somebody did not prove to be who they said they were; as Postfix says it, for what reads its log."""
        user = f", sasl_username={escaped(name)}" if name else ""
        self._write(self._smtpd, f"warning: {client}: SASL {mechanism} authentication failed: {escaped(reason)}{user}")

    def forwarded(
        self,
        queue_id: str,
        copy_id: str,
        forwarder: Mailbox,
        reverse_path: ReversePath,
        *,
        recipients: int,
        repair: str,
    ) -> None:
        """A message goes on, as one with an id and an envelope of its own."""
        self._write(
            self._smtpd,
            f"{queue_id}: forwarded as {copy_id}, orig_to={path(forwarder)}, from={path(reverse_path)}, "
            f"nrcpt={recipients}, repair={repair} (queue active)",
        )

    # The client's side

    def attempted(
        self,
        queue_id: str,
        forward_path: Mailbox,
        *,
        forwarder: Mailbox | None = None,
        host: str,
        delay: float,
        status: str,
        outcome: str,
        reply: str,
        tls: str = "",
    ) -> None:
        """What became of one recipient; `outcome` is `sent`, `deferred` or `bounced`, `delay` seconds since arrival.
        `forwarder` is the mailbox whose mail it was."""
        original = "" if forwarder is None else f", orig_to={path(forwarder)}"
        protected = f"tls={tls.partition(' ')[0]}, " if tls else ""
        self._write(
            self._smtp,
            f"{queue_id}: to={path(forward_path)}{original}, relay={escaped(host) or 'none'}, delay={delay:.2g}, "
            f"{protected}dsn={status}, status={outcome} ({escaped(reply)})",
        )

    def report(self, queue_id: str, kind: str, report_id: str) -> None:
        """A delivery report about `queue_id` was queued as `report_id`."""
        self._write(self._queue, f"{queue_id}: sender {kind} notification: {report_id}")

    def removed(self, queue_id: str) -> None:
        """The last recipient is finished."""
        self._write(self._queue, f"{queue_id}: removed")

    # The process

    def notice(self, text: str) -> None:
        """Start, stop, reload."""
        self._write(self._main, escaped(text))

    def warning(self, text: str) -> None:
        """Something an operator should mend."""
        self._write(self._main, f"warning: {escaped(text)}")

    def failure(self, where: str, error: BaseException) -> None:
        """A fault of our own: where, and the whole traceback on one line."""
        import traceback  # kept out of the memory of a server that has no faults

        told = "".join(traceback.format_exception(error)).strip()
        flat = " | ".join(part.strip() for part in told.splitlines())
        printable = flat.encode("unicode_escape").decode("ascii")
        self._write(self._main, f"error: {where}: {printable[:4096]}")

    def _write(self, source: str, text: str) -> None:
        now = self._clock()
        second = int(now)
        if second != self._second:
            at = time.localtime(second)
            self._second = second
            self._stamp = f"{MONTHS[at.tm_mon - 1]} {at.tm_mday:2} {at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
        lines = self._lines
        lines.append(f"{self._stamp}{source}{text}\n")
        if self._schedule is None:
            self.flush()
        elif len(lines) == 1:
            self._schedule(self.flush)

    def flush(self) -> None:
        """Write what was collected. A log that cannot be written must not stop mail: it is dropped."""
        if not self._lines:
            return
        octets = "".join(self._lines).encode("ascii", "backslashreplace")
        self._lines.clear()
        try:
            write_all(self._descriptor, octets)
        except OSError:
            return


def write_all(descriptor: int, octets: bytes) -> None:
    """Write every octet, in as many writes as the kernel wants."""
    while octets:
        written = os.write(descriptor, octets)
        octets = octets[written:]
