"""Header rules, in their order."""

from __future__ import annotations

import pytest

from gateway.propagation import Insert, Propagate, Propagation, Remove, Tell

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
    assert rules.audience(HEADERS) == {("authorization", "a"), ("x-one", "1")}
    assert rules.audience({**HEADERS, "x-two": "3"}) == rules.audience(HEADERS)


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
    assert ("x-one", sent) in rules.audience(HEADERS, CLAIMS) or sent is None
