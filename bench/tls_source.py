"""A load of messages over TLS, which smtp-source does not speak: sessions that begin with STARTTLS and are reused.

    python bench/tls_source.py PORT MESSAGES SESSIONS OCTETS

Commands go in groups (PIPELINING). A thread for each session, some processes for all of them: what this side costs
must not be what is measured.
"""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor

PROCESSES = 4
SENDER = "alice@example.com"
RECIPIENT = "bob@company.com.example"
GROUP = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{RECIPIENT}>\r\nDATA\r\n".encode()


def message(octets: int) -> bytes:
    """A message of this size, with the end of data."""
    header = f"From: <{SENDER}>\r\nTo: <{RECIPIENT}>\r\nSubject: load\r\nMessage-ID: <1@example.com>\r\n\r\n".encode()
    line = b"X" * 78 + b"\r\n"
    return header + line * ((octets - len(header)) // len(line)) + b".\r\n"


def replies(connection: socket.socket, count: int) -> list[bytes]:
    """So many replies."""
    octets = b""
    while True:
        octets += connection.recv(65536)
        lines = octets.split(b"\r\n")
        found = [line for line in lines[:-1] if line[3:4] == b" "]
        if len(found) >= count and not lines[-1]:
            return found


def session(port: int, messages: int, octets: int) -> None:
    """Send so many messages over one connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    data = message(octets)
    with socket.create_connection(("127.0.0.1", port)) as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        replies(plain, 1)
        plain.sendall(b"EHLO source.example\r\n")
        replies(plain, 1)
        plain.sendall(b"STARTTLS\r\n")
        replies(plain, 1)
        with context.wrap_socket(plain) as secure:
            secure.sendall(b"EHLO source.example\r\n")
            replies(secure, 1)
            for _ in range(messages):
                secure.sendall(GROUP)
                said = replies(secure, 3)
                if not said[-1].startswith(b"354"):
                    raise SystemExit(f"tls_source: {said}")
                secure.sendall(data)
                said = replies(secure, 1)
                if not said[0].startswith(b"250"):
                    raise SystemExit(f"tls_source: {said}")
            secure.sendall(b"QUIT\r\n")
            replies(secure, 1)


def share(port: int, counts: list[int], octets: int) -> None:
    """The sessions of one process."""
    with ThreadPoolExecutor(len(counts)) as threads:
        for done in [threads.submit(session, port, count, octets) for count in counts]:
            done.result()


def main() -> int:
    port, messages, sessions, octets = map(int, sys.argv[1:])
    counts = [messages // sessions + (number < messages % sessions) for number in range(sessions)]
    shares = [counts[number::PROCESSES] for number in range(PROCESSES)]
    workers = [multiprocessing.Process(target=share, args=(port, part, octets)) for part in shares if part]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return max(worker.exitcode or 0 for worker in workers)


if __name__ == "__main__":
    sys.exit(main())
