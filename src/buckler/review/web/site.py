"""State that the pages share: the store, sessions, one `ReviewTask` a task, and page rendering."""

import secrets
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Annotated

from fastapi import Form, Request
from fastapi import Path as PathParameter
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined

from buckler.errors import SettingsError
from buckler.evaluation.intervals import Rate
from buckler.labels import LabelStore, open_existing
from buckler.review.accounts import Accounts, Role, User
from buckler.review.audit import write_audit
from buckler.review.dashboard import (
    Dashboard,
    PrecisionProgress,
    compute_dashboard,
    measure_samples,
    precision_progress,
)
from buckler.review.label_recorder import LabelRecorder
from buckler.review.queue import Queue
from buckler.review.review_tables import State
from buckler.review.safe_text import visible
from buckler.review.sessions import Session, Sessions
from buckler.review.settings import ReviewSettings
from buckler.review.similar import LabeledEvents
from buckler.review.web.protection import SignInRate
from buckler.runtime import Scorer
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.tasks import Task, get_task, list_tasks

_COUNTS_S = 5.0
MAX_ROW_ID = 2**31 - 1  # what both databases can compare with
RowId = Annotated[int, PathParameter(ge=0, le=MAX_ROW_ID)]

# Messages about the last action; the address names one by key, and never brings text of its own.
MESSAGES = {
    "labeled": "Label stored.",
    "first": "Welcome. You are signed in as the administrator; add colleagues under Accounts.",
    "undone": "Label undone; the event is yours again.",
    "nothing": "There is no label of the past hour to undo.",
    "skipped": "Skipped: you will not get this event again.",
    "released": "Event released.",
    "empty": "No event waits for you here.",
    "held": "A colleague is working on that event.",
    "revoked": "The family label is revoked: its events wait again.",
    "password": "Password changed; sign in with it from now on.",
    "account": "Account changed.",
    "out": "Signed out.",
}


class PageError(Exception):
    """A refused request; the page says why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class SignedOutError(Exception):
    """A request without a valid session."""


@dataclass(frozen=True)
class QueueCounts:
    """Numbers above the queue.

    Attributes
    ----------
    states, detections
        Items by state, and waiting detections.
    progress
        Progress of precision; None where no class is positive.
    """

    states: Counter[State]
    detections: int
    progress: PrecisionProgress | None


@dataclass
class ReviewTask:
    """One task under review.

    Attributes
    ----------
    served
        Its deployed bundle; None where none was named.
    """

    task: Task
    queue: Queue
    recorder: LabelRecorder
    labeled: LabeledEvents
    served: LoadedBundle | None = None
    _cached: tuple[float, Dashboard | None] = (0.0, None)
    _counted: tuple[float, QueueCounts | None] = (0.0, None)

    def counts(self) -> QueueCounts:
        """Return the numbers above the queue, at most some seconds old."""
        counted_at, found = self._counted
        if found is None or time.monotonic() - counted_at > _COUNTS_S:
            precision = measure_samples(self.queue).precision
            found = QueueCounts(
                self.queue.counts(),
                self.queue.count_detections() if self.task.positive else 0,
                precision_progress(precision) if self.task.positive else None,
            )
            self._counted = (time.monotonic(), found)
        return found

    def dashboard(self, *, max_age_s: float = 0) -> Dashboard:
        """Return the metrics; plots reuse those that their page has just computed."""
        computed_at, board = self._cached
        if board is None or time.monotonic() - computed_at > max_age_s:
            board = compute_dashboard(self.queue)
            self._cached = (time.monotonic(), board)
        return board

    @property
    def scorer(self) -> Scorer | None:
        """The deployed bundle; a changed file is loaded again."""
        if self.served is None:
            return None
        self.served = self.served.reload()
        return self.served.scorer


class Site:
    """The application's state.

    Attributes
    ----------
    first_key
        Secret that admits to the page of the first account; of no use once there is an account.

    Raises
    ------
    BucklerError
        If the store or a bundle cannot be used.
    """

    def __init__(self, settings: ReviewSettings) -> None:
        self.settings = settings
        self.store: LabelStore = open_existing(settings.store)
        self.accounts = Accounts(self.store)
        self.sessions = Sessions(self.store, self.accounts, int(settings.idle_hours * 3600))
        self.rate = SignInRate(time.time)
        self.first_key = secrets.token_urlsafe(24)
        self.tasks = _review_tasks(self.store, settings)
        self.cookie = "__Host-buckler-review" if settings.uses_tls else "buckler-review"
        self._templates = _template_environment()

    def task(self, name: str) -> ReviewTask:
        """Return a task under review."""
        if name not in self.tasks:
            raise PageError(404, "There is no such task.")
        return self.tasks[name]

    def session(self, request: Request) -> Session:
        """Return the session that a request belongs to."""
        session = self.sessions.find(request.cookies.get(self.cookie))
        if session is None:
            raise SignedOutError
        return session

    def audit(self, request: Request, who: str, action: str, detail: str = "") -> None:
        """Add an entry to the audit log."""
        write_audit(self.store, who, action, detail, address_of(request))

    def page(
        self,
        request: Request,
        name: str,
        values: Mapping[str, object],
        *,
        session: Session | None = None,
        status: int = 200,
    ) -> HTMLResponse:
        """Render a page."""
        template = self._templates.get_template(f"{name}.html.j2")
        key = request.query_params.get("message", "")
        html = template.render(
            user=None if session is None else session.user,
            csrf="" if session is None else session.csrf,
            message=MESSAGES.get(key, ""),
            message_key=key,
            has_registry=self.settings.registry is not None,
            **values,
        )
        return HTMLResponse(html, status)


def site_of(request: Request) -> Site:
    """Return the application's state."""
    return request.app.state.site  # type: ignore[no-any-return]


