"""What an error of a client library means: try later, never, or give up."""

from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from buckler.errors import InputError, SettingsError
from buckler.teachers.llm.language_model import RefusedError, TryLaterError

_FOR_NOW = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_NO_MONEY = ("insufficient_quota", "credit balance", "billing")


def translated(error: Any, model: str) -> Exception:
    """Return the error to raise for one of the `openai` or `anthropic` libraries."""
    status = getattr(error, "status_code", None)
    message = _message(error)
    if status is None:  # no answer, or none that could be read
        name = type(error).__name__
        connecting = "Connect" in type(error.__cause__).__name__
        return TryLaterError(f"{name}: {message}", may_cost=not connecting)
    if status in (401, 403):
        return SettingsError(f"{model}: the server refuses the API key ({status}: {message})")
    if status == 404:
        return SettingsError(f"{model}: the server does not know this model or path ({message})")
    if status == 402 or (status == 429 and any(sign in message for sign in _NO_MONEY)):
        return InputError(f"{model}: the server's account is out of credit ({message})")
    if status in _FOR_NOW:
        headers = getattr(getattr(error, "response", None), "headers", {})
        return TryLaterError(f"{status}: {message}", after_s=_retry_after(headers))
    if status < 300:
        return TryLaterError(f"an answer that cannot be read: {message}", may_cost=True)
    return RefusedError(f"{status}: {message}")


def _message(error: Any) -> str:
    return " ".join(str(error).split())[:200]


def _retry_after(headers: Any) -> float | None:
    milliseconds = headers.get("retry-after-ms")
    after = headers.get("retry-after")
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(after)) if after else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(after).timestamp() - time())
    except (TypeError, ValueError):
        return None
