"""Who gives up waiting takes the work along, down to the statement on the database server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

import asyncpg
import orjson
import pytest
import websockets

from tests.e2e.conftest import Start
from tests.e2e.people import PASSWORD, Person, eventually, sign_up
from tests.support.nexus import Mode, Nexus, running

ME = "{ me { name } }"
RENAME = 'mutation { updateProfile(input: { version: 1, name: "Augusta" }) { name } }'
WAITING = (
    "select count(*) from pg_stat_activity where datname = current_database()"
    " and application_name = 'nexus-users' and wait_event_type = 'Lock'"
)

Asking = Callable[[Person, str], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def users_locked(nexus: Nexus) -> AsyncIterator[asyncpg.Connection]:
    """Nobody reads or writes users inside the block; gives a connection that watches."""
    url = nexus.settings.database.admin_url
    assert url is not None
    plain = url.get_secret_value().replace("postgresql+asyncpg://", "postgresql://")
    connection = await asyncpg.connect(plain)
    try:
        async with connection.transaction():
            await connection.execute("lock table users.users in access exclusive mode")
            yield connection
    finally:
        await connection.close()


async def waiting(server: asyncpg.Connection, count: int) -> None:
    """Returns when so many statements wait for the lock."""

    async def now() -> object:
        # Within a transaction the server would not see connections that are new.
        await server.execute("select pg_stat_clear_snapshot()")
        return await server.fetchval(WAITING)

    await eventually(now, lambda found: bool(found == count))


@asynccontextmanager
async def over_http(person: Person, query: str, *, accept: str) -> AsyncIterator[None]:
    """The operation is asked; the connection is closed at the end of the block."""
    host, port = person.nexus.url.removeprefix("http://").split(":")
    body = orjson.dumps({"query": query})
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /graphql HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\n"
        f"accept: {accept}\r\nauthorization: Bearer {person.token}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    try:
        yield
    finally:
        writer.close()
        await writer.wait_closed()


@asynccontextmanager
async def over_websocket(person: Person, query: str, *, polite: bool) -> AsyncIterator[None]:
    """The operation is asked; then the socket is closed, or the operation completed before."""
    url = person.nexus.url.replace("http://", "ws://") + "/graphql"
    protocol = websockets.Subprotocol("graphql-transport-ws")
    payload = {"authorization": f"Bearer {person.token}"}
    async with websockets.connect(url, subprotocols=[protocol]) as socket:
        await _send(socket, {"type": "connection_init", "payload": payload})
        assert orjson.loads(await socket.recv())["type"] == "connection_ack"
        await _send(socket, {"type": "subscribe", "id": "1", "payload": {"query": query}})
        yield
        if polite:
            await _send(socket, {"type": "complete", "id": "1"})
            await _send(socket, {"type": "ping"})
            assert orjson.loads(await socket.recv())["type"] == "pong"


async def _send(socket: websockets.ClientConnection, message: dict[str, Any]) -> None:
    await socket.send(orjson.dumps(message).decode())


ASKINGS: dict[str, Asking] = {
    "http": partial(over_http, accept="application/json"),
    "sse": partial(over_http, accept="text/event-stream"),
    "multipart": partial(over_http, accept='multipart/mixed;subscriptionSpec="1.0"'),
    "websocket": partial(over_websocket, polite=False),
    "websocket-complete": partial(over_websocket, polite=True),
}


@pytest.mark.parametrize("protocol", ASKINGS)
async def test_a_client_that_hangs_up_takes_its_query_along(nexus: Nexus, protocol: str) -> None:
    ada = await sign_up(nexus, "Ada")
    async with users_locked(nexus) as server:
        async with ASKINGS[protocol](ada, ME):
            await waiting(server, 1)
        await waiting(server, 0)
    assert (await ada.data(ME)) == {"me": {"name": "Ada"}}


async def test_two_sessions_of_a_person_that_ask_at_once_are_told_apart(nexus: Nexus) -> None:
    ada = await sign_up(nexus, "Ada")
    log_in = "mutation($input: LogInInput!) { logIn(input: $input) { accessToken } }"
    known = {"email": ada.email, "password": PASSWORD}
    again = (await nexus.data(log_in, {"input": known}))["logIn"]["accessToken"]
    sessions = "{ me { sessions { id current } } }"
    async with users_locked(nexus) as server:
        asked = [
            asyncio.create_task(nexus.data(sessions, token=token)) for token in (ada.token, again)
        ]
        await waiting(server, 2)
    current = [
        {one["id"] for one in answer["me"]["sessions"] if one["current"]}
        for answer in await asyncio.gather(*asked)
    ]
    assert [len(one) for one in current] == [1, 1]
    assert current[0] != current[1]


@pytest.mark.parametrize("protocol", ["http", "websocket"])
async def test_a_mutation_runs_to_its_end_without_its_client(nexus: Nexus, protocol: str) -> None:
    ada = await sign_up(nexus, "Ada")
    async with users_locked(nexus) as server:
        async with ASKINGS[protocol](ada, RENAME):
            await waiting(server, 1)
        # As long again as a query needs to be gone.
        async with over_http(ada, ME, accept="application/json"):
            await waiting(server, 2)
        await waiting(server, 1)

    async def name() -> object:
        return (await ada.data(ME))["me"]["name"]

    await eventually(name, lambda found: found == "Augusta")


@pytest.mark.parametrize("mode", ["monolith", "services"])
async def test_at_the_deadline_the_statement_is_gone_and_the_client_is_told(
    start: Start, mode: Mode
) -> None:
    ada = await sign_up(await start(mode), "Ada")
    settings = ada.nexus.settings
    http = settings.http.model_copy(update={"request_timeout_seconds": 1})
    changed = settings.model_copy(update={"http": http})
    async with running(changed, mode) as hasty, users_locked(hasty) as server:
        answer = await hasty.graphql(ME, token=ada.token)
        await waiting(server, 0)
        headers = {"authorization": f"Bearer {ada.token}", "x-nexus-explain": "1"}
        explained = await hasty.client.post("/graphql", json={"query": ME}, headers=headers)
    assert answer["data"] == {"me": None}
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "DOWNSTREAM_TIMEOUT"
    assert error["path"] == ["me"]
    (null,) = explained.json()["extensions"]["explain"]["nulls"]
    assert null["path"] == ["me"]
    assert null["reason"]["subgraph"] == "users"
    assert null["reason"]["code"] == "DOWNSTREAM_TIMEOUT"
    assert null["reason"]["original"]
