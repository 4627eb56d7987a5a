"""The seam to a model server: one request, one reply; it knows nothing of tasks and labels."""

import json
import math
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from time import time
from urllib.parse import urlsplit, urlunsplit

from buckler.errors import InputError, SettingsError
from buckler.extras import import_extra
from buckler.teachers.llm.prices import Meter

KEYRING_SERVICE = "buckler"
CONNECT_S = 4.0  # a server that takes longer to accept a connection is dead
_TEMPORARY = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_MODERATION = re.compile(r"moderat|flagged|polic(?:y|ies)|safety", re.IGNORECASE)
_NO_CREDIT = ("insufficient_quota", "credit balance", "billing")

Message = dict[str, str]
JsonSchema = dict[str, object]

CUT_OFF = "the answer was cut off: raise `max_tokens`"
_REASONING = r"(?:seed:)?(?:think|thinking|thoughts?|reasoning|reflection|analysis)"
_REASONING_START = re.compile(
    rf"<{_REASONING}\b[^<>]{{0,99}}>|\[think\]|\u25c1think\u25b7"
    r"|<\|(?:begin_of_thought|start_thinking)\|>|<\|channel\|>",
    re.IGNORECASE,
)
_REASONING_END = re.compile(
    rf"</{_REASONING}>|\[/think\]|\u25c1/think\u25b7|<\|end_(?:of_thought|thinking)\|>"
    r"|<\|channel\|>final(?:\s*<\|constrain\|>\w{1,9})?<\|message\|>",
    re.IGNORECASE,
)
_JSON_START = re.compile(r"\s*(?:```\w{0,9}\s*)?(?:\{|\[\s*[{\"])")


class RetryableError(Exception):
    """A request that failed for now.

    Attributes
    ----------
    after_s
        Wait that the server asks for; None if it does not say.
    may_cost
        True if the request may have been charged although no reply came.
    is_unreachable
        True if there was no connection to the server.
    """

    def __init__(
        self,
        message: str,
        *,
        after_s: float | None = None,
        may_cost: bool = False,
        is_unreachable: bool = False,
    ):
        super().__init__(message)
        self.after_s, self.may_cost, self.is_unreachable = after_s, may_cost, is_unreachable


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
    """One answer.

    Attributes
    ----------
    content
        Answer, without the reasoning before it.
    tokens
        Its tokens and those of the reasoning, where the server gives their probabilities.
    problem
        Reason why the answer is missing or incomplete, where the server gives one.
    has_reasoning
        True if the model reasoned before it answered.
    """

    content: str
    tokens: tuple[Token, ...] | None = None
    problem: str | None = None
    has_reasoning: bool = False


@dataclass(frozen=True)
class Reply:
    """Answers to one request; a token count is None where the server does not say."""

    choices: list[Choice]
    input_tokens: int | None = None
    output_tokens: int | None = None

    def after(self, lost: "Reply") -> "Reply":
        """Return this reply with the tokens of an earlier one, which was of no use."""
        pairs = (
            (self.input_tokens, lost.input_tokens),
            (self.output_tokens, lost.output_tokens),
        )
        sums = [None if a is None or b is None else a + b for a, b in pairs]
        return Reply(self.choices, *sums)


