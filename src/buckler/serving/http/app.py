"""The application: /v1/score, /v1/models, /healthz, /readyz, /metrics."""

import asyncio
import concurrent.futures
import ctypes
import logging
import math
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import orjson
import pyarrow as pa
from anyio import to_thread
from fastapi import FastAPI, Request, Response
from prometheus_client import generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

import buckler
from buckler.errors import InputError, SettingsError, TooLargeError
from buckler.operating_point import OperatingPoint
from buckler.serving.bundles import LoadedBundle, load_bundle
from buckler.serving.formats import VERDICT_FORMATS, Record
from buckler.serving.http.admission import SMALL_BYTES, build_admission
from buckler.serving.http.bodies import (
    ARROW,
    JSON,
    MEDIA,
    NDJSON,
    Body,
    TooManyEventsError,
    read_body,
    score_body,
    write_answer,
)
from buckler.serving.http.guard import Keys, Rate
from buckler.serving.http.observation import Metrics, RequestObserver, Tracing
from buckler.serving.http.openapi import POINT, describe_score
from buckler.serving.http.serve_settings import ServeSettings
from buckler.serving.http.shadow import Shadow
from buckler.serving.verdict_batch import OutputOptions, VerdictBatch

_LOG = logging.getLogger("buckler.serve")
SCORE_PATH = "/v1/score"
_THREADS = 8  # for bodies that are not small; the interpreter runs one at a time
_ARRIVING_BODIES = 8  # of the largest size, held in memory while clients send them
_LARGE_BYTES = 1 << 20
_RELEASE_S = 0.5  # behind a large body
_MAX_EXPLAINED = 20
_PARAMETERS = {"model", "probabilities", "explain", "as", "text", "keep", *POINT}
_MAX_KEPT = 64
_YES = ("1", "true")
_METRICS_MEDIA = "text/plain; version=0.0.4; charset=utf-8"
_DESCRIPTION = "Scores security events by bundles. Nothing of an event is kept."


class Refusal(Exception):  # noqa: N818 - an answer, not a fault
    """A request that is refused: with a status, a short reason, and a text for the caller."""

    def __init__(self, status: int, reason: str, text: str, retry_s: float | None = None) -> None:
        super().__init__(text)
        self.status, self.reason, self.text, self.retry_s = status, reason, text, retry_s


def build_app(settings: ServeSettings) -> FastAPI:
    """Return the application; its bundles are loaded and verified."""
    service, tracing = Service(settings), Tracing()
    for bundle in service.bundles.values():  # the first verdict takes longest
        score_body(Body(JSON, ["warm"], single=True), bundle, OutputOptions())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001 - FastAPI's interface
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        watching = asyncio.create_task(service.watch()) if settings.reload_s else None
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
    app.add_exception_handler(Refusal, service.answer_refusal)
    app.add_middleware(RequestObserver, metrics=service.metrics, tracing=tracing)
    app.post(SCORE_PATH, openapi_extra=describe_score(), response_class=Response)(service.score)
    app.get("/v1/models", response_model=None)(service.list_models)
    app.get("/healthz")(service.health)
    app.get("/readyz")(service.readiness)
    app.get("/metrics", response_class=Response)(service.metrics_page)
    return app


