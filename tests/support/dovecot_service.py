"""Dovecot on ports of its own: its LMTP server, which delivers into Maildirs of a folder, and its submission service,
which lets users in and passes on what they say to a server behind it."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping

from support.peers import free_port, require_peer
from support.program import Program

COMMON = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
ssl = no
default_internal_user = dovecot
default_login_user = dovenull
mail_location = maildir:{folder}/mail/%Lu
first_valid_uid = 1
mail_uid = {uid}
mail_gid = {gid}
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
LMTP = """\
protocols = lmtp
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
"""
# What the server behind it offers stands here too, as a client looks before it has logged in.
SUBMISSION = """\
protocols = submission
hostname = dovecot.example
disable_plaintext_auth = no
auth_mechanisms = plain login
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
"""


class _Dovecot(Program):
    """A folder and a port; `_run` starts it in them."""

    def __init__(self, peer: str) -> None:
        require_peer(peer)
        super().__init__("Dovecot")
        self.port = free_port()

    def _run(self, settings: str, users: Mapping[str, str], ready: Callable[[], bool] | None, **places: object) -> None:
        """Start it for users with these passwords; `ready` tells when it is; None: it greets then."""
        owner = pwd.getpwnam("nobody")
        home = self.folder / "mail"
        home.mkdir()
        os.chown(home, owner.pw_uid, owner.pw_gid)
        ids = f"{owner.pw_uid}:{owner.pw_gid}"
        known = [f"{user}:{{PLAIN}}{password}:{ids}::{home}/{user}::\n" for user, password in users.items()]
        (self.folder / "users").write_text("".join(known))
        configuration = self.folder / "dovecot.conf"
        own = {"folder": self.folder, "port": self.port, "uid": owner.pw_uid, "gid": owner.pw_gid}
        configuration.write_text((COMMON + settings).format(**own, **places))
        self.start(["/usr/sbin/dovecot", "-F", "-c", configuration], self.port, ready)

    def log(self) -> str:
        return self._text("log")


class DovecotLmtp(_Dovecot):
    """Start it, talk to `port` or to `socket`, read `messages(user)`, `stop()`. It knows the users that it is given."""

    def __init__(self, *users: str) -> None:
        super().__init__("dovecot-lmtp")
        self.socket = self.folder / "lmtp"
        self._run(LMTP, dict.fromkeys(users, "x"), self.socket.exists)

    def messages(self, user: str) -> list[bytes]:
        return [place.read_bytes() for place in sorted((self.folder / "mail" / user / "new").glob("*"))]


class DovecotSubmission(_Dovecot):
    """Start it, talk to `port`, `stop()`. It knows users by their passwords, and tells the server behind it by XCLIENT
    whom it let in from where."""

    def __init__(self, next_port: int, users: Mapping[str, str]) -> None:
        super().__init__("dovecot-submission")
        self._run(SUBMISSION, users, None, next_port=next_port)