class ModelClient(ABC):
    """A connection to one model.

    Attributes
    ----------
    name
        Name of the model.
    address
        Address of the server.
    was_reached
        True once the server has answered anything.
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
    address: str
    hosted: bool
    meter: Meter
    was_reached = False
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

    def translate(self, error: Exception) -> Exception:
        """Return the error to raise for an error of the `openai` or `anthropic` library.

        A server that was never reached ends the run at once: most likely its address is wrong.
        """
        status: int | None = getattr(error, "status_code", None)
        found = translate_error(error, f"{self.name} at {self.address}")
        self.was_reached |= status is not None
        if isinstance(found, RetryableError) and found.is_unreachable and not self.was_reached:
            return InputError(
                f"{self.address}: no server answers there ({found})", field="base_url"
            )
        return found

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


def read_choice(
    content: object,
    tokens: tuple[Token, ...] | None = None,
    *,
    is_cut: bool = False,
    refusal: object = None,
    reasoning: object = None,
) -> Choice:
    """Return one answer of a server, which may come in any form.

    Parameters
    ----------
    content
        A text, a list of parts, or what else the server gives.
    is_cut
        True if the answer ended at the limit of tokens.
    refusal
        Words of the model in place of an answer, if any.
    reasoning
        Reasoning that the server gives apart from the answer, if any.
    """
    text = text_of(content)
    answer, has_reasoning = _split_reasoning(text, is_cut=is_cut)
    has_reasoning |= bool(reasoning)
    problem = None
    if is_cut:
        problem = CUT_OFF
    elif refusal:
        problem = f"refused: {str(refusal)[:100]}"
    elif has_reasoning and not answer:
        problem = "reasoning without an answer"
    return Choice(answer, tokens, problem, has_reasoning)


def text_of(content: object) -> str:
    """Return the text of an answer; parts that hold reasoning or no text are left out."""
    if isinstance(content, str):
        return content.encode("utf-8", "replace").decode()
    if isinstance(content, list):
        return "".join(text_of(part) for part in content if _is_text(part))
    if isinstance(content, dict):
        for name in ("text", "value"):  # `{"type": "text", "text": {"value": "..."}}`
            if name in content:
                return text_of(content[name])
    return "" if content is None else json.dumps(content)


def _is_text(part: object) -> bool:
    kind = part.get("type", "text") if isinstance(part, dict) else "text"
    return kind in ("text", "output_text")


def _split_reasoning(text: str, *, is_cut: bool) -> tuple[str, bool]:
    """Return the answer, and whether reasoning stands before it.

    An answer that was cut off has to begin at once: what follows other words may be a draft.
    """
    if _JSON_START.match(text):
        return text, False
    ends = [match.end() for match in _REASONING_END.finditer(text)]
    answer = text[ends[-1] :] if ends else text
    is_open = bool(_REASONING_START.search(answer)) and not _JSON_START.match(answer)
    return "" if is_cut or is_open else answer, bool(ends) or is_open


def server_address(url: str) -> str:
    """Return the address of a server, without the secrets that it may hold."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")).rstrip(
        "/"
    )


_HUNG_UP = "ServerDisconnectedError"  # of aiohttp, below the clients


def translate_error(error: Exception, model: str) -> Exception:
    """Return the error to raise for an error of the `openai` or `anthropic` library."""
    status: int | None = getattr(error, "status_code", None)
    if status is None:  # no reply, or an unreadable one
        # A server that hangs up after the request is reported as a connection that never was.
        has_hung_up = type(getattr(error.__cause__, "__cause__", None)).__name__ == _HUNG_UP
        if "Connect" in type(error.__cause__).__name__ and not has_hung_up:
            reason = _one_line(error.__cause__) or type(error.__cause__).__name__
            return RetryableError(f"no connection: {reason}", is_unreachable=True)
        return RetryableError(f"{type(error).__name__}: {_one_line(error)}", may_cost=True)
    headers = getattr(getattr(error, "response", None), "headers", {})
    return status_error(status, error_text(error), model, _retry_after_s(headers))


def error_text(error: Exception) -> str:
    """Return what the server says: its whole answer where the library leaves the words out."""
    said = getattr(getattr(error, "response", None), "text", "")
    return f"{error} {said[:2000]}" if " - " not in str(error) else str(error)


def status_error(
    status: int, detail: object, model: str, after_s: float | None = None
) -> Exception:
    """Return the error to raise for a status of HTTP, or one inside the body of a reply."""
    message = _one_line(detail)
    if status == 403 and _MODERATION.search(message):
        return RefusedError(f"{status}: {message}")
    if status in (401, 403):
        return SettingsError(f"{model}: the server refuses the API key ({status}: {message})")
    if status == 404:
        return SettingsError(f"{model}: the server does not know this model or path ({message})")
    if status == 402 or (status == 429 and any(sign in message for sign in _NO_CREDIT)):
        return InputError(f"{model}: the server's account is out of credit ({message})")
    if status in _TEMPORARY:
        return RetryableError(f"{status}: {message}", after_s=after_s)
    if status < 300:
        return RetryableError(f"an answer that cannot be read: {message}", may_cost=True)
    return RefusedError(f"{status}: {message}")


def _one_line(detail: object) -> str:
    return " ".join(str(detail).split())[:200]


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Return the wait that a server asks for: seconds or a date; None for anything else."""
    milliseconds, after = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        wait_s = float(milliseconds) / 1000 if milliseconds else float(after or "")
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(after or "").timestamp() - time()
        except (TypeError, ValueError, OverflowError, IndexError):
            return None
    return None if math.isnan(wait_s) else max(0.0, wait_s)
