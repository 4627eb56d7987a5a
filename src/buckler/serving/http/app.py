"""The application: /v1/score, /v1/models, /healthz, /readyz, /metrics."""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import buckler
from buckler.errors import SettingsError
from buckler.serving.formats import VERDICT_FORMATS
from buckler.serving.http.bodies import (
    ARROW,
    JSON,
    MEDIA,
    NDJSON,
    BadRequestError,
    Body,
    TooManyEventsError,
    judge,
    read_body,
)
from buckler.serving.http.guard import Keys, Rate
from buckler.serving.http.metrics import MEDIA_TYPE, Metrics
from buckler.serving.http.models import Models
from buckler.serving.http.serve_settings import ServeSettings
from buckler.serving.http.shadow import Shadow
from buckler.serving.http.tracing import Tracing
from buckler.serving.records import Wish
from buckler.serving.served import Served
from buckler.serving.verdicts import VerdictForm

_LOG = logging.getLogger("buckler.serve")
_INLINE_BYTES = 1 << 14  # small bodies are judged at once, without a change of thread
_MAX_EXPLAINED = 20
_DESCRIPTION = "Judges security events by bundles. Nothing of an event is kept."


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is not answered as it wished."""

    def __init__(self, status: int, reason: str, text: str, retry_s: float | None = None) -> None:
        super().__init__(text)
        self.status, self.reason, self.text, self.retry_s = status, reason, text, retry_s


def build_app(settings: ServeSettings) -> FastAPI:
    """Return the application; its bundles are loaded and verified.

    Raises
    ------
    BucklerError
        If a bundle, or the file of keys, cannot be used.
    """
    models = Models(settings.bundles, settings.columns, settings.trusted_key, settings.target_fpr)
    service = Service(settings, models, Keys(settings.api_keys) if settings.api_keys else None)

    tracing = Tracing()
    for served in models:  # the first verdict takes longest
        judge(Body(JSON, ["warm"], single=True), served, Wish())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI's interface
        watching = None
        if settings.reload_s:
            watching = asyncio.create_task(models.watch(settings.reload_s, service.reloaded))
        service.ready = True
        yield
        service.ready = False
        if watching is not None:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await asyncio.to_thread(tracing.close)

    app = FastAPI(
        title="Buckler",
        version=buckler.__version__,
        description=_DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # its page would load scripts from elsewhere
        redoc_url=None,
    )
    app.state.service = service
    app.add_exception_handler(Refusal, service.refused)
    app.add_middleware(Observed, metrics=service.metrics, tracing=tracing)
    app.post("/v1/score", openapi_extra=_OPENAPI, response_class=Response)(service.score)
    app.get("/v1/models")(service.list_models)
    app.get("/healthz")(service.health)
    app.get("/readyz")(service.readiness)
    app.get("/metrics", response_class=Response)(service.metrics_page)
    return app


async def _at_once(work: Callable[..., Any], *arguments: Any) -> Any:
    return work(*arguments)


class Observed:
    """Counts, times, traces and logs every request, around all else."""

    def __init__(self, app: ASGIApp, metrics: Metrics, tracing: Tracing) -> None:
        self.app, self.metrics, self.tracing = app, metrics, tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500
        scope.setdefault("state", {})["told"] = {}

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = scope["path"] if scope["path"] in _PATHS else "other"
        try:
            with self.tracing.span(scope["method"], path, scope["headers"]) as span:
                await self.app(scope, receive, watched)
                if span is not None:
                    span.set_attribute("http.response.status_code", status)
        finally:
            seconds = time.perf_counter() - started
            self.metrics.requests.labels(path, str(status)).inc()
            self.metrics.seconds.labels(path).observe(seconds)
            if path == "/v1/score" or status >= 400:
                told = {"path": path, "status": status, "ms": round(seconds * 1e3, 3)}
                level = logging.WARNING if status >= 500 else logging.INFO
                _LOG.log(level, "request", extra={"fields": told | scope["state"]["told"]})


class Service:
    """The handlers, and what they share."""

    def __init__(self, settings: ServeSettings, models: Models, keys: Keys | None) -> None:
        self.settings, self.models, self.keys = settings, models, keys
        self.metrics = Metrics()
        self.rate = Rate(settings.events_per_second)
        self.shadow = Shadow(
            settings.challengers,
            list(models),
            settings.shadow_share,
            settings.trusted_key,
            self.metrics.registry,
        )
        self.ready = False
        self._in_flight = 0
        self._tell()

    async def refused(self, request: Request, refusal: Exception) -> Response:  # noqa: ARG002
        """Answer a request that is refused."""
        if not isinstance(refusal, Refusal):
            raise refusal
        self.metrics.refused.labels(refusal.reason).inc()
        body = orjson.dumps({"error": refusal.text, "reason": refusal.reason})
        headers = {}
        if refusal.retry_s is not None:
            headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_s)))
        if refusal.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return Response(body, refusal.status, headers, JSON)

    # --- /v1/score ------------------------------------------------------------------------------

    async def score(self, request: Request) -> Response:
        """Judge one event or many; the answer has the form of the body."""
        caller = self._caller(request)
        served, media, wish = self._asked(request)
        if self._in_flight >= self.settings.max_in_flight:
            raise Refusal(429, "busy", "too many requests at work; come again", 1.0)
        self._in_flight += 1
        self.metrics.in_flight.inc()
        try:
            raw = await self._body(request)
            here = len(raw) <= _INLINE_BYTES and not served.scorer.parses_texts
            run = _at_once if here else run_in_threadpool
            try:
                body = await run(read_body, raw, media, self.settings.max_batch)
                wait = self.rate.wait_s(caller, len(body))
                if wait:
                    text = "more events a second than this caller may send"
                    raise Refusal(429, "rate", text, wait)
                made = await run(judge, body, served, wish)
            except TooManyEventsError as error:
                raise Refusal(413, "too many events", str(error)) from error
            except BadRequestError as error:
                raise Refusal(400, "bad request", str(error)) from error
        finally:
            self._in_flight -= 1
            self.metrics.in_flight.dec()
        self.shadow.look(body, served, wish)
        name = served.name
        self.metrics.events.labels(name).inc(made.events)
        self.metrics.detections.labels(name).inc(made.detections)
        self.metrics.errors.labels(name).inc(made.errors)
        told: dict[str, Any] = {
            "bundle": name, "caller": caller, "events": made.events, "detections": made.detections,
        }  # fmt: skip
        if self.settings.log_texts and media != ARROW:
            told["body"] = raw[:2000].decode("utf-8", "replace")
        request.state.told = told
        return Response(made.body, 200, {"X-Buckler-Bundle": served.scorer.sha256}, made.media)

    def _caller(self, request: Request) -> str:
        if self.keys is None:
            return request.client.host if request.client is not None else "unknown"
        found = self.keys.caller(request.headers)
        if found is None:
            raise Refusal(401, "unauthorized", "an API key is needed: Authorization: Bearer …")
        return found

    def _asked(self, request: Request) -> tuple[Served, str, Wish]:
        """Return what the address and the headers of a request ask for."""
        query = request.query_params
        unknown = set(query) - {"model", "fpr", "probabilities", "explain", "as", "text"}
        if unknown:
            raise Refusal(400, "bad request", f"unknown parameter {sorted(unknown)[0][:40]!r}")
        served = self.models.get(query.get("model"))
        if served is None:
            known = ", ".join(self.models.names)
            raise Refusal(404, "unknown model", f"name one with ?model=: {known}")
        media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        media = _ALSO.get(media, media)
        if media not in MEDIA:
            raise Refusal(415, "media type", f"send one of {', '.join(MEDIA)}")
        convention = query.get("as", "verdict")
        if convention not in ("verdict", *VERDICT_FORMATS.names()):
            raise Refusal(400, "bad request", f"as: one of {', '.join(VERDICT_FORMATS.names())}")
        if media == ARROW and (convention != "verdict" or "explain" in query):
            raise Refusal(400, "bad request", "Arrow answers are columns: no `as`, no `explain`")
        try:
            rate = float(query["fpr"]) if "fpr" in query else self.settings.target_fpr
            served.scorer.threshold(rate)
            explain = int(query.get("explain", "0"))
        except (ValueError, SettingsError) as error:
            raise Refusal(400, "bad request", str(error)) from error
        if not 0 <= explain <= _MAX_EXPLAINED:
            raise Refusal(400, "bad request", f"explain: 0 to {_MAX_EXPLAINED}")
        form = VerdictForm(
            rate,
            query.get("text", "").lower() in ("1", "true"),
            query.get("probabilities", "").lower() in ("1", "true"),
            self.settings.threads,
        )
        return served, media, Wish(form, convention, explain)

    async def _body(self, request: Request) -> bytes:
        """Return the body, bounded in size and time."""
        most = self.settings.max_body_bytes
        too_large = Refusal(413, "too large", f"a body of at most {most:,} bytes is taken")
        with suppress(ValueError):
            if int(request.headers.get("content-length", "0")) > most:
                raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_timeout_s):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
        except ClientDisconnect:
            raise Refusal(400, "gone", "the client went away") from None
        except TimeoutError:
            raise Refusal(408, "slow", "the body took too long to arrive") from None
        return b"".join(parts)

    # --- the rest -------------------------------------------------------------------------------

    async def list_models(self, request: Request) -> dict[str, Any]:
        """Say which bundles are served."""
        self._caller(request)
        return {"models": [_described(served) for served in self.models]}

    async def health(self) -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "alive"}

    async def readiness(self) -> Response:
        """Say whether requests are taken."""
        state = "ready" if self.ready else "stopping"
        return Response(
            orjson.dumps({"status": state}), 200 if self.ready else 503, media_type=JSON
        )

    async def metrics_page(self) -> Response:
        """Tell Prometheus."""
        return Response(self.metrics.page(), media_type=MEDIA_TYPE)

    def reloaded(self, name: str, success: bool) -> None:
        """Count a reload."""
        self.metrics.reloads.labels(name, "taken" if success else "refused").inc()
        self._tell()

    def _tell(self) -> None:
        """Tell which bundles are at work; one that was replaced is gone."""
        self.metrics.bundle.clear()
        for served in self.models:
            task, digest = served.scorer.manifest.task, served.scorer.sha256
            self.metrics.bundle.labels(served.name, task, digest).set(1)


# What clients say who mean one of these; the last is what curl says of any body.
_ALSO = {
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "text/json": JSON,
    "application/x-www-form-urlencoded": JSON,
}
_PATHS = ("/v1/score", "/v1/models", "/healthz", "/readyz", "/metrics", "/openapi.json")


def _described(served: Served) -> dict[str, Any]:
    manifest = served.scorer.manifest
    return {
        "name": served.name,
        "task": manifest.task,
        "description": manifest.description,
        "classes": list(manifest.classes),
        "positive": list(manifest.positive),
        "sha256": served.scorer.sha256,
        "created": manifest.created,
        "thresholds": {f"{fpr:g}": value for fpr, value in manifest.thresholds.items()},
        "deployed_fpr": manifest.deployed_fpr,
        "auxiliary": list(served.scorer.auxiliary),
        "fields": list(served.fields.columns),
        "reload_failure": served.failure,
    }


def _parameter(name: str, schema: dict[str, Any], description: str) -> dict[str, Any]:
    return {"name": name, "in": "query", "schema": schema, "description": description}


_EVENT = {
    "oneOf": [
        {"type": "string"},
        {"type": "object", "description": "The fields that files of this task have."},
    ]
}
_OPENAPI: dict[str, Any] = {
    "parameters": [
        _parameter(
            "model", {"type": "string"}, "Name of a bundle; needed where several are served."
        ),
        _parameter("fpr", {"type": "number"}, "Use the threshold for this false-positive rate."),
        _parameter("probabilities", {"type": "boolean"}, "Tell the probability of each class."),
        _parameter("explain", {"type": "integer"}, "Name so many pieces that moved the verdict."),
        _parameter(
            "as", {"enum": ["verdict", "plain", "ocsf", "ecs", "alert"]}, "The form of verdicts."
        ),
        _parameter("text", {"type": "boolean"}, "Put the event into OCSF, ECS and alerts."),
    ],
    "requestBody": {
        "required": True,
        "content": {
            JSON: {
                "schema": {
                    "oneOf": [
                        {"type": "array", "items": _EVENT},
                        {
                            "type": "object",
                            "properties": {
                                "text": {"type": "string"},
                                "event": _EVENT,
                                "texts": {"type": "array", "items": {"type": "string"}},
                                "events": {"type": "array", "items": _EVENT},
                            },
                        },
                    ]
                }
            },
            NDJSON: {"schema": {"type": "string", "description": "One event a line."}},
            ARROW: {"schema": {"type": "string", "format": "binary"}},
        },
    },
    "responses": {
        "200": {"description": "A verdict, or an error, for each event, in their order."},
        "400": {"description": "The request makes no sense."},
        "401": {"description": "No API key, or an unknown one."},
        "413": {"description": "Too many bytes or events."},
        "429": {"description": "Too much at once; Retry-After says when to come again."},
    },
}
