"""Runs the application: sockets, TLS, proxies."""

import logging

from buckler.review.settings import ReviewSettings
from buckler.review.web.app import build_review
from buckler.serving.http.server import listen, serve_until_told
from buckler.serving.json_logging import log_as_json

_LOG = logging.getLogger("buckler.review")
_SHUTDOWN_S = 10
_MAX_HEADER_BYTES = 32 << 10


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
    _LOG.info("listening", extra={"fields": {"address": f"{scheme}://{shown}:{port}"}})
    serve_until_told(
        app,
        listening,
        settings.tls_certificate,
        settings.tls_key,
        timeout_graceful_shutdown=_SHUTDOWN_S,
        proxy_headers=bool(settings.behind_proxy),
        forwarded_allow_ips=settings.behind_proxy,
        h11_max_incomplete_event_size=_MAX_HEADER_BYTES,
    )
