"""Runs the application: sockets, TLS, signals."""

import logging
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from buckler.errors import InputError, SettingsError
from buckler.serving.http.app import build_app
from buckler.serving.http.serve_settings import ServeSettings
from buckler.serving.json_logging import log_as_json

_LOG = logging.getLogger("buckler.serve")
_KEEP_ALIVE_S = 30
_BACKLOG = 1024


def run_server(settings: ServeSettings) -> None:
    """Serve until SIGTERM or SIGINT; requests at work are finished first.

    Raises
    ------
    BucklerError
        If a bundle cannot be used, or the address cannot be listened on.
    """
    log_as_json()
    app = build_app(settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_certificate is not None else "http"
    names = ", ".join(served.name for served in app.state.service.models)
    told = {"address": f"{scheme}://{host}:{port}", "bundles": names}
    _LOG.info("listening", extra={"fields": told})
    serve_until_told(
        app,
        listening,
        settings.tls_certificate,
        settings.tls_key,
        timeout_graceful_shutdown=settings.shutdown_s,
    )


def serve_until_told(
    app: FastAPI,
    listening: socket.socket,
    tls_certificate: Path | None,
    tls_key: Path | None,
    **further: Any,
) -> None:
    """Serve an application until SIGTERM or SIGINT.

    Parameters
    ----------
    further
        Settings of uvicorn.

    Raises
    ------
    SettingsError
        If the certificate cannot be used.
    """
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        ssl_certfile=tls_certificate,
        ssl_keyfile=tls_key,
        ws="none",
        **further,
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise SettingsError(f"TLS: {tls_certificate}: {error}") from error
    # The server raises the signal again when it is done; being told to stop is no failure.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises
    ------
    InputError
        If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot be listened on ({error.strerror})") from error
