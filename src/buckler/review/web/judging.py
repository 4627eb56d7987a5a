"""The pages of one task: its queue, an event, verdicts, rulings on families, the dashboard."""

from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from buckler.review.charts import draw
from buckler.review.look import look_at, what_was_seen
from buckler.review.queue import Filter, Item
from buckler.review.schema import Lane, State
from buckler.review.sessions import Session
from buckler.review.showing import visible
from buckler.review.verdicts import ConflictError
from buckler.review.web.guard import PICTURE_CSP
from buckler.review.web.site import (
    Desk,
    Refused,
    is_lead,
    posted,
    posted_by_lead,
    signed_in,
    site_of,
    to,
)

router = APIRouter()
Who = Annotated[Session, Depends(signed_in)]
Poster = Annotated[Session, Depends(posted)]
_EXCERPT_BYTES, _EXCERPT = 4096, 140
_PLOT_S = 5.0
STATES = {
    State.OPEN: "waiting",
    State.SECOND: "second annotation",
    State.DISPUTED: "disputed",
    State.DONE: "judged",
    State.FOLDED: "near-duplicate",
}
LANES = {
    Lane.VALUE: "by value",
    Lane.SAMPLE_DETECTION: "detections by lot",
    Lane.SAMPLE_REST: "rest by lot",
}


@router.get("/")
def home(request: Request, session: Who) -> Response:
    """Show every task, and how much waits."""
    site = site_of(request)
    rows = []
    for name, desk in site.desks.items():
        counts = desk.queue.counts()
        states = {s: sum(n for (state, _), n in counts.items() if state == s) for s in State}
        rows.append((name, states))
    return site.page(request, "home", session=session, rows=rows, State=State)


