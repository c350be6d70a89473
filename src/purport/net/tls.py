"""TLS between a connection and its socket, as a layer that can be put there at any moment.

    socket  <-octets->  raw transport  <-records->  TlsLayer  <-octets->  protocol

The standard library's start_tls needs a task for each handshake, cannot be given octets that were read already (behind
a PROXY header), and may hand out what came in TLS before it says that TLS is there. The layer does none of this: while
the handshake goes on the protocol hears nothing, and what it hears after `done` came in TLS.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final, final

HANDSHAKE_SECONDS: Final = 30.0  # a handshake is two round trips
READ_OCTETS: Final = 65536  # of a message, given to the protocol at once


@final
class TlsLayer(asyncio.Protocol, asyncio.Transport):
    """TLS over a raw transport: its protocol, and the transport of the protocol above."""

    __slots__ = ("_closing", "_done", "_incoming", "_loop", "_outgoing", "_paused", "_protocol", "_raw", "_tls")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        raw: asyncio.Transport,
        protocol: asyncio.Protocol,
        context: ssl.SSLContext,
        done: Callable[[Exception | None], None],
        *,
        server_hostname: str | None = None,
        server_side: bool = False,
    ) -> None:
        """`done` is told once: that the handshake succeeded, or with what it failed. Before that nothing reaches
        `protocol`, after a failure nothing ever does, and the raw transport is closed."""
        self._loop = loop
        self._raw = raw
        self._protocol: asyncio.Protocol | None = protocol
        self._done: Callable[[Exception | None], None] | None = done  # while the handshake goes on
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side, server_hostname)
        self._paused = False
        self._closing = False

    def begin(self, octets: bytes = b"") -> None:
        """Take the place of the raw transport's protocol and begin the handshake. `octets` were read from it before,
        and belong to TLS."""
        self._raw.set_protocol(self)
        self._incoming.write(octets)
        self._shake_hands()

    @property
    def tls(self) -> ssl.SSLObject:
        """What is known of the connection."""
        return self._tls

    # What the raw transport says

    def data_received(self, octets: bytes) -> None:
        self._incoming.write(octets)
        if self._done is not None:
            self._shake_hands()
        elif not self._paused:
            self._hand_out()

    def eof_received(self) -> bool:
        """The other side ended without a word (RFC 8446 section 6.1): SMTP knows its ends by itself."""
        if self._done is not None or self._protocol is None:
            return False
        return bool(self._protocol.eof_received())

    def connection_lost(self, error: Exception | None) -> None:
        self._closing = True
        if self._done is not None:
            self._fail(error or ConnectionResetError("connection lost"))
        elif self._protocol is not None:
            self._protocol.connection_lost(error)

    def pause_writing(self) -> None:
        if self._done is None and self._protocol is not None:
            self._protocol.pause_writing()

    def resume_writing(self) -> None:
        if self._done is None and self._protocol is not None:
            self._protocol.resume_writing()

    # TLS

    def _shake_hands(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send()
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            self._send()  # the alert that says why
            self._fail(error)
            return
        self._send()
        done, self._done = self._done, None
        assert done is not None
        done(None)
        self._hand_out()

    def _fail(self, error: Exception) -> None:
        done, self._done, self._protocol = self._done, None, None
        self._closing = True
        self._raw.close()
        if done is not None:
            done(error)

    def _hand_out(self) -> None:
        """What has arrived, to the protocol, for as long as it wants it."""
        tls, incoming = self._tls, self._incoming
        while not self._paused and not self._closing and (incoming.pending or tls.pending()):
            protocol = self._protocol
            if protocol is None:
                break
            try:
                octets = tls.read(READ_OCTETS)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError:  # what is no TLS, or was changed on the way
                self.abort()
                return
            if not octets:  # close_notify
                if not protocol.eof_received():
                    self.close()
                return
            protocol.data_received(octets)
        if self._outgoing.pending:  # an answer to a request for new keys
            self._send()

    def _send(self) -> None:
        octets = self._outgoing.read()
        if octets and not self._raw.is_closing():
            self._raw.write(octets)

    # The transport of the protocol above

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._closing or not data:
            return
        self._tls.write(data)
        self._send()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        with suppress(ssl.SSLError):  # it would wait for the answer to our close_notify, which nobody needs
            self._tls.unwrap()
        self._send()
        self._raw.close()

    def abort(self) -> None:
        self._closing = True
        self._raw.abort()

    def is_closing(self) -> bool:
        return self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Another protocol takes the place of the one above: the roles of client and server were reversed."""
        assert isinstance(protocol, asyncio.Protocol)
        self._protocol = protocol

    def pause_reading(self) -> None:
        self._paused = True
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        self._paused = False
        self._raw.resume_reading()
        self._loop.call_soon(self._hand_out)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._raw.get_extra_info(name, default)

    def get_write_buffer_size(self) -> int:
        return self._raw.get_write_buffer_size()


def described(secured: ssl.SSLObject | None) -> tuple[str, str]:
    """Version and cipher of a connection as OpenSSL names them: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`."""
    cipher = None if secured is None else secured.cipher()
    return ("", "") if secured is None or cipher is None else (secured.version() or "", cipher[0])


def problem_of(error: BaseException) -> str:
    """Why a handshake failed, in words that may stand in a log or a reply."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):
        return (error.reason or "protocol error").lower().replace("_", " ")
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return "connection lost"
