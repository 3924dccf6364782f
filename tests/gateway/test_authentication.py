"""The gateway of any supergraph: who calls, by whose tokens, and what they may have."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import jwt
import orjson
import pytest
import structlog
import websockets
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from gateway import standalone
from gateway.authentication import Authentication, Issuer, Policies, decide_by_name
from gateway.configuration import Configuration, read
from gateway.context import RequestContext
from gateway.identity import Callers, context_of
from gateway.keys import KeySet, KeysUnavailable
from shared.access_lists import AccessLists
from shared.auth import AccessTokens, Signer, Verifier, generate_keys
from shared.cache import connect
from shared.config import ConfigurationError, RedisSettings
from shared.errors import Unauthenticated, Unavailable
from shared.protocols.http import GraphQLHTTP
from shared.protocols.service import GraphQLRequest, GraphQLResult
from tests.federation.authorization import SUBGRAPHS, SUPERGRAPH_FILE
from tests.serving import serving
from tests.support.nexus import ROOT

ISSUER = "https://id.example.test/"
CODE = "UNAUTHORIZED_FIELD_OR_TYPE"
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {
    "RS256": RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def as_jwk(key: Any, algorithm: str, **more: Any) -> dict[str, Any]:
    """A public key as issuers publish it."""
    public = key.public_key() if hasattr(key, "public_key") else key
    jwk: dict[str, Any] = json.loads(get_default_algorithms()[algorithm].to_jwk(public))
    return {**jwk, **more}


def token(key: Any = RSA, algorithm: str = "RS256", kid: str | None = "one", **claims: Any) -> str:
    """A token that is good for a minute, unless the claims say otherwise."""
    said = {"iss": ISSUER, "aud": "api", "sub": "ada", "exp": time.time() + 60, **claims}
    kept = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid} if kid else None)


@dataclass
class Published:
    """A key set at an address, and how often it was asked for."""

    keys: list[dict[str, Any]] = field(default_factory=lambda: [as_jwk(RSA, "RS256", kid="one")])
    answer: Response | None = None
    asked: int = 0
    started: asyncio.Event = field(default_factory=asyncio.Event)
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        self.started.set()
        await self.release.wait()
        response = self.answer or Response(orjson.dumps({"keys": self.keys}))
        await response(scope, receive, send)


@pytest.fixture
async def published() -> Published:
    made = Published()
    made.release.set()
    return made


@pytest.fixture
async def address(published: Published) -> AsyncIterator[str]:
    async with serving(published, lifespan="off") as url:
        yield url


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def authentication(
    keys: KeySet, *, algorithms: Iterable[str] = ("RS256", "ES256", "EdDSA"), **options: Any
) -> Authentication:
    issuer = Issuer(keys, ISSUER, ("api", "other"), frozenset(algorithms))
    return Authentication((issuer,), leeway_seconds=5, **options)


def bearer(given: str) -> dict[str, str]:
    return {"authorization": f"Bearer {given}"}


@pytest.mark.parametrize("algorithm", sorted(KEYS))
async def test_a_valid_token_tells_who_calls(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "keys.json"
    jwks = [as_jwk(key, name, kid=name, use="sig") for name, key in KEYS.items()]
    path.write_text(json.dumps({"keys": [*jwks, "nonsense"]}))
    known = authentication(KeySet(path))
    await known.load()
    made = token(KEYS[algorithm], algorithm, kid=algorithm, scope="read write", scp=["admin"])
    for _ in range(2):
        caller = await known.identify(bearer(made))
        assert caller is not None
        assert caller.id == "ada"
        assert caller.scopes == {"read", "write", "admin"}
        assert caller.claims["iss"] == ISSUER
    assert await known.identify({}) is None


async def test_a_token_without_a_key_id_is_tried_with_every_key_that_fits(
    address: str, published: Published
) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published.keys = [as_jwk(other, "RS256"), *published.keys, as_jwk(KEYS["ES256"], "ES256")]
    known = authentication(KeySet(address))
    caller = await known.identify(bearer(token(kid=None, sub=None, client_id="job")))
    assert caller is not None
    assert caller.id == "job"
    caller = await known.identify(bearer(token(kid=None, sub=None)))
    assert caller is not None
    assert caller.id == ""


def forged() -> dict[str, str]:
    """Tokens that nobody should take, by what is wrong with them."""
    good = token()
    head, body, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    public = as_jwk(RSA, "RS256")["n"]
    return {
        "expired": token(exp=time.time() - 60),
        "not yet valid": token(nbf=time.time() + 60),
        "no expiry": token(exp=None),
        "an expiry beyond all numbers": token(exp=10**400),
        "another issuer": token(iss="https://evil.test/"),
        "no issuer": token(iss=None),
        "another audience": token(aud="theirs"),
        "no audience": token(aud=None),
        "another key": token(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
        "an unknown key": token(kid="unknown"),
        "a changed body": f"{head}.{body[:-2]}.{signature}",
        "no signature": f"{none}.{body}.",
        "the public key as a secret": jwt.encode({"iss": ISSUER}, public, "HS256"),
        "an algorithm that is not allowed": token(algorithm="PS512"),
        "another kind of key": token(KEYS["ES256"], "ES256"),
        "no token": "nonsense",
        "too long": "a" * 20_000,
        "a body that is no object": jwt.api_jws.encode(b"[1]", RSA, "RS256"),
    }


@pytest.mark.parametrize("wrong", sorted(forged()))
async def test_a_token_that_is_not_valid_is_refused(
    address: str, published: Published, wrong: str
) -> None:
    known = authentication(KeySet(address, pause_seconds=0))
    with pytest.raises(Unauthenticated, match="not valid or has expired"):
        await known.identify(bearer(forged()[wrong]))


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "Bearer ", "token"])
async def test_what_is_no_bearer_token_is_refused(address: str, value: str) -> None:
    known = authentication(KeySet(address))
    with pytest.raises(Unauthenticated, match="authorization: Bearer <token>"):
        await known.identify({"authorization": value})


async def test_the_header_and_the_word_before_the_token_are_settings(address: str) -> None:
    bare = authentication(KeySet(address), header="X-Token", scheme="")
    assert await bare.identify({"x-token": token()})
    assert await bare.identify(bearer(token())) is None
    known = authentication(KeySet(address), scheme="JWT")
    assert await known.identify({"authorization": f"jwt {token()}"})


async def test_without_an_issuer_a_token_says_nothing(address: str) -> None:
    assert await Authentication(()).identify(bearer("anything")) is None


async def test_what_is_not_asked_for_may_be_anything(address: str) -> None:
    any_issuer = Issuer(KeySet(address), None, (), frozenset({"RS256"}))
    known = Authentication((any_issuer,), scope_claims=("permissions",))
    caller = await known.identify(
        bearer(token(iss=None, aud="theirs", permissions=["a", 1], scope="b"))
    )
    assert caller is not None
    assert caller.scopes == {"a"}


async def test_each_issuer_has_its_own_keys(address: str, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"keys": [as_jwk(KEYS["EdDSA"], "EdDSA", kid="one")]}))
    second = Issuer(KeySet(path), "https://second.test/", (), frozenset({"EdDSA"}))
    first = Issuer(KeySet(address), ISSUER, ("api",), frozenset({"RS256"}))
    known = Authentication((first, second))
    assert await known.identify(bearer(token()))
    theirs = token(KEYS["EdDSA"], "EdDSA", iss="https://second.test/")
    assert await known.identify(bearer(theirs))
    with pytest.raises(Unauthenticated):
        await known.identify(bearer(token(KEYS["EdDSA"], "EdDSA")))


async def test_a_token_that_was_valid_expires(address: str) -> None:
    now = time.time()
    clock = Clock()
    clock.now = now
    known = authentication(KeySet(address), clock=clock)
    made = token(exp=now + 60)
    caller = await known.identify(bearer(made))
    assert caller is not None
    assert caller.expires_at == pytest.approx(now + 65)
    clock.now = caller.expires_at
    with pytest.raises(Unauthenticated):
        await known.identify(bearer(made))


async def test_a_new_key_is_read_when_a_token_names_it(address: str, published: Published) -> None:
    clock = Clock()
    keys = KeySet(address, pause_seconds=30, clock=clock)
    known = authentication(keys)
    old = token()
    assert await known.identify(bearer(old))
    rotated = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    published.keys = [as_jwk(rotated, "RS256", kid="two")]
    clock.now += 30
    both = await asyncio.gather(
        *(known.identify(bearer(token(rotated, kid="two", jti=str(n)))) for n in range(5))
    )
    assert all(both)
    assert published.asked == 2
    # What the old key signed is worth nothing any more, although it was taken before.
    with pytest.raises(Unauthenticated):
        await known.identify(bearer(old))


async def test_made_up_keys_cost_the_issuer_nothing(address: str, published: Published) -> None:
    clock = Clock()
    known = authentication(KeySet(address, pause_seconds=30, clock=clock))
    assert await known.identify(bearer(token()))
    for number in range(20):
        with pytest.raises(Unauthenticated):
            await known.identify(bearer(token(kid=f"made up {number}")))
    assert published.asked == 1


async def test_a_key_that_is_withdrawn_is_noticed_though_its_tokens_are_known(
    address: str, published: Published
) -> None:
    clock = Clock()
    known = authentication(KeySet(address, refresh_seconds=600, clock=clock))
    made = token()
    assert await known.identify(bearer(made))
    published.keys = [as_jwk(KEYS["EdDSA"], "EdDSA", kid="two")]
    published.started.clear()
    clock.now += 600
    assert await known.identify(bearer(made))
    await published.started.wait()
    # It waits for the reading that is under way.
    assert await known.identify(bearer(token(KEYS["EdDSA"], "EdDSA", kid="two")))
    with pytest.raises(Unauthenticated):
        await known.identify(bearer(made))


async def test_keys_are_used_while_they_are_read_again(address: str, published: Published) -> None:
    clock = Clock()
    keys = KeySet(address, refresh_seconds=600, clock=clock)
    await keys.load()
    published.release.clear()
    published.started.clear()
    clock.now += 600
    for _ in range(3):
        assert await keys.find("one", "RS256")
    await published.started.wait()
    assert published.asked == 2
    published.release.set()
    published.keys = []
    await keys.close()


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=500),
        Response(status_code=302, headers={"location": "/elsewhere"}),
        Response(b"not json"),
        Response(b"[]"),
        Response(b'{"keys": {}}'),
        Response(b" " * 1_000_001),
    ],
)
async def test_keys_that_were_read_stay_when_newer_ones_cannot_be_read(
    address: str, published: Published, answer: Response
) -> None:
    clock = Clock()
    keys = KeySet(address, refresh_seconds=600, pause_seconds=0, clock=clock)
    await keys.load()
    published.answer = answer
    with pytest.raises(KeysUnavailable):
        await keys.load()
    clock.now += 600
    with structlog.testing.capture_logs() as logs:
        assert not await keys.find("two", "RS256")
    assert [(one["event"], one["kept"]) for one in logs] == [("authentication.keys_unavailable", 1)]
    assert await keys.find("one", "RS256")
    await keys.close()


async def test_an_issuer_that_is_down_makes_tokens_unverifiable_not_invalid(
    published: Published,
) -> None:
    async with serving(published, lifespan="off") as url:
        pass
    clock = Clock()
    known = authentication(KeySet(url, clock=clock))
    with structlog.testing.capture_logs() as logs:
        await known.load()
    assert [one["event"] for one in logs] == ["authentication.keys_unavailable"]
    with pytest.raises(Unavailable):
        await known.check()
    with pytest.raises(Unavailable):
        await known.identify(bearer(token()))
    assert await known.identify({}) is None
    await known.close()


async def test_keys_that_were_missing_are_found_soon(address: str, published: Published) -> None:
    clock = Clock()
    keys = KeySet(address, clock=clock)
    published.answer = Response(status_code=503)
    known = authentication(keys)
    await known.load()
    published.answer = None
    clock.now += 1
    assert await known.identify(bearer(token()))
    await known.check()


async def test_a_file_of_keys_that_cannot_be_read_stops_the_start(tmp_path: Path) -> None:
    known = authentication(KeySet(tmp_path / "missing.json"))
    with pytest.raises(ConfigurationError, match="No such file"):
        await known.load()


async def test_keys_for_something_else_are_not_used(address: str, published: Published) -> None:
    published.keys = [
        as_jwk(RSA, "RS256", kid="one", use="enc"),
        as_jwk(RSA, "RS256", kid="two", alg="RS512"),
        {"kid": "three", "kty": "?"},
    ]
    keys = KeySet(address)
    await keys.load()
    for name in ("one", "two", "three"):
        assert not await keys.find(name, "RS256")
    assert await keys.find("two", "RS512")


async def test_a_key_that_is_too_short_is_not_trusted(address: str, published: Published) -> None:
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505
    published.keys = [as_jwk(short, "RS256", kid="one")]
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        made = token(short)
    with pytest.raises(Unauthenticated):
        await authentication(KeySet(address)).identify(bearer(made))


def granting(claims: Mapping[str, Any], headers: Mapping[str, str]) -> list[str]:
    """A policy function of a user's; it fails where it is told to."""
    if "x-fail" in headers:
        raise RuntimeError("no")
    return ["cards"] if claims.get("sub") == "ada" else ["mood"]


