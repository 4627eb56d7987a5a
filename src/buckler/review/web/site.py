"""What the pages share: the store, who asks, the desks, and how a page is rendered."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from fastapi import Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined

from buckler.errors import SettingsError
from buckler.labels import LabelStore, open_existing
from buckler.review.accounts import Accounts, Role, User, write_audit
from buckler.review.dashboard import Dashboard, gather
from buckler.review.queue import Queue
from buckler.review.sessions import Session, Sessions
from buckler.review.settings import ReviewSettings
from buckler.review.showing import visible
from buckler.review.similar import JudgedEvents
from buckler.review.verdicts import Verdicts
from buckler.review.web.guard import SignInRate
from buckler.runtime import Scorer
from buckler.serving.served import Served
from buckler.tasks import Task, get_task, list_tasks

# What a page says of what was just done: never text from outside.
SAID = {
    "judged": "Verdict stored.",
    "undone": "Verdict taken back; the event is yours again.",
    "nothing": "There is nothing of the past hour to take back.",
    "skipped": "Skipped: you will not be asked about it again.",
    "released": "Let go.",
    "empty": "Nothing waits for you here.",
    "held": "A colleague works at that event.",
    "revoked": "The ruling is revoked: its events wait again.",
    "password": "Password changed; sign in with it from now on.",
    "account": "Account changed.",
    "out": "Signed out.",
}


class Refused(Exception):  # noqa: N818 - an answer, not a fault
    """A request that gets a page which says why not."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class SignInFirst(Exception):  # noqa: N818
    """Nobody is signed in."""


@dataclass
class Desk:
    """One task at work.

    Attributes
    ----------
    served
        Its deployed bundle; None where none was named.
    """

    task: Task
    queue: Queue
    verdicts: Verdicts
    judged: JudgedEvents
    served: Served | None = None
    _board: tuple[float, Dashboard | None] = (0.0, None)

    def board(self, *, at_most_s: float = 0) -> Dashboard:
        """Return the figures of now, or of so many seconds ago: plots come right behind a page."""
        made_at, board = self._board
        if board is None or time.monotonic() - made_at > at_most_s:
            board = gather(self.queue)
            self._board = (time.monotonic(), board)
        return board

    @property
    def scorer(self) -> Scorer | None:
        """The deployed bundle as it is now: a changed file is taken over."""
        if self.served is None:
            return None
        self.served = self.served.newer()
        return self.served.scorer


class Site:
    """The application's state.

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
        self.desks = _desks(self.store, settings)
        self.cookie = "__Host-buckler-review" if settings.encrypted else "buckler-review"
        self._pages = _environment()

    def desk(self, task: str) -> Desk:
        """Return a task's desk."""
        if task not in self.desks:
            raise Refused(404, "There is no such task.")
        return self.desks[task]

    def session(self, request: Request) -> Session:
        """Return who asks."""
        found = self.sessions.find(request.cookies.get(self.cookie))
        if found is None:
            raise SignInFirst
        return found

    def audit(self, request: Request, who: str, action: str, detail: str = "") -> None:
        """Write a line into the audit log."""
        write_audit(self.store, who, action, detail, address_of(request))

    def page(
        self, request: Request, name: str, *, status: int = 200, **values: Any
    ) -> HTMLResponse:
        """Render a page."""
        session = values.pop("session", None)
        said = SAID.get(request.query_params.get("said", ""), "")
        template = self._pages.get_template(f"{name}.html.j2")
        html = template.render(
            user=None if session is None else session.user,
            csrf="" if session is None else session.csrf,
            said=said,
            desks=list(self.desks),
            has_registry=self.settings.registry is not None,
            **values,
        )
        return HTMLResponse(html, status)


def site_of(request: Request) -> Site:
    """Return the application's state."""
    return request.app.state.site  # type: ignore[no-any-return]


def signed_in(request: Request) -> Session:
    """Return who asks; a dependency of every page but the sign-in."""
    return site_of(request).session(request)


def leading(request: Request) -> Session:
    """Return who asks, if it is a lead."""
    return _needs(signed_in(request), Role.LEAD)


def governing(request: Request) -> Session:
    """Return who asks, if it is an admin."""
    return _needs(signed_in(request), Role.ADMIN)


def posted(request: Request, csrf: str = Form("")) -> Session:
    """Return who sent a form, if it comes from a page of the session."""
    check_origin(request)
    session = signed_in(request)
    if not session.vouches(csrf):
        raise Refused(403, "This form is not from your session: reload the page and try again.")
    return session


def posted_by_lead(request: Request, csrf: str = Form("")) -> Session:
    """Return who sent a form, if it is a lead."""
    return _needs(posted(request, csrf), Role.LEAD)


def posted_by_admin(request: Request, csrf: str = Form("")) -> Session:
    """Return who sent a form, if it is an admin."""
    return _needs(posted(request, csrf), Role.ADMIN)


def check_origin(request: Request) -> None:
    """Refuse a form that another site sent."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(403, "This form was sent by another site.")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host", ""):
        raise Refused(403, "This form was sent by another site.")


def address_of(request: Request) -> str:
    """Return who asks, as the network says, or a proxy that was named."""
    return request.client.host if request.client is not None else "-"


def to(path: str, said: str = "") -> Response:
    """Send the browser on to a page of ours."""
    return RedirectResponse(f"{path}?said={said}" if said else path, 303)


def is_lead(user: User) -> bool:
    """Whether an account decides disputes."""
    return user.role.covers(Role.LEAD)


def _needs(session: Session, role: Role) -> Session:
    if not session.user.role.covers(role):
        raise Refused(403, f"This needs the role {role}.")
    return session


def _desks(store: LabelStore, settings: ReviewSettings) -> dict[str, Desk]:
    own = [get_task(path) for path in settings.tasks]
    known: dict[str, Task] = {task.name: task for task in [*list_tasks(), *own]}
    served: dict[str, Served] = {}
    for path in settings.bundles:
        found = Served.load(path, trusted_key=settings.trusted_key)
        name = found.scorer.manifest.task
        if name not in known:
            raise SettingsError(f"{path}: the task {name!r} is your own; name its file in `tasks`")
        if list(found.scorer.classes) != known[name].class_names:
            raise SettingsError(f"{path}: a bundle of other classes than task {name!r}")
        if name in served:
            raise SettingsError(f"{path}: a second bundle for task {name!r}")
        served[name] = found
    in_store = {name for name, _ in store.tasks()}
    desks = {}
    for name in sorted({*served, *(t.name for t in own), *(in_store & set(known))}):
        queue = Queue(store, known[name], claim_s=int(settings.claim_minutes * 60))
        verdicts = Verdicts(queue, second_share=settings.second_share)
        desks[name] = Desk(known[name], queue, verdicts, JudgedEvents(queue), served.get(name))
    return desks


def _environment() -> Environment:
    here = files("buckler.review.web").joinpath("templates")
    environment = Environment(
        autoescape=True,
        loader=FunctionLoader(lambda name: here.joinpath(name).read_text("utf-8")),
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


def _share(rate: Any) -> str:
    if rate.value != rate.value:
        return "-"
    return f"{rate.value:.3f} ({rate.low:.3f} to {rate.high:.3f})"


def _number(value: float, form: str = "{:.3f}") -> str:
    return "-" if value != value else form.format(value)
