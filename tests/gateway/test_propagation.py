"""Header rules, in their order."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from gateway.context import RequestContext, remember
from gateway.propagation import (
    Insert,
    Propagate,
    Propagation,
    Remove,
    Return,
    ReturnedHeaders,
    ReturnPropagation,
    Tell,
)

HEADERS = {"authorization": "a", "x-one": "1", "x-two": "2", "content-length": "9", "te": "x"}


@pytest.mark.parametrize(
    ("propagation", "sent"),
    [
        (Propagation(()), {}),
        (Propagation.named("authorization", "x-none"), {"authorization": "a"}),
        (Propagation((Propagate("x-.*"),)), {"x-one": "1", "x-two": "2"}),
        (Propagation((Propagate(".*"), Remove("x-.*"))), {"authorization": "a"}),
        (Propagation((Propagate("x-one", rename="X-First"),)), {"x-first": "1"}),
        (Propagation((Propagate("x-none", default="d"),)), {"x-none": "d"}),
        (Propagation((Insert("X-From", "gateway"),)), {"x-from": "gateway"}),
        (
            Propagation((Propagate("x-one"),), {"billing": (Propagate("x-two"),)}),
            {"x-one": "1", "x-two": "2"},
        ),
        (Propagation((), {"orgs": (Propagate(".*"),)}), {}),
    ],
)
def test_a_subgraph_gets_what_the_rules_say(propagation: Propagation, sent: dict[str, str]) -> None:
    assert propagation.to_subgraph(HEADERS, "billing") == sent


def test_an_audience_is_all_that_any_subgraph_may_see() -> None:
    rules = Propagation((Propagate("authorization"),), {"orgs": (Propagate("x-one"),)})
    assert rules.audience(HEADERS) == {(0, "authorization", "a"), (1, "x-one", "1")}
    assert rules.audience({**HEADERS, "x-two": "3"}) == rules.audience(HEADERS)


@pytest.mark.parametrize(
    "rules",
    [
        Propagation((Propagate("x-one", "x-id"),), {"orgs": (Propagate("x-two", "x-id"),)}),
        Propagation((Tell("one", "x-id"),), {"orgs": (Tell("two", "x-id"),)}),
    ],
    ids=["propagate", "tell"],
)
def test_those_who_swap_the_values_of_two_rules_are_two_audiences(rules: Propagation) -> None:
    ways = [("1", "2"), ("2", "1")]
    headers = [{"x-one": one, "x-two": two} for one, two in ways]
    claims = [{"one": one, "two": two} for one, two in ways]
    asked = list(zip(headers, claims, strict=True))
    assert [rules.to_subgraph(sent, "billing", told) for sent, told in asked] == [
        {"x-id": "1"},
        {"x-id": "2"},
    ]
    assert rules.audience(*asked[0]) != rules.audience(*asked[1])


def test_a_client_cannot_say_itself_what_a_claim_tells_whatever_the_order_of_the_rules() -> None:
    rules = Propagation((Tell("sub", "x-one"),), {"billing": (Propagate("x-.*"),)})
    assert rules.to_subgraph(HEADERS, "billing", CLAIMS) == {"x-one": "ada", "x-two": "2"}
    assert rules.to_subgraph(HEADERS, "billing", {}) == {"x-two": "2"}


CLAIMS = {"sub": "ada", "roles": ["staff", "ops"], "name": "Stanisław", "level": 3, "none": None}


@pytest.mark.parametrize(
    ("claim", "sent"),
    [
        ("sub", "ada"),
        ("roles", '["staff","ops"]'),
        ("name", '"Stanis\\u0142aw"'),
        ("level", "3"),
        ("none", None),
        ("missing", None),
    ],
)
def test_a_claim_is_sent_in_place_of_what_the_client_says(claim: str, sent: str | None) -> None:
    rules = Propagation((Propagate("x-.*"),), {"billing": (Tell(claim, "X-One"),)})
    expected = {"x-two": "2"} if sent is None else {"x-two": "2", "x-one": sent}
    assert rules.to_subgraph(HEADERS, "billing", CLAIMS) == expected
    assert rules.to_subgraph(HEADERS, "orgs", CLAIMS) == {"x-one": "1", "x-two": "2"}
    assert (1, "x-one", sent) in rules.audience(HEADERS, CLAIMS) or sent is None


def test_what_is_kept_of_answers_without_end_has_an_end() -> None:
    rules, context = ReturnPropagation((Return("x-one", "append"),), {}), RequestContext()
    for _ in range(1_000):
        rules.take(context, "billing", [("x-one", "1"), ("x-one", "2"), ("x-two", "3")])
    assert context.returned_headers == {"x-one": ["1", "2"] * 50}


async def test_a_returned_header_has_the_bytes_that_the_subgraph_sent() -> None:
    sent: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    scope: Scope = {"type": "http"}
    remember(RequestContext(returned_headers={"x-one": ["é".encode().decode("latin-1")]}), scope)
    await ReturnedHeaders(app)(scope, receive, send)
    assert sent[0]["headers"] == [(b"x-one", "é".encode())]
