"""The proxy configuration: nginx takes slow clients and overload off the servers."""

import http.server
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.certificates import self_signed

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CONFIGURATION = Path(__file__).parents[2] / "ops" / "nginx.conf"
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_HEAD = b"POST /v1/score HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n"


@pytest.fixture
def proxy(tmp_path):
    """Yield the port of nginx, the event that lets its server answer, and what the server saw."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    release, asked = threading.Event(), []

    class Server(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append(self.rfile.read(int(self.headers["content-length"])))
            release.wait(20)
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    certificate, key = self_signed(tmp_path)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    text = CONFIGURATION.read_text()
    for old, new in (
        ("/run/nginx.pid", f"{tmp_path}/pid"),
        ("127.0.0.1:8811 ", f"127.0.0.1:{server.server_port} "),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("/etc/buckler/tls.pem", str(certificate)),
        ("/etc/buckler/tls.key", str(key)),
        ("worker_processes auto", "worker_processes 1"),
        ("max_conns=64 max_fails=0;\n    #", "max_conns=3 max_fails=0;\n    #"),
        ("http {", "http {" + "".join(f"{n}_temp_path {tmp_path}/{n};" for n in _TEMPORARY)),
    ):
        assert old in text
        text = text.replace(old, new)
    if os.getuid() == 0:
        text = "user root;\n" + text
    (tmp_path / "nginx.conf").write_text(text)
    command = [NGINX, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"), "-e", "stderr"]
    process = subprocess.Popen([*command, "-g", "daemon off;"])
    try:
        yield port, release, asked, ssl.create_default_context(cafile=str(certificate))
    finally:
        release.set()
        process.terminate()
        process.wait(20)
        server.shutdown()
        server.server_close()


def test_slow_and_too_many_requests_reach_no_server(proxy):
    port, release, asked, trusted = proxy

    def connect(clients):
        for _ in range(200):
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=20)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        return clients.enter_context(trusted.wrap_socket(client, server_hostname="localhost"))

    with ExitStack() as clients:
        for part in (_HEAD[:20], _HEAD, _HEAD + b"{") * 3:  # heads and bodies that do not come
            connect(clients).sendall(part)
        busy = [connect(clients) for _ in range(3)]
        for client in busy:
            client.sendall(_HEAD + b"{}")
        while len(asked) < 1:
            time.sleep(0.01)
        late = connect(clients)
        found = b""
        for _ in range(200):  # one of those in front may still be on its way
            late.sendall(_HEAD + b"{}")
            found = late.recv(1 << 16)
            if b" 429 " in found:
                break
        assert b"Retry-After: 1" in found
        assert b'"reason":"busy"' in found
        release.set()
        answers = [client.recv(1 << 16) for client in busy]
        assert all(b" 200 OK" in answer for answer in answers)
        assert set(asked) == {b"{}"}
