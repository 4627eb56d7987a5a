"""Settings of a Kafka worker: a TOML file, or the environment (``BUCKLER_STREAM_…``)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from buckler.operating_point import OperatingPoint
from buckler.serving.formats import VERDICT_FORMATS
from buckler.serving.verdict_batch import OutputOptions


class KafkaSettings(BaseSettings):
    """Settings of `buckler stream` on Kafka.

    Attributes
    ----------
    brokers, topic, group
        Source of events, and the consumer group.
    output_topic, dead_letter_topic
        Topics for verdicts, and for messages that cannot be scored; by default ``TOPIC.verdicts``
        and ``TOPIC.dead``.
    uncertain_topic
        Topic for events whose score lies in `uncertain`, for the next stage, a teacher or a person;
        off unless named.
    uncertain, uncertain_share
        Interval of the score, and the largest share of all events that may go there.
    values
        Content of a message: ``json`` (an object, or a string), ``text``, or ``arrow`` (an IPC
        stream of many events).
    columns
        Names of the text in objects, where the task's usual ones do not fit.
    format
        Verdict format, such as ``plain``, ``ocsf``, ``ecs`` or ``alert``.
    with_text
        True to put the event into the verdict.
    keep, keep_all
        Names of fields of the event to repeat in the verdict; True to repeat the whole event.
    explain
        Number of pieces to name that count most.
    only_detections
        True to send detections alone.
    operating_point
        Wish that decides the threshold, such as ``{fpr = 0.001}``; by default the deployed one.
    batch_events, batch_s
        Number of messages, or time, at which a batch is scored.
    backoff_s
        Longest wait before a batch that could not be delivered is tried again.
    challengers
        Bundles that score too, after the commit; only counts of detections are kept, for
        Prometheus. Not with arrow values.
    reload_s
        Seconds between looks at the bundle's file; 0 for none.
    metrics_port
        Port for Prometheus; 0 for none.
    client
        Further settings of librdkafka, such as ``security.protocol``.
    """

    model_config = SettingsConfigDict(env_prefix="BUCKLER_STREAM_", extra="forbid")

    brokers: str
    topic: str
    group: str = "buckler"
    output_topic: str = ""
    dead_letter_topic: str = ""
    uncertain_topic: str = ""
    uncertain: tuple[float, float] = (0.3, 0.7)
    uncertain_share: float = Field(default=0.01, gt=0, le=1)
    values: Literal["json", "text", "arrow"] = "json"
    columns: list[str] = []
    format: str = "plain"
    with_text: bool = False
    keep: list[str] = []
    keep_all: bool = False
    explain: int = Field(default=0, ge=0, le=100)
    only_detections: bool = False
    operating_point: OperatingPoint | None = None
    batch_events: int = Field(default=5000, ge=1, le=1_000_000)
    batch_s: float = Field(default=0.2, gt=0, le=60)
    backoff_s: float = Field(default=30, gt=0, le=3600)
    challengers: list[Path] = []
    reload_s: float = Field(default=2, ge=0, le=3600)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    client: dict[str, str | int | float | bool] = {}

    @model_validator(mode="after")
    def _complete(self) -> Self:
        self.output_topic = self.output_topic or f"{self.topic}.verdicts"
        self.dead_letter_topic = self.dead_letter_topic or f"{self.topic}.dead"
        topics = [self.topic, self.output_topic, self.dead_letter_topic]
        topics += [self.uncertain_topic] if self.uncertain_topic else []
        if len(set(topics)) < len(topics):
            raise ValueError("the topics must differ: a worker would read what it writes")
        low, high = self.uncertain
        if not 0 <= low < high <= 1:
            raise ValueError("uncertain must be two rising numbers from 0 to 1")
        if self.format not in VERDICT_FORMATS.names():
            raise ValueError(f"format must be one of {', '.join(VERDICT_FORMATS.names())}")
        with_parts = self.keep or self.keep_all or self.explain or self.challengers
        if self.values == "arrow" and (
            with_parts or self.uncertain_topic or self.format != "plain"
        ):
            raise ValueError(
                "arrow values: no uncertain topic, format, challengers, kept fields or explanations"
            )
        return self

    @property
    def output(self) -> OutputOptions:
        """Content of verdicts."""
        return OutputOptions(
            with_text=self.with_text,
            format_name=self.format,
            explain=self.explain,
            keep=tuple(self.keep),
            keep_all=self.keep_all,
        )
