"""Values several subgraphs resolve."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import plan_of, planned


def test_an_object_at_the_root_is_put_together_from_all_its_subgraphs() -> None:
    query = "{ product { id name { brand } price { amount } category { name } } }"
    assert planned("shared-root", query) == snapshot("""\
QueryPlan {
  Parallel {
    Fetch(service: "category") {
      {
        product {
          id
          category {
            name
          }
        }
      }
    },
    Fetch(service: "name") {
      {
        product {
          name {
            brand
          }
        }
      }
    },
    Fetch(service: "price") {
      {
        product {
          price {
            amount
          }
        }
      }
    },
  }
}\
""")


def test_a_list_at_the_root_too() -> None:
    query = "{ products { name { brand } price { amount } } }"
    assert planned("shared-root", query) == snapshot("""\
QueryPlan {
  Parallel {
    Fetch(service: "name") {
      {
        products {
          name {
            brand
          }
        }
      }
    },
    Fetch(service: "price") {
      {
        products {
          price {
            amount
          }
        }
      }
    },
  }
}\
""")


def test_a_shared_field_is_asked_once() -> None:
    query = "{ product { id price { amount } } }"
    assert planned("shared-root", query) == snapshot("""\
QueryPlan {
  Fetch(service: "price") {
    {
      product {
        id
        price {
          amount
        }
      }
    }
  }
}\
""")


def test_a_fetch_less_is_worth_waiting_for() -> None:
    assert planned("shared-root-later", "{ book { place } shelf { rank } }") == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "books") {
      {
        book {
          __typename
          id
        }
        shelf {
          __typename
          id
        }
      }
    },
    BatchFetch(service: "stock") {
      _e0(paths: ["book"]) {
        {
          ... on Book {
            __typename
            id
          }
        } =>
        {
          ... on Book {
            place
          }
        }
      },
      _e1(paths: ["shelf"]) {
        {
          ... on Shelf {
            __typename
            id
          }
        } =>
        {
          ... on Shelf {
            width
          }
        }
      },
    },
    Flatten(path: "shelf") {
      Fetch(service: "books") {
        {
          ... on Shelf {
            __typename
            id
            width
          }
        } =>
        {
          ... on Shelf {
            rank
          }
        }
      },
    },
  }
}\
""")


def test_a_far_way_is_taken_when_its_fetches_are_made_anyway() -> None:
    fetches = plan_of("far-ways", "{ p2 { af xf } o { xf } }").fetches
    assert [fetch.subgraph for fetch in fetches] == ["a", "b", "c", "d", "x"]
