"""Operations that have no plan, or none within the budget."""

from __future__ import annotations

import pytest
from graphql import OperationType

from gateway.federation.operation.selection import Field, Fragment, Operation
from gateway.federation.planner import PlanningBudgetExceeded, PlanningError, plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner.planned import plan_of, supergraph
from tests.federation.supergraph.sdl import supergraph_sdl


def test_an_interface_field_that_one_implementer_cannot_resolve_has_no_plan() -> None:
    with pytest.raises(PlanningError, match="cannot be reached") as refused:
        plan_of("node", "{ node(id: 1) { id } }")
    assert refused.value.code == "QUERY_PLAN_FAILED"


def test_a_field_behind_a_key_that_is_not_resolvable_has_no_plan() -> None:
    with pytest.raises(PlanningError, match=r"Node\.other cannot be reached"):
        plan_of("interface-object-non-resolvable", "{ product { other } }")


def test_the_type_of_an_interface_object_that_nothing_implements_has_no_plan() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          thing: Thing @join__field(graph: OTHERS)
        }
        interface Thing
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: OTHERS, key: "id", isInterfaceObject: true) {
          id: ID!
        }
        """
    )
    thing = Field("thing", "thing", (), (Field("__typename", "__typename"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    with pytest.raises(PlanningError, match=r"Thing\.__typename cannot be reached from others"):
        plan(Supergraph.from_sdl(sdl), operation)


def test_the_type_of_an_interface_object_behind_a_key_it_lacks_has_no_plan() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          thing: Thing @join__field(graph: OTHERS)
        }
        interface Thing
          @join__type(graph: ALL_THINGS, key: "code")
          @join__type(graph: OTHERS, key: "id", isInterfaceObject: true) {
          id: ID! @join__field(graph: OTHERS)
          code: ID! @join__field(graph: ALL_THINGS)
        }
        type Book implements Thing
          @join__implements(graph: ALL_THINGS, interface: "Thing")
          @join__type(graph: ALL_THINGS, key: "code") {
          id: ID! @join__field
          code: ID!
        }
        """
    )
    thing = Field("thing", "thing", (), (Field("__typename", "__typename"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    with pytest.raises(PlanningError, match=r"Thing\.__typename cannot be reached from others"):
        plan(Supergraph.from_sdl(sdl), operation)


def test_what_cannot_be_reached_is_named_with_all_types_and_subgraphs_it_was_sought_on() -> None:
    either = Field("u", "u", (), (Field("no", "no"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (either,))
    with pytest.raises(PlanningError, match=r"^E0/U\.no cannot be reached from a, b$"):
        plan(supergraph("union-or-object"), operation)


def test_a_mutation_field_without_a_plan_is_refused() -> None:
    operation = Operation(OperationType.MUTATION, None, "Mutation", {}, (Field("no", "no"),))
    with pytest.raises(PlanningError, match=r"Mutation\.no cannot be reached"):
        plan(supergraph("mutations"), operation)


def test_an_operation_of_a_kind_the_supergraph_lacks_is_refused() -> None:
    operation = Operation(OperationType.SUBSCRIPTION, None, "Subscription", {}, ())
    with pytest.raises(PlanningError, match="has no subscription type"):
        plan(supergraph("shop"), operation)


def test_planning_stops_when_its_budget_is_spent() -> None:
    with pytest.raises(
        PlanningBudgetExceeded, match=r"^The operation is too complex to plan\.$"
    ) as refused:
        plan_of("shop", "{ products { name reviews { body } } }", budget=3)
    assert refused.value.code == "QUERY_PLAN_TOO_COMPLEX"


def test_where_nothing_can_be_chosen_no_steps_are_spent_on_it() -> None:
    plan_of("shop", "{ products { name } }", budget=4)


def test_choosing_among_candidates_spends_the_budget_too() -> None:
    # Three subgraphs have the field: each alias takes six steps to find and three to choose.
    query = "{" + " ".join(f"_{number}: product {{ id }}" for number in range(100)) + "}"
    with pytest.raises(PlanningBudgetExceeded):
        plan_of("shared-root", query, budget=899)
    # There are no steps left to look for a better plan, so this is it.
    assert len(plan_of("shared-root", query, budget=900).fetches) == 1


def test_candidates_behind_entity_calls_spend_the_budget_too() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          thing: Thing @join__field(graph: ALL_THINGS)
        }
        type Thing
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: OTHERS, key: "id")
          @join__type(graph: OTHERS, key: "code") {
          id: ID!
          code: ID!
          other: Int @join__field(graph: OTHERS)
        }
        """
    )
    thing = Field("thing", "thing", (), (Field("other", "other"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    # Four fields are looked at, and two entity calls.
    with pytest.raises(PlanningBudgetExceeded):
        plan(Supergraph.from_sdl(sdl), operation, budget=5)
    plan(Supergraph.from_sdl(sdl), operation, budget=6)


def test_an_operation_deeper_than_the_stack_is_refused() -> None:
    field = Field("id", "id")
    for _ in range(4000):
        field = Field("similar", "similar", (), (field,))
    root = Field("media", "media", (), (Fragment("Book", (field,)),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (root,))
    with pytest.raises(PlanningBudgetExceeded, match=r"^The operation is too deep to plan\.$"):
        plan(supergraph("abstract-deep"), operation)


def test_a_deep_operation_within_the_documents_limits_is_planned() -> None:
    query = "id"
    for _ in range(24):
        query = f"reviews {{ product {{ {query} inStock }} }}"
    assert len(plan_of("shop", f"{{ products {{ {query} }} }}").fetches) == 4


def test_a_type_no_subgraph_knows_has_no_plan() -> None:
    with pytest.raises(PlanningError, match=r"Node\.__typename cannot be reached"):
        plan_of("interface-object-non-resolvable", "{ b { __typename } }")


def test_fields_that_require_each_other_have_no_plan() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) { thing: Thing }
        type Thing
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: OTHERS, key: "id") {
          id: ID!
          one: Int
            @join__field(graph: ALL_THINGS, requires: "other")
            @join__field(graph: OTHERS, external: true)
          other: Int
            @join__field(graph: OTHERS, requires: "one")
            @join__field(graph: ALL_THINGS, external: true)
        }
        """
    )
    thing = Field("thing", "thing", (), (Field("one", "one"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    with pytest.raises(PlanningError, match=r"Thing\.one cannot be reached from all-things"):
        plan(Supergraph.from_sdl(sdl), operation)


def test_a_requirement_that_comes_round_to_itself_is_searched_once() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) { thing: Thing }
        type Thing
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: OTHERS, key: "id")
          @join__type(graph: THIRD, key: "id") {
          id: ID!
          one: Int
            @join__field(graph: ALL_THINGS, requires: "other")
            @join__field(graph: OTHERS, external: true)
            @join__field(graph: THIRD)
          other: Int
            @join__field(graph: OTHERS, requires: "one")
            @join__field(graph: ALL_THINGS, external: true)
        }
        """
    ).replace("enum join__Graph {", 'enum join__Graph { THIRD @join__graph(name: "third", url: "")')
    twice = (Field("one", "one"), Field("again", "one"))
    thing = Field("thing", "thing", (), twice)
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    plan(Supergraph.from_sdl(sdl), operation, budget=35)
