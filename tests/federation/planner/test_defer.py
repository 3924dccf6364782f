"""What `@defer` lets wait has fetches of its own, and everything else the plan it has without."""

from __future__ import annotations

import pytest
from inline_snapshot import snapshot

from gateway.federation.plan_tree import path_strings
from tests.federation.planner.planned import plan_of, planned


def brought(source: str) -> list[str]:
    """What each fetch is for (nothing: for the first response), where, and what it asks."""
    found = []
    for fetch in plan_of("deferring", source).fetches:
        root, is_call, call = fetch.document.partition("_entities(representations:")
        asked = call.partition(")")[2][:-1] if is_call else root
        at = [".".join(path_strings(path)) for one in fetch.entities for path in one.paths]
        found.append(" ".join([fetch.part[1], fetch.subgraph, *at, asked]).strip())
    return found


def test_a_part_on_an_entity_asks_for_it_again() -> None:
    query = """{ me { name
      ... @defer(label: "report") { report { text } }
      ... @defer(label: "age") { age nick }
    } }"""
    assert planned("deferring", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "pages") {
      {
        me {
          __typename
          name
          id
        }
      }
    },
    Parallel {
      Flatten(path: "me") {
        Fetch(service: "pages", deferred: "report") {
          {
            ... on User {
              __typename
              id
            }
          } =>
          {
            ... on User {
              report {
                text
              }
            }
          }
        },
      },
      Flatten(path: "me") {
        Fetch(service: "people", deferred: "age") {
          {
            ... on User {
              __typename
              id
            }
          } =>
          {
            ... on User {
              age
            }
          }
        },
      },
      Flatten(path: "me") {
        Fetch(service: "pages", deferred: "age") {
          {
            ... on User {
              __typename
              id
            }
          } =>
          {
            ... on User {
              nick
            }
          }
        },
      },
    },
  }
}\
""")


NOTES = "items { title ... @defer { notes { text } } }"


@pytest.mark.parametrize(
    ("source", "fetches"),
    [
        # What is asked for at once as well comes at once; of a list, what is inside may wait.
        (
            "{ me { friends { name } ... @defer { friends { name bio } } } }",
            ["pages {me{friends{__typename name id}}}", "#0 pages me.friends.@ {...on User{bio}}"],
        ),
        # What two parts ask for comes with the first.
        (
            "{ me { ... @defer { bio } ... @defer { bio name friends { id } } } }",
            [
                "pages {me{__typename id}}",
                "#0 pages me {...on User{bio}}",
                "#1 pages me {...on User{name friends{id}}}",
            ],
        ),
        # A part inside another, and what only the second of two subgraphs has.
        (
            """{ me { ... @defer { friends { name
              ... @defer(label: "in") { bio friends { ... @defer { age } } }
            } } } }""",
            [
                "pages {me{__typename id}}",
                "#0 pages me {...on User{friends{__typename name id}}}",
                "in pages me.friends.@ {...on User{bio friends{__typename id}}}",
                "#2 people me.friends.@.friends.@ {...on User{age}}",
            ],
        ),
        # What a part's field requires comes with the rest, as its key does.
        (
            "{ me { name ... @defer { id greeting } } }",
            ["pages {me{__typename name id bio}}", "#0 people me {...on User{greeting}}"],
        ),
        # Interfaces are asked for again at once where their objects have a key in common.
        (
            "{ pages { title ... @defer { text } } }",
            ["pages {pages{__typename title id}}", "#0 pages pages.@ {...on Page{text}}"],
        ),
        (
            "{ items { title ... @defer { notes { text } } } }",
            [
                "pages {items{__typename title ...on Book{id} ...on Film{code}}}",
                "#0 pages items.@ {...on Book{notes{text}} ...on Film{notes{text}}}",
            ],
        ),
        # One type's part has nothing to do with another's.
        (
            "{ items { id ... on Book @defer { title } ... on Film @defer { title } } }",
            [
                "pages {items{__typename id ...on Film{code}}}",
                "#0 pages items.@|[Book] {...on Book{title}}",
                "#1 pages items.@|[Film] {...on Film{title}}",
            ],
        ),
        (
            "{ items { title ... on Book @defer { title pages } } }",
            [
                "pages {items{__typename title ...on Book{id}}}",
                "#0 pages items.@|[Book] {...on Book{pages}}",
            ],
        ),
        (
            "{ items { ... on Book { title } ... @defer { title } } }",
            ["pages {items{__typename title}}"],
        ),
        # Fragments of overlapping types: what one of them asks for at once is there for all.
        (
            """{ works {
              ... on Poem @defer { title } ... on Page @defer { title } ... on Essay { title }
            } }""",
            ["pages {works{__typename ...on Poem{title} ...on Essay{title}}}"],
        ),
        # A key may be of several fields.
        (
            "{ orders { number ... @defer { total } } }",
            [
                "pages {orders{__typename number buyer{id}}}",
                "#0 pages orders.@ {...on Order{total}}",
            ],
        ),
        # Root fields need no key.
        (
            "{ me { id } ... @defer { me { name } stats { users } } }",
            [
                "pages {me{__typename id}}",
                "#0 pages {stats{users}}",
                "#0 pages me {...on User{name}}",
            ],
        ),
    ],
)
def test_what_waits_is_fetched_apart(source: str, fetches: list[str]) -> None:
    assert brought(source) == fetches


@pytest.mark.parametrize(
    ("source", "fetches"),
    [
        # An object without a key: two answers could be of two objects.
        (
            "{ stats { users ... @defer { orders owner { id bio } } } }",
            [
                "pages {stats{users orders owner{__typename id}}}",
                "#0 pages stats.owner {...on User{bio}}",
            ],
        ),
        (
            "{ me { report { text } ... @defer { report { rows } } } }",
            ["pages {me{report{text rows}}}"],
        ),
        # A key that can be null: an object without it would be lost.
        ("{ shelves { number ... @defer { label } } }", ["pages {shelves{number label}}"]),
        # The key itself, and the type.
        ("{ me { name ... @defer { __typename id } } }", ["pages {me{__typename name id}}"]),
    ],
)
def test_what_cannot_be_asked_for_again_comes_with_the_rest(
    source: str, fetches: list[str]
) -> None:
    assert brought(source) == fetches
