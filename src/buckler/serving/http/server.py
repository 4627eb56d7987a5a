"""Runs the application: sockets, TLS, signals."""

import asyncio
import gc
import logging
import resource
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from buckler.errors import InputError, SettingsError
from buckler.serving.http.app import build_app
from buckler.serving.http.connections import ConnectionLimits, is_readable, limited_protocol
from buckler.serving.http.serve_settings import ServeSettings
from buckler.serving.json_logging import log_as_json

_LOG = logging.getLogger("buckler.serve")
_KEEP_ALIVE_S = 30
_BACKLOG = 1024
_OTHER_FILES = 256
# The event loop accepts one connection of a listening socket between two looks at the network, few
# a second under load. Copies of the socket are accepted from side by side.
_ACCEPTS = 16
_ACCEPT_GRACE_S = 1.0


def run_server(settings: ServeSettings) -> None:
    """Serve until SIGTERM or SIGINT; requests at work are finished first."""
    log_as_json()
    gc.freeze()  # the modules stay: a collection that walks through them takes 100 ms
    app = build_app(settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_certificate is not None else "http"
    names = ", ".join(app.state.service.bundles)
    fields = {"address": f"{scheme}://{host}:{port}", "bundles": names}
    _LOG.info("listening", extra={"fields": fields})
    options = ServerOptions(
        settings.tls_certificate,
        settings.tls_key,
        settings.shutdown_s,
        limits=ConnectionLimits(
            settings.max_connections,
            header_timeout_s=settings.header_timeout_s,
            admission=app.state.service.admission,
        ),
    )
    run_app(app, listening, options)


@dataclass(frozen=True)
class ServerOptions:
    """Options of the web server.

    Attributes
    ----------
    tls_certificate, tls_key
        Files in PEM form; None for plain HTTP.
    shutdown_s
        Longest time that requests at work may take when the server stops.
    proxies
        Addresses of proxies that may name the caller (``X-Forwarded-For``, ``-Proto``); None for
        loopback alone.
    limits
        Limits on connections.
    """

    tls_certificate: Path | None = None
    tls_key: Path | None = None
    shutdown_s: int = 20
    proxies: tuple[str, ...] | None = None
    limits: ConnectionLimits = field(default_factory=ConnectionLimits)


def run_app(app: FastAPI, listening: socket.socket, options: ServerOptions) -> None:
    """Run an application until SIGTERM or SIGINT."""
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=options.shutdown_s,
        ssl_certfile=options.tls_certificate,
        ssl_keyfile=options.tls_key,
        ws="none",
        proxy_headers=options.proxies != (),
        forwarded_allow_ips=None if options.proxies is None else list(options.proxies),
        http=limited_protocol(options.limits),
    )
    _allow_files(options.limits.max_connections)
    try:
        config.load()
    except (OSError, ValueError) as error:
        path = options.tls_certificate
        raise SettingsError(f"TLS: {path}: {error}", path=path) from error
    # The server raises the signal again when it is done; a requested stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        _Server(config).run(sockets=[listening, *(listening.dup() for _ in range(_ACCEPTS - 1))])


class _Server(uvicorn.Server):
    """Server that answers connections which the system accepted before a stop."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what waits to be accepted, then stop."""
        deadline_s = time.monotonic() + _ACCEPT_GRACE_S
        while sockets and is_readable(sockets[0]) and time.monotonic() < deadline_s:
            await asyncio.sleep(0)
        await super().shutdown(sockets)


def _allow_files(connections: int) -> None:
    """Raise the limit on open files as far as the system lets us."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot be listened on ({error.strerror})") from error
