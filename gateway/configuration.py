"""The settings file of `nexus gateway`: YAML, checked as a whole before a port opens.

A secret never stands in it: `file:/run/secrets/name` or `env:NAME` says where it
is.  Paths are relative to the file.  Every mistake is reported at once.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

import orjson
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from gateway.propagation import NEVER
from shared.config import ConfigurationError, CostMode, LimitName

__all__ = ["Configuration", "SubgraphSection", "http_address", "json_schema", "masked", "read"]


def _resolved(text: str, info: ValidationInfo) -> str:
    """What a text says, or what the file or variable holds that it names."""
    if text.startswith("env:"):
        name = text.removeprefix("env:")
        found = os.environ.get(name, "")
        if not found:
            raise ValueError(f"the environment variable {name} is not set")
        return found
    if text.startswith("file:"):
        path = _beside(Path(text.removeprefix("file:")), info)
        try:
            found = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"cannot read {path}: {type(error).__name__}") from error
        if not found:
            raise ValueError(f"{path} is empty")
        return found
    return text


def _beside(path: Path, info: ValidationInfo) -> Path:
    folder: Path = (info.context or {}).get("folder", Path())
    return folder / path


def _value(value: SecretStr, info: ValidationInfo) -> SecretStr:
    return SecretStr(_resolved(value.get_secret_value(), info))


def _secret(value: SecretStr, info: ValidationInfo) -> SecretStr:
    text = value.get_secret_value()
    if not text.startswith(("env:", "file:")):
        raise ValueError("a secret in plain text: say file:/path or env:NAME")
    return SecretStr(_resolved(text, info))


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
    return text


def http_address(url: str) -> str:
    """The URL of a server; raises ValueError for what is none."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("not an http(s) address")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("an address with a password in it: insert a header instead")
    # Looking at the port raises if it is none.
    if not parts.hostname or parts.port == 0:
        raise ValueError("an address without a host or a port")
    return url


def _sendable(name: str) -> str:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        raise ValueError(f"{name!r} cannot be a header's name")
    if name.lower() in NEVER:
        raise ValueError(f"{name} is the gateway's own")
    return name


def _one_line(value: SecretStr) -> SecretStr:
    if not set(value.get_secret_value()).isdisjoint("\r\n\0"):
        raise ValueError("a header's value has no line breaks")
    return value


def _authorities(path: Path, info: ValidationInfo) -> Path:
    found = _beside(path, info)
    try:
        ssl.create_default_context(cafile=found)
    except OSError as error:
        raise ValueError(f"no certificates (PEM) in {found}: {type(error).__name__}") from error
    return found


Text = Annotated[str, AfterValidator(_resolved)]
"""May be `file:` or `env:`, and is no secret."""
Value = Annotated[SecretStr, AfterValidator(_value)]
"""May be `file:` or `env:`, and is never shown."""
Secret = Annotated[SecretStr, AfterValidator(_secret)]
"""Must be `file:` or `env:`."""
Name = Annotated[str, AfterValidator(_sendable)]
"""Of a header that subgraphs are sent."""
Line = Annotated[Value, AfterValidator(_one_line)]
Url = Annotated[Text, AfterValidator(http_address)]
Pattern = Annotated[str, AfterValidator(_pattern)]
Beside = Annotated[Path, AfterValidator(_beside)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]


class _Section(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True
    )


def _origin(text: str) -> str:
    if text != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/\s]+", text):
        raise ValueError("not an origin, like https://app.example.com")
    return text


def _returnable(name: str) -> str:
    if name.lower() in NEVER or name.lower() == "cache-control":
        raise ValueError(f"{name} is the gateway's own")
    return name


