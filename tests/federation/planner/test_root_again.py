"""Fields that lead back to the query root, whose fields every subgraph has its own of."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from gateway.federation.planner import PlanningError
from tests.federation.planner.planned import plan_of, planned


def test_root_fields_of_another_subgraph_are_asked_without_representations() -> None:
    query = "{ again { product(id: 1) { name } me { name } } }"
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        again {
          __typename
          product(id: 1) {
            name
          }
        }
      }
    },
    Flatten(path: "again") {
      Fetch(service: "users") {
        {
          me {
            name
          }
        }
      },
    },
  }
}\
""")


def test_root_fields_are_asked_once_for_a_whole_list() -> None:
    query = "query ($n: Int) { orders { query { products(first: $n) { name sold } } } }"
    assert planned("root-again", query, {"n": 2}) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "orders") {
      {
        orders {
          query {
            __typename
          }
        }
      }
    },
    Flatten(path: "orders.@.query") {
      Fetch(service: "catalog") {
        {
          products(first: $n) {
            __typename
            name
            id
          }
        }
      },
    },
    Flatten(path: "orders.@.query.products.@") {
      Fetch(service: "orders") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            sold
          }
        }
      },
    },
  }
}\
""")


def test_the_same_root_fields_at_two_positions_are_one_fetch() -> None:
    query = "{ again { a: again { me { name } } b: again { me { name } } } }"
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        again {
          a: again {
            __typename
          }
          b: again {
            __typename
          }
        }
      }
    },
    Flatten(paths: ["again.a", "again.b"]) {
      Fetch(service: "users") {
        {
          me {
            name
          }
        }
      },
    },
  }
}\
""")


def test_the_same_root_fields_needed_later_are_asked_once_and_late() -> None:
    query = "{ again { me { name } orders { query { me { name } } } } }"
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        again {
          __typename
        }
      }
    },
    Flatten(path: "again") {
      Fetch(service: "orders") {
        {
          orders {
            query {
              __typename
            }
          }
        }
      },
    },
    Flatten(paths: ["again.orders.@.query", "again"]) {
      Fetch(service: "users") {
        {
          me {
            name
          }
        }
      },
    },
  }
}\
""")


def test_root_fields_with_other_arguments_are_fetches_of_their_own() -> None:
    query = """{
      orders {
        a: query { product(id: 1) { name } }
        b: query { product(id: 2) { name } }
        c: query { product(id: 1) { name } }
      }
    }"""
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "orders") {
      {
        orders {
          a: query {
            __typename
          }
          b: query {
            __typename
          }
          c: query {
            __typename
          }
        }
      }
    },
    Parallel {
      Flatten(paths: ["orders.@.a", "orders.@.c"]) {
        Fetch(service: "catalog") {
          {
            product(id: 1) {
              name
            }
          }
        },
      },
      Flatten(path: "orders.@.b") {
        Fetch(service: "catalog") {
          {
            product(id: 2) {
              name
            }
          }
        },
      },
    },
  }
}\
""")


def test_an_entity_below_the_root_below_the_root_is_fetched_after_it() -> None:
    query = "{ again { orders { total buyer { name } products { name } } } }"
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        again {
          __typename
        }
      }
    },
    Flatten(path: "again") {
      Fetch(service: "orders") {
        {
          orders {
            __typename
            total
            id
            products {
              __typename
              id
            }
          }
        }
      },
    },
    Parallel {
      Flatten(path: "again.orders.@") {
        Fetch(service: "users") {
          {
            ... on Order {
              __typename
              id
            }
          } =>
          {
            ... on Order {
              buyer {
                name
              }
            }
          }
        },
      },
      Flatten(path: "again.orders.@.products.@") {
        Fetch(service: "catalog") {
          {
            ... on Product {
              __typename
              id
            }
          } =>
          {
            ... on Product {
              name
            }
          }
        },
      },
    },
  }
}\
""")


def test_the_root_after_a_mutation_is_asked_before_the_next_field() -> None:
    query = """mutation {
      place(product: 1) { order { total } query { me { name } } }
      rename(name: "x") { query { orders { id } me { name } } }
    }"""
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "orders") {
      {
        place(product: 1) {
          order {
            total
          }
          query {
            __typename
          }
        }
      }
    },
    Flatten(path: "place.query") {
      Fetch(service: "users") {
        {
          me {
            name
          }
        }
      },
    },
    Fetch(service: "users") {
      {
        rename(name: "x") {
          query {
            __typename
            me {
              name
            }
          }
        }
      }
    },
    Flatten(path: "rename.query") {
      Fetch(service: "orders") {
        {
          orders {
            id
          }
        }
      },
    },
  }
}\
""")


def test_the_root_after_an_event_is_asked_for_each() -> None:
    query = "subscription { placed { order { id } query { me { name } } } }"
    assert planned("root-again", query) == snapshot("""\
QueryPlan {
  Subscription {
    Primary: {
      Fetch(service: "orders") {
        {
          placed {
            order {
              id
            }
            query {
              __typename
            }
          }
        }
      }
    }
    Rest: {
      Flatten(path: "placed.query") {
        Fetch(service: "users") {
          {
            me {
              name
            }
          }
        },
      }
    }
  }
}\
""")


def test_a_skipped_root_field_takes_no_fetch() -> None:
    query = "query ($no: Boolean!) { again { me @include(if: $no) { name } products { name } } }"
    assert len(plan_of("root-again", query, {"no": False}).fetches) == 1


def test_a_mutation_root_is_not_entered_again() -> None:
    with pytest.raises(PlanningError, match=r"Mutation\.rename cannot be reached from orders"):
        plan_of(
            "root-again",
            'mutation { pay(order: 1) { more { rename(name: "x") { user { name } } } } }',
        )
