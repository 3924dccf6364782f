"""The settings of a process that uses the embedded servers of this clone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from click import ClickException

from cli import embedded
from cli.embedded import Addresses
from cli.environment import HOME, SUPERGRAPH
from cli.secret_files import kept
from shared.auth import Signer, generate_keys
from shared.config import SUBGRAPHS, ConfigurationError, Settings, load


def settings() -> Settings:
    """The settings that the environment gives or, when it gives none, those of a running `dev`."""
    if not any(name.startswith("NEXUS_") for name in os.environ):
        addresses = embedded.running(HOME / "servers")
        if addresses is None:
            raise ClickException(
                "nothing is configured: set the NEXUS_ variables, or start ./nexus dev, whose"
                " servers this command then uses"
            )
        _, _, port = (HOME / "dev.lock").read_text().partition(" ")
        return prepare(addresses, HOME, port=int(port or 4000))
    return _loaded()


def prepare(
    addresses: Addresses, home: Path, *, host: str = "127.0.0.1", port: int = 4000
) -> Settings:
    """Settings of development, where the environment does not say otherwise."""
    os.environ.setdefault("NEXUS_HTTP__HOST", host)
    os.environ.setdefault("NEXUS_HTTP__PORT", str(port))
    os.environ.setdefault("NEXUS_HTTP__PUBLIC_URL", f"http://{host}:{port}")
    for name, value in variables(addresses, home / "secrets"):
        os.environ.setdefault(name, value)
    return _loaded()


def _loaded() -> Settings:
    os.environ.setdefault("NEXUS_SUPERGRAPH", str(SUPERGRAPH))
    try:
        return load()
    except ConfigurationError as error:
        raise ClickException(str(error)) from error


def variables(addresses: Addresses, folder: Path) -> Iterator[tuple[str, str]]:
    """Name and value of every setting that the servers, and the secrets in a folder, give."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    yield "NEXUS_ENV", "dev"
    yield "NEXUS_EMBEDDED_WORKER", "true"
    yield "NEXUS_SECRET_KEY", _secret(folder / "secret_key")
    yield from _keys(folder, "access", "AUTH")
    yield from _keys(folder, "service", "SERVICE_AUTH")
    yield "NEXUS_WEBHOOKS__STRIPE_SECRET", _secret(folder / "stripe_webhook_secret")
    yield "NEXUS_WEBHOOKS__MERCADOPAGO_SECRET", _secret(folder / "mercadopago_webhook_secret")
    yield "NEXUS_REDIS__URL", addresses.redis_url
    yield "NEXUS_S3__ENDPOINT", addresses.s3_endpoint
    yield "NEXUS_S3__REGION", addresses.s3_region
    yield "NEXUS_S3__ACCESS_KEY", addresses.s3_access_key
    yield "NEXUS_S3__SECRET_KEY", addresses.s3_secret_key
    yield "NEXUS_DATABASE__ADMIN_URL", _database(addresses.postgres_url)
    for name in SUBGRAPHS:
        password = kept(folder / f"{name}_database_password", lambda: secrets.token_hex(32))
        yield (
            f"NEXUS_{name.upper()}__DATABASE_URL",
            _database(addresses.postgres_url, user=name, password=password),
        )
    yield "NEXUS_HTTP__SHUTDOWN_DELAY_SECONDS", "0"
    yield "NEXUS_HTTP__DRAIN_SECONDS", "1"
    yield "NEXUS_GRAPHQL__IDE", "true"
    yield "NEXUS_GRAPHQL__INTROSPECTION", "true"
    yield "NEXUS_GRAPHQL__EXPLAIN", "true"
    yield "NEXUS_TELEMETRY__LOG_FORMAT", "console"
    yield "NEXUS_TELEMETRY__LOG_LEVEL", "warning"


def _secret(path: Path) -> str:
    kept(path, lambda: secrets.token_hex(32))
    return f"file:{path}"


def _keys(folder: Path, name: str, section: str) -> Iterator[tuple[str, str]]:
    private = folder / f"{name}_signing_key.pem"
    public = folder / f"{name}_verification_keys.pem"
    signer = Signer(kept(private, lambda: generate_keys()[0]))
    kept(public, lambda: signer.public_pem)
    yield f"NEXUS_{section}__SIGNING_KEY", f"file:{private}"
    yield f"NEXUS_{section}__VERIFICATION_KEYS", f"file:{public}"


def _database(url: str, *, user: str | None = None, password: str = "") -> str:
    parts = urlsplit(url)
    place = f"{user}:{password}@{parts.hostname}:{parts.port}" if user else parts.netloc
    return parts._replace(scheme="postgresql+asyncpg", netloc=place).geturl()
