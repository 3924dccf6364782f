"""Settings of a process, from `NEXUS_…` environment variables and the files they name.

Nested names are joined by two underscores: ``NEXUS_REDIS__URL``.  A secret's
value is best given as ``file:/run/secrets/name``; under ``NEXUS_ENV=production``
nothing else is accepted.  Every mistake is reported at once, before a port opens.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "SUBGRAPHS",
    "ConfigurationError",
    "CostMode",
    "LimitName",
    "Settings",
    "SubgraphSettings",
    "load",
    "masked",
]

PREFIX = "NEXUS_"
SUBGRAPHS = ("users", "orgs", "billing", "storage")


class ConfigurationError(Exception):
    """The settings are unusable; the message lists every problem, one a line."""


def _read_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith("file:"):
        return value
    path = Path(text.removeprefix("file:"))
    try:
        content = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ValueError(f"cannot read the secret file {path}: {error.strerror}") from error
    if not content:
        raise ValueError(f"the secret file {path} is empty")
    return SecretStr(content)


Secret = Annotated[SecretStr, AfterValidator(_read_secret)]


CostMode = Literal["off", "measure", "enforce"]
LimitName = Literal[
    "body",
    "characters",
    "tokens",
    "depth",
    "aliases",
    "root_fields",
    "fields",
    "directives",
    "values",
]


def _known(name: str) -> str:
    if name not in SUBGRAPHS:
        raise ValueError(f"there is no subgraph {name!r}")
    return name


_Subgraph = Annotated[str, AfterValidator(_known)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSettings(_Section):
    """Where a server listens, what it accepts, and how it answers.

    ``max_connections`` is for each process, which keeps half of its open files for
    other things.  Answers of ``compress_from_bytes`` and more are compressed, 0
    compresses none.  After SIGTERM readiness is off for ``shutdown_delay_seconds``
    and all is served as before, so that load balancers look elsewhere; then requests
    under way have ``drain_seconds``.
    """

    host: str = "127.0.0.1"
    port: int = Field(default=4000, ge=0, le=65535)
    workers: int = Field(default=1, ge=1, le=256)
    public_url: str = "http://127.0.0.1:4000"
    allowed_origins: tuple[str, ...] = ()
    max_connections: int = Field(default=12_000, ge=1)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    compress_from_bytes: int = Field(default=4_096, ge=0)
    request_timeout_seconds: float = Field(default=30, gt=0, le=600)
    shutdown_delay_seconds: float = Field(default=5, ge=0, le=600)
    drain_seconds: float = Field(default=20, ge=0, le=600)


class DatabaseSettings(_Section):
    """Connection pools; each subgraph's own URL stands in its own section."""

    admin_url: Secret | None = None
    pool_size: int = Field(default=10, ge=1, le=200)
    pool_timeout_seconds: float = Field(default=5, gt=0)
    statement_timeout_seconds: float = Field(default=10, gt=0)


class RedisSettings(_Section):
    """Redis or Valkey: sessions, access lists, the event bus."""

    url: Secret = SecretStr("redis://127.0.0.1:6379/0")
    max_connections: int = Field(default=50, ge=1)
    timeout_seconds: float = Field(default=2, gt=0)


class S3Settings(_Section):
    """The object store; ``public_endpoint`` is what clients reach with presigned URLs."""

    endpoint: str = "http://127.0.0.1:8333"
    public_endpoint: str | None = None
    region: str = "us-east-1"
    bucket: str = "nexus"
    access_key: Secret = SecretStr("")
    secret_key: Secret = SecretStr("")


class AuthSettings(_Section):
    """Keys of access tokens: Ed25519, PEM.  The gateway needs only the public ones."""

    issuer: str = "nexus"
    signing_key: Secret | None = None
    verification_keys: Secret | None = None
    access_ttl_seconds: int = 3600
    refresh_ttl_seconds: int = 604_800


class ServiceAuthSettings(_Section):
    """Keys of the tokens with which the gateway signs its calls to subgraphs: Ed25519, PEM."""

    signing_key: Secret | None = None
    verification_keys: Secret | None = None
    ttl_seconds: int = Field(default=60, ge=5, le=300)


