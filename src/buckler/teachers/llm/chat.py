"""Any server with OpenAI's chat completions: hosted, vLLM, Ollama, llama.cpp."""

import ipaddress
import math
import os
import re
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from buckler.errors import SettingsError
from buckler.extras import import_extra
from buckler.teachers.llm.client import (
    CONNECT_S,
    CUT_OFF,
    Choice,
    ModelClient,
    RefusedError,
    Reply,
    Request,
    RetryableError,
    Token,
    api_key,
    error_text,
    read_choice,
    server_address,
    status_error,
)
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.model_settings import ModelSettings
from buckler.teachers.llm.prices import Meter, price_table
from buckler.teachers.teacher import TEACHERS

if TYPE_CHECKING:
    import openai

TOP_LOGPROBS = 20
_MAX_DOWNGRADES = 12
_REASONING_TOKENS = 8192  # beside the answer, by default
_MIN_REASONING_TOKENS = 256
_CUT = ("length", "max_tokens", "model_length")  # reasons of different servers
_REFUSED = ("content_filter", "refusal", "safety")

Body = dict[str, object]


class ChatSettings(ModelSettings):
    """Settings of the `chat` teacher.

    Attributes
    ----------
    base_url
        Address of the server, such as ``http://127.0.0.1:8000/v1``; by default the library's own.
    api_key_env
        Environment variable (or name in the keyring) that holds the key.
    hosted
        True if events leave this machine or network; by default the address decides.
    probabilities
        ``logprobs``: from token probabilities; ``samples``: from repeated answers; ``auto``:
        from token probabilities where the server gives them.
    output
        Way to enforce the form of the answer: ``json-schema``, ``json``, ``text`` (none), or
        ``auto``: the strictest that the server accepts.
    """

    base_url: str | None = None
    api_key_env: str = Field(default="OPENAI_API_KEY", min_length=1)
    hosted: bool | None = None
    probabilities: Literal["auto", "logprobs", "samples"] = "auto"
    output: Literal["auto", "json-schema", "json", "text"] = "auto"


