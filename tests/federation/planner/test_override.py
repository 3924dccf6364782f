"""Fields that moved."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import planned


def test_a_moved_field_is_read_from_its_new_owner() -> None:
    query = "{ items { id price } }"
    assert planned("override-labels", query) == snapshot("""\
QueryPlan {
  Fetch(service: "new") {
    {
      items {
        id
        price
      }
    }
  }
}\
""")


def test_the_root_starts_where_the_fewest_subgraphs_answer() -> None:
    query = "{ items { price name } }"
    assert planned("override-labels", query) == snapshot("""\
QueryPlan {
  Fetch(service: "new") {
    {
      items {
        price
        name
      }
    }
  }
}\
""")


def test_a_field_still_declared_for_an_interface_is_not_asked_there() -> None:
    query = "{ feed { id createdAt } }"
    assert planned("override-interface", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        feed {
          __typename
          id
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "b") {
        {
          ... on ImagePost {
            __typename
            id
          }
        } =>
        {
          ... on ImagePost {
            createdAt
          }
        }
      },
    },
  }
}\
""")


def test_a_fragment_that_cannot_apply_in_a_subgraph_is_not_sent_there() -> None:
    query = "{ feed { ... on ImagePost { id } ... on AnotherPost { createdAt } } }"
    assert planned("override-interface", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        feed {
          __typename
          id
        }
      }
    },
    Flatten(path: "feed.@") {
      Fetch(service: "b") {
        {
          ... on ImagePost {
            __typename
            id
          }
        } =>
        {
          ... on ImagePost {
            createdAt
          }
        }
      },
    },
  }
}\
""")
