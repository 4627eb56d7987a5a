"""Pages of one task: its queue, an event, labels, family labels, the dashboard."""

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, Form, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from buckler.review.charts import draw
from buckler.review.dashboard import precision_progress
from buckler.review.event_view import collect_evidence, view_event
from buckler.review.label_recorder import ConflictError, LabelForm
from buckler.review.queue import Filter, Item
from buckler.review.review_tables import State, Stratum
from buckler.review.safe_text import visible
from buckler.review.sessions import Session
from buckler.review.web.protection import PICTURE_CSP
from buckler.review.web.site import (
    MAX_ROW_ID,
    PageError,
    ReviewTask,
    RowId,
    is_lead,
    read_post,
    read_post_by_lead,
    redirect,
    require_session,
    site_of,
)

router = APIRouter()
SignedIn = Annotated[Session, Depends(require_session)]
Poster = Annotated[Session, Depends(read_post)]
_EXCERPT_BYTES, _EXCERPT = 4096, 140
_PLOT_S = 5.0
STATES = {
    State.OPEN: "waiting",
    State.SECOND: "second annotation",
    State.DISPUTED: "disputed",
    State.DONE: "labeled",
    State.DUPLICATE: "near-duplicate",
}
STRATA = {
    Stratum.RANKED: "acquisition score",
    Stratum.DETECTION_SAMPLE: "random sample of detections",
    Stratum.REST_SAMPLE: "random sample of the rest",
}


@router.get("/")
def home(request: Request, session: SignedIn) -> Response:
    """Show every task, and the number of waiting events."""
    site = site_of(request)
    rows = [(name, task.queue.counts()) for name, task in site.tasks.items()]
    return site.page(request, "home", {"rows": rows, "State": State}, session=session)


@dataclass(frozen=True)
class QueueQuery:
    """Parameters of the queue's page."""

    q: Annotated[str, Query(max_length=200)] = ""
    state: Annotated[str, Query(max_length=20)] = ""
    label: Annotated[str, Query(max_length=100)] = ""
    stratum: Annotated[str, Query(max_length=40)] = ""
    detected: Annotated[str, Query(max_length=5)] = ""
    after: Annotated[str, Query(max_length=60)] = ""

    def conditions(self, class_names: list[str]) -> Filter:
        """Return the conditions; unknown values are ignored."""
        return Filter(
            self.q,
            next((s for s, name in STATES.items() if name == self.state), None),
            class_names.index(self.label) if self.label in class_names else None,
            next((s for s, name in STRATA.items() if name == self.stratum), None),
            True if self.detected else None,
        )

    def start(self) -> tuple[float, int] | None:
        """Return the start of the page: acquisition score and id."""
        score, _, item_id = self.after.partition(" ")
        try:
            start = (float(score), int(item_id)) if self.after else None
        except ValueError:
            return None
        return start if start is None or 0 < start[1] <= MAX_ROW_ID else None

    def following(self, start: tuple[float, int] | None) -> str | None:
        """Return the address parameters of the next page."""
        if start is None:
            return None
        given = {"q": self.q, "state": self.state, "label": self.label, "stratum": self.stratum}
        kept = {name: value for name, value in given.items() if value}
        kept |= {"detected": "yes"} if self.detected else {}
        return urlencode(kept | {"after": f"{start[0]!r} {start[1]}"})


@router.get("/t/{task}")
def queue(
    request: Request, session: SignedIn, task: str, query: Annotated[QueueQuery, Depends()]
) -> Response:
    """Show a page of the queue."""
    site = site_of(request)
    review = site.task(task)
    conditions = query.conditions(review.task.class_names)
    page = review.queue.page(conditions, query.start())
    values = {
        "task": task,
        "items": page.items,
        "excerpts": _excerpts(review, page.items),
        "following": query.following(page.following),
        "conditions": conditions,
        "tabs": _tabs(review, conditions),
        "progress": review.counts().progress,
        "classes": review.task.class_names,
        "states": STATES,
        "strata": STRATA,
        "user_id": session.user.id,
    }
    return site.page(request, "queue", values, session=session)


@dataclass(frozen=True)
class Tab:
    """A part of the queue: its name, the parameters of its address, and its number of items."""

    name: str
    query: str
    n: int
    is_open: bool