class Service:
    """The handlers, and what they share. A request keeps the bundle that it began with."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.bundles = _load_bundles(settings)
        self.keys = Keys(settings.api_keys) if settings.api_keys else None
        self.rate = Rate(settings.events_per_second)
        self.shadow = Shadow(
            settings.challengers,
            list(self.bundles.values()),
            settings.shadow_share,
            settings.trusted_key,
            self.metrics,
        )
        self.ready = False
        self.admission = build_admission(
            SCORE_PATH,
            settings.max_in_flight,
            settings.max_wait_s,
            _THREADS,
            self.metrics.refused.labels("queue").inc,
        )
        self._arriving_bytes = 0
        self._is_release_due = False
        self._export_bundles()

    async def answer_refusal(self, request: Request, refusal: Exception) -> Response:  # noqa: ARG002
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
        """Score one event or many; the answer has the form of the body."""
        caller = self._caller(request)
        bundle, media, options = self._parse_request(request)
        raw = await self._read_raw(request)
        queue = self.admission.queue_for(_content_length(request))
        if queue.is_crowded:
            raise Refusal(429, "busy", "too many requests at work; come again", 1.0)
        try:
            async with queue.take_turn() as waited_s:
                if waited_s > queue.max_wait_s:
                    raise Refusal(429, "late", "the request has waited too long; come again", 1.0)
                with self.metrics.in_flight.track_inprogress():
                    body, verdicts, content = await self._work(raw, media, caller, bundle, options)
        # A thread's future refers to the error, whose frames hold the body and the future.
        except TooManyEventsError as error:
            raise Refusal(413, "too many events", str(error)) from error.with_traceback(None)
        except TooLargeError as error:
            raise Refusal(413, "too large", str(error)) from error.with_traceback(None)
        except InputError as error:
            raise Refusal(400, "bad request", str(error)) from error.with_traceback(None)
        finally:
            if len(raw) > _LARGE_BYTES:
                self._release_soon()
        self.shadow.score(body, verdicts, bundle, options)
        events, detections = len(body), sum(batch.detections for batch in verdicts)
        unscored = sum(batch.size - len(batch.rows) for batch in verdicts)
        self.metrics.events.labels(bundle.name).inc(events)
        self.metrics.detections.labels(bundle.name).inc(detections)
        self.metrics.errors.labels(bundle.name).inc(unscored)
        fields = {
            "bundle": bundle.name, "caller": caller, "events": events, "detections": detections,
        }  # fmt: skip
        if self.settings.log_texts and media != ARROW:
            fields["body"] = raw[:2000].decode("utf-8", "replace")
        request.state.log_fields = fields
        return Response(content, 200, {"X-Buckler-Bundle": bundle.scorer.sha256}, media)

    def _release_soon(self) -> None:
        """Give memory back a little later: until its answer is out, a request holds its own."""

        def release() -> None:
            self._is_release_due = False
            loop.run_in_executor(None, _release_memory)

        if not self._is_release_due:
            self._is_release_due = True
            loop = asyncio.get_running_loop()
            loop.call_later(_RELEASE_S, release)

    async def _work(
        self, raw: bytes, media: str, caller: str, bundle: LoadedBundle, options: OutputOptions
    ) -> tuple[Body, list[VerdictBatch], bytes]:
        """Read and score a body; a small one at once, without a change of thread."""
        inline = len(raw) <= SMALL_BYTES and not bundle.scorer.parses_texts
        read = partial(read_body, raw, media, self.settings.max_batch)
        body = read() if inline else await run_in_threadpool(read)
        wait_s = self.rate.wait_s(caller, len(body))
        if wait_s:
            raise Refusal(429, "rate", "more events a second than this caller may send", wait_s)
        answer = partial(_answer, body, bundle, options)
        verdicts, content = answer() if inline else await run_in_threadpool(answer)
        return body, verdicts, content

    def _caller(self, request: Request) -> str:
        if self.keys is None:
            return request.client.host if request.client is not None else "unknown"
        found = self.keys.caller(request.headers)
        if found is None:
            raise Refusal(401, "unauthorized", "an API key is needed: Authorization: Bearer …")
        return found

    def _parse_request(self, request: Request) -> tuple[LoadedBundle, str, OutputOptions]:
        """Return what the address and the headers of a request ask for."""
        query = request.query_params
        unknown = query.keys() - _PARAMETERS
        if unknown:
            raise Refusal(400, "bad request", f"unknown parameter {sorted(unknown)[0][:40]!r}")
        only = next(iter(self.bundles)) if len(self.bundles) == 1 else ""
        bundle = self.bundles.get(query.get("model", only))
        if bundle is None:
            known = ", ".join(self.bundles)
            raise Refusal(404, "unknown model", f"name one with ?model=: {known}")
        media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        media = _ALSO.get(media, media)
        if media not in MEDIA:
            raise Refusal(415, "media type", f"send one of {', '.join(MEDIA)}")
        format_name = query.get("as", "verdict")
        formats = ["verdict", *VERDICT_FORMATS.names()]
        if format_name not in formats:
            raise Refusal(400, "bad request", f"as: one of {', '.join(formats)}")
        if media == ARROW and (format_name != "verdict" or query.keys() & {"explain", "keep"}):
            reason = "Arrow answers are columns: no `as`, `explain` or `keep`"
            raise Refusal(400, "bad request", reason)
        try:
            if asked := {name: float(query[name]) for name in POINT if name in query}:
                bundle = bundle.with_operating_point(OperatingPoint(**asked))
            explain = int(query.get("explain", "0"))
        except (ValueError, SettingsError) as error:
            raise Refusal(400, "bad request", str(error)) from error
        if not 0 <= explain <= _MAX_EXPLAINED:
            raise Refusal(400, "bad request", f"explain: 0 to {_MAX_EXPLAINED}")
        keep = [name for name in query.get("keep", "").split(",") if name]
        if len(keep) > _MAX_KEPT:
            raise Refusal(400, "bad request", f"keep: at most {_MAX_KEPT} fields")
        options = OutputOptions(
            with_text=query.get("text", "").lower() in _YES,
            with_probabilities=query.get("probabilities", "").lower() in _YES,
            threads=self.settings.threads,
            format_name=None if format_name == "verdict" else format_name,
            explain=explain,
            keep=tuple(keep),
        )
        return bundle, media, options

    async def _read_raw(self, request: Request) -> bytes:
        """Return the body, bounded in size and time."""
        most = self.settings.max_body_bytes
        too_large = Refusal(413, "too large", f"a body of at most {most:,} bytes is taken")
        if (_content_length(request) or 0) > most:
            raise too_large
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self.settings.body_timeout_s):
                async for part in request.stream():
                    size += len(part)
                    self._arriving_bytes += len(part)
                    if size > most:
                        raise too_large
                    if self._arriving_bytes > _ARRIVING_BODIES * most:
                        raise Refusal(429, "busy", "too many bodies are arriving", 1.0)
                    parts.append(part)
        except ClientDisconnect:
            raise Refusal(400, "gone", "the client went away") from None
        except TimeoutError:
            raise Refusal(408, "slow", "the body took too long to arrive") from None
        finally:
            self._arriving_bytes -= size
        return b"".join(parts)

    # --- other requests -------------------------------------------------------------------------

    async def list_models(self, request: Request) -> Record:
        """List the bundles that are served."""
        self._caller(request)
        return {"models": [_describe(bundle) for bundle in self.bundles.values()]}

    async def health(self) -> dict[str, str]:
        """Say that the process is alive."""
        return {"status": "alive"}

    async def readiness(self) -> Response:
        """Say whether requests are taken."""
        state, status = ("ready", 200) if self.ready else ("stopping", 503)
        return Response(orjson.dumps({"status": state}), status, media_type=JSON)

    async def metrics_page(self) -> Response:
        """Answer Prometheus."""
        return Response(generate_latest(self.metrics.registry), media_type=_METRICS_MEDIA)

    async def watch(self) -> None:
        """Look at the bundle files again and again, and take over what has changed."""
        while True:
            await asyncio.sleep(self.settings.reload_s)
            for name, bundle in list(self.bundles.items()):
                newer = await _in_daemon_thread(bundle.reload)
                if newer is not bundle:
                    self.bundles[name] = newer
                    newer.log_reload(_LOG)
                    result = "refused" if newer.failure else "taken"
                    self.metrics.reloads.labels(name, result).inc()
                    self._export_bundles()

    def _export_bundles(self) -> None:
        """Export the bundles at work; one that was replaced is gone."""
        self.metrics.bundle.clear()
        for bundle in self.bundles.values():
            task, digest = bundle.scorer.manifest.task, bundle.scorer.sha256
            self.metrics.bundle.labels(bundle.name, task, digest).set(1)


# Other names of the media types; the last is what curl sends with any body.
_ALSO = {
    "application/ndjson": NDJSON,
    "application/jsonl": NDJSON,
    "text/json": JSON,
    "application/x-www-form-urlencoded": JSON,
}


def _content_length(request: Request) -> int | None:
    with suppress(ValueError):
        return int(request.headers.get("content-length", ""))
    return None


def _load_bundles(settings: ServeSettings) -> dict[str, LoadedBundle]:
    bundles: dict[str, LoadedBundle] = {}
    for path in settings.bundles:
        found = load_bundle(path, settings.columns, settings.trusted_key, settings.operating_point)
        if found.name in bundles:
            raise SettingsError(
                f"{path} and {bundles[found.name].path} are both named {found.name}: "
                "requests choose a bundle by its name, so each needs its own"
            )
        bundles[found.name] = found
    return bundles


async def _in_daemon_thread(work: Callable[[], LoadedBundle]) -> LoadedBundle:
    """Return the result of work that a stop does not wait for."""
    result = concurrent.futures.Future[LoadedBundle]()

    def run() -> None:
        result.set_running_or_notify_cancel()  # a stop cancels the wait, not the work
        result.set_result(work())

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(result)


def _release_memory() -> None:
    """Give memory of large bodies back to the system; the allocators would keep it."""
    pa.default_memory_pool().release_unused()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _answer(
    body: Body, bundle: LoadedBundle, options: OutputOptions
) -> tuple[list[VerdictBatch], bytes]:
    verdicts = score_body(body, bundle, options)
    return verdicts, write_answer(body, verdicts, bundle, options)


def _describe(bundle: LoadedBundle) -> Record:
    manifest = bundle.scorer.manifest
    return {
        "name": bundle.name,
        "task": manifest.task,
        "description": manifest.description,
        "classes": [*manifest.classes],
        "positive": [*manifest.positive],
        "sha256": bundle.scorer.sha256,
        "created": manifest.created,
        "threshold": bundle.scorer.threshold,
        "thresholds": {f"{fpr:g}": value for fpr, value in manifest.thresholds.items()},
        "deployed_fpr": manifest.deployed_fpr,
        "auxiliary": [*bundle.scorer.auxiliary],
        "fields": [*bundle.columns.text],
        "reload_failure": bundle.failure,
    }
