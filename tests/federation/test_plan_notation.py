"""Plans as Apollo's text and JSON, and the JSON of two reference planners read back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from inline_snapshot import snapshot

from gateway.federation.plan import (
    AT,
    Entities,
    Fetch,
    Gate,
    KeyRenamer,
    QueryPlan,
    RequireField,
    RequireFragment,
    ValueSetter,
)
from gateway.federation.plan_json import plan_from_json, plan_to_json
from gateway.federation.plan_text import print_plan

KEY = (RequireField("__typename", "__typename"), RequireField("sku", "sku", is_key=True))
ROOT = Fetch(0, "catalog", "query", "{shelf{__typename sku ...on Disc{title}}}")


def entities(*selections: RequireField, on: str = "Disc", **more: Any) -> Entities:
    paths = more.pop("paths", (("shelf", AT, Gate(frozenset({"Disc", "Book"}))),))
    return Entities(paths, (RequireFragment(on, (*KEY, *selections)),), **more)


def hop(number: int, graph: str, leaf: str, *after: int, calls: tuple[Entities, ...]) -> Fetch:
    document = (
        "query($representations:[_Any!]!){_entities(representations:$representations)"
        f"{{...on Disc{{{leaf}}}}}}}"
    )
    return Fetch(number, graph, "query", document, entities=calls, depends_on=after)


CHAIN = QueryPlan(
    (
        ROOT,
        hop(1, "labels", "weight", 0, calls=(entities(),)),
        hop(2, "prices", "price", 0, calls=(entities(),)),
        hop(
            3,
            "stock",
            "crates",
            0,
            1,
            calls=(
                entities(
                    RequireField("_k0", "weight"),
                    RequireField(
                        "label", "label", (RequireField("id", "id"), RequireFragment("L", KEY))
                    ),
                    input_rewrites=(
                        ValueSetter((Gate(frozenset({"Disc"})), "__typename"), "Item"),
                    ),
                    output_rewrites=(KeyRenamer(("label", Gate(frozenset({"L"})), "_k1"), "id"),),
                ),
            ),
        ),
    ),
    {"_k0": "weight"},
)
BATCH = QueryPlan(
    (
        Fetch(
            0,
            "catalog",
            "query",
            "query($n:Int){shelf(n:$n){sku} b:shelf{sku}}",
            operation_name="Shelf__catalog__0",
            variables=(("n", "count"),),
            output_rewrites=(KeyRenamer(("shelf", AT, "_k0"), "sku"),),
        ),
        Fetch(
            1,
            "stock",
            "query",
            "query($r:[_Any!]!){_e0:_entities(representations:$r){...on Disc{crates}}}",
            entities=(entities(paths=(("shelf", AT), ("b", AT)), alias="_e0", variable="r"),),
            depends_on=(0,),
        ),
    ),
    {},
)
STREAM = QueryPlan(
    (
        Fetch(0, "catalog", "subscription", "subscription{changed{__typename sku}}"),
        hop(1, "labels", "weight", 0, calls=(entities(paths=(("changed",),)),)),
    ),
    {},
)


ALIASED = QueryPlan(
    (
        Fetch(
            0,
            "stock",
            "query",
            "query($r:[_Any!]!){_e0:_entities(representations:$r){...on Disc{crates}}}",
            entities=(entities(alias="_e0", variable="r"),),
        ),
        Fetch(
            1,
            "stock",
            "query",
            "query($a:[_Any!]!,$b:[_Any!]!){_e0:_entities(representations:$a){...on Disc{crates}}"
            " _e1:_entities(representations:$b){...on Disc{weight}}}",
            entities=(entities(alias="_e0", variable="a"), entities(alias="_e1", variable="b")),
        ),
    ),
    {},
)
AGAIN = QueryPlan(
    (
        Fetch(0, "catalog", "query", "{shelf{root{__typename}} again{__typename}}"),
        Fetch(1, "stock", "query", "{crates}", at=(("again",),), depends_on=(0,)),
        Fetch(2, "labels", "query", "{a}", at=(("shelf", AT, "root"), ("again",)), depends_on=(0,)),
    ),
    {},
)
PLANS = [
    CHAIN,
    AGAIN,
    BATCH,
    STREAM,
    ALIASED,
    QueryPlan(STREAM.fetches[:1], {}),
    QueryPlan((ROOT, replace(CHAIN.fetches[1], part=(0, "later"))), {}),
    QueryPlan((ROOT,), {}),
    QueryPlan((), {}),
]


def test_a_plan_is_printed_as_apollo_does() -> None:
    assert print_plan(CHAIN) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        shelf {
          __typename
          sku
          ... on Disc {
            title
          }
        }
      }
    },
    Parallel {
      Flatten(path: "shelf.@|[Book,Disc]") {
        Fetch(service: "labels") {
          {
            ... on Disc {
              __typename
              sku
            }
          } =>
          {
            ... on Disc {
              weight
            }
          }
        },
      },
      Flatten(path: "shelf.@|[Book,Disc]") {
        Fetch(service: "prices") {
          {
            ... on Disc {
              __typename
              sku
            }
          } =>
          {
            ... on Disc {
              price
            }
          }
        },
      },
    },
    Flatten(path: "shelf.@|[Book,Disc]") {
      Fetch(service: "stock") {
        {
          ... on Disc {
            __typename
            sku
            weight: _k0
            label {
              id
              ... on L {
                __typename
                sku
              }
            }
          }
        } =>
        {
          ... on Disc {
            crates
          }
        }
      },
    },
  }
}\
""")


