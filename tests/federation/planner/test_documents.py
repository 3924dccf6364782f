"""What the documents of fetches look like: variables, arguments, names."""

from __future__ import annotations

from tests.federation.planner.planned import plan_of


def documents(name: str, source: str) -> list[str]:
    return [fetch.document for fetch in plan_of(name, source).fetches]


def test_nothing_is_fetched_for_what_the_gateway_knows() -> None:
    assert documents("shop", "{ __typename __schema { queryType { name } } }") == []


def test_a_fetch_defines_only_the_variables_it_uses_with_their_defaults() -> None:
    query = """
      query ($fast: Boolean = true, $limit: Int) {
        products { name shipping(fast: $fast) reviews(limit: $limit) { id } }
      }
    """
    found = plan_of("shop", query, {"limit": 2})
    assert [(fetch.subgraph, fetch.variables) for fetch in found.fetches] == [
        ("catalog", ()),
        ("stock", (("fast", "fast"),)),
        ("reviews", (("limit", "limit"),)),
    ]
    assert found.fetches[1].document.startswith(
        "query($representations:[_Any!]!,$fast:Boolean=true)"
    )


def test_a_client_variable_may_be_called_representations() -> None:
    query = """
      query ($representations: Int) { products { reviews(limit: $representations) { id } } }
    """
    (call,) = plan_of("shop", query).fetches[1].entities
    assert call.variable == "_representations"


def test_variables_are_found_inside_lists_and_objects() -> None:
    query = """
      query ($id: ID!, $tag: String) {
        search(filter: { ids: ["a", $id], tag: $tag }) { id }
      }
    """
    (fetch,) = plan_of("inputs", query, {"id": "b"}).fetches
    assert fetch.variables == (("id", "id"), ("tag", "tag"))
    assert fetch.document == (
        'query($id:ID!,$tag:String){search(filter:{ ids: ["a", $id], tag: $tag }){id}}'
    )


def test_several_calls_in_one_request_have_names_of_their_own() -> None:
    query = "{ topReviews { author { name } product { name } } }"
    calls = plan_of("shop", query).fetches[1].entities
    assert [(call.alias, call.variable) for call in calls] == [
        ("_e0", "representations0"),
        ("_e1", "representations1"),
    ]


def test_a_field_left_without_selections_is_still_asked_for() -> None:
    assert documents("shop", "{ products { name @skip(if: true) } }") == ["{products{__typename}}"]


def test_an_aliased_typename_is_asked_for_by_its_own_name() -> None:
    assert documents("interfaces", "{ products { kind: __typename } }") == [
        "{products{__typename}}"
    ]


def test_an_interface_with_an_inaccessible_type_is_asked_for_its_type() -> None:
    assert documents("requires-fragments", "{ a { data { foo } } }") == [
        "{a{data{__typename foo}}}"
    ]


def test_internal_keys_avoid_those_of_the_client() -> None:
    query = "{ products { price: name _k0: upc shipping } }"
    found = plan_of("shop", query)
    assert found.key_aliases == {"_k1": "price"}


def test_equal_operations_have_equal_plans() -> None:
    query = "{ products { name reviews { body product { price shipping } } } }"
    one, other = plan_of("shop", query), plan_of("shop", query)
    assert [fetch.document for fetch in one.fetches] == [fetch.document for fetch in other.fetches]
    assert [fetch.entities for fetch in one.fetches] == [fetch.entities for fetch in other.fetches]
