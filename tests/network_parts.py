"""What stands between us and Label Studio where teams run it: an S3 API, certificates, a proxy, all of them real."""

from __future__ import annotations

import logging
import os
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import requests
import trustme
from moto.server import ThreadedMotoServer

REGION = "eu-west-3"
KEYS = {"aws_access_key_id": "AKIATESTER", "aws_secret_access_key": "s3cr3t"}


@dataclass(frozen=True)
class S3:
    """An S3 API at `url`, on loopback."""

    url: str
    client: Any

    def bucket(self, name: str, files: dict[str, bytes]) -> str:
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key, content in files.items():
            self.client.put_object(Bucket=name, Key=key, Body=content)
        return name

    def remove(self, bucket: str) -> None:
        for one in self.client.list_objects_v2(Bucket=bucket).get("Contents", ()):
            self.client.delete_object(Bucket=bucket, Key=one["Key"])
        self.client.delete_bucket(Bucket=bucket)

    def storage_in(self, url: str, token: str, project: int, bucket: str, presign: bool) -> None:
        """A source storage of a project of the Label Studio at `url`, synced: a task for each file."""
        about = {"project": project, "bucket": bucket, "region_name": REGION, "s3_endpoint": self.url, **KEYS}
        about |= {"presign": presign, "use_blob_urls": True, "recursive_scan": True, "regex_filter": r".*\.png"}
        send = partial(requests.post, headers={"Authorization": f"Token {token}"}, timeout=60)
        made = send(f"{url}/api/storages/s3", json=about)
        made.raise_for_status()
        send(f"{url}/api/storages/s3/{made.json()['id']}/sync").raise_for_status()


@contextmanager
def s3() -> Iterator[S3]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # a line for each request
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    yield S3(url, boto3.client("s3", endpoint_url=url, region_name=REGION, **KEYS))
    server.stop()


NGINX = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1; {user}
events {{}}
http {{
    access_log off; client_max_body_size 60m;
    client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.pem;
        location {path}/ {{
            proxy_pass http://127.0.0.1:{behind}/; proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-Proto https;
        }}
        location / {{ return 200 "<html>somebody else's page</html>"; default_type text/html; }}
    }}
}}
"""


@contextmanager
def nginx(folder: Path, port: int, path: str, behind: int, authority: trustme.CA) -> Iterator[None]:
    """Debian's nginx, with TLS at https://localhost:`port``path`, before what listens on the port `behind`."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx is not installed: apt-get install nginx-light"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
    user = "user root;" if os.geteuid() == 0 else ""
    about = {"folder": folder, "port": port, "path": path, "behind": behind, "user": user}
    (folder / "nginx.conf").write_text(NGINX.format(**about))
    process = subprocess.Popen([program, "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")])
    yield
    process.terminate()
    process.wait(10)


class Proxy(ThreadingHTTPServer):
    """A company's proxy: passes on what it is asked for, or answers from `sites`, and remembers every request.

    sites: by host, what the proxy alone reaches: path -> content. closed: it asks everybody for a password, and with
    `password` (as basic auth encodes it with the user) all who do not give it.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.seen: list[str] = []
        self.sites: dict[str, Callable[[str], bytes | None]] = {}
        self.closed = False
        self.password = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_GET(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        given = self.headers.get("Proxy-Authorization", "")
        if self.server.closed or given.removeprefix("Basic ") != self.server.password:
            self.send_error(407)
            return
        parts = urlsplit(self.path)
        site = self.server.sites.get(parts.hostname or "")
        content = site(parts.path) if site else None
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_DELETE = do_GET

    def do_CONNECT(self) -> None:
        self.server.seen.append(f"CONNECT {self.path}")
        if self.server.closed:
            self.send_error(407, "Proxy Authentication Required")
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=5) as there:
            self.send_response(200)
            self.end_headers()
            ends = {self.connection: there, there: self.connection}
            while ready := select.select(list(ends), [], [], 5)[0]:
                for one in ready:
                    if not (part := one.recv(1 << 16)):
                        return
                    ends[one].sendall(part)

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[None]:
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


class _Json(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        content = b'{"id": 1, "release": "1.23.2", "data": [{"id": "m"}]}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_PATCH = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def tls_server(context: ssl.SSLContext) -> Iterator[int]:
    """The port of a server that answers JSON, over TLS."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Json)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    with running(server):
        yield server.server_port