def test_a_batch_is_printed_with_its_calls() -> None:
    assert print_plan(BATCH) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        shelf(n: $n) {
          sku
        }
        b: shelf {
          sku
        }
      }
    },
    BatchFetch(service: "stock") {
      _e0(paths: ["shelf.@", "b.@"]) {
        {
          ... on Disc {
            __typename
            sku
          }
        } =>
        {
          ... on Disc {
            crates
          }
        }
      },
    },
  }
}\
""")


def test_a_subscription_is_printed_with_its_stream_first() -> None:
    assert print_plan(STREAM) == snapshot("""\
QueryPlan {
  Subscription {
    Primary: {
      Fetch(service: "catalog") {
        {
          changed {
            __typename
            sku
          }
        }
      }
    }
    Rest: {
      Flatten(path: "changed") {
        Fetch(service: "labels") {
          {
            ... on Disc {
              __typename
              sku
            }
          } =>
          {
            ... on Disc {
              weight
            }
          }
        },
      }
    }
  }
}\
""")
    assert print_plan(QueryPlan(STREAM.fetches[:1], {})) == snapshot("""\
QueryPlan {
  Subscription {
    Primary: {
      Fetch(service: "catalog") {
        {
          changed {
            __typename
            sku
          }
        }
      }
    }
  }
}\
""")


def test_root_fields_are_printed_with_where_they_belong() -> None:
    assert print_plan(AGAIN) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        shelf {
          root {
            __typename
          }
        }
        again {
          __typename
        }
      }
    },
    Parallel {
      Flatten(path: "again") {
        Fetch(service: "stock") {
          {
            crates
          }
        },
      },
      Flatten(paths: ["shelf.@.root", "again"]) {
        Fetch(service: "labels") {
          {
            a
          }
        },
      },
    },
  }
}\
""")


def test_a_plan_of_nothing_is_printed_so() -> None:
    assert print_plan(QueryPlan((), {})) == "QueryPlan {}"


def test_a_call_that_the_document_lacks_is_refused() -> None:
    broken = hop(1, "labels", "weight", calls=(entities(alias="_e7"),))
    with pytest.raises(ValueError, match="_e7"):
        print_plan(QueryPlan((broken,), {}))


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_written_as_json_reads_back_the_same(plan: QueryPlan) -> None:
    written = json.loads(json.dumps(plan_to_json(plan)))
    again = plan_from_json(written)
    assert print_plan(again) == print_plan(plan)
    assert [dump(one) for one in again.fetches] == [dump(one) for one in plan.fetches]
    assert again.key_aliases == plan.key_aliases


def dump(fetch: Fetch) -> tuple[Any, ...]:
    return tuple(getattr(fetch, name) for name in Fetch.__slots__)


