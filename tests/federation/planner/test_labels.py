"""Overrides that depend on a label."""

from __future__ import annotations

from tests.federation.planner.planned import plan_of


def asked(**labels: bool) -> list[tuple[str, str]]:
    query = "{ items { price stock rank } }"
    names = {"moved": labels.get("moved", False), "percent(20)": labels.get("percent", False)}
    found = plan_of("override-labels", query, labels=names)
    return [(fetch.subgraph, fetch.document) for fetch in found.fetches]


def test_without_its_label_a_field_stays_with_the_old_owner() -> None:
    assert asked() == [("new", "{items{price}}"), ("old", "{items{stock rank}}")]


def test_with_its_label_a_field_is_asked_of_the_new_owner() -> None:
    assert asked(moved=True) == [("new", "{items{price stock}}"), ("old", "{items{rank}}")]


def test_each_label_moves_its_own_fields() -> None:
    assert asked(moved=True, percent=True) == [("new", "{items{price stock rank}}")]