class Cors(_Section):
    """Which pages of other sites may read answers.

    What such a page could send without asking first is refused whatever stands here.
    """

    origins: tuple[Annotated[str, AfterValidator(_origin)], ...] = ()
    """Exact origins, like `https://app.example.com`, from which a WebSocket is accepted, too; or
    `*`, from which it is not."""
    credentials: bool = False
    """Whether those pages may send cookies."""
    headers: tuple[str, ...] = ()
    """Request headers they may send beside the usual ones."""
    expose_headers: tuple[str, ...] = ()
    """Response headers they may read beside the usual ones."""

    @model_validator(mode="after")
    def _is_safe(self) -> Cors:
        if self.credentials and "*" in self.origins:
            raise ValueError("credentials need exact origins")
        return self


class Compression(_Section):
    """Answers are compressed for clients that accept it; streams never are."""

    enabled: bool = True
    minimum_bytes: int = Field(default=4_096, ge=256)
    """Smaller answers are sent as they are."""


class Server(_Section):
    """What the endpoint accepts, and for how long a request may last."""

    timeout_seconds: Seconds = 30.0
    """The deadline of a whole request."""
    shutdown_delay_seconds: Annotated[float, Field(ge=0, le=600)] = 5.0
    """For how long everything is served as before after SIGTERM, with readiness off, so that
    load balancers look elsewhere.  A second signal ends it, and Ctrl-C skips it."""
    drain_seconds: Annotated[float, Field(ge=0, le=600)] = 20.0
    """How long requests under way may last after it."""
    max_connections: int = Field(default=12_000, ge=1)
    """Open connections of this process, which keeps half of its open files for other things."""
    max_body_bytes: int = Field(default=2_000_000, ge=1_000)
    batch_limit: int = Field(default=0, ge=0, le=100)
    """The most operations in one request; 0 turns batches off."""
    cors: Cors = Cors()
    compression: Compression = Compression()


class Watching(_Section):
    """How the supergraph is looked at again."""

    interval_seconds: Seconds = 1.0
    """A source that does not answer is asked more and more rarely, up to every minute."""
    headers: dict[str, Value] = {}
    """Sent to an address, such as a registry's key."""
    timeout_seconds: Seconds = 10.0
    max_bytes: int = Field(default=20_000_000, ge=1_000)


class Propagate(_Section):
    """Pass on what the client sent: one header, or all whose whole name matches."""

    named: str | None = None
    matching: Pattern | None = None
    rename: Name | None = None
    """Under which name; only of one header."""
    default: Line | None = None
    """Sent when the client did not send it; only of one header."""

    @model_validator(mode="after")
    def _is_one(self) -> Propagate:
        if (self.named is None) == (self.matching is None):
            raise ValueError("say either named or matching")
        if self.named is None and (self.rename is not None or self.default is not None):
            raise ValueError("rename and default go with named")
        return self


class Insert(_Section):
    """Send a header with a fixed value."""

    name: Name
    value: Line


class Remove(_Section):
    """Take away what the rules before let through."""

    named: str | None = None
    matching: Pattern | None = None

    @model_validator(mode="after")
    def _is_one(self) -> Remove:
        if (self.named is None) == (self.matching is None):
            raise ValueError("say either named or matching")
        return self


class Tell(_Section):
    """Send a claim of the caller's token, which the gateway has verified."""

    claim: str
    name: Name
    """Under which name; what the client itself says under it is not passed on."""


class RequestRule(_Section):
    """One rule about a header that subgraphs are sent."""

    propagate: Propagate | None = None
    insert: Insert | None = None
    remove: Remove | None = None
    tell: Tell | None = None

    @model_validator(mode="after")
    def _is_one(self) -> RequestRule:
        if [self.propagate, self.insert, self.remove, self.tell].count(None) != 3:
            raise ValueError("say one of propagate, insert, remove and tell")
        return self


class ResponseRule(_Section):
    """Pass a header of the subgraphs' answers on to the client."""

    named: Annotated[str, AfterValidator(_returnable)]
    keep: Literal["first", "last", "append"] = "append"
    """Which one, when several answers have it; `append` sends them all."""


class Headers(_Section):
    """Rules in their order."""

    request: tuple[RequestRule, ...] = ()
    response: tuple[ResponseRule, ...] = ()


