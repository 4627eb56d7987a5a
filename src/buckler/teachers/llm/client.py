"""The seam to a model server: one request, one reply; it knows nothing of tasks and labels."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from time import time

from buckler.errors import InputError, SettingsError
from buckler.extras import import_extra
from buckler.teachers.llm.prices import Meter

KEYRING_SERVICE = "buckler"
_TEMPORARY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_NO_CREDIT = ("insufficient_quota", "credit balance", "billing")

Message = dict[str, str]
JsonSchema = dict[str, object]


class RetryableError(Exception):
    """A request that failed for now.

    Attributes
    ----------
    after_s
        Wait that the server asks for; None if it does not say.
    may_cost
        True if the request may have been charged although no reply came.
    """

    def __init__(self, message: str, *, after_s: float | None = None, may_cost: bool = False):
        super().__init__(message)
        self.after_s, self.may_cost = after_s, may_cost


class RefusedError(Exception):
    """A request that this server will never answer: too long, or against its policy."""


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes
    ----------
    system
        Instructions; the same for all requests of a run, so that servers can cache them.
    messages
        Turns of the conversation.
    schema
        JSON schema of the answer.
    answer_tokens
        Longest answer.
    n
        Number of answers; fewer may come.
    is_sampled
        True to draw the answers at random; else the likeliest one comes, with its probabilities.
    """

    system: str
    messages: list[Message]
    schema: JsonSchema
    answer_tokens: int
    n: int = 1
    is_sampled: bool = False

    @property
    def characters(self) -> int:
        """Length of all text that is sent."""
        return len(self.system) + sum(len(m["content"]) for m in self.messages)

    def with_samples(self, n: int) -> "Request":
        """Return this request for `n` random answers."""
        return replace(self, n=n, is_sampled=True)


@dataclass(frozen=True)
class Token:
    """One token of an answer with its alternatives, each (text, log-probability)."""

    text: str
    logprob: float
    alternatives: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class Choice:
    """One answer, with its tokens where the server gives their probabilities."""

    content: str
    tokens: tuple[Token, ...] | None = None


@dataclass(frozen=True)
class Reply:
    """Answers to one request; a token count is None where the server does not say."""

    choices: list[Choice]
    input_tokens: int | None = None
    output_tokens: int | None = None


class ModelClient(ABC):
    """A connection to one model.

    Attributes
    ----------
    name
        Name of the model.
    hosted
        True if requests leave this machine or network.
    meter
        Counts tokens and dollars.
    has_probabilities
        True as long as the likeliest answer comes with the probabilities of its tokens.
    shares_input
        True if several answers to a request are charged for one input.
    version_facts
        Further settings that change its answers.
    """

    name: str
    hosted: bool
    meter: Meter
    has_probabilities = False
    shares_input = True
    version_facts: tuple[object, ...] = ()

    @abstractmethod
    async def send(self, request: Request) -> Reply:
        """Make one request.

        Raises
        ------
        RetryableError, RefusedError
            If no reply comes.
        BucklerError
            If no further request can succeed: a wrong key, an unknown model.
        """

    async def aclose(self) -> None:  # noqa: B027 - most have none
        """Close connections. A run ends with it; the next one opens them anew."""


def api_key(variable: str, *, required: bool) -> str:
    """Return the key in this environment variable, or in the keyring under its name.

    The client puts the key into its header; it is written nowhere else.

    Raises
    ------
    SettingsError
        If there is none and the server needs one.
    """
    key = os.environ.get(variable, "").strip() or _key_from_keyring(variable)
    if key or not required:
        return key or "none"
    raise SettingsError(
        f"no API key: set the environment variable {variable}, or store it with "
        f"`keyring set {KEYRING_SERVICE} {variable}`"
    )


def _key_from_keyring(variable: str) -> str:
    keyring = import_extra("keyring", "asking a language model", "llm")
    try:
        return keyring.get_password(KEYRING_SERVICE, variable) or ""
    except keyring.errors.KeyringError:  # no keyring on this machine
        return ""


def translate_error(error: Exception, model: str) -> Exception:
    """Return the error to raise for an error of the `openai` or `anthropic` library."""
    status: int | None = getattr(error, "status_code", None)
    message = " ".join(str(error).split())[:200]
    if status is None:  # no reply, or an unreadable one
        name = type(error).__name__
        is_connecting = "Connect" in type(error.__cause__).__name__
        return RetryableError(f"{name}: {message}", may_cost=not is_connecting)
    if status in (401, 403):
        return SettingsError(f"{model}: the server refuses the API key ({status}: {message})")
    if status == 404:
        return SettingsError(f"{model}: the server does not know this model or path ({message})")
    if status == 402 or (status == 429 and any(sign in message for sign in _NO_CREDIT)):
        return InputError(f"{model}: the server's account is out of credit ({message})")
    if status in _TEMPORARY:
        headers = getattr(getattr(error, "response", None), "headers", {})
        return RetryableError(f"{status}: {message}", after_s=_retry_after_s(headers))
    if status < 300:
        return RetryableError(f"an answer that cannot be read: {message}", may_cost=True)
    return RefusedError(f"{status}: {message}")


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    milliseconds = headers.get("retry-after-ms")
    after = headers.get("retry-after")
    try:
        if milliseconds:
            return max(0.0, float(milliseconds) / 1000)
        return max(0.0, float(after)) if after else None
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(after or "").timestamp() - time())
    except (TypeError, ValueError):
        return None
