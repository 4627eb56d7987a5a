"""What a Kafka worker is told: by a file or the environment (BUCKLER_STREAM_…)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from buckler.serving.layered_settings import read_layered_settings


class KafkaSettings(BaseSettings):
    """Settings of `buckler stream` on Kafka.

    Attributes
    ----------
    brokers, topic, group
        Where events come from, and the consumer group.
    output_topic, dead_letter_topic
        Where verdicts go, and what cannot be judged; by default ``TOPIC.verdicts`` and
        ``TOPIC.dead``.
    uncertain_topic
        Where events go whose score lies in `uncertain`, for the next stage, a teacher or a
        person; off unless named.
    uncertain, uncertain_share
        The interval of score, and the share of all events that may go there at most.
    values
        What a message holds: ``json`` (an object, or a string), ``text``, or ``arrow`` (an IPC
        stream of many events).
    columns
        Names of the text in objects, where the task's usual ones do not fit.
    convention
        The form of verdicts: ``plain``, ``ocsf``, ``ecs``, ``alert``.
    with_text
        Put the event into them.
    only_detections
        Send verdicts that raise a detection alone.
    target_fpr
        Detection at the threshold for this rate; by default the deployed one.
    batch_events, batch_s
        A batch is judged when it holds so many messages, or so much time has passed.
    backoff_s
        The longest wait before a batch that could not be delivered is tried again.
    challengers
        Bundles that judge too what was judged, after it was committed; only counts of detections are
        kept, for Prometheus. Not with arrow values.
    reload_s
        How often the bundle's file is looked at, between batches; 0 for never.
    metrics_port
        Where Prometheus may ask; 0 for nowhere.
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
    convention: Literal["plain", "ocsf", "ecs", "alert"] = "plain"
    with_text: bool = False
    only_detections: bool = False
    target_fpr: float | None = Field(default=None, gt=0, lt=1)
    batch_events: int = Field(default=5000, ge=1, le=1_000_000)
    batch_s: float = Field(default=0.2, gt=0, le=60)
    backoff_s: float = Field(default=30, gt=0, le=3600)
    challengers: list[Path] = []
    reload_s: float = Field(default=2, ge=0, le=3600)
    metrics_port: int = Field(default=0, ge=0, le=65535)
    client: dict[str, str | int | float | bool] = {}

    @model_validator(mode="after")
    def _named(self) -> Self:
        self.output_topic = self.output_topic or f"{self.topic}.verdicts"
        self.dead_letter_topic = self.dead_letter_topic or f"{self.topic}.dead"
        topics = [self.topic, self.output_topic, self.dead_letter_topic]
        topics += [self.uncertain_topic] if self.uncertain_topic else []
        if len(set(topics)) < len(topics):
            raise ValueError("the topics must differ: a worker would read what it writes")
        low, high = self.uncertain
        if not 0 <= low < high <= 1:
            raise ValueError("uncertain must be two rising numbers from 0 to 1")
        alone = self.uncertain_topic or self.convention != "plain" or self.challengers
        if self.values == "arrow" and alone:
            raise ValueError("arrow values: no uncertain topic, no convention, no challengers")
        return self


def read_kafka_settings(file: Path | None) -> KafkaSettings:
    """Return the settings: the environment before the file.

    Raises
    ------
    SettingsError
        If they make no sense.
    """
    return read_layered_settings(KafkaSettings, _Environment, file, {}, ("challengers",))


class _Environment(KafkaSettings):
    """What the environment alone says."""

    brokers: str = ""
    topic: str = ""

    @model_validator(mode="after")
    def _named(self) -> Self:
        return self
