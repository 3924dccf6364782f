"""Federation 1 spellings."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import planned


def test_a_key_marked_external_in_an_extension_is_its_own() -> None:
    query = "{ randomUser { id rid nickname } }"
    assert planned("fed1", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        randomUser {
          __typename
          id
          rid
        }
      }
    },
    Flatten(path: "randomUser") {
      Fetch(service: "b") {
        {
          ... on User {
            __typename
            id
          }
        } =>
        {
          ... on User {
            nickname
          }
        }
      },
    },
  }
}\
""")


def test_an_extension_is_entered_by_the_owners_key() -> None:
    query = "{ userById(id: 1) { score } }"
    assert planned("fed1", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        userById(id: 1) {
          __typename
          id
        }
      }
    },
    Flatten(path: "userById") {
      Fetch(service: "b") {
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
    Flatten(path: "userById") {
      Fetch(service: "c") {
        {
          ... on User {
            __typename
            id
            name
          }
        } =>
        {
          ... on User {
            score
          }
        }
      },
    },
  }
}\
""")
