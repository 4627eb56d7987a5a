"""Settings of the server: a TOML file, the environment (``BUCKLER_SERVE_…``), the caller's
values.
"""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from buckler.operating_point import OperatingPoint

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServeSettings(BaseSettings):
    """Settings of `buckler serve`.

    Attributes
    ----------
    bundles
        Files to serve, each under its bundle's name.
    challengers, shadow_share
        Bundles that score too, unseen by the caller, what those of the same task scored, for this
        share of the requests; only counts of detections are kept, for Prometheus.
    trusted_key
        A public key: only bundles that its owner signed are served, at a reload too.
    host, port
        Address to listen on.
    tls_certificate, tls_key
        Files in PEM form; without them the server uses plain HTTP.
    api_keys
        A file of ``name sha256`` lines. Without it everybody may ask, which is refused where the
        host is not loopback, unless `anonymous` says so.
    columns
        Names of the text in events that are objects, where the task's usual ones do not fit.
    operating_point
        Wish that decides the threshold, such as ``{fpr = 0.001}``; by default the deployed one.
    max_body_bytes, max_batch
        Largest request, in bytes and in events.
    max_in_flight, max_wait_s
        Whole requests in each of the two queues, and the longest wait of one for its turn; those
        over 16 KiB may wait ten times as long. Further requests are refused with 429.
    max_connections, header_timeout_s
        Open connections, and the longest time that the head of a request may take to arrive.
    events_per_second
        Limit for each key, or for each address without keys; 0 for no limit.
    body_timeout_s
        Longest time that a request's body may take to arrive.
    reload_s
        Seconds between looks at the bundle files; 0 for none.
    shutdown_s
        Longest time that requests at work may take when the server stops.
    threads
        Number of threads for scoring batches.
    log_texts
        True to write events into the log; off, since they are other people's data.
    """

    model_config = SettingsConfigDict(env_prefix="BUCKLER_SERVE_", extra="forbid")

    bundles: list[Path] = Field(min_length=1)
    challengers: list[Path] = []
    shadow_share: float = Field(default=1.0, gt=0, le=1)
    trusted_key: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8811, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    api_keys: Path | None = None
    anonymous: bool = False
    columns: list[str] = []
    operating_point: OperatingPoint | None = None
    max_body_bytes: int = Field(default=16 << 20, ge=1024, le=1 << 30)
    max_batch: int = Field(default=50_000, ge=1, le=10_000_000)
    max_in_flight: int = Field(default=64, ge=1, le=100_000)
    max_wait_s: float = Field(default=0.2, gt=0, le=3600)
    max_connections: int = Field(default=4096, ge=1, le=1_000_000)
    header_timeout_s: float = Field(default=10, gt=0, le=3600)
    events_per_second: float = Field(default=0, ge=0)
    body_timeout_s: float = Field(default=30, gt=0, le=3600)
    reload_s: float = Field(default=2, ge=0, le=3600)
    shutdown_s: int = Field(default=20, ge=0, le=3600)
    threads: int = Field(default=1, ge=1, le=256)
    log_texts: bool = False

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.host not in LOOPBACK and self.api_keys is None and not self.anonymous:
            raise ValueError(
                f"host {self.host} can be reached from elsewhere: name api_keys, or say "
                "anonymous = true"
            )
        return self
