"""Requests that no honest client sends, and how any gateway of ours refuses them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import httpx

__all__ = ["HOSTILE", "Hostile"]

_ASK = {"query": "{ __typename }"}
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Hostile:
    """One request, the status under which it is refused, and the code."""

    about: str
    status: int
    code: str
    method: str = "POST"
    headers: dict[str, str] = field(default_factory=dict)
    parts: dict[str, Any] = field(default_factory=dict)

    async def refused(self, client: httpx.AsyncClient) -> None:
        """Send it; the answer must be the refusal and nothing else."""
        headers = {"accept": "application/graphql-response+json", **self.headers}
        response = await client.request(self.method, "/graphql", headers=headers, **self.parts)
        assert response.status_code == self.status, (self.about, response.text)
        answer = response.json()
        assert "data" not in answer, self.about
        assert answer["errors"][0]["extensions"]["code"] == self.code, (self.about, answer)
        assert response.headers["cache-control"] == "no-store"


def _forged(about: str, **headers: str) -> Hostile:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hostile(about, 400, "CSRF_PREVENTED", "GET", named, {"params": _ASK})


def _typed(content_type: str) -> Hostile:
    headers = {"content-type": content_type}
    body = {"content": b'{"query": "{ __typename }"}'}
    return Hostile(content_type, 415, "UNSUPPORTED_MEDIA_TYPE", headers=headers, parts=body)


def _sent(about: str, code: str, body: object, status: int = 400) -> Hostile:
    if isinstance(body, bytes):
        return Hostile(about, status, code, headers=_JSON, parts={"content": body})
    return Hostile(about, status, code, parts={"json": body})


def _persisted(**values: object) -> dict[str, object]:
    return {"extensions": {"persistedQuery": values}}


HOSTILE = (
    _forged("an image of another site", sec_fetch_site="cross-site"),
    _forged("a page of a sister site", sec_fetch_site="same-site"),
    _forged("a script of another site", origin="https://evil.example"),
    _forged("a sandboxed frame", origin="null"),
    _forged("an old browser with a cookie", cookie="session=1"),
    _forged("a form", cookie="a=1", content_type="text/plain"),
    _forged("an odd content type", origin="https://evil.example", content_type="x"),
    _forged("no content type", origin="https://evil.example", content_type=""),
    _forged("a list of types", cookie="a=1", content_type="text/plain, application/json"),
    _forged("a stream", origin="https://evil.example", accept="text/event-stream, */*"),
    _typed("text/plain"),
    _typed("application/x-www-form-urlencoded"),
    _typed("multipart/form-data; boundary=x"),
    _typed("text/plain; application/json"),
    _typed("application/json, text/plain"),
    _typed("application/json; charset=utf-16"),
    _typed("application/graphql"),
    _typed(""),
    Hostile(
        "a bomb",
        415,
        "UNSUPPORTED_MEDIA_TYPE",
        headers={**_JSON, "content-encoding": "gzip"},
        parts={"content": b"\x1f\x8b"},
    ),
    Hostile("a made-up method", 405, "METHOD_NOT_ALLOWED", "PATCH", parts={"json": _ASK}),
    Hostile(
        "a mutation over GET",
        405,
        "MUTATION_OVER_GET",
        "GET",
        parts={"params": {"query": "mutation { __typename }"}},
    ),
    Hostile("another's stream", 404, "NOT_FOUND", "DELETE", parts={"params": {"token": "a"}}),
    _sent("a batch", "BAD_REQUEST", [_ASK, _ASK]),
    _sent("an empty batch", "BAD_REQUEST", []),
    _sent("a batch in a batch", "BAD_REQUEST", [[_ASK]]),
    _sent("half a surrogate pair", "BAD_REQUEST", rb'{"query": "{ __typename } # \ud800"}'),
    _sent("not UTF-8", "BAD_REQUEST", b'{"query": "\xff"}'),
    _sent("deep JSON", "BAD_REQUEST", b'{"query":"{a}","variables":' + b"[" * 9999 + b"]" * 9999),
    _sent("not a number", "BAD_REQUEST", b'{"query": "{ a }", "variables": {"a": NaN}}'),
    _sent("an endless name", "BAD_REQUEST", {**_ASK, "operationName": "a" * 1_001}),
    _sent("variables that are no object", "BAD_REQUEST", {**_ASK, "variables": [1]}),
    _sent("no document", "BAD_REQUEST", {}),
    _sent("a hash that is none", "BAD_REQUEST", _persisted(sha256Hash=1)),
    _sent("no hash", "BAD_REQUEST", {"extensions": {"persistedQuery": None}}),
    _sent("an unknown hash", "PERSISTED_QUERY_NOT_FOUND", _persisted(sha256Hash="0" * 64)),
    _sent("a very long hash", "PERSISTED_QUERY_NOT_FOUND", _persisted(sha256Hash="0" * 99_999)),
    _sent(
        "a text under another's hash",
        "PERSISTED_QUERY_HASH_MISMATCH",
        {**_ASK, **_persisted(sha256Hash="0" * 64)},
    ),
    _sent("an unknown id", "PERSISTED_QUERY_NOT_IN_LIST", {"documentId": "a"}),
    _sent("an unknown id, as Relay says it", "PERSISTED_QUERY_NOT_IN_LIST", {"doc_id": "a"}),
    _sent("the schema", "INTROSPECTION_DISABLED", {"query": "{ __schema { queryType { name } } }"}),
    _sent(
        "the schema in disguise",
        "INTROSPECTION_DISABLED",
        {"query": '{ ...on Query { ...F } } fragment F on Query { a: __type(name: "A") { name } }'},
    ),
)