def test_a_part_of_a_key_that_may_be_null_is_written_so() -> None:
    region = RequireField("region", "region", is_key=True, may_be_null=True)
    plan = QueryPlan((ROOT, hop(1, "labels", "weight", 0, calls=(entities(region),))), {})
    again = plan_from_json(plan_to_json(plan))
    assert [dump(one) for one in again.fetches] == [dump(one) for one in plan.fetches]


def test_the_json_has_apollos_form() -> None:
    assert plan_to_json(CHAIN)["node"]["nodes"][2] == snapshot(
        {
            "kind": "Flatten",
            "path": ["shelf", "@|[Book,Disc]"],
            "node": {
                "kind": "Fetch",
                "id": "3",
                "serviceName": "stock",
                "operationKind": "query",
                "operation": (
                    "query($representations:[_Any!]!)"
                    "{_entities(representations:$representations){...on Disc{crates}}}"
                ),
                "variableUsages": [],
                "dependsOn": ["0", "1"],
                "requires": [
                    {
                        "kind": "InlineFragment",
                        "typeCondition": "Disc",
                        "selections": [
                            {"kind": "Field", "name": "__typename"},
                            {"kind": "Field", "name": "sku", "isKey": True},
                            {"kind": "Field", "name": "_k0", "alias": "weight"},
                            {
                                "kind": "Field",
                                "name": "label",
                                "selections": [
                                    {"kind": "Field", "name": "id"},
                                    {
                                        "kind": "InlineFragment",
                                        "typeCondition": "L",
                                        "selections": [
                                            {"kind": "Field", "name": "__typename"},
                                            {"kind": "Field", "name": "sku", "isKey": True},
                                        ],
                                    },
                                ],
                            },
                        ],
                    }
                ],
                "inputRewrites": [
                    {
                        "kind": "ValueSetter",
                        "path": ["... on Disc", "__typename"],
                        "setValueTo": "Item",
                    }
                ],
                "outputRewrites": [
                    {
                        "kind": "KeyRenamer",
                        "path": ["label", "... on L", "_k1"],
                        "renameKeyTo": "id",
                    }
                ],
            },
        }
    )


def fetch(service: str, **more: Any) -> dict[str, Any]:
    return {"kind": "Fetch", "serviceName": service, "operation": "{a}", **more}


def test_apollos_tree_becomes_dependencies() -> None:
    node = {
        "kind": "Sequence",
        "nodes": [
            fetch("a", operationKind="query", variableUsages=["n"]),
            {
                "kind": "Parallel",
                "nodes": [
                    {"kind": "Sequence", "nodes": [fetch("b"), fetch("c")]},
                    fetch("d"),
                ],
            },
            fetch("e"),
        ],
    }
    plan = plan_from_json({"kind": "QueryPlan", "node": node})
    assert [(one.subgraph, one.depends_on) for one in plan.fetches] == [
        ("a", ()),
        ("b", (0,)),
        ("c", (0, 1)),
        ("d", (0,)),
        ("e", (0, 1, 2, 3)),
    ]
    assert plan.fetches[0].variables == (("n", "n"),)


def test_apollos_root_fetch_below_the_root_is_read() -> None:
    fetch = {"kind": "Fetch", "serviceName": "users", "operation": "{...on Query{me{id}}}"}
    node = {"kind": "Flatten", "path": ["a", "@", "query"], "node": fetch}
    (read,) = plan_from_json({"node": node}).fetches
    assert read.at == (("a", AT, "query"),)
    assert read.entities == ()


def test_conditions_are_decided_when_a_plan_is_read() -> None:
    node = {
        "kind": "Condition",
        "condition": "yes",
        "ifClause": fetch("a"),
        "elseClause": {"kind": "Condition", "condition": "other", "ifClause": fetch("b")},
    }
    written = {"kind": "QueryPlan", "node": node}
    for yes, other, expected in ((True, False, ["a"]), (False, True, ["b"]), (False, False, [])):
        plan = plan_from_json(written, conditions={"yes": yes, "other": other})
        assert [one.subgraph for one in plan.fetches] == expected


