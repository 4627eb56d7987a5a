"""The web application: routes, middleware, error pages, and the server process."""

import logging
import secrets
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.staticfiles import StaticFiles

from buckler.errors import BucklerError, MissingExtraError
from buckler.review.settings import ReviewSettings
from buckler.review.web import admin_pages, sign_in, task_pages
from buckler.review.web.protection import BodyLimit, SecurityHeaders
from buckler.review.web.site import PageError, SignedOutError, Site, site_of
from buckler.serving.http.connections import ConnectionLimits
from buckler.serving.http.serve_settings import LOOPBACK
from buckler.serving.http.server import ServerOptions, listen, run_app
from buckler.serving.json_logging import log_as_json

_LOG = logging.getLogger("buckler.review")
_OIDC_S = 600
_SHUTDOWN_S = 10
_MAX_HEADER_BYTES = 32 << 10


def build_review(settings: ReviewSettings) -> FastAPI:
    """Build the application.

    Raises
    ------
    BucklerError
        If the store, a bundle or the identity provider's settings cannot be used.
    """
    site = Site(settings)
    app = FastAPI(title="Buckler review", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.site = site
    app.include_router(sign_in.router)
    if settings.oidc_issuer:
        app.state.oidc = sign_in.oidc_client(settings)
        app.include_router(sign_in.oidc_router)
        _keep_oidc_state(app, settings.uses_tls)
    app.include_router(task_pages.router)
    app.include_router(admin_pages.router)
    static = str(files("buckler.review.web").joinpath("static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_middleware(BodyLimit)
    hosts = [*settings.public_hosts, *(LOOPBACK if settings.host in LOOPBACK else ())]
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_middleware(SecurityHeaders, uses_tls=settings.uses_tls)
    app.add_exception_handler(SignedOutError, _to_sign_in)
    app.add_exception_handler(PageError, _show_refusal)
    app.add_exception_handler(HTTPException, _show_refusal)
    app.add_exception_handler(RequestValidationError, _show_bad_request)
    app.add_exception_handler(BucklerError, _show_failure)
    app.add_exception_handler(Exception, _show_failure)
    return app


def run_review(settings: ReviewSettings) -> None:
    """Serve the application until SIGTERM or SIGINT.

    Raises
    ------
    BucklerError
        If the store, a bundle or the address cannot be used.
    """
    log_as_json()
    app = build_review(settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    scheme = "https" if settings.tls_certificate is not None else "http"
    shown = f"[{host}]" if ":" in host else host
    address = f"{scheme}://{shown}:{port}"
    site: Site = app.state.site
    if site.accounts.is_empty:
        first = {"address": f"{address}/first?key={site.first_key}"}
        _LOG.info("no account yet: open the address to create the first", extra={"fields": first})
    _LOG.info("listening", extra={"fields": {"address": address}})
    options = ServerOptions(
        tls_certificate=settings.tls_certificate,
        tls_key=settings.tls_key,
        shutdown_s=_SHUTDOWN_S,
        proxies=tuple(settings.behind_proxy),
        limits=ConnectionLimits(max_header_bytes=_MAX_HEADER_BYTES),
    )
    run_app(app, listening, options)


def _keep_oidc_state(app: FastAPI, uses_tls: bool) -> None:
    """Keep state and nonce of a single sign-on in a signed cookie."""
    try:
        from starlette.middleware.sessions import SessionMiddleware
    except ImportError as error:
        raise MissingExtraError("single sign-on", "oidc") from error
    app.add_middleware(
        SessionMiddleware,
        secret_key=secrets.token_urlsafe(32),
        session_cookie="buckler-review-oidc",
        max_age=_OIDC_S,
        same_site="lax",
        https_only=uses_tls,
        path="/oidc",
    )


async def _to_sign_in(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return RedirectResponse("/sign-in", 303)


async def _show_refusal(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    status = error.status if isinstance(error, PageError) else status
    text = error.text if isinstance(error, PageError) else "There is no such page."
    return _problem(request, status, text)


async def _show_bad_request(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _problem(request, 400, "The request is invalid.")


async def _show_failure(request: Request, error: Exception) -> Response:
    _LOG.error("failed", exc_info=error, extra={"fields": {"path": request.url.path[:200]}})
    text = "The server failed; its log has the details. Stored data is not lost."
    return _problem(request, 500, text)


def _problem(request: Request, status: int, text: str) -> Response:
    return site_of(request).page(request, "problem", {"text": text}, status=status)