class EveryHeader(Headers):
    """Rules for every subgraph; those of one subgraph come after them."""

    request: tuple[RequestRule, ...] = (
        RequestRule(propagate=Propagate(named="authorization")),
        RequestRule(propagate=Propagate(named="accept-language")),
        RequestRule(propagate=Propagate(named="cookie")),
    )


class DocumentLimits(_Section):
    """The most a document may hold."""

    characters: int = Field(default=100_000, ge=100)
    tokens: int = Field(default=15_000, ge=10)
    depth: int = Field(default=100, ge=1)
    aliases: int = Field(default=1_000, ge=1)
    root_fields: int = Field(default=1_000, ge=1)
    fields: int = Field(default=5_000, ge=1)
    directives: int = Field(default=500, ge=1)
    values: int = Field(default=10_000, ge=1)
    """In the variables: each entry of a list and each field of an object counts."""
    measured: frozenset[LimitName] = frozenset()
    """Requests over these limits are counted, logged and served."""


class Breaker(_Section):
    """When a subgraph that fails is not asked any more, and for how long."""

    least_calls: int = Field(default=20, ge=1)
    """How many calls of the last minute it takes for a judgement."""
    failing_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    pause_seconds: Seconds = 30.0


class Traffic(_Section):
    """How subgraphs are asked."""

    timeout_seconds: Seconds = 30.0
    attempts: int = Field(default=2, ge=1, le=10)
    """How often a query is sent that finds no answer; a mutation is sent once."""
    retry_pause_seconds: Seconds = 0.1
    max_connections: int = Field(default=100, ge=1)
    """To each subgraph."""
    ca_file: Annotated[Path, AfterValidator(_authorities)] | None = None
    """The authorities (PEM) whose certificates subgraphs may have; otherwise the machine's."""
    max_response_bytes: int = Field(default=50_000_000, ge=1_000)
    breaker: Breaker = Breaker()


class OwnBreaker(_Section):
    """When one subgraph is not asked any more; what is not said is as in `traffic.breaker`."""

    least_calls: Annotated[int, Field(ge=1)] | None = None
    failing_share: Annotated[float, Field(gt=0, le=1)] | None = None
    pause_seconds: Seconds | None = None


class SubgraphSection(_Section):
    """What is different for one subgraph; what is not said is as in `traffic`."""

    url: Url | None = None
    """Where it is asked; otherwise the address in the supergraph."""
    subscriptions: Literal["websocket", "sse"] = "websocket"
    """The protocol of its streams: graphql-transport-ws, or server-sent events."""
    subscriptions_url: Url | None = None
    timeout_seconds: Seconds | None = None
    attempts: Annotated[int, Field(ge=1, le=10)] | None = None
    max_connections: Annotated[int, Field(ge=1)] | None = None
    breaker: OwnBreaker = OwnBreaker()
    headers: Headers = Headers()


class Redis(_Section):
    """A Redis or Valkey that gateways share."""

    url: Secret
    timeout_seconds: Seconds = 0.5
    entries: int = Field(default=5_000, ge=1)
    """How many texts it keeps; those that were asked for longest ago leave first."""


class AutomaticDocuments(_Section):
    """Texts that clients register with their hash, and then name by it."""

    enabled: bool = True
    entries: int = Field(default=2_000, ge=1)
    """How many each process remembers."""
    redis: Redis | None = None
    """Where processes find what others were told; without it each has its own."""
    ttl_seconds: int = Field(default=86_400, ge=60)
    """How long Redis keeps a text that nobody asks for."""


class TrustedDocuments(_Section):
    """Documents that are known beforehand."""

    manifests: tuple[Beside, ...] = ()
    """Files of Apollo's, of Relay's or of plain `{id: text}`."""
    mode: Literal["off", "log", "enforce"] = "off"
    """What becomes of other texts: served, served and logged, or refused."""

    @model_validator(mode="after")
    def _answers_something(self) -> TrustedDocuments:
        if self.mode == "enforce" and not self.manifests:
            raise ValueError("mode is enforce and there is no manifest")
        return self


class Documents(_Section):
    """Documents that clients name instead of sending them."""

    automatic: AutomaticDocuments = AutomaticDocuments()
    trusted: TrustedDocuments = TrustedDocuments()


