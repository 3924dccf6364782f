"""Two subgraphs that protect fields, types, implementers and what a `@requires` reads.

``authorization.graphql`` is their supergraph; make it anew with
``python -m tests.federation.authorization``.
"""

from __future__ import annotations

import json
from pathlib import Path

from cli import node
from cli.compose import COMPOSER
from tests.federation.subgraphs import Subgraph

__all__ = ["SUBGRAPHS", "SUPERGRAPH_FILE"]

SUPERGRAPH_FILE = Path(__file__).with_name("authorization.graphql")

_LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.9", import: ['
    '"@key", "@external", "@requires", "@shareable", "@authenticated", "@policy",'
    ' {name: "@requiresScopes", as: "@needs"}])\n'
)
_USER = {
    "__typename": "User",
    "id": "u1",
    "name": "Ada",
    "email": "ada@example.test",
    "ssn": "123",
    "card": "4000",
    "nickname": "A",
    "secretCode": "s3",
}
_OTHER = {**_USER, "id": "u2", "name": "Bob"}
_SAFE = {"id": "s1", "title": "Safe", "content": "gold", "__typename": "Safe"}
_NOTE = {"id": "n1", "title": "Note", "text": "milk", "stars": 3, "__typename": "Note"}

USERS = Subgraph(
    "users",
    _LINK
    + """
    type Query {
      me: User
      users: [User!]!
      viewer: User! @authenticated
      items: [Item]
      things: [Thing!]
      vault: Safe
      mood: Mood
      papers: [Paper]
    }
    type Mutation {
      rename(name: String!): User
      erase: Boolean @authenticated
    }
    type Subscription { erased: Boolean @authenticated }
    type User @key(fields: "id") {
      id: ID!
      name: String
      email: String @authenticated
      ssn: String! @needs(scopes: [["read:ssn", "read:all"], ["admin"]])
      card: String @policy(policies: [["cards"]])
      secretCode: String @authenticated
      nickname: String
    }
    interface Item { id: ID! title: String }
    type Safe implements Item @authenticated { id: ID! title: String content: String }
    type Note implements Item & Paper { id: ID! title: String text: String stars: Int }
    interface Paper { stars: Int }
    type Leaf implements Paper { stars: Int @needs(scopes: [["stars"]]) }
    union Thing = Safe | Note
    enum Mood @policy(policies: [["mood"]]) { GOOD BAD }
    """,
    {
        "Query": {
            "me": _USER,
            "viewer": _USER,
            "users": [_USER, _OTHER],
            "items": [_SAFE, _NOTE],
            "things": [_NOTE, _NOTE],
            "vault": _SAFE,
            "mood": "GOOD",
            "papers": [_NOTE, {"__typename": "Leaf", "stars": 5}],
        },
        "Mutation": {"rename": lambda _, name: {**_USER, "name": name}, "erase": True},
        "User": {
            "__resolveReference": lambda one: _OTHER if one["id"] == "u2" else {**_USER, **one}
        },
    },
)
BADGES = Subgraph(
    "badges",
    _LINK
    + """
    type Query { motto: String }
    type User @key(fields: "id") {
      id: ID!
      secretCode: String @external
      nickname: String @external
      # Whoever may ask for this may ask for what it reads: composition wants it said.
      badge: String @authenticated @requires(fields: "secretCode")
      label: String @requires(fields: "nickname")
      color: String
    }
    """,
    {
        "Query": {"motto": "ever on"},
        "User": {
            "badge": lambda user: f"badge of {user['secretCode']}",
            "label": lambda user: f"label of {user['nickname']}",
            "color": "red",
        },
    },
)
SUBGRAPHS = {one.name: one for one in (USERS, BADGES)}


def _compose() -> None:
    given = [
        {"name": one.name, "url": f"http://{one.name}.test", "typeDefs": one.sdl}
        for one in SUBGRAPHS.values()
    ]
    answer = json.loads(node.run(COMPOSER, stdin=json.dumps(given)))
    if "errors" in answer:
        raise SystemExit(json.dumps(answer["errors"], indent=2))
    SUPERGRAPH_FILE.write_text(answer["supergraphSdl"].strip() + "\n")


if __name__ == "__main__":
    _compose()
