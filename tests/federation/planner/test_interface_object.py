"""Interfaces that are objects elsewhere."""

from __future__ import annotations

from graphql import OperationType
from inline_snapshot import snapshot

from gateway.federation.operation.selection import Field, Fragment, Operation
from gateway.federation.planner import plan
from gateway.federation.supergraph import Supergraph
from tests.federation.planner.planned import planned
from tests.federation.supergraph.sdl import supergraph_sdl


def test_a_field_it_adds_is_fetched_with_the_interfaces_name() -> None:
    query = "{ users { id nick } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "people") {
      {
        users {
          __typename
          id
        }
      }
    },
    Flatten(path: "users.@") {
      Fetch(service: "names") {
        {
          ... on Named {
            __typename
            id
          }
        } =>
        {
          ... on Named {
            nick
          }
        }
      },
    },
  }
}\
""")


def test_a_field_of_the_real_interface_is_fetched_with_the_interfaces_name() -> None:
    query = "{ others { nick name } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        others {
          __typename
          nick
          id
        }
      }
    },
    Flatten(path: "others.@") {
      Fetch(service: "people") {
        {
          ... on Named {
            __typename
            id
          }
        } =>
        {
          ... on Named {
            name
          }
        }
      },
    },
  }
}\
""")


def test_its_own_field_needs_no_real_type() -> None:
    query = "{ accounts { title } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Fetch(service: "names") {
    {
      accounts {
        title
      }
    }
  }
}\
""")


def test_the_real_type_is_asked_of_a_subgraph_that_knows_it() -> None:
    query = "{ accounts { __typename title } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        accounts {
          __typename
          id
          title
        }
      }
    },
    Flatten(path: "accounts.@") {
      Fetch(service: "people") {
        {
          ... on Account {
            __typename
            id
          }
        } =>
        {
          ... on Account {
            __typename
          }
        }
      },
    },
  }
}\
""")


def test_a_fragment_waits_for_the_real_type() -> None:
    query = "{ accounts { ... on Admin { title } } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        accounts {
          __typename
          id
        }
      }
    },
    Flatten(path: "accounts.@") {
      Fetch(service: "people") {
        {
          ... on Account {
            __typename
            id
          }
        } =>
        {
          ... on Account {
            __typename
            ... on Admin {
              id
            }
          }
        }
      },
    },
    Flatten(path: "accounts.@|[Admin]") {
      Fetch(service: "names") {
        {
          ... on Admin {
            __typename
            id
          }
        } =>
        {
          ... on Account {
            title
          }
        }
      },
    },
  }
}\
""")


def test_a_field_of_one_type_is_fetched_along_with_the_real_type() -> None:
    query = "{ others { ... on Person { age } } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        others {
          __typename
          id
        }
      }
    },
    Flatten(path: "others.@") {
      Fetch(service: "people") {
        {
          ... on Named {
            __typename
            id
          }
        } =>
        {
          ... on Named {
            __typename
            ... on Person {
              age
            }
          }
        }
      },
    },
  }
}\
""")


def test_the_same_name_may_have_an_owner_for_the_interface_and_one_for_a_type() -> None:
    query = "{ accounts { id ... on Admin { isActive } } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        accounts {
          __typename
          id
        }
      }
    },
    Flatten(path: "accounts.@") {
      Fetch(service: "people") {
        {
          ... on Account {
            __typename
            id
          }
        } =>
        {
          ... on Account {
            __typename
            ... on Admin {
              isActive
            }
          }
        }
      },
    },
  }
}\
""")


def test_the_interfaces_own_owner_is_asked_without_a_fragment() -> None:
    query = "{ accounts { id isActive } }"
    assert planned("interface-object", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "names") {
      {
        accounts {
          __typename
          id
        }
      }
    },
    Flatten(path: "accounts.@") {
      Fetch(service: "activity") {
        {
          ... on Account {
            __typename
            id
          }
        } =>
        {
          ... on Account {
            isActive
          }
        }
      },
    },
  }
}\
""")


