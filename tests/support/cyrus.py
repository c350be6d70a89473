"""Cyrus IMAP, unpacked into .peers/: it takes mail by LMTP, and its users send by JMAP, over a server that is told."""

from __future__ import annotations

import os
import pwd
from pathlib import Path
from typing import Any

import httpx

from support.peers import CYRUS, free_port
from support.program import Program, in_view

# Its own user, who may not see into the project's folder, finds the programs at /mnt (in a mount namespace).
VIEW = """\
set -e
mount --bind {programs} /mnt
export LD_LIBRARY_PATH={libraries}
cd {folder}
exec /mnt/sbin/cyrmaster -C {folder}/imapd.conf -M {folder}/cyrus.conf -D -p {folder}/run/master.pid
"""
# Every password is right: it is asked from this machine alone. A mailbox is made when something arrives for it.
SETTINGS = """\
configdirectory: {folder}/conf
partition-default: {folder}/spool
defaultpartition: default
cyrus_user: nobody
cyrus_group: nogroup
sasl_pwcheck_method: alwaystrue
sasl_mech_list: PLAIN
allowplaintext: yes
httpmodules: jmap
conversations: yes
conversations_db: twoskip
smtp_backend: host
smtp_host: 127.0.0.1:{next_port}
{login}
servername: cyrus.example
virtdomains: userid
unixhierarchysep: yes
altnamespace: yes
autocreate_quota: 0
autocreate_post: yes
autocreate_inbox_folders: Drafts
autocreate_users: anyone
search_engine: none
lmtpsocket: {folder}/run/lmtp
idlesocket: {folder}/run/idle
notifysocket: {folder}/run/notify
proc_path: {folder}/run/proc
mboxname_lockpath: {folder}/run/lock
"""
SERVICES = """\
START {{
  recover cmd="/mnt/lib/cyrus/bin/ctl_cyrusdb -C {folder}/imapd.conf -r"
}}
SERVICES {{
  http cmd="/mnt/lib/cyrus/bin/httpd -C {folder}/imapd.conf" listen="127.0.0.1:{http_port}" prefork=1
  lmtp cmd="/mnt/lib/cyrus/bin/lmtpd -C {folder}/imapd.conf -a" listen="127.0.0.1:{lmtp_port}" prefork=1
}}
EVENTS {{ }}
"""
USING = [f"urn:ietf:params:jmap:{name}" for name in ("core", "mail", "submission")]


class Cyrus(Program):
    """Start it, hand it mail at `lmtp_port`, have a user `send`, `stop()`."""

    def __init__(self, next_port: int = 1, login: tuple[str, str] | None = None) -> None:
        """`login` is how it logs in at the server that it sends over."""
        super().__init__("Cyrus")
        self.lmtp_port, self.http_port = free_port(), free_port()
        for name in ("spool", "run", *(f"conf/{name}" for name in ("db", "socket", "proc", "log", "msg", "lock"))):
            (self.folder / name).mkdir(parents=True)
        owner = pwd.getpwnam("nobody")
        for place in (self.folder, *self.folder.rglob("*")):
            os.chown(place, owner.pw_uid, owner.pw_gid)
        told = f"smtp_auth_authname: {login[0]}\nsmtp_auth_password: {login[1]}" if login else ""
        (self.folder / "imapd.conf").write_text(SETTINGS.format(folder=self.folder, next_port=next_port, login=told))
        (self.folder / "cyrus.conf").write_text(
            SERVICES.format(folder=self.folder, http_port=self.http_port, lmtp_port=self.lmtp_port)
        )
        programs = CYRUS.parents[1]
        (libraries,) = (place.parent for place in programs.glob("lib/*/libcyrus.so.0"))
        view = VIEW.format(
            folder=self.folder, programs=programs, libraries=Path("/mnt") / libraries.relative_to(programs)
        )
        self.start(in_view(view), self.lmtp_port)

    def messages(self) -> list[bytes]:
        """What is in its mailboxes."""
        return [place.read_bytes() for place in sorted((self.folder / "spool").rglob("*[0-9].")) if place.is_file()]

    def account(self, user: str) -> dict[str, Any]:
        """What it can do for a user, and at the server behind it, as JMAP tells."""
        with self._client(user) as client:
            told: dict[str, Any] = client.get("/jmap/").json()["accounts"][user]["accountCapabilities"]
            return told

    def send(self, user: str, to: str, mail: dict[str, str], rcpt: dict[str, str]) -> dict[str, Any]:
        """Have a user send a message with these parameters: what became of it."""
        with self._client(user) as client:

            def call(*methods: list[object]) -> list[Any]:
                answer = client.post("/jmap/", json={"using": USING, "methodCalls": methods})
                found: list[Any] = answer.json()["methodResponses"]
                return found

            (mailbox, *_) = call(["Mailbox/get", {"accountId": user}, "0"])[0][1]["list"]
            message = {
                "mailboxIds": {mailbox["id"]: True},
                "from": [{"email": user}],
                "to": [{"email": to}],
                "subject": "from Cyrus",
                "bodyValues": {"1": {"value": "Hello."}},
                "textBody": [{"partId": "1", "type": "text/plain"}],
            }
            envelope = {
                "mailFrom": {"email": user, "parameters": mail},
                "rcptTo": [{"email": to, "parameters": rcpt}],
            }
            submission = {"emailId": "#message", "identityId": user, "envelope": envelope}
            answers = call(
                ["Email/set", {"accountId": user, "create": {"message": message}}, "0"],
                ["EmailSubmission/set", {"accountId": user, "create": {"sent": submission}}, "1"],
            )
            done: dict[str, Any] = answers[1][1]
            return done

    def _client(self, user: str) -> httpx.Client:
        return httpx.Client(auth=(user, "any"), base_url=f"http://127.0.0.1:{self.http_port}", timeout=20)
