"""Client aliases that shadow what the planner needs."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import planned


def test_an_alias_that_shadows_a_key_is_kept() -> None:
    query = "{ products { upc: name inStock } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        products {
          __typename
          upc: name
          _k0: upc
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc: _k0
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


def test_an_alias_that_shadows_a_required_field_is_kept() -> None:
    query = "{ products { price: name shipping } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        products {
          __typename
          price: name
          upc
          _k0: price
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc
            price: _k0
          }
        } =>
        {
          ... on Product {
            shipping
          }
        }
      },
    },
  }
}\
""")


def test_an_alias_is_kept_when_a_later_fetch_needs_the_field_it_shadows() -> None:
    query = "{ me { reviews { product { price: upc shipping } } } }"
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
            price: upc
            _k0: price
          }
        }
      },
    },
    Flatten(path: "me.reviews.@.product") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc: price
            price: _k0
          }
        } =>
        {
          ... on Product {
            shipping
          }
        }
      },
    },
  }
}\
""")


def test_an_alias_of_the_key_itself_serves_as_the_key() -> None:
    query = "{ products { code: upc inStock } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        products {
          __typename
          code: upc
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc: code
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


def test_one_field_with_two_arguments_is_asked_twice() -> None:
    query = "{ products { slow: shipping fast: shipping(fast: true) } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "catalog") {
      {
        products {
          __typename
          upc
          price
        }
      }
    },
    Flatten(path: "products.@") {
      Fetch(service: "stock") {
        {
          ... on Product {
            __typename
            upc
            price
          }
        } =>
        {
          ... on Product {
            slow: shipping
            fast: shipping(fast: true)
          }
        }
      },
    },
  }
}\
""")
