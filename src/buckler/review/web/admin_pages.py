"""Pages of leads and admins: accounts, the audit log, bundles; and the user's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from buckler.errors import BucklerError
from buckler.review.accounts import Role
from buckler.review.audit import read_audit
from buckler.review.sessions import Session
from buckler.review.web.site import (
    MAX_ROW_ID,
    PageError,
    RowId,
    read_post,
    read_post_by_admin,
    redirect,
    require_admin,
    require_lead,
    require_session,
    site_of,
)
from buckler.serving.bundle_registry import list_histories

router = APIRouter()
Admin = Annotated[Session, Depends(require_admin)]
AdminPoster = Annotated[Session, Depends(read_post_by_admin)]
Password = Annotated[str, Form(max_length=400)]


@router.get("/accounts")
def accounts(request: Request, session: Admin) -> Response:
    """Show the accounts."""
    return _accounts(request, session, "")


@router.post("/accounts")
def add_account(
    request: Request,
    session: AdminPoster,
    name: Annotated[str, Form(max_length=100)],
    role: Annotated[Role, Form()],
    password: Password = "",
) -> Response:
    """Add an account; without a password it is for single sign-on."""
    site = site_of(request)
    try:
        account = site.accounts.add(name, role, password or None)
    except BucklerError as error:
        return _accounts(request, session, str(error))
    site.audit(request, session.user.name, "account added", f"{account.name}, {account.role}")
    return redirect("/accounts", "account")


@router.post("/accounts/{user_id}")
def change_account(
    request: Request,
    session: AdminPoster,
    user_id: RowId,
    role: Annotated[Role, Form()],
    active: Annotated[bool, Form()] = False,
    password: Password = "",
) -> Response:
    """Change role or password, or close or open an account."""
    site = site_of(request)
    user = next((u for u in site.accounts.all() if u.id == user_id), None)
    if user is None:
        raise PageError(404, "There is no such account.")
    if user.id == session.user.id and (role != Role.ADMIN or not active):
        return _accounts(request, session, "You cannot take the admin role from yourself.")
    try:
        change = site.accounts.change(user, role=role, active=active, password=password)
    except BucklerError as error:
        return _accounts(request, session, str(error))
    site.audit(request, session.user.name, "account changed", change)
    return redirect("/accounts", "account")


@router.get("/account")
def own(request: Request, session: Annotated[Session, Depends(require_session)]) -> Response:
    """Show the user's own account."""
    return site_of(request).page(request, "account", {"problem": ""}, session=session)


@router.post("/account")
def own_password(
    request: Request,
    session: Annotated[Session, Depends(read_post)],
    old: Password = "",
    new: Password = "",
) -> Response:
    """Change the user's own password; every session ends."""
    site = site_of(request)
    wait = site.rate.wait_s(session.user.name, "own password")
    if wait or site.accounts.check(session.user.name, old) is None:
        problem = f"Too many tries: wait {wait} seconds." if wait else "The old password is wrong."
        return site.page(request, "account", {"problem": problem}, session=session, status=403)
    try:
        site.accounts.set_password(session.user, new)
    except BucklerError as error:
        return site.page(request, "account", {"problem": str(error)}, session=session, status=400)
    site.audit(request, session.user.name, "password changed")
    return redirect("/sign-in", "password")


@router.get("/audit")
def audit(
    request: Request,
    session: Annotated[Session, Depends(require_lead)],
    before: Annotated[int | None, Query(ge=1, le=MAX_ROW_ID)] = None,
) -> Response:
    """Show the audit log."""
    site = site_of(request)
    entries = read_audit(site.store, before)
    return site.page(request, "audit", {"entries": entries}, session=session)


@router.get("/bundles")
def bundles(request: Request, session: Annotated[Session, Depends(require_session)]) -> Response:
    """Show the deployed bundles, and their history."""
    site = site_of(request)
    if site.settings.registry is None:
        raise PageError(404, "No registry is configured.")
    values = {"histories": list_histories(str(site.settings.registry))}
    return site.page(request, "bundles", values, session=session)


def _accounts(request: Request, session: Session, problem: str) -> Response:
    site = site_of(request)
    values = {"users": site.accounts.all(), "roles": list(Role), "problem": problem}
    status = 400 if problem else 200
    return site.page(request, "accounts", values, session=session, status=status)
