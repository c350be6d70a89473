"""Proxies before a mail server, unpacked into .peers/: HAProxy, which sends PROXY headers, and nginx, whose mail proxy
sends XCLIENT, and can send both."""

from __future__ import annotations

import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.peers import HAPROXY, NGINX, free_port, require_peer, wait_for

HAPROXY_CONFIGURATION = """\
global
    stats socket {folder}/status
defaults
    mode tcp
    timeout connect 5s
    timeout client 20s
    timeout server 20s
listen mail
    bind 127.0.0.1:{port}
    option smtpchk EHLO haproxy.example
    server purport 127.0.0.1:{next_port} check inter 200ms {options}
"""
# Its HTTP half answers the question of its mail half: who may come in, and where to.
NGINX_CONFIGURATION = """\
load_module {module};
daemon off;
master_process off;
user root;
pid {folder}/pid;
error_log {folder}/log info;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{question_port};
        add_header Auth-Status $status_of_login;
        add_header Auth-Server 127.0.0.1;
        add_header Auth-Port {next_port};
        location / {{ return 204; }}
    }}
    map $http_auth_user:$http_auth_pass $status_of_login {{
        ~^: OK;
        "alice:open%20sesame" OK;
        default "Invalid login";
    }}
}}
mail {{
    server_name nginx.example;
    auth_http 127.0.0.1:{question_port}/;
    server {{
        listen 127.0.0.1:{port};
        protocol smtp;
        smtp_auth {auth};
        smtp_capabilities PIPELINING 8BITMIME "SIZE 1000000";
        xclient on;
        proxy_pass_error_message on;
        {options}
    }}
}}
"""


class HaProxy:
    """Talk to `port`; `health()` is what its checks found of the server behind it."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self._folder = folder

    def health(self) -> str:
        """`L7OK 221`: at the seventh layer all is well, down to QUIT."""
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self._folder / "status"))
            asking.sendall(b"show stat\n")
            lines = b"".join(iter(lambda: asking.recv(65536), b"")).decode().splitlines()
        names = lines[0].removeprefix("# ").split(",")
        (row,) = (line.split(",") for line in lines if line.startswith("mail,purport,"))
        told = dict(zip(names, row, strict=False))
        return f"{told['check_status']} {told['check_code']}"


def listens(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def haproxy(next_port: int, options: str) -> Iterator[HaProxy]:
    """HAProxy before a server, with options of its `server` line."""
    require_peer("haproxy")
    with tempfile.TemporaryDirectory(prefix="purport-haproxy-") as name:
        folder, port = Path(name), free_port()
        place = folder / "haproxy.cfg"
        place.write_text(HAPROXY_CONFIGURATION.format(folder=folder, port=port, next_port=next_port, options=options))
        with _running([str(HAPROXY), "-db", "-f", str(place)], folder, port):
            yield HaProxy(port, folder)


@contextmanager
def nginx(next_port: int, auth: str = "none", options: str = "") -> Iterator[int]:
    """nginx's mail proxy before a server: its port. With `auth` it lets in alice, by `open sesame`."""
    require_peer("nginx")
    with tempfile.TemporaryDirectory(prefix="purport-nginx-") as name:
        folder, port = Path(name), free_port()
        place = folder / "nginx.conf"
        place.write_text(
            NGINX_CONFIGURATION.format(
                folder=folder,
                port=port,
                question_port=free_port(),
                next_port=next_port,
                auth=auth,
                options=options,
                module=NGINX.parents[1] / "lib/nginx/modules/ngx_mail_module.so",
            )
        )
        with _running([str(NGINX), "-p", str(folder), "-e", str(folder / "log"), "-c", str(place)], folder, port):
            yield port


@contextmanager
def _running(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "printed").open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            wait_for(lambda: process.poll() is not None or listens(port), what=f"{command[0]} on its port")
            assert process.poll() is None, (folder / "printed").read_text(errors="replace")
            yield
        finally:
            process.terminate()
