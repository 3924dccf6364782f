"""Sessions: refreshing, ending, listing; access tokens."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import SecretStr

from shared.auth import AccessTokens, Identity, ServiceTokens, Signer, Verifier, generate_keys
from shared.config import Settings
from shared.errors import Unauthenticated
from subgraphs.users import tasks
from subgraphs.users.sessions import MOST, OVERLAP_SECONDS, SessionEnded
from tests.subgraphs.users.conftest import PASSWORD, Users
from tests.support.asking import asking

_REFRESH = """
mutation($input: RefreshSessionInput!) {
  refreshSession(input: $input) { accessToken refreshToken expiresIn user { id email } }
}
"""
_LOG_OUT = "mutation($input: LogOutInput) { logOut(input: $input) { endedSessions } }"
_END = "mutation($input: EndSessionInput!) { endSession(input: $input) { sessionId } }"
_SIGN_UP = "mutation($input: SignUpInput!) { signUp(input: $input) { accessToken } }"
_LOG_IN = "mutation($input: LogInInput!) { logIn(input: $input) { accessToken } }"
_CHANGE_PASSWORD = """
mutation($input: ChangePasswordInput!) { changePassword(input: $input) { endedSessions } }
"""
_SESSIONS = "{ me { sessions { id userAgent current createdAt lastUsedAt } } }"
_WEEK = 604_800


def claims(token: str) -> dict[str, Any]:
    """What a token says, whoever signed it."""
    found: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return found


async def test_the_lives_of_tokens_and_sessions(users: Users) -> None:
    ada = await users.sign_up()
    said = claims(ada.access_token)
    assert said["exp"] - said["iat"] == 3600
    assert (said["sub"], said["sid"]) == (ada.id, ada.session_id)
    assert 604_800 - 60 < await users.redis.ttl(f"session:{ada.session_id}") <= 604_800
    assert 604_800 - 60 < await users.redis.ttl(f"sessions:{ada.id}") <= 604_800


async def test_refreshing_gives_new_tokens_of_the_same_session(users: Users) -> None:
    ada = await users.sign_up()
    data = await users.data(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})
    fresh = data["refreshSession"]
    assert fresh["user"] == {"id": ada.id, "email": ada.email}
    assert fresh["refreshToken"] != ada.refresh_token
    assert claims(fresh["accessToken"])["sid"] == ada.session_id


async def test_refreshing_prolongs_the_session(users: Users) -> None:
    ada = await users.sign_up()
    await users.redis.expire(f"session:{ada.session_id}", 100)
    await users.data(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})
    assert await users.redis.ttl(f"session:{ada.session_id}") > 604_800 - 60
    assert len(await users.sessions(at=time.time() + _WEEK - 60).of(ada.id)) == 1


async def test_twenty_tabs_that_refresh_at_once_all_stay_logged_in(users: Users) -> None:
    ada = await users.sign_up()

    async def tab() -> str:
        token = ada.refresh_token
        for _ in range(20):
            data = await users.data(_REFRESH, {"input": {"refreshToken": token}})
            token = data["refreshSession"]["refreshToken"]
        return token

    last = await asyncio.gather(*(tab() for _ in range(20)))
    for token in set(last):
        await users.data(_REFRESH, {"input": {"refreshToken": token}})


async def test_tabs_that_refresh_at_once_get_the_same_token(users: Users) -> None:
    ada = await users.sign_up()
    sessions = users.sessions(at=time.time())
    found = await asyncio.gather(*(sessions.refresh(ada.refresh_token) for _ in range(20)))
    assert len(set(found)) == 1


async def test_a_token_that_was_replaced_long_ago_ends_the_session(users: Users) -> None:
    ada = await users.sign_up()
    now = time.time()
    _, _, newest = await users.sessions(at=now).refresh(ada.refresh_token)
    late = users.sessions(at=now + OVERLAP_SECONDS + 1)
    with pytest.raises(SessionEnded):
        await late.refresh(ada.refresh_token)
    with pytest.raises(SessionEnded):
        await late.refresh(newest)
    assert not await users.redis.exists(f"session:{ada.session_id}")
    assert (await users.data(_SESSIONS, by=ada.identity))["me"]["sessions"] == []


async def test_a_thief_is_caught_also_after_many_refreshes(users: Users) -> None:
    ada = await users.sign_up()
    now = time.time()
    token = ada.refresh_token
    for step in range(5):
        sessions = users.sessions(at=now + step * (OVERLAP_SECONDS + 1))
        _, _, token = await sessions.refresh(token)
    with pytest.raises(SessionEnded):
        await users.sessions(at=now + 5 * OVERLAP_SECONDS).refresh(ada.refresh_token)
    with pytest.raises(SessionEnded):
        await users.sessions(at=now + 5 * OVERLAP_SECONDS).refresh(token)


async def test_what_a_session_remembers_of_replaced_tokens_is_forgotten(users: Users) -> None:
    ada = await users.sign_up()
    token, now = ada.refresh_token, time.time()
    for _ in range(50):
        _, _, token = await users.sessions(at=now).refresh(token)
    await users.sessions(at=now + OVERLAP_SECONDS + 1).refresh(token)
    kept = await users.redis.hkeys(f"session:{ada.session_id}")
    assert len([key for key in kept if str(key).startswith("replaced:")]) == 1


async def test_refresh_tokens_that_were_not_given_out_end_nothing(users: Users) -> None:
    ada = await users.sign_up()
    session_id, count, signature = ada.refresh_token.split(".")
    forged = [
        "",
        "x",
        "." * 1000,
        f"{session_id}.1.{signature}",
        f"{session_id}.00.{signature}",
        f"{session_id}.{count}.{signature}x",
        f"{session_id}.{count}.{'A' * 43}",
        f"{session_id}.\u0660.{signature}",
        f"{'0' * 32}.{count}.{signature}",
        f"{session_id.upper()}.{count}.{signature}",
        ada.access_token,
        "\ud800",
        "a" * 900_000,
    ]
    for token in forged:
        error = await users.error(_REFRESH, {"input": {"refreshToken": token}})
        assert error["code"] == "UNAUTHENTICATED", token[:80]
    await users.data(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})


async def test_logging_out_ends_this_session(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    other = await users.log_in("ada@example.org")
    assert await users.data(_LOG_OUT, by=ada.identity) == {"logOut": {"endedSessions": 1}}
    error = await users.error(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})
    assert error["code"] == "UNAUTHENTICATED"
    await users.data(_REFRESH, {"input": {"refreshToken": other.refresh_token}})


async def test_logging_out_elsewhere_keeps_this_session(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    for _ in range(3):
        await users.log_in("ada@example.org")
    data = await users.data(_LOG_OUT, {"input": {"scope": "OTHERS"}}, by=ada.identity)
    assert data == {"logOut": {"endedSessions": 3}}
    [kept] = (await users.data(_SESSIONS, by=ada.identity))["me"]["sessions"]
    assert kept["id"] == ada.session_id
    data = await users.data(_LOG_OUT, {"input": {"scope": "ALL"}}, by=ada.identity)
    assert data == {"logOut": {"endedSessions": 1}}


async def test_sessions_are_listed_with_what_logged_in(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    phone = await users.log_in(
        "ada@example.org", by=Identity(user_agent="Phone/1.0 \u202e" + "x" * 1000)
    )
    found = (await users.data(_SESSIONS, by=ada.identity))["me"]["sessions"]
    assert {each["id"]: each["current"] for each in found} == {
        ada.session_id: True,
        phone.session_id: False,
    }
    [agent] = [each["userAgent"] for each in found if each["id"] == phone.session_id]
    assert agent.startswith("Phone/1.0 xxx")
    assert len(agent) == 200


async def test_ending_a_session_logs_that_place_out(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    phone = await users.log_in("ada@example.org")
    given = {"input": {"sessionId": phone.session_id}}
    await users.data(_END, given, by=ada.identity)
    error = await users.error(_REFRESH, {"input": {"refreshToken": phone.refresh_token}})
    assert error["code"] == "UNAUTHENTICATED"
    assert (await users.error(_END, given, by=ada.identity))["code"] == "NOT_FOUND"


async def test_a_session_of_someone_else_is_as_unknown_as_none(users: Users) -> None:
    ada, eve = await users.sign_up(), await users.sign_up()
    theirs = await users.error(_END, {"input": {"sessionId": ada.session_id}}, by=eve.identity)
    unknown = await users.error(_END, {"input": {"sessionId": "0" * 32}}, by=eve.identity)
    assert theirs == unknown
    assert theirs["code"] == "NOT_FOUND"
    await users.data(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})


async def test_a_user_has_at_most_a_hundred_sessions(users: Users) -> None:
    ada = await users.sign_up()
    now = time.time()
    for step in range(MOST):
        await users.sessions(at=now + step).open(ada.id, user_agent=None)
    found = await users.sessions(at=now + MOST).of(ada.id)
    assert len(found) == MOST
    assert ada.session_id not in {each.id for each in found}
    assert not await users.redis.exists(f"session:{ada.session_id}")


async def test_every_key_has_a_time_to_live(users: Users) -> None:
    ada = await users.sign_up()
    await users.data(_REFRESH, {"input": {"refreshToken": ada.refresh_token}})
    keys = [key async for key in users.redis.scan_iter("*")]
    assert len(keys) == 2
    assert all([await users.redis.ttl(key) > 0 for key in keys])


async def test_the_session_of_an_erased_account_cannot_be_refreshed(users: Users) -> None:
    sessions = users.sessions(at=time.time())
    _, token = await sessions.open("0192f0c1-2d3e-7a4b-8c5d-6e7f80910111", user_agent=None)
    error = await users.error(_REFRESH, {"input": {"refreshToken": token}})
    assert error["code"] == "UNAUTHENTICATED"


def _access_tokens(settings: Settings) -> tuple[AccessTokens, str]:
    public = settings.auth.verification_keys
    assert public is not None
    pem = public.get_secret_value()
    tokens = AccessTokens(issuer="nexus", ttl_seconds=3600, signer=None, verifier=Verifier(pem))
    return tokens, pem


async def test_access_tokens_with_another_algorithm_or_key_are_refused(users: Users) -> None:
    ada = await users.sign_up()
    tokens, pem = _access_tokens(users.settings)
    assert tokens.verify(ada.access_token).user_id == ada.id
    said, header = claims(ada.access_token), jwt.get_unverified_header(ada.access_token)
    kid = {"kid": header["kid"]}
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, Ed25519PublicKey)
    stranger = Ed25519PrivateKey.generate()
    unsigned = jwt.encode(said, "", algorithm="none", headers=kid)
    forged = [
        unsigned,
        unsigned.rstrip(".") + "." + ada.access_token.rpartition(".")[2],
        # What PyJWT refuses to make: the public key as the secret of an HMAC.
        _hs256(said, kid, pem.encode()),
        _hs256(said, kid, public.public_bytes_raw()),
        jwt.encode(said, stranger, algorithm="EdDSA", headers=kid),
        jwt.encode(said, stranger, algorithm="EdDSA"),
        jwt.encode(said, stranger, algorithm="EdDSA", headers={"kid": "unknown"}),
        ada.access_token[:-4] + "AAAA",
        ada.refresh_token,
        "",
        "a.b.c",
    ]
    for token in forged:
        with pytest.raises(Unauthenticated):
            tokens.verify(token)


async def test_tokens_of_one_kind_are_not_taken_for_another(users: Users) -> None:
    ada = await users.sign_up()
    tokens, pem = _access_tokens(users.settings)
    signing = users.settings.auth.signing_key
    assert signing is not None
    signer = Signer(signing.get_secret_value())
    said = claims(ada.access_token)
    for change in (
        {"aud": "users"},
        {"iss": "nexus-gateway"},
        {"exp": said["iat"] - 10, "iat": said["iat"] - 20},
        {"sub": None},
        {"sid": 7},
    ):
        with pytest.raises(Unauthenticated):
            tokens.verify(signer.sign({**said, **change}))
    for missing in ("aud", "iss", "exp", "iat", "sub", "sid"):
        with pytest.raises(Unauthenticated):
            tokens.verify(signer.sign({k: v for k, v in said.items() if k != missing}))
    # Even if one key pair were used for both, a user's token is no token of the gateway's.
    services = ServiceTokens(ttl_seconds=60, verifier=Verifier(pem))
    with pytest.raises(Unauthenticated):
        services.verify(ada.access_token, subgraph="users")


def test_what_the_gateway_signs_for_one_subgraph_is_refused_by_another() -> None:
    private, public = generate_keys()
    signing = ServiceTokens(ttl_seconds=60, signer=Signer(private))
    verifying = ServiceTokens(ttl_seconds=60, verifier=Verifier(public))
    caller = Identity("u", "s", user_agent="Phone/1.0")
    token = signing.sign(caller, subgraph="users")
    assert verifying.verify(token, subgraph="users") == caller
    with pytest.raises(Unauthenticated):
        verifying.verify(token, subgraph="orgs")


def _hs256(said: dict[str, Any], header: dict[str, Any], secret: bytes) -> str:
    def part(value: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    body = f"{part({'alg': 'HS256', 'typ': 'JWT', **header})}.{part(said)}"
    digest = hmac.new(secret, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"


async def test_sessions_that_could_not_be_ended_at_once_are_ended_by_a_job(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    before = await users.log_in("ada@example.org")
    async with without_redis(users) as cut_off:
        given = {"currentPassword": PASSWORD, "newPassword": "another password"}
        error = await cut_off.error(_CHANGE_PASSWORD, {"input": given}, by=ada.identity)
        assert error["code"] == "UNAVAILABLE"
    after = await users.log_in("ada@example.org", "another password")
    [[payload]] = await users.sql("select payload from pgqueuer")
    jobs = {job.name: job.run for job in tasks.jobs(users.database, users.sessions(at=time.time()))}
    await jobs["end_sessions"](json.loads(payload)["payload"])
    left = {each.id for each in await users.sessions(at=time.time()).of(ada.id)}
    assert left == {ada.session_id, after.session_id}
    assert not await users.redis.exists(f"session:{before.session_id}")


async def test_without_redis_no_account_is_made(users: Users) -> None:
    given = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    async with without_redis(users) as cut_off:
        error = await cut_off.error(_SIGN_UP, {"input": given})
        assert error["code"] == "UNAVAILABLE"
    assert await users.sql("select id from users") == []


async def test_without_redis_nobody_logs_in_and_profiles_are_readable(users: Users) -> None:
    ada = await users.sign_up("ada@example.org")
    async with without_redis(users) as cut_off:
        login = {"input": {"email": "ada@example.org", "password": PASSWORD}}
        refresh = {"input": {"refreshToken": ada.refresh_token}}
        for query, given in ((_LOG_IN, login), (_REFRESH, refresh), (_LOG_OUT, {})):
            error = await cut_off.error(query, given, by=ada.identity)
            assert error["code"] == "UNAVAILABLE"
        answer = await cut_off.ask("{ me { name sessions { id } } }", by=ada.identity)
        assert answer["data"]["me"] == {"name": "Ada Lovelace", "sessions": None}
        assert [each["extensions"]["code"] for each in answer["errors"]] == ["UNAVAILABLE"]


@asynccontextmanager
async def without_redis(users: Users) -> AsyncIterator[Users]:
    """The subgraph on the same database, with nothing where its Redis should be."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = SecretStr(f"redis://127.0.0.1:{closed.getsockname()[1]}/0")
        gone = users.settings.redis.model_copy(update={"url": url})
        settings = users.settings.model_copy(update={"redis": gone})
        async with asking(settings, "users") as found:
            yield Users(found.subgraph, found.settings, found.redis, found.database)
