"""Fields that need data of other subgraphs."""

from __future__ import annotations

from graphql import OperationType
from inline_snapshot import snapshot

from gateway.federation.operation.selection import Field, Operation
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner.planned import planned
from tests.federation.supergraph.sdl import supergraph_sdl


def test_the_representation_carries_what_the_field_requires() -> None:
    query = "{ products { shipping } }"
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
            shipping
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_is_fetched_first_when_it_is_elsewhere() -> None:
    query = "{ warehouses { products { shipping } } }"
    assert planned("shop", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "stock") {
      {
        warehouses {
          products {
            __typename
            upc
          }
        }
      }
    },
    Flatten(path: "warehouses.@.products.@") {
      Fetch(service: "catalog") {
        {
          ... on Product {
            __typename
            upc
          }
        } =>
        {
          ... on Product {
            price
          }
        }
      },
    },
    Flatten(path: "warehouses.@.products.@") {
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
            shipping
          }
        }
      },
    },
  }
}\
""")


def test_two_fields_with_one_requirement_share_a_fetch() -> None:
    query = 'mutation { addProduct(name: "x") { isExpensive available } }'
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        addProduct(name: "x") {
          __typename
          id
          price
        }
      }
    },
    Flatten(path: "addProduct") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
            price
          }
        } =>
        {
          ... on Product {
            isExpensive
            available
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_may_itself_require() -> None:
    query = "{ feed { byExpert } }"
    assert planned("requires-circular", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        feed {
          __typename
          id
          author {
            yearsOfExperience
          }
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "b") {
        {
          ... on Post {
            __typename
            id
            author {
              yearsOfExperience
            }
          }
        } =>
        {
          ... on Post {
            byNovice
          }
        }
      },
    },
    Flatten(path: "feed.@") {
      Fetch(service: "a") {
        {
          ... on Post {
            __typename
            id
            byNovice
          }
        } =>
        {
          ... on Post {
            byExpert
          }
        }
      },
    },
  }
}\
""")


def test_a_chain_of_requirements_may_return_to_a_subgraph() -> None:
    query = "{ feed { byNovice byExpert author { id } } }"
    assert planned("requires-circular", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        feed {
          __typename
          id
          author {
            yearsOfExperience
            id
          }
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "b") {
        {
          ... on Post {
            __typename
            id
            author {
              yearsOfExperience
            }
          }
        } =>
        {
          ... on Post {
            byNovice
          }
        }
      },
    },
    Flatten(path: "feed.@") {
      Fetch(service: "a") {
        {
          ... on Post {
            __typename
            id
            byNovice
          }
        } =>
        {
          ... on Post {
            byExpert
          }
        }
      },
    },
  }
}\
""")


def test_arguments_of_a_requirement_are_sent() -> None:
    query = "{ feed { first } }"
    assert planned("requires-arguments", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "posts") {
      {
        feed {
          __typename
          id
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "comments") {
        {
          ... on Post {
            __typename
            id
          }
        } =>
        {
          ... on Post {
            comments(limit: 1) {
              id
            }
          }
        }
      },
    },
    Flatten(path: "feed.@") {
      Fetch(service: "posts") {
        {
          ... on Post {
            __typename
            id
            comments {
              id
            }
          }
        } =>
        {
          ... on Post {
            first
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_with_other_arguments_than_the_clients_gets_its_own_key() -> None:
    query = "{ feed { first comments(limit: 2) { body } } }"
    assert planned("requires-arguments", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "posts") {
      {
        feed {
          __typename
          id
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "comments") {
        {
          ... on Post {
            __typename
            id
          }
        } =>
        {
          ... on Post {
            _k0: comments(limit: 1) {
              id
            }
            comments(limit: 2) {
              body
            }
          }
        }
      },
    },
    Flatten(path: "feed.@") {
      Fetch(service: "posts") {
        {
          ... on Post {
            __typename
            id
            comments: _k0 {
              id
            }
          }
        } =>
        {
          ... on Post {
            first
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_with_the_clients_arguments_shares_its_key() -> None:
    query = "{ feed { many comments(limit: 3) { author { name } } } }"
    assert planned("requires-arguments", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "posts") {
      {
        feed {
          __typename
          id
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "comments") {
        {
          ... on Post {
            __typename
            id
          }
        } =>
        {
          ... on Post {
            comments(limit: 3) {
              __typename
              id
              author {
                name
              }
            }
          }
        }
      },
    },
    Flatten(path: "feed.@.comments.@") {
      Fetch(service: "ratings") {
        {
          ... on Comment {
            __typename
            id
          }
        } =>
        {
          ... on Comment {
            rating
          }
        }
      },
    },
    Flatten(path: "feed.@") {
      Fetch(service: "posts") {
        {
          ... on Post {
            __typename
            id
            comments {
              id
              rating
            }
          }
        } =>
        {
          ... on Post {
            many
          }
        }
      },
    },
  }
}\
""")


