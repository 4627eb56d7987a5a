"""Anthropic's Messages, one by one or in message batches at a lower price."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from buckler.dataset import Dataset
from buckler.extras import import_extra
from buckler.files import read_settings
from buckler.tasks import Task
from buckler.teachers.budget import Account
from buckler.teachers.llm.batches import BatchRunner
from buckler.teachers.llm.client import (
    Choice,
    ModelClient,
    Reply,
    Request,
    RetryableError,
    api_key,
    translate_error,
)
from buckler.teachers.llm.language_model import LanguageModelTeacher
from buckler.teachers.llm.prices import Meter, price_table
from buckler.teachers.llm.settings import ModelSettings
from buckler.teachers.teacher import TEACHERS, Job, require_settings

if TYPE_CHECKING:
    import anthropic

_ANSWER = "answer"


class AnthropicSettings(ModelSettings):
    """Settings of the `anthropic` teacher.

    Attributes
    ----------
    base_url
        Address of the server; by default the library's own.
    api_key_env
        Environment variable (or name in the keyring) that holds the key.
    hosted
        True if events leave this machine or network.
    batches
        Submit calls as message batches: half the price, done within a day, usually much sooner.
    batch_calls
        Calls in one batch.
    poll_s
        Seconds between two looks at a batch.
    """

    base_url: str | None = None
    api_key_env: str = Field(default="ANTHROPIC_API_KEY", min_length=1)
    hosted: bool = True
    batches: bool = False
    batch_calls: int = Field(default=10_000, ge=1, le=100_000)
    poll_s: float = Field(default=30, gt=0, le=3600)
    samples: int = Field(default=3, ge=1, le=100)


@TEACHERS.add
class AnthropicTeacher(LanguageModelTeacher):
    """Asks a model of Anthropic; probabilities come from samples, the form from a forced tool.

    The service samples at its own temperature: newer versions of it refuse any other.
    """

    kind = "anthropic"
    client: "AnthropicClient"
    settings: AnthropicSettings

    def __init__(self, task: Task, settings: AnthropicSettings) -> None:
        super().__init__(task, AnthropicClient(settings), settings)

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "AnthropicTeacher":
        """Read the settings of `AnthropicSettings` from TOML."""
        path = require_settings(path, cls.kind, "a TOML file with its model")
        return cls(task, read_settings(path, AnthropicSettings).relative_to(path))

    def label(self, events: Dataset, job: Job) -> Account:
        """Ask about every event, in message batches if the settings say so."""
        if not self.settings.batches:
            return super().label(events, job)
        return BatchRunner(self, self.client, job).run(self.prepare(events))


class AnthropicClient(ModelClient):
    """A client of Anthropic's Messages."""

    shares_input = False

    def __init__(self, settings: AnthropicSettings) -> None:
        self.settings = settings
        self.name, self.hosted = settings.model, settings.hosted
        table = price_table(settings.prices)
        price = settings.price or table.find(settings.model)
        self.meter = Meter(price * table.batch.factor if price and settings.batches else price)
        self._sdk: anthropic.AsyncAnthropic | None = None

    def connect(self) -> "anthropic.AsyncAnthropic":
        """Return the library's client, with connections that all requests of a run share."""
        if self._sdk is None:
            anthropic = import_extra("anthropic", "the teacher 'anthropic'", "llm")
            self._sdk = anthropic.AsyncAnthropic(
                timeout=self.settings.timeout_s,
                max_retries=0,  # the runner tries again, within its limits
                base_url=self.settings.base_url,
                api_key=api_key(self.settings.api_key_env, required=self.hosted),
            )
        return self._sdk

    async def aclose(self) -> None:
        """Close the connections."""
        if (sdk := self._sdk) is not None:
            self._sdk = None
            await sdk.close()

    async def send(self, request: Request) -> Reply:
        """Make one request for one answer."""
        sdk = self.connect()
        with _errors(self.name):
            return _reply(await sdk.messages.create(**self.body(request)))

    def body(self, request: Request) -> dict[str, Any]:
        """Return a request as the service takes it."""
        return {
            "model": self.settings.model,
            "max_tokens": request.answer_tokens,
            "system": [
                {"type": "text", "text": request.system, "cache_control": {"type": "ephemeral"}}
            ],
            "messages": request.messages,
            "tools": [
                {
                    "name": _ANSWER,
                    "description": "Give the answer in this form.",
                    "input_schema": request.schema,
                }
            ],
            "tool_choice": {"type": "tool", "name": _ANSWER},
        }

    # --- message batches ----------------------------------------------------------------------

    async def submit(self, requests: dict[str, Request]) -> str:
        """Submit a batch of named requests; return the provider's name of it."""
        sdk = self.connect()
        with _errors(self.name):
            batch = await sdk.messages.batches.create(
                requests=[
                    {"custom_id": name, "params": self.body(request)}
                    for name, request in requests.items()
                ]
            )
        return str(batch.id)

    async def has_ended(self, provider_id: str) -> bool:
        """Tell whether a batch is done."""
        sdk = self.connect()
        with _errors(self.name):
            batch = await sdk.messages.batches.retrieve(provider_id)
        return bool(batch.processing_status == "ended")

    async def find_batches(self, created_s: int, n_requests: int) -> list[str]:
        """Return the batches of this size that the provider has accepted since then."""
        sdk = self.connect()
        found = []
        with _errors(self.name):
            async for batch in sdk.messages.batches.list(limit=100):
                if batch.created_at < datetime.fromtimestamp(created_s - 60, UTC):
                    break
                counts = batch.request_counts
                ended = counts.succeeded + counts.errored + counts.canceled + counts.expired
                if counts.processing + ended == n_requests:
                    found.append(str(batch.id))
        return found

    async def collect(self, provider_id: str) -> dict[str, Reply]:
        """Return the reply to each named request that has a readable one."""
        sdk = self.connect()
        found: dict[str, Reply] = {}
        with _errors(self.name):
            async for item in await sdk.messages.batches.results(provider_id):
                found[item.custom_id] = Reply([])
                if item.result.type == "succeeded":
                    with suppress(RetryableError):
                        found[item.custom_id] = _reply(item.result.message)
        return found


def _reply(message: "anthropic.types.Message") -> Reply:
    """Read one message, which may hold anything."""
    try:
        content = ""
        for block in message.content:
            if block.type == "tool_use":
                content = json.dumps(block.input)
                break
            if block.type == "text":
                content += block.text
        usage = message.usage
        input_tokens = (
            usage.input_tokens
            + (usage.cache_creation_input_tokens or 0)
            + (usage.cache_read_input_tokens or 0)
        )
        return Reply([Choice(content)], input_tokens, usage.output_tokens)
    except (AttributeError, TypeError, ValueError, RecursionError) as error:
        raise RetryableError(
            f"an answer that is no message ({type(error).__name__})", may_cost=True
        ) from error


@contextmanager
def _errors(model: str) -> Iterator[None]:
    """Translate errors of the library."""
    import anthropic

    try:
        yield
    except (anthropic.AnthropicError, ValueError) as error:
        raise translate_error(error, model) from error
