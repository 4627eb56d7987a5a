"""Runs the application: sockets, TLS, proxies."""

import logging
import signal
from contextlib import suppress

import uvicorn

from buckler.deploy.json_log import log_as_json
from buckler.deploy.serving.server import listen
from buckler.errors import SettingsError
from buckler.review.settings import ReviewSettings
from buckler.review.web.app import build_review

_LOG = logging.getLogger("buckler.review")


def run_review(settings: ReviewSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises
    ------
    BucklerError
        If the store or a bundle cannot be used, or the address cannot be listened on.
    """
    log_as_json()
    app = build_review(settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_certificate is not None else "http"
    shown = f"[{host}]" if ":" in host else host
    _LOG.info("listening", extra={"told": {"address": f"{scheme}://{shown}:{port}"}})
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.behind_proxy),
        forwarded_allow_ips=settings.behind_proxy,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=32 << 10,
        ssl_certfile=settings.tls_certificate,
        ssl_keyfile=settings.tls_key,
        ws="none",
    )
    try:
        config.load()
    except (OSError, ValueError) as error:
        raise SettingsError(f"TLS: {settings.tls_certificate}: {error}") from error
    signal.signal(signal.SIGTERM, lambda *_: None)
    with suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets=[listening])