async def granting_later(claims: Mapping[str, Any], headers: Mapping[str, str]) -> list[str]:
    """The same, as others write it."""
    return granting(claims, headers)


async def test_policies_hold_by_a_claim_or_by_what_a_function_says(address: str) -> None:
    caller = await authentication(KeySet(address)).identify(bearer(token(roles=["staff"])))
    assert await Policies("roles").of(caller, {}) == {"staff"}
    assert await Policies().of(caller, {}) == frozenset()
    for decide in (granting, granting_later):
        policies = Policies("roles", decide)
        assert await policies.of(caller, {}) == {"staff", "cards"}
        assert await policies.of(None, {}) == {"mood"}
        with structlog.testing.capture_logs() as logs:
            assert await policies.of(caller, {"x-fail": "1"}) == {"staff"}
        assert [one["event"] for one in logs] == ["authorization.policies_undecided"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("no.such.module:function", "No module named"),
        ("tests.gateway.test_authentication:missing", "no attribute"),
        ("tests.gateway.test_authentication:ISSUER", "is not a function"),
    ],
)
def test_a_policy_function_that_is_not_there_stops_the_start(name: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        decide_by_name(name)


@dataclass
class Running:
    """A gateway over subgraphs that protect something."""

    url: str
    http: httpx.AsyncClient
    subgraphs: dict[str, Answering]

    async def ask(self, query: str, **headers: str) -> httpx.Response:
        return await self.http.post(f"{self.url}/graphql", json={"query": query}, headers=headers)

    async def ready(self) -> tuple[int, str | None]:
        """Whether the gateway is ready, and whether it can tell who calls."""
        response = await self.http.get(f"{self.url}/health/ready")
        return response.status_code, response.json()["checks"].get("authentication")

    @property
    def socket(self) -> str:
        return f"{self.url.replace('http', 'ws')}/graphql"


class Answering:
    """A subgraph of plain resolvers, as a GraphQL service; keeps the headers it was sent."""

    def __init__(self, name: str) -> None:
        self._subgraph = SUBGRAPHS[name]
        self.seen: list[dict[str, str]] = []

    async def context(self, connection: HTTPConnection) -> None:
        self.seen.append(dict(connection.headers))

    async def execute(self, request: GraphQLRequest, context: None) -> GraphQLResult:
        result = self._subgraph.answer(request.query, request.variables)
        return GraphQLResult(result.data, [error.formatted for error in result.errors or ()])

    async def subscribe(
        self, request: GraphQLRequest, context: None
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        return await self.execute(request, context)


async def start(stack: AsyncExitStack, tmp_path: Path, **settings: Any) -> Running:
    sdl = SUPERGRAPH_FILE.read_text()
    subgraphs = {name: Answering(name) for name in SUBGRAPHS}
    for name, answering in subgraphs.items():
        subgraph = GraphQLHTTP(answering, answering.context)
        url = await stack.enter_async_context(serving(subgraph, lifespan="off"))
        sdl = sdl.replace(f"http://{name}.test", url)
    path = tmp_path / "supergraph.graphql"
    path.write_text(sdl)
    told = Configuration.model_validate_json(json.dumps(settings))
    draining = asyncio.Event()
    stack.callback(draining.set)
    app = await standalone.create(str(path), told, draining=draining)
    url = await stack.enter_async_context(serving(app))
    client = await stack.enter_async_context(httpx.AsyncClient(timeout=5))
    return Running(url, client, subgraphs)


def trusting(address: str) -> dict[str, Any]:
    """The section of a settings file."""
    keys = {"url": address, "pause_seconds": 0}
    return {"issuers": [{"issuer": ISSUER, "audiences": ["api"], "keys": keys}]}


PROTECTED = "{ me { name email ssn card } }"


async def test_a_token_gets_what_the_supergraph_asks_for(address: str, tmp_path: Path) -> None:
    policies = {
        "claim": "policies",
        "function": "tests.gateway.test_authentication:granting_later",
    }
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"authorization": {"policies": policies}}
        running = await start(stack, tmp_path, authentication=trusting(address), **settings)
        answer = (await running.ask("{ me { name email card } mood }")).json()
        assert answer["data"] == {
            "me": {"name": "Ada", "email": None, "card": None},
            "mood": "GOOD",
        }
        paths = [error["path"] for error in answer["errors"]]
        assert sorted(paths) == [["me", "card"], ["me", "email"]]
        assert {error["extensions"]["code"] for error in answer["errors"]} == {CODE}
        for scope, ssn in (("read:ssn read:all", "123"), ("read:ssn", None), ("admin", "123")):
            headers = bearer(token(scope=scope))
            answer = (await running.ask(PROTECTED, **headers)).json()["data"]["me"]
            given = {"name": "Ada", "email": "ada@example.test", "ssn": ssn, "card": "4000"}
            assert answer == (given if ssn else None)
        assert await running.ready() == (200, "ok")


async def test_a_token_that_is_not_valid_is_told_so_on_every_transport(
    address: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        running = await start(stack, tmp_path, authentication=trusting(address))
        bad = bearer(token(aud="theirs"))
        for accept in ("application/json", "text/event-stream", "multipart/mixed"):
            response = await running.ask("{ motto }", **bad, accept=f"{accept}, application/json")
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == "Bearer"
            assert response.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        reserved = await running.http.put(f"{running.url}/graphql", headers=bad)
        assert reserved.status_code == 401
        async with websockets.connect(
            running.socket, subprotocols=[websockets.Subprotocol("graphql-transport-ws")]
        ) as socket:
            init = {"type": "connection_init", "payload": {"Authorization": bad["authorization"]}}
            await socket.send(json.dumps(init))
            with pytest.raises(websockets.ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 4403
        assert (await running.ask("{ motto }")).json() == {"data": {"motto": "ever on"}}


async def connected(stack: AsyncExitStack, running: Running, **claims: Any) -> Any:
    """A socket whose init message holds a token."""
    subprotocols = [websockets.Subprotocol("graphql-transport-ws")]
    socket = await stack.enter_async_context(
        websockets.connect(running.socket, subprotocols=subprotocols)
    )
    payload = bearer(token(**claims))
    await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
    return socket


async def test_a_socket_is_known_by_its_init_message(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        running = await start(stack, tmp_path, authentication=trusting(address))
        socket = await connected(stack, running)
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        payload = {"query": "{ me { email } }"}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        answer = json.loads(await socket.recv())
        assert answer["payload"] == {"data": {"me": {"email": "ada@example.test"}}}


async def test_a_socket_ends_when_its_token_does(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        trusted = {**trusting(address), "leeway_seconds": 0}
        running = await start(stack, tmp_path, authentication=trusted)
        socket = await connected(stack, running, exp=int(time.time()) + 2)
        await socket.wait_closed()
        assert socket.close_code == 4403


async def test_an_issuer_that_is_down_is_told_apart_from_a_bad_token(
    address: str, published: Published, tmp_path: Path
) -> None:
    published.answer = Response(status_code=500)
    async with AsyncExitStack() as stack:
        running = await start(stack, tmp_path, authentication=trusting(address))
        response = await running.ask("{ motto }", **bearer(token()))
        assert response.status_code == 503
        assert response.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await running.ask("{ motto }")).status_code == 200
        status, found = await running.ready()
        assert status == 503
        assert found not in (None, "ok")


async def test_a_start_that_makes_strangers_of_all_says_so(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with structlog.testing.capture_logs() as logs:
            running = await start(stack, tmp_path)
        (warning,) = [one for one in logs if one["event"] == "authorization.granted_to_nobody"]
        assert warning["refused_to_everybody"] > 5
        assert warning["lacking"] == ["authentication.issuers", "authorization.policies"]
        answer = (await running.ask("{ me { name email } }", **bearer(token()))).json()
        assert answer["data"] == {"me": {"name": "Ada", "email": None}}
        assert await running.ready() == (200, None)


@pytest.mark.parametrize(
    ("policies", "trusts", "directives", "lacking"),
    [
        ({"claim": "may"}, True, None, None),
        ({"function": "builtins:sorted"}, True, None, None),
        ({}, True, ["@policy"], ["authorization.policies"]),
        (
            {"claim": "may"},
            False,
            ["@authenticated", "@policy", "@requiresScopes"],
            ["authentication.issuers"],
        ),
        (
            {"function": "builtins:sorted"},
            False,
            ["@authenticated", "@requiresScopes"],
            ["authentication.issuers"],
        ),
    ],
)
async def test_a_start_warns_of_what_nobody_can_be_granted(
    address: str,
    tmp_path: Path,
    policies: dict[str, str],
    trusts: bool,
    directives: list[str] | None,
    lacking: list[str] | None,
) -> None:
    async with AsyncExitStack() as stack:
        told: dict[str, Any] = {"authorization": {"policies": policies}}
        if trusts:
            told["authentication"] = trusting(address)
        with structlog.testing.capture_logs() as logs:
            await start(stack, tmp_path, **told)
    found = [one for one in logs if one["event"].startswith("auth")]
    expected = [(directives, lacking)] if directives else []
    assert [(one["directives"], one["lacking"]) for one in found] == expected


async def test_an_operation_may_be_refused_as_a_whole(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"authorization": {"refuse": "operation"}}
        running = await start(stack, tmp_path, authentication=trusting(address), **settings)
        response = await running.ask("{ motto me { name email badge } users { ssn } }")
        assert response.status_code == 403
        assert "data" not in response.json()
        paths = [error["path"] for error in response.json()["errors"]]
        assert sorted(paths) == [["me", "badge"], ["me", "email"], ["users"]]
        answer = (await running.ask("{ motto me { name } things { __typename } }")).json()
        assert answer["data"]["me"] == {"name": "Ada"}
        known = await running.ask("{ me { email } }", **bearer(token()))
        assert known.json() == {"data": {"me": {"email": "ada@example.test"}}}


def payloads(text: str) -> list[Any]:
    """The JSON in an event stream or a multipart answer."""
    found = re.findall(r"^(?:data: )?(\{.+\})$", text.replace("\r", ""), re.MULTILINE)
    return [json.loads(one) for one in found]


@pytest.mark.parametrize("tell", ["errors", "extensions", "nowhere"])
async def test_what_is_refused_is_told_where_the_settings_say(
    address: str, tmp_path: Path, tell: str
) -> None:
    def told(answer: Any) -> list[Any]:
        """Where it says that something was refused; it says so at one place only."""
        errors, extensions = answer.get("errors", []), answer.get("extensions", {})
        moved = extensions.get("authorizationErrors", [])
        assert not (errors if tell != "errors" else moved)
        return [one["path"] for one in (errors or moved)]

    def expected(*paths: list[str]) -> list[list[str]]:
        return [] if tell == "nowhere" else list(paths)

    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"authorization": {"tell": tell}}
        running = await start(stack, tmp_path, authentication=trusting(address), **settings)
        answer = (await running.ask("{ me { name email } }")).json()
        assert answer["data"] == {"me": {"name": "Ada", "email": None}}
        assert told(answer) == expected(["me", "email"])
        known = await running.ask("{ me { email } }", **bearer(token()))
        assert known.json() == {"data": {"me": {"email": "ada@example.test"}}}
        parts = await running.ask(
            "{ me { name email ... @defer { badge color } } }",
            accept="multipart/mixed;deferSpec=20220824",
        )
        first, second = payloads(parts.text)
        assert told(first) == expected(["me", "email"])
        (patch,) = second["incremental"]
        assert (patch["path"], patch["data"]) == (["me"], {"badge": None, "color": "red"})
        assert told(patch) == expected(["me", "badge"])
        bubbled = await running.ask(
            "{ me { name ... @defer { ssn color } } }",
            accept="multipart/mixed;incrementalSpec=v0.2",
        )
        # A part that failed says why: the format has no other way to say that it did.
        assert payloads(bubbled.text)[1]["completed"][0]["errors"]
        events = await running.ask("subscription { erased }", accept="text/event-stream")
        (event,) = payloads(events.text)
        assert event["data"] == {"erased": None}
        assert told(event) == expected(["erased"])
        for accept in ("application/json", "multipart/mixed, application/json"):
            assert (await running.ask("{ nothing }", accept=accept)).json()["errors"]


async def test_subgraphs_are_told_who_calls_by_rule(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        rules = [{"propagate": {"matching": ".*"}}, {"tell": {"claim": "sub", "name": "x-user"}}]
        settings: dict[str, Any] = {"headers": {"request": rules}}
        running = await start(stack, tmp_path, authentication=trusting(address), **settings)
        await running.ask("{ me { name } }", **bearer(token()), **{"x-user": "root"})
        await running.ask("{ me { name nickname } }", **{"x-user": "root"})
        known, stranger = running.subgraphs["users"].seen
        assert known["x-user"] == "ada"
        assert "x-user" not in stranger


async def test_what_would_be_refused_may_only_be_logged(address: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        settings: dict[str, Any] = {"authorization": {"refuse": "nothing"}}
        running = await start(stack, tmp_path, authentication=trusting(address), **settings)
        with structlog.testing.capture_logs() as logs:
            answer = await running.ask("query Profile { me { name email ssn } }")
        assert answer.json()["data"]["me"]["ssn"] == "123"
        (logged,) = [one for one in logs if one["event"] == "authorization.not_refused"]
        assert (logged["operation"], logged["paths"]) == ("Profile", ["me.email", "me.ssn"])
        with structlog.testing.capture_logs() as logs:
            await running.ask("query Profile { me { name } }")
        assert [one for one in logs if one["event"] == "authorization.not_refused"] == []


def test_the_settings_in_the_readme_are_settings(tmp_path: Path) -> None:
    (written,) = re.findall(r"```yaml\n(.+?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    path = tmp_path / "gateway.yaml"
    path.write_text(written)
    told = read(path)
    assert told.authentication.issuers[0].issuer == "https://id.example.com/"
    assert told.authorization.policies.claim == "permissions"
    assert told.headers.request[0].tell is not None


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"issuers": [{"keys": {}}]}, "say either file or url"),
        ({"issuers": [{"keys": {"file": "a", "url": "http://a"}}]}, "say either file or url"),
        ({"issuers": [{"keys": {"file": "/no/such/file"}}]}, "is not a file"),
        ({"issuers": [{"keys": {"url": "http://a"}, "algorithms": ["none"]}]}, "none"),
        ({"issuers": [{"keys": {"url": "http://a"}, "algorithms": []}]}, "at least 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(section: Any, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Configuration.model_validate_json(json.dumps({"authentication": section}))


async def test_the_scopes_of_our_own_tokens_are_what_the_supergraph_asks_for(
    redis_url: str,
) -> None:
    private, public = generate_keys()
    tokens = AccessTokens(
        issuer="nexus", ttl_seconds=60, signer=Signer(private), verifier=Verifier(public)
    )
    redis = connect(RedisSettings(url=redis_url))

    async def no_memberships(_: str) -> dict[str, Any]:
        return {}

    await redis.hset("session:s1", "user_id", "u1")
    callers = Callers(tokens, AccessLists(redis), no_memberships)
    for scopes in ((), ("read:ssn", "admin")):
        made, _ = tokens.issue("u1", "s1", scopes=scopes)
        headers = [(b"authorization", f"Bearer {made}".encode())]
        request = Request({"type": "http", "headers": headers})
        context = await context_of(request, callers)
        assert isinstance(context, RequestContext)
        assert context.authorization().scopes == set(scopes)
        assert context.authorization().authenticated
    await redis.aclose()