@router.get("/t/{task}")
def queue(
    request: Request,
    session: Who,
    task: str,
    q: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[str, Query(max_length=20)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    lane: Annotated[str, Query(max_length=20)] = "",
    after: Annotated[str, Query(max_length=60)] = "",
) -> Response:
    """Show a page of the queue."""
    site = site_of(request)
    desk = site.desk(task)
    names = desk.task.class_names
    wanted = Filter(
        q,
        next((s for s, n in STATES.items() if n == state), None),
        names.index(label) if label in names else None,
        next((k for k, n in LANES.items() if n == lane), None),
    )
    page = desk.queue.page(wanted, _place(after))
    following = None
    if page.following is not None:
        value, item_id = page.following
        asked = {"q": q, "state": state, "label": label, "lane": lane}
        following = urlencode(
            {k: v for k, v in asked.items() if v} | {"after": f"{value!r} {item_id}"}
        )
    return site.page(
        request,
        "queue",
        session=session,
        task=task,
        items=page.items,
        excerpts=_excerpts(desk, page.items),
        following=following,
        asked=wanted,
        classes=names,
        states=STATES,
        lanes=LANES,
        mine=session.user.id,
    )


@router.post("/t/{task}/next")
def following(request: Request, session: Poster, task: str) -> Response:
    """Claim the next event."""
    return _next(site_of(request).desk(task), session, "")


@router.get("/t/{task}/e/{item_id}")
def event(request: Request, session: Who, task: str, item_id: int) -> Response:
    """Show an event."""
    site = site_of(request)
    desk = site.desk(task)
    item = _item(desk, item_id)
    now = desk.queue.clock()
    mine = item.claimed_by == session.user.id and item.claimed_until > now
    shown = look_at(item, desk.queue, desk.scorer, desk.judged)
    holder = None
    if item.held_by_other(session.user.id, now):
        held = site.accounts.get(item.claimed_by or 0)
        holder = held.name if held is not None else "somebody"
    return site.page(
        request,
        "event",
        session=session,
        task=task,
        desk=desk,
        item=item,
        shown=shown,
        blind=item.blind,
        mine=mine,
        holder=holder,
        may_judge=item.state != State.DISPUTED or is_lead(session.user),
        classes=list(desk.task.classes.items()),
        positive=desk.task.positive,
        state=STATES[item.state],
        lane=LANES[item.lane],
        State=State,
    )


@router.post("/t/{task}/e/{item_id}/claim")
def claim(request: Request, session: Poster, task: str, item_id: int) -> Response:
    """Claim a certain event."""
    desk = site_of(request).desk(task)
    item = _item(desk, item_id)
    done = desk.queue.claim(item.id, session.user.id)
    return to(_path(task, item.id), "" if done else "held")


@router.post("/t/{task}/e/{item_id}/verdict")
def verdict(
    request: Request,
    session: Poster,
    task: str,
    item_id: int,
    label: Annotated[str, Form(max_length=200)],
    note: Annotated[str, Form(max_length=2000)] = "",
    seconds: Annotated[float, Form(ge=0, le=86_400, allow_inf_nan=False)] = 0,
    family: Annotated[bool, Form()] = False,
) -> Response:
    """Store a verdict, and go on to the next event."""
    site = site_of(request)
    desk = site.desk(task)
    if label not in desk.task.classes:
        raise Refused(400, "There is no such class.")
    item = _item(desk, item_id)
    seen = what_was_seen(item, desk.queue, desk.judged)
    if desk.served is not None:
        seen["bundle"] = desk.served.scorer.sha256[:32]
    try:
        done = desk.verdicts.judge(
            item.id,
            session.user.key,
            desk.task.class_names.index(label),
            note=note,
            seconds=seconds,
            seen=seen,
            family=family,
            lead=is_lead(session.user),
        )
    except ConflictError as error:
        raise Refused(409, f"Not stored: {error}.") from error
    if family:
        detail = f"{task}: {item.group} as {label}, {done.served:,} events"
        site.audit(request, session.user.name, "family judged", detail)
    return _next(desk, session, "judged")


@router.post("/t/{task}/e/{item_id}/skip")
def skip(request: Request, session: Poster, task: str, item_id: int) -> Response:
    """Pass an event over."""
    desk = site_of(request).desk(task)
    desk.queue.skip(_item(desk, item_id).id, session.user.id)
    return _next(desk, session, "skipped")


@router.post("/t/{task}/release")
def release(request: Request, session: Poster, task: str) -> Response:
    """Let go of what one works at."""
    site_of(request).desk(task).queue.release(session.user.id)
    return to(f"/t/{quote(task, safe='')}", "released")


@router.post("/t/{task}/undo")
def undo(request: Request, session: Poster, task: str) -> Response:
    """Take back one's last verdict."""
    site = site_of(request)
    desk = site.desk(task)
    try:
        item_id = desk.verdicts.undo(session.user.key)
    except ConflictError as error:
        raise Refused(409, f"Not taken back: {error}.") from error
    if item_id is None:
        return to(f"/t/{quote(task, safe='')}", "nothing")
    site.audit(request, session.user.name, "verdict undone", f"{task}: item {item_id}")
    return to(_path(task, item_id), "undone")


# --- families -------------------------------------------------------------------------------------


@router.get("/t/{task}/families")
def families(request: Request, session: Who, task: str) -> Response:
    """Show the rulings on whole groups."""
    site = site_of(request)
    desk = site.desk(task)
    return site.page(
        request,
        "families",
        session=session,
        task=task,
        families=desk.verdicts.families(),
        names=desk.task.class_names,
        lead=is_lead(session.user),
    )


@router.post("/t/{task}/families/{family_id}/revoke")
def revoke(
    request: Request,
    session: Annotated[Session, Depends(posted_by_lead)],
    task: str,
    family_id: int,
) -> Response:
    """Revoke a ruling."""
    site = site_of(request)
    group = site.desk(task).verdicts.revoke(family_id, session.user.name)
    if group is None:
        raise Refused(404, "There is no such ruling.")
    site.audit(request, session.user.name, "family revoked", f"{task}: {group}")
    return to(f"/t/{quote(task, safe='')}/families", "revoked")


# --- dashboard ------------------------------------------------------------------------------------


@router.get("/t/{task}/dashboard")
def dashboard(request: Request, session: Who, task: str) -> Response:
    """Show the figures."""
    site = site_of(request)
    desk = site.desk(task)
    board = desk.board()
    days = [(day, sum(of.values())) for day, of in board.by_day.items() if of]
    return site.page(
        request,
        "dashboard",
        session=session,
        task=task,
        board=board,
        days=days,
        states=STATES,
        positive=desk.task.positive,
    )


@router.get("/t/{task}/plots/{name}.svg")
def plot(request: Request, session: Who, task: str, name: str) -> Response:  # noqa: ARG001
    """Draw a plot."""
    svg = draw(name, site_of(request).desk(task).board(at_most_s=_PLOT_S))
    if svg is None:
        raise Refused(404, "There is no such plot.")
    headers = {"Content-Security-Policy": PICTURE_CSP}
    return Response(svg, media_type="image/svg+xml", headers=headers)


# --- parts ----------------------------------------------------------------------------------------


def _next(desk: Desk, session: Session, said: str) -> Response:
    user = session.user
    item_id = desk.queue.claim_next(user.id, lead=is_lead(user))
    name = desk.task.name
    if item_id is None:
        return to(f"/t/{quote(name, safe='')}", "empty")
    return to(_path(name, item_id), said)


def _item(desk: Desk, item_id: int) -> Item:
    item = desk.queue.item(item_id) if 0 < item_id < 1 << 31 else None
    if item is None:
        raise Refused(404, "There is no such event.")
    return item


def _path(task: str, item_id: int) -> str:
    return f"/t/{quote(task, safe='')}/e/{item_id}"


def _place(after: str) -> tuple[float, int] | None:
    value, _, item_id = after.partition(" ")
    try:
        return (float(value), int(item_id)) if after else None
    except ValueError:
        return None


def _excerpts(desk: Desk, items: list[Item]) -> dict[int, Markup]:
    texts = desk.queue.store.texts([item.event_id for item in items])
    found: dict[int, Markup] = {}
    for item in items:
        raw = texts.get(item.event_id, b"")
        if not desk.task.features:
            raw = raw[:_EXCERPT_BYTES]  # a message's head says enough
        readable = " ".join(desk.task.readable(raw)[: 4 * _EXCERPT].split())
        found[item.id] = visible(readable[:_EXCERPT]) + ("…" if len(readable) > _EXCERPT else "")
    return found