def test_a_third_subgraph_extends_a_type_behind_it() -> None:
    query = "{ playlists { items { likes ... on Video { author } } } }"
    assert planned("interface-object-extension", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "playlist") {
      {
        playlists {
          items {
            __typename
            likes
            id
          }
        }
      }
    },
    Flatten(path: "playlists.@.items.@") {
      Fetch(service: "media") {
        {
          ... on Media {
            __typename
            id
          }
        } =>
        {
          ... on Media {
            __typename
            ... on Video {
              id
            }
          }
        }
      },
    },
    Flatten(path: "playlists.@.items.@|[Video]") {
      Fetch(service: "author") {
        {
          ... on Video {
            __typename
            id
          }
        } =>
        {
          ... on Video {
            author
          }
        }
      },
    },
  }
}\
""")


def test_its_field_may_require_one_of_the_interface() -> None:
    query = "{ anotherUsers { username } }"
    assert planned("interface-object-requires", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "b") {
      {
        anotherUsers {
          __typename
          id
        }
      }
    },
    Flatten(path: "anotherUsers.@") {
      Fetch(service: "a") {
        {
          ... on NodeWithName {
            __typename
            id
          }
        } =>
        {
          ... on NodeWithName {
            name
          }
        }
      },
    },
    Flatten(path: "anotherUsers.@") {
      Fetch(service: "b") {
        {
          ... on NodeWithName {
            __typename
            id
            name
          }
        } =>
        {
          ... on NodeWithName {
            username
          }
        }
      },
    },
  }
}\
""")


def test_its_requirement_is_read_from_the_interface_when_it_starts_there() -> None:
    query = "{ users { username } }"
    assert planned("interface-object-requires", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "a") {
      {
        users {
          __typename
          id
          name
        }
      }
    },
    Flatten(path: "users.@") {
      Fetch(service: "b") {
        {
          ... on NodeWithName {
            __typename
            id
            name
          }
        } =>
        {
          ... on NodeWithName {
            username
          }
        }
      },
    },
  }
}\
""")


def test_its_field_under_a_fragment_waits_for_type_and_requirement() -> None:
    query = "{ anotherUsers { ... on User { age username } } }"
    assert planned("interface-object-requires", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "b") {
      {
        anotherUsers {
          __typename
          id
        }
      }
    },
    Flatten(path: "anotherUsers.@") {
      Fetch(service: "a") {
        {
          ... on NodeWithName {
            __typename
            id
          }
        } =>
        {
          ... on NodeWithName {
            __typename
            ... on User {
              age
              id
              name
            }
          }
        }
      },
    },
    Flatten(path: "anotherUsers.@|[User]") {
      Fetch(service: "b") {
        {
          ... on User {
            __typename
            id
            name
          }
        } =>
        {
          ... on NodeWithName {
            username
          }
        }
      },
    },
  }
}\
""")


def test_the_real_type_is_found_out_where_it_is_known() -> None:
    sdl = supergraph_sdl(
        """
        type Query
          @join__type(graph: ALL_THINGS) @join__type(graph: OTHERS) @join__type(graph: FEW) {
          thing: Thing @join__field(graph: OTHERS)
        }
        interface Thing
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: FEW, key: "id")
          @join__type(graph: OTHERS, key: "id", isInterfaceObject: true) {
          id: ID!
        }
        type Book implements Thing
          @join__implements(graph: ALL_THINGS, interface: "Thing")
          @join__implements(graph: FEW, interface: "Thing")
          @join__type(graph: ALL_THINGS, key: "id")
          @join__type(graph: FEW, key: "id") {
          id: ID!
        }
        type Film implements Thing
          @join__implements(graph: ALL_THINGS, interface: "Thing")
          @join__type(graph: ALL_THINGS, key: "id") {
          id: ID!
          length: Int
        }
        """
    ).replace("enum join__Graph {", 'enum join__Graph { FEW @join__graph(name: "few", url: "")')
    film = Fragment("Film", (Field("length", "length"),))
    thing = Field("thing", "thing", (), (film,))
    operation = Operation(OperationType.QUERY, None, "Query", {}, (thing,))
    found = plan(Supergraph.from_sdl(sdl), operation)
    assert [fetch.subgraph for fetch in found.fetches] == ["others", "all-things"]


def test_a_field_that_one_real_type_lost_is_asked_of_each_type() -> None:
    query = "{ guests { age room } }"
    assert planned("interface-object-override", query) == snapshot("""\
QueryPlan {
  Sequence {
    Fetch(service: "rooms") {
      {
        guests {
          __typename
          id
          room
        }
      }
    },
    Flatten(path: "guests.@") {
      Fetch(service: "animals") {
        {
          ... on Animal {
            __typename
            id
          }
        } =>
        {
          ... on Animal {
            __typename
            ... on Cat {
              age
            }
            ... on Dog {
              id
            }
          }
        }
      },
    },
    Flatten(path: "guests.@|[Dog]") {
      Fetch(service: "dogs") {
        {
          ... on Dog {
            __typename
            id
          }
        } =>
        {
          ... on Dog {
            age
          }
        }
      },
    },
  }
}\
""")
