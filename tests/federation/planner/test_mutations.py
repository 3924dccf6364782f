"""Mutations, strictly in order."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import plan_of, planned


def test_the_next_field_waits_for_everything_below_the_one_before() -> None:
    query = """
        mutation {
          a: addProduct(name: "x") { isExpensive } b: addCategory(name: "y") { name } c:
          addProduct(name: "z") { available }
        }
    """
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        a: addProduct(name: "x") {
          __typename
          id
          price
        }
      }
    },
    Flatten(path: "a") {
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
          }
        }
      },
    },
    Fetch(service: "b") {
      {
        b: addCategory(name: "y") {
          name
        }
      }
    },
    Fetch(service: "a") {
      {
        c: addProduct(name: "z") {
          __typename
          id
        }
      }
    },
    Flatten(path: "c") {
      Fetch(service: "b") {
        {
          ... on Product {
            __typename
            id
          }
        } =>
        {
          ... on Product {
            available
          }
        }
      },
    },
  }
}\
""")


def test_neighbours_of_one_subgraph_share_a_document() -> None:
    query = 'mutation { a: addProduct(name: "x") { name } b: addProduct(name: "y") { name } }'
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      a: addProduct(name: "x") {
        name
      }
      b: addProduct(name: "y") {
        name
      }
    }
  }
}\
""")


def test_a_field_of_several_subgraphs_is_asked_of_one() -> None:
    query = "mutation { touch }"
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      touch
    }
  }
}\
""")


def test_a_field_of_several_subgraphs_stays_with_its_neighbours() -> None:
    query = """
        mutation {
          touch a: addCategory(name: "y") { name } b: touch c: addProduct(name: "x") { name
          }
        }
    """
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "b") {
      {
        touch
        a: addCategory(name: "y") {
          name
        }
      }
    },
    Fetch(service: "a") {
      {
        b: touch
        c: addProduct(name: "x") {
          name
        }
      }
    },
  }
}\
""")


def test_a_field_goes_where_the_next_one_must_if_that_saves_waiting() -> None:
    query = 'mutation { make { name weight } addCategory(name: "y") { name } }'
    assert planned("mutations", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "b") {
      {
        make {
          __typename
          id
        }
        addCategory(name: "y") {
          name
        }
      }
    },
    Parallel {
      Flatten(path: "make") {
        Fetch(service: "a") {
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
      Flatten(path: "make") {
        Fetch(service: "c") {
          {
            ... on Product {
              __typename
              id
            }
          } =>
          {
            ... on Product {
              weight
            }
          }
        },
      },
    },
  }
}\
""")


def test_a_long_row_of_fields_is_planned() -> None:
    fields = " ".join(
        f'a{number}: removeProduct(id: "1") b{number}: addCategory(name: "y") {{ id }}'
        for number in range(400)
    )
    fetches = plan_of("mutations", f"mutation {{ {fields} }}").fetches
    assert [fetch.subgraph for fetch in fetches] == ["a", "b"] * 400