def require_session(request: Request) -> Session:
    """Return the session; a dependency of every page but the sign-in."""
    return site_of(request).session(request)


def require_lead(request: Request) -> Session:
    """Return the session of a lead."""
    return _require(require_session(request), Role.LEAD)


def require_admin(request: Request) -> Session:
    """Return the session of an admin."""
    return _require(require_session(request), Role.ADMIN)


def read_post(request: Request, csrf: str = Form("")) -> Session:
    """Return the session of a form that comes from a page of the same session."""
    check_origin(request)
    session = require_session(request)
    if not session.owns_form(csrf):
        raise PageError(403, "This form is not from your session: reload the page and try again.")
    return session


def read_post_by_lead(request: Request, csrf: str = Form("")) -> Session:
    """Return the session of a form that a lead sent."""
    return _require(read_post(request, csrf), Role.LEAD)


def read_post_by_admin(request: Request, csrf: str = Form("")) -> Session:
    """Return the session of a form that an admin sent."""
    return _require(read_post(request, csrf), Role.ADMIN)


def check_origin(request: Request) -> None:
    """Refuse a form that another site sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise PageError(403, "This form was sent by another site.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
        raise PageError(403, "This form was sent by another site.")


def address_of(request: Request) -> str:
    """Return the client's address, as the network or a named proxy reports it."""
    return request.client.host if request.client is not None else "-"


def redirect(path: str, message: str = "") -> Response:
    """Redirect the browser to another page of this site."""
    return RedirectResponse(f"{path}?message={message}" if message else path, 303)


def is_lead(user: User) -> bool:
    """Return True if an account may decide disputes."""
    return user.role.covers(Role.LEAD)


def _require(session: Session, role: Role) -> Session:
    if not session.user.role.covers(role):
        raise PageError(403, f"This needs the role {role}.")
    return session


def _review_tasks(store: LabelStore, settings: ReviewSettings) -> dict[str, ReviewTask]:
    own = [get_task(path) for path in settings.tasks]
    known: dict[str, Task] = {task.name: task for task in [*list_tasks(), *own]}
    served: dict[str, LoadedBundle] = {}
    for path in settings.bundles:
        bundle = load_bundle(path, trusted_key=settings.trusted_key)
        name = bundle.scorer.manifest.task
        if name not in known:
            raise SettingsError(f"{path}: {name!r} is a custom task; name its file in `tasks`")
        if list(bundle.scorer.classes) != known[name].class_names:
            raise SettingsError(f"{path}: a bundle of other classes than task {name!r}")
        if name in served:
            raise SettingsError(f"{path}: a second bundle for task {name!r}")
        served[name] = bundle
    in_store = {name for name, _ in store.tasks()}
    tasks = {}
    for name in sorted({*served, *(t.name for t in own), *(in_store & set(known))}):
        queue = Queue(store, known[name], claim_s=int(settings.claim_minutes * 60))
        recorder = LabelRecorder(queue, second_share=settings.second_share)
        tasks[name] = ReviewTask(
            known[name], queue, recorder, LabeledEvents(queue), served.get(name)
        )
    return tasks


def _template_environment() -> Environment:
    folder = files("buckler.review.web").joinpath("templates")
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(lambda name: folder.joinpath(name).read_text("utf-8")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"visible": visible, "time": _time, "share": _share, "number": _number}
    return environment


def _time(seconds: int | None) -> str:
    if not seconds:
        return "-"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError):
        return "-"


def _share(rate: Rate) -> str:
    if rate.value != rate.value:
        return "-"
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def _number(value: float, form: str = "{:.3f}") -> str:
    return "-" if value != value else form.format(value)
