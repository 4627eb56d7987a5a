"""Anthropic's Messages, one by one or in message batches at a lower price."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from buckler.errors import MissingExtraError
from buckler.settings_file import read_settings
from buckler.tasks import Task
from buckler.teachers.llm.credentials import api_key
from buckler.teachers.llm.language_model import (
    LanguageModelTeacher,
    Replies,
    Reply,
    TryLaterError,
)
from buckler.teachers.llm.prices import price_table
from buckler.teachers.llm.prompt import Question
from buckler.teachers.llm.sdk_errors import translated
from buckler.teachers.llm.settings import AskSettings
from buckler.teachers.teacher import required, teacher

_ANSWER = "answer"


class AnthropicSettings(AskSettings):
    """Settings of the `anthropic` teacher.

    Attributes
    ----------
    base_url
        By default the library's own.
    api_key_env
        The environment variable (or the name in the keyring) that holds the key.
    hosted
        Whether events leave the house.
    batches
        Hand calls in as message batches: half the price, done within a day, usually much sooner.
    batch_calls
        Calls in one batch.
    poll_s
        How often to ask whether a batch is done.
    """

    base_url: str | None = None
    api_key_env: str = Field(default="ANTHROPIC_API_KEY", min_length=1)
    hosted: bool = True
    batches: bool = False
    batch_calls: int = Field(default=10_000, ge=1, le=100_000)
    poll_s: float = Field(default=30, gt=0, le=3600)
    samples: int = Field(default=3, ge=1, le=100)


@teacher
class AnthropicTeacher(LanguageModelTeacher):
    """Asks a model of Anthropic; probabilities come from samples, the form from a forced tool.

    The service draws at its own temperature: newer versions of it refuse any other.
    """

    kind = "anthropic"
    samples_share_input = False
    settings: AnthropicSettings

    def __init__(self, task: Task, settings: AnthropicSettings) -> None:
        table = price_table(settings.prices)
        price = settings.price or table.find(settings.model)
        if price is not None and settings.batches:
            price = price.scaled(table.batch.factor)
        super().__init__(
            task,
            settings,
            hosted=settings.hosted,
            price=price,
            uses_logprobs=False,
            name=settings.model,
        )
        self._client: Any = None

    @classmethod
    def from_file(cls, path: Path | None, task: Task) -> "AnthropicTeacher":
        """Read the settings of `AnthropicSettings` from TOML."""
        path = required(path, cls.kind, "a TOML file with its model")
        return cls(task, read_settings(path, AnthropicSettings).relative_to(path))

    def open(self) -> Any:
        """Return the client; connections are shared by all calls of a run."""
        if self._client is None:
            try:
                import anthropic
            except ImportError:
                raise MissingExtraError("the teacher 'anthropic'", "llm") from None
            self._client = anthropic.AsyncAnthropic(
                base_url=self.settings.base_url,
                api_key=api_key(self.settings.api_key_env, required=self.hosted),
                timeout=self.settings.timeout_s,
                max_retries=0,  # the run itself tries again, within its limits
            )
        return self._client

    async def aclose(self) -> None:
        """Close the connections."""
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def complete(self, question: Question, n: int, *, sampling: bool) -> Replies:  # noqa: ARG002
        """Make one request for one answer."""
        with _errors(self.settings.model):
            message = await self.open().messages.create(**self.body(question))
        return self.replies(message)

    def body(self, question: Question) -> dict[str, Any]:
        """Return one request."""
        return {
            "model": self.settings.model,
            "max_tokens": question.answer_tokens or self.max_tokens(len(question.tags)),
            "system": [
                {
                    "type": "text",
                    "text": question.system,
                    "cache_control": {"type": "ephemeral"},
                }
            ],
            "messages": question.messages,
            "tools": [
                {
                    "name": _ANSWER,
                    "description": "Give the answer in this form.",
                    "input_schema": question.schema,
                }
            ],
            "tool_choice": {"type": "tool", "name": _ANSWER},
        }

    def replies(self, message: Any) -> Replies:
        """Read one message."""
        try:
            content = ""
            for block in message.content:
                if block.type == "tool_use":
                    content = json.dumps(block.input)
                    break
                if block.type == "text":
                    content += block.text
            usage = message.usage
            read = (
                usage.input_tokens
                + (usage.cache_creation_input_tokens or 0)
                + (usage.cache_read_input_tokens or 0)
            )
            return Replies([Reply(content)], read, usage.output_tokens)
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise TryLaterError(
                f"an answer that is no message ({type(error).__name__})", may_cost=True
            ) from error

    # --- message batches ----------------------------------------------------------------------

    async def hand_in(self, questions: dict[str, Question]) -> str:
        """Hand in a batch of named questions; return the provider's name of it."""
        requests = [
            {"custom_id": name, "params": self.body(question)}
            for name, question in questions.items()
        ]
        with _errors(self.settings.model):
            batch = await self.open().messages.batches.create(requests=requests)
        return str(batch.id)

    async def has_ended(self, provider_id: str) -> bool:
        """Tell whether a batch is done."""
        with _errors(self.settings.model):
            batch = await self.open().messages.batches.retrieve(provider_id)
        return bool(batch.processing_status == "ended")

    async def handed_in_since(self, created_s: int, n_requests: int) -> list[str]:
        """Return the batches of this size that the provider has taken since then."""
        found = []
        with _errors(self.settings.model):
            async for batch in self.open().messages.batches.list(limit=100):
                created: datetime = batch.created_at
                if created < datetime.fromtimestamp(created_s - 60, UTC):
                    break
                counts = batch.request_counts
                size = (
                    counts.processing
                    + counts.succeeded
                    + counts.errored
                    + counts.canceled
                    + counts.expired
                )
                if size == n_requests:
                    found.append(str(batch.id))
        return found

    async def collect(self, provider_id: str) -> dict[str, Replies | str]:
        """Return the answer to each named question, or why there is none."""
        found: dict[str, Replies | str] = {}
        with _errors(self.settings.model):
            async for item in await self.open().messages.batches.results(provider_id):
                if item.result.type == "succeeded":
                    try:
                        found[item.custom_id] = self.replies(item.result.message)
                    except TryLaterError as error:
                        found[item.custom_id] = str(error)
                else:
                    found[item.custom_id] = str(item.result.type)
        return found


@contextmanager
def _errors(model: str) -> Iterator[None]:
    """Turn errors of the library into ours."""
    import anthropic

    try:
        yield
    except (anthropic.AnthropicError, ValueError) as error:
        raise translated(error, model) from error