def _tabs(review: ReviewTask, conditions: Filter) -> list[Tab]:
    counts = review.counts()
    waiting = sum(counts.states[s] for s in (State.OPEN, State.SECOND, State.DISPUTED))
    anything = conditions.state is None and conditions.detected is None
    tabs = [Tab("Waiting", "", waiting, anything)]
    if review.task.positive:
        is_open = conditions.detected is not None
        tabs.append(Tab("Detections", "detected=yes", counts.detections, is_open))
    tabs += [
        Tab(
            STATES[state].capitalize(),
            urlencode({"state": STATES[state]}),
            counts.states[state],
            conditions.state == state,
        )
        for state in (State.SECOND, State.DISPUTED, State.DONE, State.DUPLICATE)
    ]
    return tabs


@router.post("/t/{task}/next")
def claim_next(request: Request, session: Poster, task: str) -> Response:
    """Claim the next event."""
    return _next(site_of(request).task(task), session, "")


@router.get("/t/{task}/e/{item_id}")
def event(request: Request, session: SignedIn, task: str, item_id: RowId) -> Response:
    """Show an event."""
    site = site_of(request)
    review = site.task(task)
    item = _item(review, item_id)
    now = review.queue.clock()
    holder = None
    if item.held_by_other(session.user.id, now):
        account = site.accounts.get(item.claimed_by or 0)
        holder = account.name if account is not None else "another account"
    values = {
        "task": task,
        "item": item,
        "view": view_event(item, review.queue, review.scorer, review.labeled),
        "blind": item.blind,
        "own": item.claimed_by == session.user.id and item.claimed_until > now,
        "holder": holder,
        "may_label": item.state != State.DISPUTED or is_lead(session.user),
        "classes": list(review.task.classes.items()),
        "class_names": review.task.class_names,
        "positive": review.task.positive,
        "state": STATES[item.state],
        "State": State,
    }
    return site.page(request, "event", values, session=session)


@router.post("/t/{task}/e/{item_id}/claim")
def claim(request: Request, session: Poster, task: str, item_id: RowId) -> Response:
    """Claim a certain event."""
    review = site_of(request).task(task)
    item = _item(review, item_id)
    claimed = review.queue.claim(item.id, session.user.id)
    return redirect(_path(task, item.id), "" if claimed else "held")


@dataclass(frozen=True)
class PostedLabel:
    """Fields of the label's form."""

    label: Annotated[str, Form(max_length=200)]
    note: Annotated[str, Form(max_length=2000)] = ""
    seconds: Annotated[float, Form(ge=0, le=86_400, allow_inf_nan=False)] = 0
    family: Annotated[bool, Form()] = False


@router.post("/t/{task}/e/{item_id}/label")
def label(
    request: Request,
    session: Poster,
    task: str,
    item_id: RowId,
    posted: Annotated[PostedLabel, Depends()],
) -> Response:
    """Store a label, and show the next event."""
    site = site_of(request)
    review = site.task(task)
    if posted.label not in review.task.classes:
        raise PageError(400, "There is no such class.")
    item = _item(review, item_id)
    evidence = collect_evidence(item, review.queue, review.labeled)
    if review.served is not None:
        evidence["bundle"] = review.served.scorer.sha256[:32]
    form = LabelForm(
        label=review.task.class_names.index(posted.label),
        note=posted.note,
        seconds=posted.seconds,
        evidence=evidence,
        family=posted.family,
    )
    try:
        recorded = review.recorder.record(
            item.id, session.user.key, form, lead=is_lead(session.user)
        )
    except ConflictError as error:
        raise PageError(409, f"Not stored: {error}.") from error
    if posted.family:
        detail = f"{task}: {item.group} as {posted.label}, {recorded.covers:,} events"
        site.audit(request, session.user.name, "family labeled", detail)
    return _next(review, session, "labeled")


@router.post("/t/{task}/e/{item_id}/skip")
def skip(request: Request, session: Poster, task: str, item_id: RowId) -> Response:
    """Skip an event."""
    review = site_of(request).task(task)
    review.queue.skip(_item(review, item_id).id, session.user.id)
    return _next(review, session, "skipped")


