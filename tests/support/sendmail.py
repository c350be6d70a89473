"""A Sendmail of its own, unpacked into .peers/ (as a package it cannot stand beside Postfix). It sleeps for a minute
where the machine's name is not qualified, so it gets a name, and files to look it up in, of its own (namespaces)."""

from __future__ import annotations

import subprocess

from support.peers import SENDMAIL, free_port, require_peer
from support.program import Program, in_view

# Everything goes to one next hop. No DNS: hosts are looked up in files (the service switch).
MACROS = """\
divert(0)dnl
OSTYPE(`linux')dnl
define(`confDOMAIN_NAME', `sendmail.example')dnl
define(`confPID_FILE', `{folder}/pid')dnl
define(`QUEUE_DIR', `{folder}/queue')dnl
define(`STATUS_FILE', `{folder}/statistics')dnl
define(`HELP_FILE', `{folder}/help')dnl
define(`ALIAS_FILE', `{folder}/aliases')dnl
define(`confCW_FILE', `{folder}/names')dnl
define(`confSERVICE_SWITCH_FILE', `{folder}/switch')dnl
define(`confDONT_PROBE_INTERFACES', `True')dnl
define(`confDONT_BLAME_SENDMAIL', `GroupWritableDirPathSafe')dnl
define(`confTO_IDENT', `0')dnl
define(`confTO_INITIAL', `20s')dnl
define(`confPRIVACY_FLAGS', `authwarnings')dnl
define(`confDELIVERY_MODE', `{mode}')dnl
define(`confDELIVER_BY_MIN', `{least_by_time}')dnl
define(`confLOG_LEVEL', `14')dnl
define(`confQUEUE_LA', `1000')dnl
define(`confREFUSE_LA', `1000')dnl
define(`RELAY_MAILER_ARGS', `TCP $h {next_port}')dnl
define(`SMART_HOST', `relay:[127.0.0.1]')dnl
FEATURE(`nocanonify')dnl
FEATURE(`promiscuous_relay')dnl
FEATURE(`accept_unresolvable_domains')dnl
FEATURE(`accept_unqualified_senders')dnl
FEATURE(`no_default_msa')dnl
DAEMON_OPTIONS(`Name=MTA, Family=inet, Addr=127.0.0.1, Port={port}')dnl
MAILER(`smtp')dnl
"""

VIEW = """\
set -e
hostname sendmail.example
mount --bind {folder}/hosts /etc/hosts
mount --bind {folder}/nsswitch.conf /etc/nsswitch.conf
exec {program} -C {folder}/sendmail.cf -bD -X {folder}/dialogue
"""


class Sendmail(Program):
    """Start it, talk to `port`, read `log()`, `stop()`. `mode` is when it delivers what it took: `b` at once, `q` once
    its queue is run."""

    def __init__(self, next_port: int, mode: str = "b", least_by_time: int = 1) -> None:
        super().__init__("Sendmail")
        (self.folder / "queue").mkdir(mode=0o700)
        (self.folder / "switch").write_text("hosts files\naliases files\n")
        (self.folder / "names").write_text("")
        (self.folder / "hosts").write_text("127.0.0.1 localhost sendmail.example\n")
        (self.folder / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        self.port = free_port()
        macros = self.folder / "sendmail.mc"
        macros.write_text(
            MACROS.format(
                folder=self.folder, port=self.port, next_port=next_port, mode=mode, least_by_time=least_by_time
            )
        )
        pieces = SENDMAIL.parents[2] / "share/sendmail/cf"
        made = subprocess.run(
            [require_peer("m4"), f"-D_CF_DIR_={pieces}/", str(pieces / "m4/cf.m4"), str(macros)],
            capture_output=True,
            check=True,
        )
        configuration = self.folder / "sendmail.cf"
        configuration.write_bytes(made.stdout)
        configuration.chmod(0o644)
        view = VIEW.format(folder=self.folder, program=SENDMAIL)
        self.start(in_view(view, "--uts"), self.port)

    def log(self) -> str:
        """What it heard and said in every session, both as server and as client (`-X`)."""
        return self._text("dialogue")

    def waiting(self) -> int:
        """How many messages are in its queue."""
        return len(list((self.folder / "queue").glob("qf*")))
