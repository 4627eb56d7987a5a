"""Any server that speaks OpenAI's chat completions: hosted, vLLM, Ollama, llama.cpp."""

import ipaddress
import math
import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from buckler.errors import MissingExtraError, SettingsError
from buckler.settings_file import read_settings
from buckler.tasks import Task
from buckler.teachers.llm.answers import Token
from buckler.teachers.llm.credentials import api_key
from buckler.teachers.llm.language_model import (
    LanguageModelTeacher,
    RefusedError,
    Replies,
    Reply,
    TryLaterError,
)
from buckler.teachers.llm.prices import price_table
from buckler.teachers.llm.prompt import Question
from buckler.teachers.llm.sdk_errors import translated
from buckler.teachers.llm.settings import AskSettings
from buckler.teachers.teacher import required, teacher

TOP_LOGPROBS = 20
_MAX_DOWNGRADES = 8


class ChatSettings(AskSettings):
    """Settings of the `chat` teacher.

    Attributes
    ----------
    base_url
        The server, such as ``http://127.0.0.1:8000/v1``; by default the library's own.
    api_key_env
        The environment variable (or the name in the keyring) that holds the key.
    hosted
        Whether events leave the house; by default judged by the address.
    probabilities
        ``logprobs``: from token probabilities; ``samples``: from repeated answers; ``auto``:
        from token probabilities where the server gives them.
    output
        How the form of the answer is enforced: ``json-schema``, ``json``, ``text`` (not at all),
        or ``auto``: the strictest that the server takes.
    """

    base_url: str | None = None
    api_key_env: str = Field(default="OPENAI_API_KEY", min_length=1)
    hosted: bool | None = None
    probabilities: Literal["auto", "logprobs", "samples"] = "auto"
    output: Literal["auto", "json-schema", "json", "text"] = "auto"


@teacher
class ChatTeacher(LanguageModelTeacher):
    """Asks an OpenAI-compatible server."""

    kind = "chat"
    settings: ChatSettings

    def __init__(
        self, task: Task, settings: ChatSettings, *, name: str = "", facts: tuple[object, ...] = ()
    ) -> None:
        hosted = _is_hosted(settings.base_url) if settings.hosted is None else settings.hosted
        price = settings.price or price_table(settings.prices).find(settings.model)
        super().__init__(
            task,
            settings,
            hosted=hosted,
            price=price,
            uses_logprobs=settings.probabilities != "samples",
            name=name or settings.model,
            facts=(settings.probabilities, settings.output, *facts),
        )
        self._output = "json-schema" if settings.output == "auto" else settings.output
        self._length = "max_tokens"
        self._with_temperature = True
        self._with_n = True
        self._client: Any = None

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "ChatTeacher":
        """Read the settings of `ChatSettings` from TOML."""
        path = required(path, cls.kind, "a TOML file with its model")
        return cls(task, read_settings(path, ChatSettings).relative_to(path))

    def open(self) -> Any:
        """Return the client; connections are shared by all calls of a run."""
        if self._client is None:
            try:
                import openai
            except ImportError:
                raise MissingExtraError("the teacher 'chat'", "llm") from None
            self._client = openai.AsyncOpenAI(
                base_url=self.settings.base_url,
                api_key=api_key(self.settings.api_key_env, required=self.hosted),
                timeout=self.settings.timeout_s,
                max_retries=0,  # the run itself tries again, within its limits
                http_client=_http_client(openai),
            )
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def complete(self, question: Question, n: int, *, sampling: bool) -> Replies:
        """Make one request; what the server cannot do is left out and the request made again."""
        import openai

        client = self.open()
        for _ in range(_MAX_DOWNGRADES):
            body = self._body(question, n, sampling=sampling)
            try:
                # Not `chat.completions.create`: walking its types costs more than the call.
                data = await client.post("/chat/completions", cast_to=object, body=body)
            except openai.APIStatusError as error:
                if error.status_code in (400, 422):
                    self._downgrade(str(error), body)
                    if self._body(question, n, sampling=sampling) != body:
                        continue  # another call may have found it out meanwhile
                raise translated(error, self.settings.model) from error
            except (openai.OpenAIError, ValueError) as error:
                raise translated(error, self.settings.model) from error
            return self._replies(data, sampling=sampling)
        raise RefusedError("the server takes none of the ways to ask")

    def _body(self, question: Question, n: int, *, sampling: bool) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self.settings.model,
            "messages": [{"role": "system", "content": question.system}, *question.messages],
            self._length: question.answer_tokens or self.max_tokens(len(question.tags)),
        }
        likeliest = self.uses_logprobs and not sampling
        if likeliest:
            body |= {"logprobs": True, "top_logprobs": TOP_LOGPROBS}
        elif self._with_n and n > 1:
            body["n"] = n
        if self._with_temperature:
            body["temperature"] = 0 if likeliest else self.settings.temperature
        if self._output == "json-schema":
            schema = {"name": "answer", "strict": True, "schema": question.schema}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif self._output == "json":
            body["response_format"] = {"type": "json_object"}
        return body

    def _downgrade(self, message: str, body: dict[str, Any]) -> None:
        """Give up what the server complains of, if the user did not insist on it."""
        if "logprobs" in message and "logprobs" in body:
            self.uses_logprobs = self.settings.probabilities == "logprobs"
        elif (
            re.search(r"response_format|json_schema|json schema|grammar", message)
            and "response_format" in body
            and self.settings.output == "auto"
        ):
            strict = body["response_format"]["type"] == "json_schema"
            self._output = "json" if strict else "text"
        elif "max_completion_tokens" in message and "max_tokens" in body:
            self._length = "max_completion_tokens"
        elif "temperature" in message and "temperature" in body:
            self._with_temperature = False
        elif "n" in body and re.search(r"\bn\b|completion choices", message):
            self._with_n = False

    def _replies(self, data: Any, *, sampling: bool) -> Replies:
        try:
            choices = [
                Reply(choice["message"].get("content") or "", _tokens(choice.get("logprobs")))
                for choice in data["choices"]
            ]
            usage = data.get("usage") or {}
            counted = [usage.get("prompt_tokens"), usage.get("completion_tokens")]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise TryLaterError(
                f"an answer that is no chat completion ({type(error).__name__})", may_cost=True
            ) from error
        if not choices:
            raise TryLaterError("an answer without a choice", may_cost=True)
        if not sampling and self.uses_logprobs and choices[0].tokens is None:
            if self.settings.probabilities == "logprobs":
                raise SettingsError(
                    f"{self.settings.model}: the server gives no token probabilities; set "
                    '`probabilities = "samples"` or "auto"'
                )
            self.uses_logprobs = False
        return Replies(choices, *(c if isinstance(c, int) and c >= 0 else None for c in counted))


def _tokens(logprobs: Any) -> tuple[Token, ...] | None:
    if not logprobs or not logprobs.get("content"):
        return None
    return tuple(
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


def _logprob(token: Any) -> float:
    """Log-probability, or llama.cpp's plain probability of what the form still allowed."""
    if "prob" in token:
        return math.log(max(float(token["prob"]), 1e-30))
    return float(token["logprob"])


def _http_client(openai: Any) -> Any:
    """Return the faster of the library's own clients, where it is installed."""
    try:
        import aiohttp  # noqa: F401
    except ImportError:
        return None
    return openai.DefaultAioHttpClient()


def _is_hosted(base_url: str | None) -> bool:
    """Tell whether a server is outside: anything but this machine or a private address is."""
    host = urlsplit(base_url or "").hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return not (address.is_loopback or address.is_private)
