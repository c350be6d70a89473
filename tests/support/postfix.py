"""A Postfix instance of its own: folders, ports and settings under one folder; nothing of the system's is touched."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from support.peers import free_port, greets, wait_for

DAEMONS = "/usr/lib/postfix/sbin"

# Debian's master.cf, its services and process limits as shipped, but for the address and chroot.
MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n - n 60  1 pickup
cleanup   unix  n - n -   0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n -   - trivial-rewrite
bounce    unix  - - n -   0 bounce
defer     unix  - - n -   0 bounce
trace     unix  - - n -   0 bounce
verify    unix  - - n -   1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -   - proxymap
proxywrite unix - - n -   1 proxymap
smtp      unix  - - n -   - smtp
relay     unix  - - n -   - smtp
showq     unix  n - n -   - showq
error     unix  - - n -   - error
retry     unix  - - n -   - error
discard   unix  - - n -   - discard
local     unix  - n n -   - local
virtual   unix  - n n -   - virtual
lmtp      unix  - - n -   - lmtp
anvil     unix  - - n -   1 anvil
scache    unix  - - n -   1 scache
postlog   unix-dgram n - n - 1 postlogd
"""

MAIN = {
    "compatibility_level": "3.6",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "mynetworks": "127.0.0.0/8",
    "alias_maps": "",
    "alias_database": "",
    "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
    "smtp_tls_security_level": "",
    "biff": "no",
}


class Postfix:
    """Start it, talk to `port`, read `log()`, `stop()`."""

    def __init__(
        self,
        settings: Mapping[str, str],
        hostname: str = "postfix.example",
        port: int = 0,
        *,
        services: str = "",
        under: Sequence[str] = (),
    ) -> None:
        """`services` are lines of master.cf besides; `under` is a command that runs the one that starts it."""
        # Its daemons run as user postfix: the folder must be one that this user can enter.
        self.folder = Path(tempfile.mkdtemp(prefix="purport-postfix-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        self.port = port or free_port()
        self.config = self.folder / "etc"
        self.queue = self.folder / "queue"
        data = self.folder / "data"
        for place in (self.config, self.queue, data):
            place.mkdir(mode=0o755)
        owner = pwd.getpwnam("postfix")
        os.chown(data, owner.pw_uid, owner.pw_gid)
        main = {
            **MAIN,
            "myhostname": hostname,
            "queue_directory": str(self.queue),
            "data_directory": str(data),
            "maillog_file": str(self.folder / "maillog"),
            "maillog_file_prefixes": str(self.folder),
            **settings,
        }
        (self.config / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in main.items()))
        (self.config / "master.cf").write_text(MASTER.format(port=self.port) + services)
        self._run("start", under=under)
        wait_for(lambda: greets(self.port), 20, "Postfix's greeting")

    def _run(self, *words: str, under: Sequence[str] = ()) -> str:
        command = [*under, "/usr/sbin/postfix", "-c", str(self.config), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"postfix {words}: {done.stderr}{done.stdout}{self.log()}"
        return done.stdout

    def command(self, *words: str) -> str:
        """Run `postfix` with these words: `reload`."""
        return self._run(*words)

    @property
    def master_pid(self) -> int:
        """The process whose tree the whole instance is."""
        return int((self.queue / "pid/master.pid").read_text())

    def log(self) -> str:
        place = self.folder / "maillog"
        return place.read_text(errors="replace") if place.exists() else ""

    def queue_ids(self) -> list[str]:
        """What waits in its queue."""
        return [line.split()[0] for line in self.postqueue().splitlines() if line[:1].isalnum() and "@" in line]

    def postqueue(self) -> str:
        return subprocess.run(
            ["/usr/sbin/postqueue", "-c", str(self.config), "-p"], capture_output=True, text=True, timeout=30
        ).stdout

    def clear(self) -> None:
        """Delete everything in its queue."""
        subprocess.run(
            ["/usr/sbin/postsuper", "-c", str(self.config), "-d", "ALL"], capture_output=True, check=True, timeout=120
        )

    def stop(self) -> None:
        try:
            self._run("stop")
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
