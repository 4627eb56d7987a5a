"""Pages to sign in, by password or by an identity provider, and to sign out."""

import secrets
from typing import Any

from fastapi import APIRouter, Form, Request
from fastapi.responses import Response

from buckler.errors import SettingsError
from buckler.extras import import_extra
from buckler.files import read_bytes
from buckler.review.accounts import MIN_PASSWORD, User
from buckler.review.sessions import MAX_SESSION_S
from buckler.review.settings import ReviewSettings
from buckler.review.web.site import (
    PageError,
    Site,
    address_of,
    check_origin,
    read_post,
    redirect,
    site_of,
)

router = APIRouter()
_PRE = "buckler-review-pre"  # binds the sign-in form to the browser that asked for it
_WRONG = "Wrong name or password."


@router.get("/sign-in")
def ask(request: Request) -> Response:
    """Show the form."""
    return _form(request, "")


@router.post("/sign-in")
def sign_in(
    request: Request, name: str = Form(""), password: str = Form(""), pre: str = Form("")
) -> Response:
    """Check name and password."""
    site = site_of(request)
    check_origin(request)
    held = request.cookies.get(_PRE, "")
    if not held or not secrets.compare_digest(held.encode(), pre.encode("utf-8", "replace")):
        return _form(request, "The form has expired: please try again.", 400)
    address = address_of(request)
    wait = site.rate.wait_s(name, address)
    if wait:
        if site.rate.worth_noting(address):
            site.audit(request, name, "sign-in refused", "too many tries")
        answer = _form(request, f"Too many tries: wait {wait} seconds.", 429)
        answer.headers["Retry-After"] = str(wait)
        return answer
    user = site.accounts.check(name, password)
    if user is None:
        site.rate.count_failure(address)
        site.audit(request, name, "sign-in failed")
        return _form(request, _WRONG, 401)
    site.rate.forget(name, address)
    return _begin(request, site, user, "signed in")


@router.get("/first")
def ask_first(request: Request, key: str = "") -> Response:
    """Show the form of the first account to whoever has the key that the server printed."""
    _check_first(site_of(request), key)
    return _first_form(request, key, "")


@router.post("/first")
def add_first(
    request: Request, key: str = Form(""), name: str = Form(""), password: str = Form("")
) -> Response:
    """Add the first account, and sign it in."""
    site = site_of(request)
    check_origin(request)
    _check_first(site, key)
    try:
        user = site.accounts.add_first(name, password)
    except SettingsError as error:
        return _first_form(request, key, f"{str(error)[:1].upper()}{str(error)[1:]}.", 400)
    site.audit(request, user.name, "first account added")
    return _begin(request, site, user, "signed in", "first")


def _check_first(site: Site, key: str) -> None:
    fits = secrets.compare_digest(site.first_key.encode(), key.encode("utf-8", "replace"))
    if not fits or not site.accounts.is_empty:
        raise PageError(404, "There is no such page.")


def _first_form(request: Request, key: str, problem: str, status: int = 200) -> Response:
    values = {"key": key, "problem": problem, "min_password": MIN_PASSWORD}
    return site_of(request).page(request, "first", values, status=status)


@router.post("/sign-out")
def sign_out(request: Request, csrf: str = Form("")) -> Response:
    """End the session."""
    site = site_of(request)
    session = read_post(request, csrf)
    for task in site.tasks.values():
        task.queue.release(session.user.id)
    site.sessions.end(request.cookies.get(site.cookie, ""))
    site.audit(request, session.user.name, "signed out")
    answer = redirect("/sign-in", "out")
    answer.delete_cookie(
        site.cookie, path="/", secure=site.settings.uses_tls, httponly=True, samesite="lax"
    )
    return answer


def _form(request: Request, problem: str, status: int = 200) -> Response:
    site = site_of(request)
    token = request.cookies.get(_PRE) or secrets.token_urlsafe(24)
    answer = site.page(
        request,
        "sign_in",
        {
            "pre": token,
            "problem": problem,
            "oidc": bool(site.settings.oidc_issuer),
            "no_account": site.accounts.is_empty,
        },
        status=status,
    )
    answer.set_cookie(
        _PRE,
        token,
        path="/sign-in",
        httponly=True,
        samesite="strict",
        secure=site.settings.uses_tls,
    )
    return answer