def test_hives_form_is_read_too() -> None:
    requires = [
        {
            "kind": "InlineFragment",
            "typeCondition": "Item",
            "selections": [
                {"kind": "Field", "name": "__typename"},
                {"kind": "Field", "name": "sku"},
                {"kind": "Field", "name": "_k0", "alias": "weight"},
            ],
        }
    ]
    node = {
        "kind": "Subscription",
        "primary": fetch("a", operationKind="subscription"),
        "rest": {
            "kind": "BatchFetch",
            "serviceName": "b",
            "operation": "{_e0:a}",
            "entityBatch": {
                "aliases": [
                    {
                        "alias": "_e0",
                        "representationsVariableName": "__batch_reps_0",
                        "paths": [[{"Field": "shelf"}, "@", {"TypeCondition": ["Disc"]}]],
                        "requires": requires,
                        "inputRewrites": [
                            {
                                "ValueSetter": {
                                    "path": [{"TypenameEquals": ["Item"]}, {"Key": "__typename"}],
                                    "setValueTo": "Item",
                                }
                            }
                        ],
                        "outputRewrites": [
                            {"KeyRenamer": {"path": [{"Key": "_k1"}], "renameKeyTo": "id"}}
                        ],
                    }
                ]
            },
        },
    }
    keys = {"Item": {"b": frozenset({"sku"})}}
    plan = plan_from_json({"kind": "QueryPlan", "node": node}, keys=keys)
    assert plan.fetches[1].depends_on == (0,)
    (call,) = plan.fetches[1].entities
    assert call == Entities(
        paths=(("shelf", AT, Gate(frozenset({"Disc"}))),),
        requires=(
            RequireFragment(
                "Item",
                (
                    RequireField("__typename", "__typename"),
                    RequireField("sku", "sku", is_key=True),
                    RequireField("_k0", "weight"),
                ),
            ),
        ),
        alias="_e0",
        variable="__batch_reps_0",
        input_rewrites=(ValueSetter((Gate(frozenset({"Item"})), "__typename"), "Item"),),
        output_rewrites=(KeyRenamer(("_k1",), "id"),),
    )


def test_a_stream_with_nothing_after_it_is_read() -> None:
    node = {"kind": "Subscription", "primary": fetch("a", operationKind="subscription")}
    assert len(plan_from_json({"node": node}).fetches) == 1


def test_a_rewrite_of_one_unwrapped_field_is_left_alone() -> None:
    written = plan_to_json(QueryPlan((ROOT,), {}))
    written["node"]["outputRewrites"] = [{"path": "odd"}]
    with pytest.raises(KeyError):
        plan_from_json(written)


def test_gates_are_read_wherever_apollo_writes_them() -> None:
    node = {
        "kind": "Flatten",
        "path": ["|[A]", "a", "@|[B,C]"],
        "node": fetch(
            "a", requires=[{"kind": "InlineFragment", "typeCondition": "A", "selections": []}]
        ),
    }
    (call,) = plan_from_json({"node": node}).fetches[0].entities
    assert call.paths == ((Gate(frozenset({"A"})), "a", AT, Gate(frozenset({"B", "C"}))),)
    again = plan_to_json(plan_from_json({"node": node}))
    assert again["node"]["path"] == ["|[A]", "a", "@|[B,C]"]


def test_two_gates_in_a_row_are_written_apart() -> None:
    gates = (Gate(frozenset({"A"})), Gate(frozenset({"B"})))
    plan = QueryPlan((hop(0, "a", "x", calls=(entities(paths=(("a", *gates),)),)),), {})
    assert plan_to_json(plan)["node"]["path"] == ["a|[A]", "|[B]"]


@pytest.mark.parametrize(
    "node",
    [
        {"kind": "Defer", "primary": {}, "deferred": []},
        {
            "kind": "Flatten",
            "path": [5],
            "node": fetch(
                "a", requires=[{"kind": "InlineFragment", "typeCondition": "A", "selections": []}]
            ),
        },
    ],
)
def test_what_cannot_be_run_is_refused(node: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"cannot run|unknown step"):
        plan_from_json({"kind": "QueryPlan", "node": node})