@router.post("/t/{task}/release")
def release(request: Request, session: Poster, task: str) -> Response:
    """Release the analyst's event."""
    site_of(request).task(task).queue.release(session.user.id)
    return redirect(f"/t/{quote(task, safe='')}", "released")


@router.post("/t/{task}/undo")
def undo(request: Request, session: Poster, task: str) -> Response:
    """Undo the analyst's last label."""
    site = site_of(request)
    try:
        item_id = site.task(task).recorder.undo(session.user.key)
    except ConflictError as error:
        raise PageError(409, f"Not undone: {error}.") from error
    if item_id is None:
        return redirect(f"/t/{quote(task, safe='')}", "nothing")
    site.audit(request, session.user.name, "label undone", f"{task}: item {item_id}")
    return redirect(_path(task, item_id), "undone")


# --- families -------------------------------------------------------------------------------------


@router.get("/t/{task}/families")
def families(request: Request, session: SignedIn, task: str) -> Response:
    """Show the labels on whole families."""
    site = site_of(request)
    review = site.task(task)
    values = {
        "task": task,
        "families": review.recorder.families(),
        "class_names": review.task.class_names,
        "lead": is_lead(session.user),
    }
    return site.page(request, "families", values, session=session)


@router.post("/t/{task}/families/{family_id}/revoke")
def revoke(
    request: Request,
    session: Annotated[Session, Depends(read_post_by_lead)],
    task: str,
    family_id: RowId,
) -> Response:
    """Revoke a family label."""
    site = site_of(request)
    group = site.task(task).recorder.revoke(family_id, session.user.name)
    if group is None:
        raise PageError(404, "There is no such family label.")
    site.audit(request, session.user.name, "family revoked", f"{task}: {group}")
    return redirect(f"/t/{quote(task, safe='')}/families", "revoked")


# --- dashboard ------------------------------------------------------------------------------------


@router.get("/t/{task}/dashboard")
def dashboard(request: Request, session: SignedIn, task: str) -> Response:
    """Show the metrics."""
    site = site_of(request)
    review = site.task(task)
    board = review.dashboard()
    values = {
        "task": task,
        "board": board,
        "days": [(day, sum(n.values())) for day, n in board.by_day.items() if n],
        "states": STATES,
        "positive": review.task.positive,
        "progress": precision_progress(board.sampled.precision),
    }
    return site.page(request, "dashboard", values, session=session)


@router.get("/t/{task}/plots/{name}.svg")
def plot(request: Request, session: SignedIn, task: str, name: str) -> Response:  # noqa: ARG001
    """Draw a plot."""
    svg = draw(name, site_of(request).task(task).dashboard(max_age_s=_PLOT_S))
    if svg is None:
        raise PageError(404, "There is no such plot.")
    headers = {"Content-Security-Policy": PICTURE_CSP}
    return Response(svg, media_type="image/svg+xml", headers=headers)


# --- parts ----------------------------------------------------------------------------------------


def _next(review: ReviewTask, session: Session, message: str) -> Response:
    user = session.user
    item_id = review.queue.claim_next(user.id, lead=is_lead(user))
    name = review.task.name
    if item_id is None:
        return redirect(f"/t/{quote(name, safe='')}", "empty")
    return redirect(_path(name, item_id), message)


def _item(review: ReviewTask, item_id: int) -> Item:
    item = review.queue.item(item_id) if 0 < item_id < 1 << 31 else None
    if item is None:
        raise PageError(404, "There is no such event.")
    return item


def _path(task: str, item_id: int) -> str:
    return f"/t/{quote(task, safe='')}/e/{item_id}"


def _excerpts(review: ReviewTask, items: list[Item]) -> dict[int, Markup]:
    texts = review.queue.store.texts([item.event_id for item in items])
    excerpts: dict[int, Markup] = {}
    for item in items:
        raw = texts.get(item.event_id, b"")
        if not review.task.features:
            raw = raw[:_EXCERPT_BYTES]  # the beginning of a message is enough
        readable = " ".join(review.task.readable(raw)[: 4 * _EXCERPT].split())
        more = "…" if len(readable) > _EXCERPT else ""
        excerpts[item.id] = visible(readable[:_EXCERPT]) + more
    return excerpts
