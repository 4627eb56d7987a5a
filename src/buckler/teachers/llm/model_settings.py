"""Settings that all language model teachers share."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from buckler.teachers.llm.prices import Price


class ModelSettings(BaseModel):
    """Settings of a language model teacher.

    Attributes
    ----------
    model
        Name at the server.
    samples
        Number of answers behind the probabilities where the server gives none of its own.
    temperature
        Temperature of these samples.
    max_tokens
        Longest answer, its reasoning included; by default what the answer needs, and 8,192 more
        once the model is seen to reason.
    prior_correction
        Divide token probabilities by those of events without content, because small models favor
        some classes whatever the event says.
    rationale
        Ask for a short reason; costs output tokens.
    events_per_call
        Events of one request. They share the instructions and so cost less; tags match answers to
        events.
    max_characters
        Longest text shown of an event; a longer one keeps head and tail.
    few_shot
        Number of labeled examples shown.
    examples
        Labeled file that they are chosen from.
    concurrency
        Calls in flight.
    requests_per_minute, tokens_per_minute
        Limits of the server.
    attempts
        Tries of a call before it is left for the next run.
    timeout_s
        Longest wait for one reply.
    redact
        Replace secrets and personal data before an event leaves; by default if the server is not
        on this machine or in a private network.
    price
        USD per million tokens; overrides the price table.
    prices
        Your own price table.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str = Field(min_length=1, max_length=200)
    samples: int = Field(default=5, ge=1, le=100)
    temperature: float = Field(default=1.0, ge=0, le=2)
    max_tokens: int | None = Field(default=None, ge=16, le=1 << 20)
    prior_correction: bool = False
    rationale: bool = False
    events_per_call: int = Field(default=1, ge=1, le=100)
    max_characters: int = Field(default=4000, ge=100, le=200_000)
    few_shot: int = Field(default=0, ge=0, le=64)
    examples: Path | None = None
    concurrency: int = Field(default=8, ge=1, le=1024)
    requests_per_minute: float | None = Field(default=None, gt=0)
    tokens_per_minute: float | None = Field(default=None, gt=0)
    attempts: int = Field(default=6, ge=1, le=20)
    timeout_s: float = Field(default=60, gt=0, le=3600)
    redact: bool | None = None
    price: Price | None = None
    prices: Path | None = None
