"""Pages of leads and admins: accounts, the audit log, deployed bundles; and one's own account."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response

from buckler.errors import BucklerError
from buckler.review.accounts import Role, User, read_audit
from buckler.review.sessions import Session
from buckler.review.web.site import (
    Refused,
    governing,
    leading,
    posted,
    posted_by_admin,
    signed_in,
    site_of,
    to,
)
from buckler.serving.bundle_registry import list_histories

router = APIRouter()
Admin = Annotated[Session, Depends(governing)]
AdminPoster = Annotated[Session, Depends(posted_by_admin)]
Password = Annotated[str, Form(max_length=400)]


@router.get("/accounts")
def accounts(request: Request, session: Admin) -> Response:
    """Show the accounts."""
    return _accounts(request, session, "")


@router.post("/accounts")
def add(
    request: Request,
    session: AdminPoster,
    name: Annotated[str, Form(max_length=100)],
    role: Annotated[Role, Form()],
    password: Password = "",
) -> Response:
    """Make an account; without a password it is for single sign-on."""
    site = site_of(request)
    try:
        made = site.accounts.add(name, role, password or None)
    except BucklerError as error:
        return _accounts(request, session, str(error))
    site.audit(request, session.user.name, "account made", f"{made.name}, {made.role}")
    return to("/accounts", "account")


@router.post("/accounts/{user_id}")
def change(
    request: Request,
    session: AdminPoster,
    user_id: int,
    role: Annotated[Role, Form()],
    active: Annotated[bool, Form()] = False,
    password: Password = "",
) -> Response:
    """Change role, password, or whether an account is in use."""
    site = site_of(request)
    user = next((u for u in site.accounts.all() if u.id == user_id), None)
    if user is None:
        raise Refused(404, "There is no such account.")
    if user.id == session.user.id and (role != Role.ADMIN or not active):
        return _accounts(request, session, "You cannot take the keys from yourself.")
    try:
        if password:
            site.accounts.set_password(user, password)
        site.accounts.set_role(user.id, role)
        site.accounts.set_active(user.id, active)
    except BucklerError as error:
        return _accounts(request, session, str(error))
    site.audit(request, session.user.name, "account changed", _told(user, role, active, password))
    return to("/accounts", "account")


@router.get("/account")
def own(request: Request, session: Annotated[Session, Depends(signed_in)]) -> Response:
    """Show one's own account."""
    return site_of(request).page(request, "account", session=session, problem="")


@router.post("/account")
def own_password(
    request: Request,
    session: Annotated[Session, Depends(posted)],
    old: Password = "",
    new: Password = "",
) -> Response:
    """Change one's own password; every session ends."""
    site = site_of(request)
    wait = site.rate.wait_s(session.user.name, "own password")
    if wait or site.accounts.check(session.user.name, old) is None:
        problem = f"Too many tries: wait {wait} seconds." if wait else "The old password is wrong."
        return site.page(request, "account", session=session, problem=problem, status=403)
    try:
        site.accounts.set_password(session.user, new)
    except BucklerError as error:
        return site.page(request, "account", session=session, problem=str(error), status=400)
    site.audit(request, session.user.name, "password changed")
    return to("/sign-in", "password")


@router.get("/audit")
def audit(
    request: Request,
    session: Annotated[Session, Depends(leading)],
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """Show the audit log."""
    site = site_of(request)
    entries = read_audit(site.store, before)
    return site.page(request, "audit", session=session, entries=entries)


@router.get("/bundles")
def bundles(request: Request, session: Annotated[Session, Depends(signed_in)]) -> Response:
    """Show which bundles are deployed, and their history."""
    site = site_of(request)
    if site.settings.registry is None:
        raise Refused(404, "No registry was named.")
    found = list_histories(str(site.settings.registry))
    return site.page(request, "bundles", session=session, found=found)


def _accounts(request: Request, session: Session, problem: str) -> Response:
    site = site_of(request)
    status = 400 if problem else 200
    return site.page(
        request,
        "accounts",
        session=session,
        status=status,
        users=site.accounts.all(),
        roles=list(Role),
        problem=problem,
    )


def _told(user: User, role: Role, active: bool, password: str) -> str:
    parts = [user.name, str(role), "in use" if active else "closed"]
    return ", ".join([*parts, *(["new password"] if password else [])])