class ChatClient(ModelClient):
    """A client of an OpenAI-compatible server."""

    def __init__(
        self, settings: ChatSettings, name: str = "", version_facts: tuple[object, ...] = ()
    ) -> None:
        self.settings = settings
        self.name = name or settings.model
        self.address = self.find_address()
        self.hosted = _is_hosted(self.address) if settings.hosted is None else settings.hosted
        self.meter = Meter(settings.price or price_table(settings.prices).find(settings.model))
        self.has_probabilities = settings.probabilities != "samples"
        self.version_facts = (
            self.address,
            settings.probabilities,
            settings.output,
            *version_facts,
        )
        self._output = "json-schema" if settings.output == "auto" else settings.output
        self._length_key = "max_tokens"
        self._reasoning_tokens = 0  # until the model is seen to reason
        self._takes_temperature = True
        self._takes_n = True
        self._sdk: openai.AsyncOpenAI | None = None

    def find_address(self) -> str:
        """Return the address of the server; two servers may run two models of one name."""
        default = os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        return server_address(self.settings.base_url or default)

    def connect(self) -> "openai.AsyncOpenAI":
        """Return the library's client, with connections that all requests of a run share."""
        openai = import_extra("openai", "the teacher 'chat'", "llm")
        has_aiohttp = find_spec("aiohttp") is not None  # the faster of its transports
        return openai.AsyncOpenAI(
            api_key=api_key(self.settings.api_key_env, required=self.hosted),
            base_url=self.settings.base_url,
            http_client=openai.DefaultAioHttpClient() if has_aiohttp else None,
            # aiohttp's whole wait for a connection is that for one of the pool.
            timeout=openai.Timeout(
                self.settings.timeout_s,
                connect=CONNECT_S,
                pool=max(CONNECT_S, self.settings.timeout_s),
            ),
            max_retries=0,  # the runner tries again, within its limits
        )

    async def aclose(self) -> None:
        """Close the connections."""
        if self._sdk is not None:
            sdk, self._sdk = self._sdk, None
            await sdk.close()

    async def send(self, request: Request) -> Reply:
        """Make one request; drop what the server cannot do and make it again."""
        self._sdk = self._sdk or self.connect()
        import openai

        lost = Reply([], 0, 0)
        for _ in range(_MAX_DOWNGRADES):
            body = self.body(request)
            try:
                # Not `chat.completions.create`: walking its types costs more than the call.
                data = await self._sdk.post("/chat/completions", cast_to=object, body=body)
            except openai.APIStatusError as error:
                if error.status_code in (400, 403, 422, 501):
                    if self.body(request) == body:  # else another call has found it out meanwhile
                        self._downgrade(error_text(error), body)
                    if self.body(request) != body:
                        continue
                raise self.translate(error) from error
            except (openai.OpenAIError, ValueError, RecursionError) as error:
                raise self.translate(error) from error
            self.was_reached = True
            if (problem := _find_error(data)) is not None:
                where = f"{self.name} at {self.address}"
                raise status_error(_status_of(problem), problem, where)
            reply = self._reply(data, request).after(lost)
            is_cut = any(choice.problem == CUT_OFF for choice in reply.choices)
            if not is_cut or self._max_tokens(request) == body[self._length_key]:
                return reply
            lost = reply  # the model turned out to reason: ask again with more tokens
        raise RefusedError("the server takes none of the ways to ask")

    def body(self, request: Request) -> Body:
        """Return a request as the server takes it."""
        body: Body = {
            "model": self.settings.model,
            "messages": [{"role": "system", "content": request.system}, *request.messages],
            self._length_key: self._max_tokens(request),
        }
        wants_likeliest = self.has_probabilities and not request.is_sampled
        if wants_likeliest:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        elif self._takes_n and request.n > 1:
            body["n"] = request.n
        if self._takes_temperature:
            body["temperature"] = 0 if wants_likeliest else self.settings.temperature
        if self._output == "json-schema":
            schema = {"name": "answer", "strict": True, "schema": request.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self._output == "json":
            body["response_format"] = {"type": "json_object"}
        return body

    def _max_tokens(self, request: Request) -> int:
        return self.settings.max_tokens or request.answer_tokens + self._reasoning_tokens

    def _downgrade(self, message: str, body: Body) -> None:
        """Drop what the server complains of, unless the user insists on it."""
        if "logprobs" in message and "logprobs" in body:
            self.has_probabilities = self.settings.probabilities == "logprobs"
        elif (
            re.search(r"response_format|json_schema|json schema|grammar", message)
            and "response_format" in body
            and self.settings.output == "auto"
        ):
            self._output = "json" if "json_schema" in str(body["response_format"]) else "text"
        elif "max_completion_tokens" in message and "max_tokens" in body:
            self._length_key = "max_completion_tokens"
            self._reasoning_tokens = _REASONING_TOKENS  # only models that reason insist on it
        elif self._reasoning_tokens and re.search(r"max_\w*tokens|context", message):
            half = self._reasoning_tokens // 2
            self._reasoning_tokens = half if half >= _MIN_REASONING_TOKENS else 0
        elif "temperature" in message and "temperature" in body:
            self._takes_temperature = False
        elif "n" in body and re.search(r"\bn\b|completion choices", message):
            self._takes_n = False

    def _reply(self, data: Any, request: Request) -> Reply:  # untrusted JSON
        try:
            choices = [_choice(choice) for choice in data["choices"] or ()]
            usage = data.get("usage") or {}
            counts = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
            details = usage.get("completion_tokens_details") or {}
            has_reasoning = any(choice.has_reasoning for choice in choices)
            if has_reasoning or details.get("reasoning_tokens"):
                self._reasoning_tokens = self._reasoning_tokens or _REASONING_TOKENS
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise RetryableError(
                f"an answer that is no chat completion: {str(data)[:100]}", may_cost=True
            ) from error
        if not choices:
            raise RetryableError("an answer without a choice", may_cost=True)
        if not request.is_sampled and self.has_probabilities and choices[0].tokens is None:
            if self.settings.probabilities == "logprobs":
                raise SettingsError(
                    f"{self.settings.model}: the server gives no token probabilities; set "
                    '`probabilities = "samples"` or "auto"'
                )
            self.has_probabilities = False
        return Reply(choices, *(c if isinstance(c, int) and c >= 0 else None for c in counts))


@TEACHERS.add
class ChatTeacher(LanguageModelTeacher):
    """Asks an OpenAI-compatible server."""

    kind = "chat"
    settings_type = ChatSettings
    client_type = ChatClient


def _find_error(data: Any) -> object:
    """Return the error that a server reports inside a reply with status 200, if any."""
    if not isinstance(data, dict):
        return None
    choices = data.get("choices")
    parts = [data, *choices] if isinstance(choices, list) else [data]
    return next((e for part in parts if isinstance(part, dict) and (e := part.get("error"))), None)


def _status_of(error: object) -> int:
    """Return the status of HTTP that an error inside a reply names; 429 where it names none."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    return int(code) if re.fullmatch(r"[45]\d\d", code) else 429


def _choice(choice: Any) -> Choice:
    message, finish = choice["message"], str(choice.get("finish_reason")).lower()
    return read_choice(
        message.get("content"),
        _tokens(choice.get("logprobs")),
        is_cut=finish in _CUT,
        refusal=message.get("refusal") or (finish in _REFUSED and finish),
        reasoning=message.get("reasoning_content")
        or message.get("reasoning")
        or message.get("thinking"),
    )


def _tokens(logprobs: Any) -> tuple[Token, ...] | None:
    try:
        return (
            tuple(
                Token(
                    str(token["token"]),
                    _logprob(token),
                    tuple(
                        (str(other["token"]), _logprob(other))
                        for other in token.get("top_logprobs") or token.get("top_probs") or ()
                    ),
                )
                for token in logprobs["content"]
            )
            or None
        )
    except (KeyError, TypeError, AttributeError, ValueError):  # the answer counts without them
        return None


def _logprob(token: Any) -> float:
    """Return the log-probability; llama.cpp gives a plain probability after the grammar."""
    if "prob" in token:
        return math.log(max(float(token["prob"]), 1e-30))
    return float(token["logprob"])


def _is_hosted(url: str) -> bool:
    """Tell whether a server is outside: anything but this machine or a private address is."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_private)
