"""Subscriptions."""

from __future__ import annotations

from inline_snapshot import snapshot

from tests.federation.planner.planned import planned


def test_the_first_fetch_is_the_stream_and_the_rest_runs_per_event() -> None:
    query = "subscription { itemChanged(id: 1) { name rank } }"
    assert planned("subscriptions", query) == snapshot("""\
QueryPlan {
  Subscription {
    Primary: {
      Fetch(service: "a") {
        {
          itemChanged(id: 1) {
            __typename
            name
            id
          }
        }
      }
    }
    Rest: {
      Flatten(path: "itemChanged") {
        Fetch(service: "b") {
          {
            ... on Item {
              __typename
              id
            }
          } =>
          {
            ... on Item {
              rank
            }
          }
        },
      }
    }
  }
}\
""")


def test_a_stream_may_need_nothing_more() -> None:
    query = "subscription { countdown(from: 3) }"
    assert planned("subscriptions", query) == snapshot("""\
QueryPlan {
  Subscription {
    Primary: {
      Fetch(service: "a") {
        {
          countdown(from: 3)
        }
      }
    }
  }
}\
""")
