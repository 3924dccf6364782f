"""Unions whose members differ."""

from __future__ import annotations

from inline_snapshot import snapshot

from gateway.federation.plan import Gate, KeyRenamer
from tests.federation.planner.planned import plan_of, planned


def test_only_members_every_subgraph_knows_are_selected_when_any_may_answer() -> None:
    query = "{ media { ... on Book { title } ... on Song { title } ... on Movie { title } } }"
    assert planned("union-intersection", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      media {
        __typename
        ... on Book {
          title
        }
      }
    }
  }
}\
""")


def test_all_members_are_selected_when_one_subgraph_answers() -> None:
    query = "{ song { ... on Song { title } } }"
    assert planned("union-intersection", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      song {
        __typename
        ... on Song {
          title
        }
      }
    }
  }
}\
""")


def test_a_field_may_be_a_member_in_one_subgraph() -> None:
    query = "{ book { ... on Book { title } } }"
    assert planned("union-intersection", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      book {
        title
      }
    }
  }
}\
""")


def test_a_subgraph_behind_an_entity_call_counts_as_one_that_may_answer() -> None:
    query = "{ container { item { ... on A { a } ... on B { b } ... on Common { c } } } }"
    assert planned("partial-union", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      container {
        item {
          __typename
          ... on Common {
            c
          }
        }
      }
    }
  }
}\
""")


def test_a_field_of_one_subgraph_has_all_its_members() -> None:
    query = "{ container { only { ... on A { a } } } }"
    assert planned("partial-union", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      container {
        only {
          __typename
          ... on A {
            a
          }
        }
      }
    }
  }
}\
""")


def test_fields_whose_types_differ_get_apart_in_the_document() -> None:
    query = "{ users { ... on User { id name tag } ... on Admin { id name tag } } }"
    assert planned("shape-conflict", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        users {
          __typename
          ... on User {
            id
            name
          }
          ... on Admin {
            _k0: id
            _k1: name
          }
        }
      }
    },
    Flatten(path: "users.@") {
      Fetch(service: "b") {
        {
          ... on User {
            __typename
            id
          }
          ... on Admin {
            __typename
            id
          }
        } =>
        {
          ... on User {
            tag
          }
          ... on Admin {
            tag
          }
        }
      },
    },
  }
}\
""")


def test_nested_fields_whose_types_differ_too() -> None:
    query = """
        {
          users { ... on User { id pals { ... on User { id } ... on Admin { id } } } ... on
          Admin { id } }
        }
    """
    assert planned("shape-conflict", query) == snapshot("""\
QueryPlan {
  Fetch(service: "a") {
    {
      users {
        __typename
        ... on User {
          id
          pals {
            __typename
            ... on User {
              id
            }
            ... on Admin {
              _k1: id
            }
          }
        }
        ... on Admin {
          _k0: id
        }
      }
    }
  }
}\
""")


def test_entities_of_two_types_whose_fields_differ_are_told_apart_by_their_type() -> None:
    query = "{ everybody { ... on User { tag rank } ... on Admin { tag rank } } }"
    found = plan_of("shape-conflict-entities", query)
    assert found.fetches[1].document == (
        "query($representations:[_Any!]!){_entities(representations:$representations)"
        "{__typename ...on User{tag rank} ...on Admin{_k0:tag rank}}}"
    )
    assert found.fetches[1].entities[0].output_rewrites == (
        KeyRenamer((Gate(frozenset({"Admin"})), "_k0"), "tag"),
    )
    assert found.key_aliases == {"_k0": "tag"}
