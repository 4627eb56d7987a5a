"""The application: routes, what stands before them, and pages for what goes wrong."""

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
from buckler.review.web import governing, judging, sign_in
from buckler.review.web.guard import Headers, SmallBodies
from buckler.review.web.site import Refused, SignInFirst, Site, site_of
from buckler.serving.http.serve_settings import LOOPBACK

_LOG = logging.getLogger("buckler.review")
_OIDC_S = 600


def build_review(settings: ReviewSettings) -> FastAPI:
    """Return the application.

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
        _remember_asking(app, settings.encrypted)
    app.include_router(judging.router)
    app.include_router(governing.router)
    static = str(files("buckler.review.web").joinpath("static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_middleware(SmallBodies)
    hosts = [*settings.public_hosts, *(LOOPBACK if settings.host in LOOPBACK else ())]
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=hosts)
    app.add_middleware(Headers, encrypted=settings.encrypted)
    app.add_exception_handler(SignInFirst, _to_sign_in)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _unreadable)
    app.add_exception_handler(BucklerError, _failed)
    app.add_exception_handler(Exception, _failed)
    return app


def _remember_asking(app: FastAPI, encrypted: bool) -> None:
    """Keep state and nonce of a single sign-on in a signed cookie while the browser is away."""
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
        https_only=encrypted,
        path="/oidc",
    )


async def _to_sign_in(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return RedirectResponse("/sign-in", 303)


async def _refused(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    status = error.status if isinstance(error, Refused) else status
    text = error.text if isinstance(error, Refused) else "There is no such page."
    return _problem(request, status, text)


async def _unreadable(request: Request, error: Exception) -> Response:  # noqa: ARG001
    return _problem(request, 400, "The request makes no sense.")


async def _failed(request: Request, error: Exception) -> Response:
    _LOG.error("failed", exc_info=error, extra={"fields": {"path": request.url.path[:200]}})
    text = "Something failed; it is in the server's log. Nothing that was stored is lost."
    return _problem(request, 500, text)


def _problem(request: Request, status: int, text: str) -> Response:
    return site_of(request).page(request, "problem", status=status, text=text)