class SubgraphSettings(_Section):
    """One subgraph: its database, and where a gateway reaches it when it runs as a service."""

    database_url: Secret | None = None
    url: str | None = None


class WebhookSettings(_Section):
    """Shared secrets of the payment providers; a provider without one is off.

    While a secret is being replaced, give both, separated by a space or a line break.
    """

    stripe_secret: Secret | None = None
    mercadopago_secret: Secret | None = None
    tolerance_seconds: int = Field(default=300, ge=1, le=3600)


class PaymentSettings(_Section):
    """The currency that is charged, and how the payment providers' APIs are reached.

    Without its API key a provider's payments have no checkout page; they are
    settled by its webhooks all the same.
    """

    currency: Literal["EUR", "USD", "BRL"] = "EUR"
    return_url: str | None = None
    stripe_api_key: Secret | None = None
    stripe_api_url: str = "https://api.stripe.com"
    mercadopago_access_token: Secret | None = None
    mercadopago_api_url: str = "https://api.mercadopago.com"
    timeout_seconds: float = Field(default=10, gt=0, le=60)


class PrivacySettings(_Section):
    """Rights of the data subject."""

    deletion_grace_seconds: int = Field(default=7 * 86_400, ge=0, le=30 * 86_400)


class TelemetrySettings(_Section):
    """Where traces go; metrics are always at ``/metrics``."""

    otlp_endpoint: str | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"


class CostSettings(_Section):
    """What operations may cost, by `@cost` and `@listSize`.

    ``mode`` is about estimates, made before any fetch; ``actual`` about what
    answers cost, which takes reading them.  ``list_size`` is assumed of lists
    that say nothing of their length; ``subgraphs`` has the most that an
    operation may ask of single ones.  ``expose`` lets every client ask for
    ``extensions.cost``.
    """

    mode: CostMode = "enforce"
    max: int = Field(default=10_000, ge=1)
    actual: CostMode = "off"
    list_size: int = Field(default=10, ge=0)
    subgraphs: dict[_Subgraph, Annotated[int, Field(ge=0)]] = {}
    expose: bool = False


class GraphqlSettings(_Section):
    """Policy of the public endpoint.

    ``trusted_documents`` is a manifest of Apollo's, of Relay's or of plain
    ``{id: text}``; ``untrusted_documents`` says what becomes of other texts: they are
    served (``off``), served and logged, or refused (``enforce``).  ``override_labels``
    are those labels of `@override` that are switched on.  Requests over one
    of ``measured_limits`` are counted, logged and served; so are those over any, with
    ``enforce_limits`` off.
    """

    ide: bool = False
    introspection: bool = False
    explain: bool = False
    max_characters: int = Field(default=100_000, ge=100)
    max_tokens: int = Field(default=5_000, ge=10)
    max_depth: int = Field(default=20, ge=1, le=100)
    max_aliases: int = Field(default=100, ge=1)
    max_root_fields: int = Field(default=20, ge=1)
    max_fields: int = Field(default=1_000, ge=1)
    max_directives: int = Field(default=50, ge=1)
    max_values: int = Field(default=10_000, ge=1)
    enforce_limits: bool = True
    measured_limits: frozenset[LimitName] = frozenset()
    cost: CostSettings = CostSettings()
    batch_limit: int = Field(default=0, ge=0, le=100)
    trusted_documents: Path | None = None
    untrusted_documents: Literal["off", "log", "enforce"] = "off"
    automatic_documents: bool = True
    override_labels: tuple[str, ...] = ()


class StreamSettings(_Section):
    """Subscriptions of clients.

    A process holds ``max_connections`` WebSockets and event streams, each with
    ``max_operations`` and for ``max_lifetime_seconds``; a WebSocket without an
    operation is closed after ``idle_seconds``.  For a slow client ``max_waiting``
    events wait.  A stream of a subgraph that was lost is opened again up to
    ``reconnects`` times in a row, after a pause that doubles.
    """

    max_connections: int = Field(default=10_000, ge=1)
    max_operations: int = Field(default=100, ge=1)
    max_lifetime_seconds: float = Field(default=86_400, gt=0)
    idle_seconds: float = Field(default=3_600, gt=0)
    max_waiting: int = Field(default=32, ge=1)
    reconnects: int = Field(default=5, ge=0, le=100)
    reconnect_pause_seconds: float = Field(default=0.5, gt=0)


