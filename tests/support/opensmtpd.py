"""An OpenSMTPD of its own, unpacked into .peers/. Its folders have fixed names, so it gets a view of the file system of
its own (a mount namespace), in which they stand empty."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

from support.peers import OPENSMTPD, free_port
from support.program import Program, in_view

# What it sees in place of the system's folders. Its resolver is told of no server, so that it never waits for one.
VIEW = """\
set -e
mount -t tmpfs tmpfs /var/spool
mount -t tmpfs tmpfs /var/lib
mount -t tmpfs tmpfs /run
mount --bind {programs} /usr/libexec
mount --bind {folder}/resolv.conf /etc/resolv.conf
mount --bind {authorities} /etc/ssl/certs/ca-certificates.crt
mkdir -p /var/lib/opensmtpd/empty /var/spool/smtpd
chmod 711 /var/spool/smtpd
exec {program} -d -f {folder}/smtpd.conf
"""

# Takes mail for `domain` into a Maildir; everything else goes to the smarthost.
CONFIGURATION = """\
{before}
table users {{ "@" = "nobody" }}
listen on 127.0.0.1 port {port} hostname opensmtpd.example {listener}
action "inside" maildir "{folder}/mail" virtual <users>
action "outside" relay host {smarthost} helo opensmtpd.example {relay}
match from any for domain "{domain}" action "inside"
match from any for any action "outside"
"""


class OpenSmtpd(Program):
    """Start it, talk to `port`, read `messages()`, `stop()`."""

    def __init__(
        self,
        domain: str = "opensmtpd.example",
        smarthost: str = "smtp+notls://127.0.0.1:1",
        before: str = "",
        listener: str = "",
        relay: str = "",
        authorities: Path | None = None,
    ) -> None:
        """`before` stands before the other settings, `listener` and `relay` are options of theirs."""
        super().__init__("OpenSMTPD")
        (self.folder / "mail").mkdir()
        owner = pwd.getpwnam("nobody")
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        self.port = free_port()
        (self.folder / "resolv.conf").write_text("")
        configuration = self.folder / "smtpd.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                port=self.port,
                domain=domain,
                smarthost=smarthost,
                before=before,
                listener=listener,
                relay=relay,
            )
        )
        configuration.chmod(0o600)
        view = VIEW.format(
            folder=self.folder,
            program=OPENSMTPD,
            programs=OPENSMTPD.parents[1] / "libexec",
            authorities=authorities or "/etc/ssl/certs/ca-certificates.crt",
        )
        self.start(in_view(view), self.port)

    def log(self) -> str:
        return self.printed()

    def messages(self) -> list[bytes]:
        """The messages it delivered."""
        return [place.read_bytes() for place in sorted((self.folder / "mail/new").glob("*"))]
