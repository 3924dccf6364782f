"""Entities found by their keys."""

from __future__ import annotations

import pytest
from graphql import OperationType
from inline_snapshot import snapshot

from gateway.federation.operation.selection import Field, Operation
from gateway.federation.plan import RequireField
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner.planned import planned
from tests.federation.supergraph.sdl import supergraph_sdl


def test_the_key_is_selected_where_an_entity_is_left() -> None:
    query = "{ products { name reviews { body } } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        products {
          __typename
          name
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


def test_a_subgraph_is_entered_by_whichever_of_its_keys_the_source_has() -> None:
    query = "{ me { reviews { product { weight } } } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        me {
          __typename
          id
        }
      }
    },
    Flatten(path: "me") {
      Fetch(service: "reviews") {
        {
          ... on User {
            __typename
            id
          }
        } =>
        {
          ... on User {
            reviews {
              product {
                __typename
                id
              }
            }
          }
        }
      },
    },
    Flatten(path: "me.reviews.@.product") {
      Fetch(service: "catalog") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            upc
          }
        }
      },
    },
    Flatten(path: "me.reviews.@.product") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc
          }
        } =>
        {
          ... on Product {
            weight
          }
        }
      },
    },
  }
}\
""")


def test_a_key_the_source_lacks_is_fetched_from_a_third_subgraph() -> None:
    query = "{ books { author } }"
    assert planned("chained-keys", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        books {
          __typename
          upc
        }
      }
    },
    Flatten(path: "books.@") {
      Fetch(service: "b") {
        {
          ... on Book {
            __typename
            upc
          }
        } =>
        {
          ... on Book {
            id
          }
        }
      },
    },
    Flatten(path: "books.@") {
      Fetch(service: "c") {
        {
          ... on Book {
            __typename
            id
          }
        } =>
        {
          ... on Book {
            author
          }
        }
      },
    },
  }
}\
""")


def test_a_non_resolvable_key_is_never_entered_by() -> None:
    query = "{ b { id a { id name nameInB } } }"
    assert planned("keys-mashup", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "b") {
      {
        b {
          id
          a {
            __typename
            id
            compositeId {
              two
              three
            }
          }
        }
      }
    },
    Flatten(path: "b.a.@") {
      Fetch(service: "a") {
        {
          ... on A {
            __typename
            id
          }
        } =>
        {
          ... on A {
            name
          }
        }
      },
    },
    Flatten(path: "b.a.@") {
      Fetch(service: "b") {
        {
          ... on A {
            __typename
            id
            compositeId {
              two
              three
            }
            name
          }
        } =>
        {
          ... on A {
            nameInB
          }
        }
      },
    },
  }
}\
""")


def test_a_compound_key_may_have_nested_fields() -> None:
    query = "{ a { id nameInB } }"
    assert planned("keys-mashup", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        a {
          __typename
          id
          compositeId {
            two
            three
          }
          name
        }
      }
    },
    Flatten(path: "a") {
      Fetch(service: "b") {
        {
          ... on A {
            __typename
            id
            compositeId {
              two
              three
            }
            name
          }
        } =>
        {
          ... on A {
            nameInB
          }
        }
      },
    },
  }
}\
""")


def test_a_key_may_hold_a_list_whose_parts_come_from_a_deeper_position() -> None:
    query = "{ topProducts { first { id } } }"
    assert planned("list-keys", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "products") {
      {
        topProducts {
          __typename
          products {
            __typename
            id
          }
        }
      }
    },
    Flatten(path: "topProducts.products.@") {
      Fetch(service: "link") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            pid
          }
        }
      },
    },
    Flatten(path: "topProducts") {
      Fetch(service: "lists") {
        {
          ... on ProductList {
            __typename
            products {
              id
              pid
            }
          }
        } =>
        {
          ... on ProductList {
            first {
              id
            }
          }
        }
      },
    },
  }
}\
""")


def test_an_object_without_a_key_is_entered_at_its_parent() -> None:
    query = "{ products { id category { details } } }"
    assert planned("parent-entity", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        products {
          __typename
          id
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            category {
              details
            }
          }
        }
      },
    },
  }
}\
""")


def test_an_object_is_put_together_from_two_subgraphs_before_it_is_left() -> None:
    query = "{ products { id category { details name products } } }"
    assert planned("parent-entity", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        products {
          __typename
          id
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            category {
              __typename
              details
              id
            }
          }
        }
      },
    },
    Parallel {
      Flatten(path: "products.@.category") {
        Fetch(service: "c") {
          {
            ... on Category {
              __typename
              id
            }
          } =>
          {
            ... on Category {
              name
            }
          }
        },
      },
      Flatten(path: "products.@.category") {
        Fetch(service: "d") {
          {
            ... on Category {
              __typename
              id
            }
          } =>
          {
            ... on Category {
              products
            }
          }
        },
      },
    },
  }
}\
""")


def test_equal_entity_calls_at_two_positions_share_one_request() -> None:
    query = "{ topReviews { author { reviews { product { inStock } } } product { inStock } } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "reviews") {
      {
        topReviews {
          author {
            reviews {
              product {
                __typename
                id
              }
            }
          }
          product {
            __typename
            id
          }
        }
      }
    },
    BatchFetch(service: "catalog") {
      _entities(paths: ["topReviews.@.author.reviews.@.product", "topReviews.@.product"]) {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            upc
          }
        }
      },
    },
    BatchFetch(service: "stock") {
      _entities(paths: ["topReviews.@.author.reviews.@.product", "topReviews.@.product"]) {
        {
          ... on Product {
            __typename
            upc
          }
        } =>
        {
          ... on Product {
            inStock
          }
        }
      },
    },
  }
}\
""")


def test_fetches_of_one_level_to_one_subgraph_share_one_request() -> None:
    query = "{ topReviews { author { name } product { name } } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "reviews") {
      {
        topReviews {
          author {
            __typename
            id
          }
          product {
            __typename
            id
          }
        }
      }
    },
    BatchFetch(service: "catalog") {
      _e0(paths: ["topReviews.@.author"]) {
        {
          ... on User {
            __typename
            id
          }
        } =>
        {
          ... on User {
            name
          }
        }
      },
      _e1(paths: ["topReviews.@.product"]) {
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
  }
}\
""")


@pytest.mark.parametrize(("type_", "may_be_null"), [("String", True), ("String!", False)])
def test_a_part_of_a_key_may_be_null_if_it_may_where_the_entity_is_found(
    type_: str, may_be_null: bool
) -> None:
    sdl = f"""
      type Query @join__type(graph: ALL_THINGS) {{ shop: Shop }}
      type Shop
        @join__type(graph: ALL_THINGS, key: "id region")
        @join__type(graph: OTHERS, key: "id region")
      {{
        id: ID!
        region: String
          @join__field(graph: ALL_THINGS, type: "String")
          @join__field(graph: OTHERS, type: "{type_}")
        open: Boolean @join__field(graph: OTHERS)
      }}"""
    shop = Field("shop", "shop", (), (Field("open", "open"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (shop,))
    found = plan(Supergraph.from_sdl(supergraph_sdl(sdl)), operation)
    (fragment,) = found.fetches[1].entities[0].requires
    assert fragment.selections[1:] == (
        RequireField("id", "id", is_key=True),
        RequireField("region", "region", is_key=True, may_be_null=may_be_null),
    )