def _begin(request: Request, site: Site, user: User, how: str, message: str = "") -> Response:
    """Begin a session, and end the one that the browser held before."""
    if old := request.cookies.get(site.cookie):
        site.sessions.end(old)
    token = site.sessions.begin(user)
    site.audit(request, user.name, how)
    answer = redirect("/", message)
    answer.set_cookie(
        site.cookie,
        token,
        max_age=MAX_SESSION_S,
        path="/",
        httponly=True,
        samesite="lax",
        secure=site.settings.uses_tls,
    )
    return answer


# --- single sign-on ------------------------------------------------------------------------------


def oidc_client(settings: ReviewSettings) -> Any:
    """Return the client of the identity provider (authorization code with PKCE).

    Raises
    ------
    MissingExtraError
        If authlib is not installed.
    SettingsError
        If the file with the secret cannot be read.
    """
    authlib = import_extra("authlib.integrations.starlette_client", "single sign-on", "oidc")
    secret = None
    if settings.oidc_secret_file is not None:
        secret = (
            read_bytes(settings.oidc_secret_file, SettingsError).decode(errors="replace").strip()
        )
    issuer = settings.oidc_issuer.rstrip("/")
    return authlib.OAuth().register(
        "provider",
        client_id=settings.oidc_client,
        client_secret=secret,
        server_metadata_url=f"{issuer}/.well-known/openid-configuration",
        client_kwargs={
            "scope": "openid email profile",
            "code_challenge_method": "S256",
            **({"token_endpoint_auth_method": "none"} if secret is None else {}),
        },
    )


oidc_router = APIRouter()


@oidc_router.get("/oidc")
async def begin_oidc(request: Request) -> Response:
    """Send the browser to the identity provider."""
    from authlib.common.errors import AuthlibBaseError
    from httpx import HTTPError

    try:
        answer = await request.app.state.oidc.authorize_redirect(
            request, str(request.url_for("end_oidc"))
        )
    except (AuthlibBaseError, HTTPError, ValueError, LookupError, RuntimeError) as error:
        raise PageError(502, "The identity provider cannot be reached.") from error
    return answer  # type: ignore[no-any-return]


@oidc_router.get("/oidc/back")
async def end_oidc(request: Request) -> Response:
    """Verify the identity provider's answer and its signature, then sign in."""
    from authlib.common.errors import AuthlibBaseError
    from httpx import HTTPError
    from joserfc.errors import JoseError

    # An untrusted answer can break the parser of a token in any of these ways. Nobody is signed in.
    broken = (AuthlibBaseError, JoseError, HTTPError, ValueError, LookupError, TypeError)
    site = site_of(request)
    try:
        token = await request.app.state.oidc.authorize_access_token(request)
        claims = dict(token["userinfo"])
        subject = f"{claims['iss']} {claims['sub']}"
    except (*broken, AttributeError, RuntimeError) as error:
        site.audit(request, "-", "sign-in failed", f"single sign-on: {type(error).__name__}")
        raise PageError(401, "The identity provider's answer was not accepted.") from error
    user = site.accounts.by_subject(subject) or _bind(request, site, claims, subject)
    if user is None:
        site.audit(request, str(claims.get("email", "-")), "sign-in refused", "no account")
        raise PageError(403, "You have no account here: ask an admin.")
    return _begin(request, site, user, "signed in by the identity provider")


def _bind(request: Request, site: Site, claims: dict[str, object], subject: str) -> User | None:
    """Return the account that waits for this person, or a new one where that is allowed.

    An address counts only if the provider has verified it. An account with a password is never
    bound.
    """
    email = str(claims.get("email", "")) if claims.get("email_verified") is True else ""
    waiting = site.accounts.by_name(email) if email else None
    if waiting is not None and not waiting.has_password and waiting.subject is None:
        site.accounts.bind(waiting.id, subject)
        site.audit(request, waiting.name, "account bound", subject)
        return waiting
    if site.settings.oidc_new is None or waiting is not None or not email:
        return None
    try:
        account = site.accounts.add(email, site.settings.oidc_new, None)
    except SettingsError:
        return None
    site.accounts.bind(account.id, subject)
    site.audit(request, account.name, "account added", f"by single sign-on, {account.role}")
    return account
