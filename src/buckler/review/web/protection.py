"""Protection of the pages: security headers, limits on request bodies, sign-in rate limits."""

import asyncio
import math
from collections.abc import Callable

from limits import parse
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 64 << 10
BODY_TIMEOUT_S = 10.0

_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# A plot is an SVG picture with inline styles, and nothing else.
PICTURE_CSP = "default-src 'none'; style-src 'unsafe-inline'"
_HEADERS = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # without one, browsers send no Origin with forms
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), clipboard-read=()",
    "Cache-Control": "no-store",
}


class SecurityHeaders:
    """Middleware that adds security headers to every response that lacks them."""

    def __init__(self, app: ASGIApp, uses_tls: bool) -> None:
        self._app, self._uses_tls = app, uses_tls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def add_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/static/"):
                    headers.setdefault("Cache-Control", "no-cache")  # revalidated by its ETag
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if self._uses_tls:
                    headers.setdefault("Strict-Transport-Security", "max-age=31536000")
            await send(message)

        await self._app(scope, receive, add_headers)


class BodyLimit:
    """Middleware that reads each body first: it must be small and arrive in time."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        try:
            body = await asyncio.wait_for(_read(receive), BODY_TIMEOUT_S)
        except TimeoutError:
            await _refuse(send, 408, b"the request did not arrive in time")
            return
        if body is None:
            await _refuse(send, 413, b"the request is too large")
            return
        given = False

        async def again() -> Message:
            nonlocal given
            if given:
                return await receive()
            given = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, again, send)


async def _read(receive: Receive) -> bytes | None:
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
        parts.append(part)
        more = message["type"] == "http.request" and message.get("more_body", False)
    return b"".join(parts)


async def _refuse(send: Send, status: int, text: bytes) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text})


class SignInRate:
    """Rate limits of sign-in: for an account from an address, and for each of them alone."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._clock = clock
        self._limits = (
            (parse("5/5 minutes"), "{name} {address}"),
            (parse("30/5 minutes"), "{address}"),
            (parse("100/hour"), "{name}"),
        )
        self._logged = parse("5/5 minutes")

    def wait_s(self, name: str, address: str) -> int:
        """Count a try; return the seconds to wait, 0 if the try is allowed."""
        keys = [
            (limit, form.format(name=name[:100].lower(), address=address))
            for limit, form in self._limits
        ]
        for limit, key in keys:
            if not self._limiter.test(limit, key):
                reset = self._limiter.get_window_stats(limit, key).reset_time
                return max(1, math.ceil(float(reset) - self._clock()))
        for limit, key in (keys[0], keys[2]):
            self._limiter.hit(limit, key)
        return 0

    def worth_noting(self, address: str) -> bool:
        """Return True if a refusal enters the audit log: a flood must not fill it."""
        return bool(self._limiter.hit(self._logged, f"logged {address}"))

    def count_failure(self, address: str) -> None:
        """Count a failure for an address, which many analysts may share."""
        limit, form = self._limits[1]
        self._limiter.hit(limit, form.format(address=address))

    def forget(self, name: str, address: str) -> None:
        """Reset the tries of an account from an address."""
        limit, form = self._limits[0]
        self._limiter.clear(limit, form.format(name=name[:100].lower(), address=address))
