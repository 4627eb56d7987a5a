"""What the review application is told: by a file, BUCKLER_REVIEW_… or the command line."""

from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from buckler.review.accounts import Role
from buckler.serving.http.serve_settings import LOOPBACK
from buckler.serving.layered_settings import read_layered_settings

_PATHS = (
    "bundles",
    "tasks",
    "trusted_key",
    "tls_certificate",
    "tls_key",
    "oidc_secret_file",
    "registry",
)


class ReviewSettings(BaseSettings):
    """Settings of `buckler review serve`.

    Attributes
    ----------
    store
        The label store, in which the queue stands too: a file, or a PostgreSQL URL.
    bundles
        Deployed bundles, one a task at most: for scores and the spans that moved them.
    tasks
        Files of tasks of your own.
    trusted_key
        A public key: only bundles that its owner signed are used.
    host, port
        Where to listen. Another address than loopback needs TLS, or a proxy that is named.
    tls_certificate, tls_key
        Files in PEM form.
    behind_proxy
        Addresses of proxies that do TLS and tell who asked (X-Forwarded-For, -Proto).
    public_hosts
        Names under which browsers know it; others are refused (DNS rebinding).
    idle_hours
        A session that was not used for so long ends.
    claim_minutes
        How long an event is an analyst's own.
    second_share
        Of first verdicts: another analyst judges such an event too.
    registry
        Folder of deployed bundles, whose history is shown.
    oidc_issuer, oidc_client, oidc_secret_file
        An identity provider for single sign-on, and who we are to it.
    oidc_new
        Role of accounts that it knows and we do not; without it they are refused.
    """

    model_config = SettingsConfigDict(env_prefix="BUCKLER_REVIEW_", extra="forbid")

    store: str = "labels.db"
    bundles: list[Path] = []
    tasks: list[Path] = []
    trusted_key: Path | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8812, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    behind_proxy: list[str] = []
    public_hosts: list[str] = []
    idle_hours: float = Field(default=8, gt=0, le=24)
    claim_minutes: float = Field(default=10, gt=0, le=24 * 60)
    second_share: float = Field(default=0.1, ge=0, le=1)
    registry: Path | None = None
    oidc_issuer: str = ""
    oidc_client: str = ""
    oidc_secret_file: Path | None = None
    oidc_new: Role | None = None

    @property
    def encrypted(self) -> bool:
        """Whether browsers speak TLS, to us or to a proxy before us."""
        return self.tls_certificate is not None or bool(self.behind_proxy)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.host not in LOOPBACK and not self.encrypted:
            raise ValueError(
                f"host {self.host} can be reached from elsewhere: give tls_certificate and "
                "tls_key, or name the proxy that does TLS with behind_proxy"
            )
        if (self.host not in LOOPBACK or self.behind_proxy) and not self.public_hosts:
            raise ValueError("name the hosts that browsers ask for with public_hosts")
        if "*" in self.behind_proxy or "*" in self.public_hosts:
            raise ValueError("behind_proxy and public_hosts name each one: * would let any in")
        if bool(self.oidc_issuer) != bool(self.oidc_client):
            raise ValueError("oidc_issuer and oidc_client go together")
        if self.oidc_issuer.startswith("http://") and not any(
            self.oidc_issuer.startswith(f"http://{name}") for name in LOOPBACK
        ):
            raise ValueError("oidc_issuer must be https")
        return self


def read_review_settings(file: Path | None, given: dict[str, Any]) -> ReviewSettings:
    """Return the settings: the command line before the environment before the file.

    Raises
    ------
    SettingsError
        If they make no sense.
    """
    return read_layered_settings(ReviewSettings, _Environment, file, given, _PATHS)


class _Environment(ReviewSettings):
    """What the environment alone says."""

    @model_validator(mode="after")
    def _safe(self) -> Self:
        return self