class Introspection(_Section):
    """What strangers may learn of the schema."""

    enabled: bool = True
    suggestions: bool | None = None
    """Whether errors say "Did you mean …?"; without it, as ``enabled``."""


class Streams(_Section):
    """Subscriptions of clients."""

    max_connections: int = Field(default=10_000, ge=1)
    """Open WebSockets and event streams of this process."""
    max_operations: int = Field(default=100, ge=1)
    """On one connection."""
    max_lifetime_seconds: Seconds = 86_400.0
    """After it a client is asked to connect again."""
    idle_seconds: Seconds = 3_600.0
    """A WebSocket without an operation is closed after it."""
    init_headers: tuple[str, ...] = (
        "authorization",
        "accept-language",
        "graphql-client-name",
        "graphql-client-version",
    )
    """What a WebSocket's first message may say in place of headers, which browsers cannot set;
    and `authentication.header`.  What a proxy in front decides does not belong here."""
    max_waiting: int = Field(default=32, ge=1)
    """Events that wait for a slow client; it is told how many more it missed."""
    reconnects: int = Field(default=5, ge=0, le=100)
    """How often in a row a stream of a subgraph that was lost is opened again."""
    reconnect_pause_seconds: Seconds = 0.5
    """Before the first time; the pause doubles, with jitter."""


class Explain(_Section):
    """Who may see how an answer came about, by the header `x-nexus-explain`."""

    freely: bool = False
    """Everybody, for development."""
    secret: Secret | None = None
    """Signs the header's values for those who may."""


class Telemetry(_Section):
    """What the process says about itself."""

    otlp_endpoint: Url | None = None
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["json", "console"] = "json"


class Keys(_Section):
    """A JSON Web Key Set; what was read stays until newer keys are read."""

    file: Beside | None = None
    url: Url | None = None
    refresh_seconds: Seconds = 600.0
    """How long keys are used before they are read again."""
    pause_seconds: Annotated[float, Field(ge=0, le=3_600)] = 30.0
    """The least time between two readings because a token names an unknown key."""
    timeout_seconds: Seconds = 5.0

    @model_validator(mode="after")
    def _is_one(self) -> Keys:
        if (self.file is None) == (self.url is None):
            raise ValueError("say either file or url")
        if self.file is not None and not self.file.is_file():
            raise ValueError(f"{self.file} is not a file")
        return self


Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "HS256",
    "HS384",
    "HS512",
]


class TokenIssuer(_Section):
    """Whose tokens are taken."""

    keys: Keys
    issuer: str | None = None
    """What `iss` must be; without it, anything signed with these keys is taken."""
    audiences: tuple[str, ...] = ()
    """One of them must be in `aud`; without any, tokens meant for others are taken, too."""
    algorithms: Annotated[tuple[Algorithm, ...], Field(min_length=1)] = ("RS256", "ES256", "EdDSA")
    """Tokens signed in any other way are refused."""


class Authentication(_Section):
    """Who is calling: a bearer token (JWT), or a stranger without one.

    A token that is not valid is refused, with 401 or, on a WebSocket, 4403.
    """

    issuers: tuple[TokenIssuer, ...] = ()
    """Without any, everybody is a stranger and all that is protected is refused."""
    header: str = "authorization"
    scheme: str = "Bearer"
    """The word before the token; empty if the header holds nothing else."""
    leeway_seconds: Annotated[float, Field(ge=0, le=600)] = 30.0
    """By how much clocks may differ."""


class Policies(_Section):
    """What `@policy` asks for; a policy that neither source names does not hold."""

    claim: str | None = None
    """The claim that lists the policies which hold for the caller."""
    function: str | None = None
    """`package.module:name` of a function, perhaps async, from the token's claims and the
    request's headers to the policies which hold.  It decides for strangers, too."""


