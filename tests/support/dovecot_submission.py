"""Dovecot's submission service, which lets users in and passes on what they say to a server behind it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from support.peers import free_port, greets, wait_for

CONFIGURATION = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = submission
hostname = dovecot.example
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain login
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{folder}/mail/%Lu
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
submission_relay_host = 127.0.0.1
submission_relay_port = {next_port}
submission_relay_trusted = yes
submission_backend_capabilities = 8BITMIME BINARYMIME CHUNKING DSN ENHANCEDSTATUSCODES PIPELINING SIZE
service submission-login {{
  chroot =
  inet_listener submission {{
    address = 127.0.0.1
    port = {port}
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


class DovecotSubmission:
    """Start it, talk to `port`, `stop()`. It knows users by their passwords, and tells the server behind it by XCLIENT
    whom it let in from where."""

    def __init__(self, next_port: int, users: dict[str, str]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="purport-dovecot-", dir="/var/tmp"))
        self.folder.chmod(0o755)
        owner = pwd.getpwnam("nobody")
        home = self.folder / "mail"
        home.mkdir()
        os.chown(home, owner.pw_uid, owner.pw_gid)
        known = [
            f"{user}:{{PLAIN}}{password}:{owner.pw_uid}:{owner.pw_gid}::{home}/{user}::\n"
            for user, password in users.items()
        ]
        (self.folder / "users").write_text("".join(known))
        self.port = free_port()
        configuration = self.folder / "dovecot.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder, port=self.port, next_port=next_port, uid=owner.pw_uid, gid=owner.pw_gid
            )
        )
        self._process = subprocess.Popen(["/usr/sbin/dovecot", "-F", "-c", configuration], stderr=subprocess.DEVNULL)
        wait_for(lambda: self._process.poll() is not None or greets(self.port), what="Dovecot's greeting")
        assert self._process.poll() is None, self.log()

    def log(self) -> str:
        place = self.folder / "log"
        return place.read_text() if place.exists() else ""

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