def test_requirements_that_differ_in_an_argument_are_asked_apart() -> None:
    query = "{ test { one two } }"
    assert planned("requires-conflict", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        test {
          __typename
          id
          value(kind: ONE)
          _k0: value(kind: TWO)
        }
      }
    },
    BatchFetch(service: "b") {
      _e0(paths: ["test"]) {
        {
          ... on Test {
            __typename
            id
            value
          }
        } =>
        {
          ... on Test {
            one
          }
        }
      },
      _e1(paths: ["test"]) {
        {
          ... on Test {
            __typename
            id
            value: _k0
          }
        } =>
        {
          ... on Test {
            two
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_on_an_interface_is_read_from_its_owner_with_its_type() -> None:
    query = "{ a { city } }"
    assert planned("requires-interface", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        a {
          __typename
          id
        }
      }
    },
    Flatten(path: "a") {
      Fetch(service: "b") {
        {
          ... on User {
            __typename
            id
          }
        } =>
        {
          ... on User {
            address {
              __typename
              id
            }
          }
        }
      },
    },
    Flatten(path: "a") {
      Fetch(service: "a") {
        {
          ... on User {
            __typename
            id
            address {
              __typename
              id
            }
          }
        } =>
        {
          ... on User {
            city
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_may_have_fragments() -> None:
    query = "{ a { country } }"
    assert planned("requires-interface", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        a {
          __typename
          id
        }
      }
    },
    Flatten(path: "a") {
      Fetch(service: "b") {
        {
          ... on User {
            __typename
            id
          }
        } =>
        {
          ... on User {
            address {
              __typename
              ... on WorkAddress {
                city
                id
              }
            }
          }
        }
      },
    },
    Flatten(path: "a") {
      Fetch(service: "a") {
        {
          ... on User {
            __typename
            id
            address {
              __typename
              ... on WorkAddress {
                city
                id
              }
            }
          }
        } =>
        {
          ... on User {
            country
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_may_read_inaccessible_types() -> None:
    query = "{ a { requirer requirer2 } }"
    assert planned("requires-fragments", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        a {
          __typename
          id
          data {
            __typename
            foo
            ... on Baz {
              bar
              baz
            }
            ... on Qux {
              bar
              qux
            }
          }
        }
      }
    },
    Flatten(path: "a") {
      Fetch(service: "b") {
        {
          ... on Entity {
            __typename
            id
            data {
              __typename
              foo
              ... on Baz {
                bar
                baz
              }
              ... on Qux {
                bar
                qux
              }
            }
          }
        } =>
        {
          ... on Entity {
            requirer
            requirer2
          }
        }
      },
    },
  }
}\
""")


def test_a_requirement_taken_over_by_a_third_subgraph_is_read_there() -> None:
    query = "{ userInA { aName } userInB { id } userInC { cName } }"
    assert planned("override-requires", query) == snapshot("""\
QueryPlan {
  Sequence {
    Parallel {
      Fetch(service: "a") {
        {
          userInA {
            __typename
            id
          }
        }
      },
      Fetch(service: "b") {
        {
          userInB {
            id
          }
        }
      },
      Fetch(service: "c") {
        {
          userInC {
            cName
          }
        }
      },
    },
    Flatten(path: "userInA") {
      Fetch(service: "c") {
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
    },
    Flatten(path: "userInA") {
      Fetch(service: "a") {
        {
          ... on User {
            __typename
            id
            name
          }
        } =>
        {
          ... on User {
            aName
          }
        }
      },
    },
  }
}\
""")


def test_one_fetch_for_two_requirements_may_keep_a_third_waiting() -> None:
    assert planned("requires-later", "{ parcel { toll tax } }") == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "parcels") {
      {
        parcel {
          __typename
          id
          weight
        }
      }
    },
    Flatten(path: "parcel") {
      Fetch(service: "routes") {
        {
          ... on Parcel {
            __typename
            id
          }
        } =>
        {
          ... on Parcel {
            distance
          }
        }
      },
    },
    Flatten(path: "parcel") {
      Fetch(service: "prices") {
        {
          ... on Parcel {
            __typename
            id
            distance
            weight
          }
        } =>
        {
          ... on Parcel {
            toll
            fee
          }
        }
      },
    },
    Flatten(path: "parcel") {
      Fetch(service: "taxes") {
        {
          ... on Parcel {
            __typename
            id
            fee
          }
        } =>
        {
          ... on Parcel {
            tax
          }
        }
      },
    },
  }
}\
""")


def test_fetches_that_wait_for_each_other_are_not_joined() -> None:
    assert planned("requires-later", "{ parcel { toll total } }") == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "parcels") {
      {
        parcel {
          __typename
          id
          weight
        }
      }
    },
    Parallel {
      Flatten(path: "parcel") {
        Fetch(service: "routes") {
          {
            ... on Parcel {
              __typename
              id
            }
          } =>
          {
            ... on Parcel {
              distance
            }
          }
        },
      },
      Flatten(path: "parcel") {
        Fetch(service: "prices") {
          {
            ... on Parcel {
              __typename
              id
              weight
            }
          } =>
          {
            ... on Parcel {
              fee
            }
          }
        },
      },
    },
    Flatten(path: "parcel") {
      Fetch(service: "taxes") {
        {
          ... on Parcel {
            __typename
            id
            fee
          }
        } =>
        {
          ... on Parcel {
            tax
          }
        }
      },
    },
    Flatten(path: "parcel") {
      Fetch(service: "prices") {
        {
          ... on Parcel {
            __typename
            id
            tax
            distance
          }
        } =>
        {
          ... on Parcel {
            total
            toll
          }
        }
      },
    },
  }
}\
""")


def test_a_type_name_among_what_is_required_is_at_hand() -> None:
    sdl = supergraph_sdl(
        """
        type Query @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) {
          thing: Thing @join__field(graph: ALL_THINGS)
        }
        type Thing @join__type(graph: ALL_THINGS, key: "id") @join__type(graph: OTHERS, key: "id") {
          id: ID!
          owner: Owner @join__field(graph: ALL_THINGS)
          label: String @join__field(graph: ALL_THINGS, requires: "owner { __typename name }")
        }
        type Owner @join__type(graph: ALL_THINGS) { name: String }
        """
    )
    thing = Field("thing", "thing", (), (Field("label", "label"),))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    (fetch,) = plan(Supergraph.from_sdl(sdl), operation).fetches
    assert fetch.document == "{thing{label}}"
