"""Interfaces and the types behind them."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import plan_of, planned


def test_a_field_every_implementer_has_is_asked_on_the_interface() -> None:
    query = "{ products { id sku } }"
    assert planned("interfaces", query) == snapshot("""\
QueryPlan {
  Fetch(service: "products") {
    {
      products {
        id
        sku
      }
    }
  }
}\
""")


def test_a_field_of_another_subgraph_is_asked_on_its_interface() -> None:
    query = "{ products { id score } }"
    assert planned("interfaces", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "products") {
      {
        products {
          __typename
          id
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "reviews") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            score
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_is_met_for_every_implementer() -> None:
    query = '{ products { delivery(zip: "1") } }'
    assert planned("interfaces", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "products") {
      {
        products {
          __typename
          ... on Book {
            id
            dims {
              size
              weight
            }
          }
          ... on Magazine {
            id
            dims {
              size
              weight
            }
          }
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "inventory") {
        {
          ... on Book {
            __typename
            id
            dims {
              size
              weight
            }
          }
          ... on Magazine {
            __typename
            id
            dims {
              size
              weight
            }
          }
        } =>
        {
          ... on Book {
            delivery(zip: "1")
          }
          ... on Magazine {
            delivery(zip: "1")
          }
        }
      },
    },
  }
}\
""")


def test_a_client_alias_is_part_of_the_position() -> None:
    query = """
        {
          products { ... on Book { author: createdBy { name } } ... on Magazine { author:
          createdBy { total } } }
        }
    """
    assert planned("interfaces", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "products") {
      {
        products {
          __typename
          ... on Book {
            author: createdBy {
              __typename
              email
            }
          }
          ... on Magazine {
            author: createdBy {
              total
            }
          }
        }
      }
    },
    Flatten(path: "products.@|[Book].author") {
      Fetch(service: "users") {
        {
          ... on User {
            __typename
            email
          }
        } =>
        {
          ... on User {
            name
          }
        }
      },
    },
  }
}\
""")


def test_a_type_may_implement_the_interface_only_elsewhere() -> None:
    query = "{ things { ... on Node { id ... on Warranty { months } } } }"
    assert planned("distributed-interface", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        things {
          __typename
          ... on Oven {
            id
          }
          ... on Toaster {
            id
          }
        }
      }
    },
    Flatten(path: "things.@|[Oven]") {
      Fetch(service: "b") {
        {
          ... on Oven {
            __typename
            id
          }
        } =>
        {
          ... on Oven {
            months
          }
        }
      },
    },
  }
}\
""")


def test_fragments_for_different_types_may_come_from_different_subgraphs() -> None:
    query = "{ node(id: 1) { ... on Account { id username } ... on Chat { id text } } }"
    assert planned("node", query) == snapshot("""\
QueryPlan {
  Parallel {
    Fetch(service: "a") {
      {
        node(id: 1) {
          __typename
          ... on Account {
            id
            username
          }
        }
      }
    },
    Fetch(service: "b") {
      {
        node(id: 1) {
          __typename
          ... on Chat {
            id
            text
          }
        }
      }
    },
  }
}\
""")


def test_an_interface_may_lead_to_itself() -> None:
    query = "{ similar(id: 1) { similar { id reviews { body } } } }"
    assert planned("abstract-deep", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        similar(id: 1) {
          similar {
            __typename
            id
          }
        }
      }
    },
    Flatten(path: "similar.@.similar.@") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            reviews {
              body
            }
          }
        }
      },
    },
  }
}\
""")


def test_what_all_types_and_what_one_type_is_asked_go_together() -> None:
    query = """
        { similar(id: 1) {
          similar { reviews { body } ... on Book { ofSimilar { body } } }
        } }
    """
    assert planned("abstract-deep", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        similar(id: 1) {
          similar {
            __typename
            id
            ... on Book {
              similar {
                id
              }
            }
          }
        }
      }
    },
    Flatten(path: "similar.@.similar.@") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
          }
          ... on Book {
            __typename
            id
            similar {
              id
            }
          }
        } =>
        {
          ... on Product {
            reviews {
              body
            }
          }
          ... on Book {
            ofSimilar {
              body
            }
          }
        }
      },
    },
  }
}\
""")


def test_types_that_return_less_than_their_interface_are_asked_one_by_one() -> None:
    (fetch,) = plan_of("narrower-by-type", "{ i { k { z } } }").fetches
    assert fetch.document == "{i{__typename ...on E0{k{z}} ...on E1{k{z}}}}"


def test_types_are_not_asked_one_by_one_where_that_saves_no_fetch() -> None:
    (fetch,) = plan_of("provides-recursive", "{ x { f { f { f { __typename } } } } }").fetches
    assert fetch.document == "{x{f{f{f{__typename}}}}}"