class Authorization(_Section):
    """What callers may see of what the supergraph protects."""

    refuse: Literal["fields", "operation", "nothing"] = "fields"
    """What becomes of an operation that asks for more than its caller may have: those fields
    are null, all of it is refused, or it is served and only logged."""
    tell: Literal["errors", "extensions", "nowhere"] = "errors"
    """Where an answer says which fields were refused: among its `errors`, in its
    `extensions.authorizationErrors`, or nowhere."""
    scope_claims: tuple[str, ...] = ("scope", "scp")
    """The claims that `@requiresScopes` looks into."""
    policies: Policies = Policies()


class Cost(_Section):
    """What operations may cost, by `@cost` and `@listSize`."""

    mode: CostMode = "off"
    """Whether operations whose estimate is over a maximum are refused, or only counted."""
    max: int = Field(default=10_000, ge=1)
    actual: CostMode = "off"
    """Whether answers are counted, and a query that has cost the maximum is cut short."""
    list_size: int = Field(default=10, ge=0)
    """How long lists are taken to be that say nothing of it."""
    subgraphs: dict[str, Annotated[int, Field(ge=0)]] = {}
    """The most that one operation may ask of single subgraphs."""
    expose: bool = False
    """Whether every client may ask for `extensions.cost`, by `"extensions": {"cost": true}`."""


class Configuration(_Section):
    """Everything that `nexus gateway` may be told."""

    server: Server = Server()
    supergraph: Watching = Watching()
    headers: EveryHeader = EveryHeader()
    limits: DocumentLimits = DocumentLimits()
    traffic: Traffic = Traffic()
    subgraphs: dict[str, SubgraphSection] = {}
    """By their names in the supergraph."""
    documents: Documents = Documents()
    introspection: Introspection = Introspection()
    subscriptions: Streams = Streams()
    override_labels: tuple[str, ...] = ()
    """Labels of `@override` that are switched on; `percent(…)` needs no mention."""
    explain: Explain = Explain()
    telemetry: Telemetry = Telemetry()
    authentication: Authentication = Authentication()
    authorization: Authorization = Authorization()
    cost: Cost = Cost()

    def of_subgraph(self, name: str) -> SubgraphSection:
        """What the file says of one subgraph, perhaps nothing."""
        return self.subgraphs.get(name, _NOTHING)

    def unknown(self, names: Iterable[str]) -> list[str]:
        """What is wrong with sections of subgraphs that are not among ``names``."""
        known = set(names)
        sections: dict[str, Iterable[str]] = {
            "subgraphs": self.subgraphs,
            "cost.subgraphs": self.cost.subgraphs,
        }
        return [
            f"{section}.{name}: the supergraph has no such subgraph"
            for section, found in sections.items()
            for name in sorted(set(found) - known)
        ]


_NOTHING = SubgraphSection()


class _Loader(yaml.SafeLoader):
    """YAML 1.2's booleans (`off` is a word), and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[object] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=deep)
            if name in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{name} stands there twice", problem_mark=key.start_mark
                )
            seen.add(name)
        return super().construct_mapping(node, deep=deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(true|false)$"), list("tf"))


def read(path: Path) -> Configuration:
    """The settings in a file; raises `ConfigurationError` with every problem, one a line."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
        # As JSON, in which a list may stand for a tuple and a text for a path.
        text = orjson.dumps({} if content is None else content, option=orjson.OPT_NON_STR_KEYS)
        return Configuration.model_validate_json(text, context={"folder": path.parent})
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise ConfigurationError(f"{path} is not YAML: {error}") from error
    except ValidationError as error:
        problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigurationError("\n".join(problems)) from None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    where = ".".join(map(str, location)) or "the file"
    said = message.removeprefix("Value error, ").replace(
        "Extra inputs are not permitted", "unknown"
    )
    return f"{where}: {said}"


def masked(configuration: Configuration) -> str:
    """The effective settings as YAML, secrets shown as asterisks."""
    shown: str = yaml.safe_dump(configuration.model_dump(mode="json"), sort_keys=False)
    return shown


def json_schema() -> dict[str, Any]:
    """The JSON schema of the file, for editors."""
    return Configuration.model_json_schema()
