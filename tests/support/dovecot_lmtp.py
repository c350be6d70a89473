"""Dovecot's LMTP server, on a port and a socket of its own, delivering into Maildirs of a folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from support.peers import free_port, wait_for

LMTP = Path("/usr/lib/dovecot/lmtp")
CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{folder}/mail/%Lu
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
lmtp_rcpt_check_quota = no
protocol lmtp {{
  postmaster_address = postmaster@store.example
}}
service lmtp {{
  user = root
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
  unix_listener {folder}/lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
passdb {{
  driver = passwd-file
  args = {folder}/users
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
"""


class DovecotLmtp:
    """Start it, talk to `port` or to `socket`, read `messages(user)`, `stop()`. It knows the users that it is given."""

    def __init__(self, *users: str) -> None:
        program = shutil.which("dovecot", path="/usr/sbin:/usr/bin")
        if program is None or not LMTP.exists() or os.geteuid() != 0:
            pytest.skip("dovecot-lmtpd is not installed, or this is not root")
        self.folder = Path(tempfile.mkdtemp(prefix="purport-dovecot-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        owner = pwd.getpwnam("nobody")
        (self.folder / "mail").mkdir()
        os.chown(self.folder / "mail", owner.pw_uid, owner.pw_gid)
        home = self.folder / "mail"
        (self.folder / "users").write_text(
            "".join(f"{user}:{{PLAIN}}x:{owner.pw_uid}:{owner.pw_gid}::{home}/{user}::\n" for user in users)
        )
        self.port = free_port()
        self.socket = self.folder / "lmtp"
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(folder=self.folder, port=self.port, uid=owner.pw_uid, gid=owner.pw_gid)
        )
        self._process = subprocess.Popen([program, "-F", "-c", str(configuration)], stderr=subprocess.DEVNULL)
        wait_for(lambda: self._process.poll() is not None or self.socket.exists(), what="Dovecot's socket")
        assert self._process.poll() is None, self.log()

    def log(self) -> str:
        place = self.folder / "log"
        return place.read_text() if place.exists() else ""

    def messages(self, user: str) -> list[bytes]:
        return [place.read_bytes() for place in sorted((self.folder / "mail" / user / "new").glob("*"))]

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
