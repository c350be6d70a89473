"""An Exim of its own, unpacked into .peers/ (as a package it cannot stand beside Postfix)."""

from __future__ import annotations

import os
import pwd
import shutil

from support.peers import EXIM, free_port
from support.program import Program

# Takes mail for `local_domain` into one file per recipient; everything else goes to the smarthost, if there is one.
CONFIGURATION = """\
primary_hostname = exim.example
spool_directory = {folder}/spool
log_file_path = {folder}/log/%slog
pid_file_path = {folder}/exim.pid
exim_user = Debian-exim
exim_group = Debian-exim
never_users =
daemon_smtp_ports = {port}
local_interfaces = 127.0.0.1
domainlist local_domains = {local_domain}
acl_smtp_rcpt = accept
acl_smtp_data = accept
host_lookup =
rfc1413_query_timeout = 0s
{before}queue_only = true
queue_run_max = 5
keep_environment =
exim_path = {program}

begin routers

inside:
  driver = accept
  domains = +local_domains
  transport = into_file

smarthost:
  driver = manualroute
  domains = ! +local_domains
  route_list = * {next_hop}
  self = send
  transport = outside

begin transports

into_file:
  driver = appendfile
  directory = {folder}/mail
  maildir_format
  create_directory
  user = Debian-exim
  delivery_date_add
  envelope_to_add
  return_path_add

outside:
  driver = smtp
  port = {next_port}
  allow_localhost
  hosts_try_fastopen =
"""


NO_TLS = "tls_advertise_hosts =\n"


class Exim(Program):
    """Start it, talk to `port`, read `messages()`, `stop()`."""

    def __init__(
        self, local_domain: str = "exim.example", next_port: int = 0, more: str = "", before: str = NO_TLS
    ) -> None:
        """`before` stands among the main settings, `more` at the end of the configuration."""
        super().__init__("Exim")
        owner = pwd.getpwnam("Debian-exim")
        for name in ("spool", "log", "mail"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, owner.pw_uid, owner.pw_gid)
        # Exim runs itself again as its own user, who may not see into the project's folder.
        program = shutil.copy(EXIM, self.folder / "exim")
        self.port = free_port()
        configuration = self.folder / "exim.conf"
        configuration.write_text(
            CONFIGURATION.format(
                folder=self.folder,
                program=program,
                port=self.port,
                local_domain=local_domain,
                next_hop="127.0.0.1",
                next_port=next_port or 1,
                before=before,
            )
            + more
        )
        configuration.chmod(0o644)
        # -bdf: a daemon in the foreground; -q1s: its queue runners, which alone keep root with -C, deliver.
        self.start([program, "-C", str(configuration), "-bdf", "-q1s"], self.port)

    def log(self) -> str:
        return "".join(place.read_text(errors="replace") for place in sorted((self.folder / "log").iterdir()))

    def messages(self) -> list[bytes]:
        """The messages it delivered."""
        return [place.read_bytes() for place in sorted((self.folder / "mail/new").glob("*"))]