class Settings(BaseSettings):
    """Everything a process may be told."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    env: Literal["dev", "test", "production"] = "production"
    mode: Literal["monolith", "services"] = "monolith"
    embedded_worker: bool = False
    secret_key: Secret = SecretStr("")
    supergraph: Annotated[str, BeforeValidator(str)] = "supergraph.graphql"
    """A file or an http(s) address; it is watched."""
    supergraph_interval_seconds: float = Field(default=1, gt=0, le=3600)
    http: HttpSettings = HttpSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    s3: S3Settings = S3Settings()
    auth: AuthSettings = AuthSettings()
    service_auth: ServiceAuthSettings = ServiceAuthSettings()
    webhooks: WebhookSettings = WebhookSettings()
    payments: PaymentSettings = PaymentSettings()
    privacy: PrivacySettings = PrivacySettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    graphql: GraphqlSettings = GraphqlSettings()
    streams: StreamSettings = StreamSettings()
    users: SubgraphSettings = SubgraphSettings()
    orgs: SubgraphSettings = SubgraphSettings()
    billing: SubgraphSettings = SubgraphSettings()
    storage: SubgraphSettings = SubgraphSettings()

    @model_validator(mode="after")
    def _require_secret_key(self) -> Settings:
        if len(self.secret_key.get_secret_value()) < 32:
            raise ValueError(
                "NEXUS_SECRET_KEY must hold at least 32 characters; "
                "make one with: python -c 'import secrets; print(secrets.token_hex(32))'"
            )
        return self

    def subgraph(self, name: str) -> SubgraphSettings:
        """The section of one subgraph."""
        section: SubgraphSettings = getattr(self, name)
        return section


def required(value: SecretStr | None, variable: str, purpose: str) -> str:
    """The secret's text, or a `ConfigurationError` that names the variable to set."""
    if value is None or not value.get_secret_value():
        raise ConfigurationError(f"{PREFIX}{variable} is not set: {purpose}")
    return value.get_secret_value()


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of this process.

    Raises `ConfigurationError` with every problem found: an unknown variable, a
    bad value, and in production a secret given in plain text.
    """
    environ = os.environ if environ is None else environ
    problems = [*_unknown(environ)]
    try:
        settings = Settings()
    except ValidationError as error:
        problems += [_describe(item["loc"], item["msg"]) for item in error.errors()]
    else:
        if settings.env == "production":
            problems += _plain_secrets(environ)
        if not problems:
            return settings
    raise ConfigurationError("\n".join(problems))


def masked(settings: Settings) -> dict[str, object]:
    """The effective settings as JSON values, secrets shown as asterisks."""
    return settings.model_dump(mode="json")


def _unknown(environ: Mapping[str, str]) -> list[str]:
    known = {name.upper() for name in Settings.model_fields}
    return [
        f"{name}: no such setting"
        for name in sorted(environ)
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).split("__")[0] not in known
    ]


def _describe(location: tuple[int | str, ...], message: str) -> str:
    variable = PREFIX + "__".join(str(part).upper() for part in location) if location else ""
    text = message.removeprefix("Value error, ")
    return f"{variable}: {text}" if variable else text


def _plain_secrets(environ: Mapping[str, str]) -> list[str]:
    problems = []
    for path in _secret_paths(Settings):
        name = PREFIX + "__".join(path).upper()
        value = environ.get(name)
        if value and not value.startswith("file:"):
            problems.append(f"{name}: a secret in plain text; put it in a file and say file:/path")
    return problems


def _secret_paths(model: type[BaseModel], prefix: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    paths = []
    for name, info in model.model_fields.items():
        annotation = info.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            paths += _secret_paths(annotation, (*prefix, name))
        elif "SecretStr" in str(annotation):
            paths.append((*prefix, name))
    return paths
