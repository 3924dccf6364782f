"""`Node.id` that no graph can resolve for every type: an error, but only for `Node.id`."""

from __future__ import annotations

from typing import Any

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area, Case

ACCOUNT = {"__typename": "Account", "id": "a1", "username": "a1-username"}
CHAT = {"__typename": "Chat", "id": "c1", "text": "c1-text"}


def node_in_a(_: Any, id: Any) -> Any:  # noqa: A002
    # The chat's id is not this graph's to say.
    return {"a1": ACCOUNT, "c1": {**CHAT, "id": "never"}}.get(id)


def node_in_b(_: Any, id: Any) -> Any:  # noqa: A002
    return {"a1": {**ACCOUNT, "id": "never"}, "c1": CHAT}.get(id)


def account(_: Any, id: Any) -> Any:  # noqa: A002
    return ACCOUNT if id == "a1" else None


def chat(_: Any, id: Any) -> Any:  # noqa: A002
    return CHAT if id == "c1" else None


A = Subgraph(
    "a",
    FED2
    + """
    type Query { node(id: ID!): Node @shareable account(id: String!): Account }
    interface Node { id: ID! }
    type Account implements Node @key(fields: "id") { id: ID! username: String! }
    type Chat implements Node @key(fields: "id") { id: ID! @external account: Account! }
    """,
    {
        "Query": {"node": node_in_a, "account": account},
        "Account": {"__resolveReference": lambda key: account(None, key["id"])},
        "Chat": {"__resolveReference": lambda key: chat(None, key["id"]), "account": ACCOUNT},
    },
)
B = Subgraph(
    "b",
    FED2
    + """
    type Query { node(id: ID!): Node @shareable chat(id: String!): Chat }
    interface Node { id: ID! }
    type Account implements Node @key(fields: "id") { id: ID! @external chats: [Chat!]! }
    type Chat implements Node @key(fields: "id") { id: ID! text: String! }
    """,
    {
        "Query": {"node": node_in_b, "chat": chat},
        "Account": {"__resolveReference": lambda key: account(None, key["id"]), "chats": [CHAT]},
        "Chat": {"__resolveReference": lambda key: chat(None, key["id"])},
    },
)


def nodes(account_selections: str, chat_selections: str) -> str:
    return (
        f'{{ account: node(id: "a1") {{ {account_selections} }}'
        f' chat: node(id: "c1") {{ {chat_selections} }} }}'
    )


TYPES = {"account": {"__typename": "Account"}, "chat": {"__typename": "Chat"}}

AREA = Area(
    "corrupted-supergraph-node-id",
    [A, B],
    [
        Case('{ node(id: "a1") { id } }', None, errors=True),
        Case(nodes("__typename", "__typename"), TYPES),
        Case(
            nodes("... on Account { id username }", "... on Chat { id text }"),
            {
                "account": {"id": "a1", "username": "a1-username"},
                "chat": {"id": "c1", "text": "c1-text"},
            },
        ),
        Case(nodes("... on Chat { id }", "... on Account { id }"), {"account": {}, "chat": {}}),
        Case(nodes("__typename ... on Chat { id }", "__typename ... on Account { id }"), TYPES),
        Case(nodes("id ... on Chat { id }", "__typename ... on Account { id }"), None, errors=True),
        Case('{ chat(id: "c1") { id } }', {"chat": {"id": "c1"}}),
        Case('{ account(id: "a1") { id } }', {"account": {"id": "a1"}}),
        Case(
            '{ chat(id: "c1") { id text account { id } } }',
            {"chat": {"id": "c1", "text": "c1-text", "account": {"id": "a1"}}},
        ),
        Case(
            '{ account(id: "a1") { id username chats { id } } }',
            {"account": {"id": "a1", "username": "a1-username", "chats": [{"id": "c1"}]}},
        ),
    ],
)
