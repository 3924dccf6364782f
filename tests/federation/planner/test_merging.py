"""What becomes one fetch."""

from __future__ import annotations

from gateway.federation.plan import RequireField
from gateway.federation.planner.fetches import ENTITY, Call, Selected, SelectionSet, Work
from gateway.federation.planner.optimize import optimize
from tests.federation.planner.planned import plan_of

KEY = (RequireField("__typename", "__typename"), RequireField("id", "id", is_key=True))


def hop(root: Work, *leaves: str) -> Work:
    """A fetch of some of what a book's size has, at the same position."""
    output = SelectionSet(ENTITY)
    size = SelectionSet("Size", {leaf: Selected(leaf, (), None) for leaf in leaves})
    output.condition("Book").fields["size"] = Selected("size", (), size)
    scope = frozenset({"Book"})
    call = Call([("books",)], {"Book": KEY}, {}, output, scope, is_abstract=False)
    return Work("stock", "query", calls=[call], after=[root])


def test_two_fetches_of_parts_of_one_object_become_one_of_both() -> None:
    root = Work("catalog", "query", root=SelectionSet("Query"))
    merged = optimize([root, hop(root, "height", "width"), hop(root, "width", "depth")])
    assert len(merged) == 2
    size = merged[1].calls[0].output.on["Book"].fields["size"].below
    assert size is not None
    assert list(size.fields) == ["height", "width", "depth"]


def test_a_call_does_not_wait_where_its_request_is_made_sooner_anyway() -> None:
    sooner, later = (
        {path for call in fetch.entities for path in call.paths}
        for fetch in plan_of("choices", "{ q { i1 } r { b1 } t { tb } }").fetches
        if fetch.subgraph == "b"
    )
    assert sooner == {("q",), ("r",)}
    assert later == {("t",)}


def test_one_object_is_asked_by_one_key_although_a_field_requires_more() -> None:
    planned = plan_of("requires-two-keys", "{ products { fits twin { price name } } }")
    assert [len(fetch.entities) for fetch in planned.fetches] == [0, 1, 1, 1, 1]
