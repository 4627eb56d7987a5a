"""Settings of the review application: a file, BUCKLER_REVIEW_… variables, the command line."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from buckler.review.accounts import Role
from buckler.serving.http.serve_settings import LOOPBACK


class ReviewSettings(BaseSettings):
    """Settings of `buckler review serve`.

    Attributes
    ----------
    store
        The label store, which holds the queue too: a file, or a PostgreSQL URL.
    bundles
        Deployed bundles, at most one a task: for verdicts and their explanation.
    tasks
        Files of custom tasks.
    trusted_key
        A public key: only bundles with its signature are used.
    host, port
        Address to listen on. Any address but loopback needs TLS or a named proxy.
    tls_certificate, tls_key
        Files in PEM format.
    behind_proxy
        Addresses of proxies that terminate TLS and set X-Forwarded-For and X-Forwarded-Proto.
    public_hosts
        Host names that browsers use; others are refused (DNS rebinding).
    idle_hours
        An unused session ends after so many hours.
    claim_minutes
        Minutes for which an event belongs to the analyst who claimed it.
    second_share
        Share of first labels whose event a second analyst labels too.
    registry
        Folder of deployed bundles, to show their history.
    oidc_issuer, oidc_client, oidc_secret_file
        The identity provider for single sign-on, and the client's name and secret.
    oidc_new
        Role of new accounts that only the provider knows; without it they are refused.
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
    def uses_tls(self) -> bool:
        """True if browsers use TLS, with this server or with a proxy."""
        return self.tls_certificate is not None or bool(self.behind_proxy)

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if self.host not in LOOPBACK and not self.uses_tls:
            raise ValueError(
                f"host {self.host} can be reached from elsewhere: give tls_certificate and "
                "tls_key, or name the proxy that terminates TLS with behind_proxy"
            )
        if (self.host not in LOOPBACK or self.behind_proxy) and not self.public_hosts:
            raise ValueError("name the hosts that browsers use with public_hosts")
        if "*" in self.behind_proxy or "*" in self.public_hosts:
            raise ValueError("behind_proxy and public_hosts list names: * would allow any")
        if bool(self.oidc_issuer) != bool(self.oidc_client):
            raise ValueError("oidc_issuer and oidc_client go together")
        if self.oidc_issuer.startswith("http://") and not any(
            self.oidc_issuer.startswith(f"http://{name}") for name in LOOPBACK
        ):
            raise ValueError("oidc_issuer must be https")
        return self
