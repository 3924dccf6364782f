"""A world whose every value is a function of type, id, field and arguments.

Its subgraphs and its monolith are answered by the same functions, so what one
graphql-core executor says over the merged schema is what the engine must say.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

from graphql import (
    ExecutionResult,
    GraphQLResolveInfo,
    GraphQLSchema,
    execute_sync,
    get_named_type,
    is_interface_type,
    is_list_type,
    is_non_null_type,
    parse,
)

from tests.federation.subgraphs import FED2, Subgraph
from tests.federation.suites import Area

__all__ = ["WORLD", "monolith"]

CATALOG = """
type Query {
  items(first: Int = 3): [Item!]!
  product(id: ID!): Product
  node(id: ID!): Node
  books: [Book]
  settings: Settings @shareable
  grid: [[Film]]
  root: Query!
}
type Mutation { restock(id: ID!): Book shoot(id: ID!): Film settle: User @shareable }
interface Node { id: ID! }
interface Item implements Node {
  id: ID! title(upper: Boolean = false): String! related(first: Int = 2): [Item!]
}
union Product = Book | Film
type Book implements Item & Node @key(fields: "id") @key(fields: "isbn") {
  id: ID!
  isbn: String!
  title(upper: Boolean = false): String!
  related(first: Int = 2): [Item!]
  author: User!
  dimensions: Dimensions @shareable
  price(currency: String = "USD"): Int
  code: ID!
}
type Film implements Item & Node @key(fields: "id") {
  id: ID!
  title(upper: Boolean = false): String!
  related(first: Int = 2): [Item!]
  studio: Studio
  price(currency: String = "USD"): Int!
  code: ID
}
type Studio @key(fields: "id country { code }") {
  id: ID! country: Country! name: String site: Query
}
type Country @shareable { code: String! label: String }
type Dimensions @shareable { size: Int! weight: Int unit: String }
type User @key(fields: "id") { id: ID! favourite: Product }
type Settings @shareable { version: Int! language: String nested: Nested }
type Nested @shareable { left: String }
"""
ACCOUNTS = """
type Query {
  me: User
  users(ids: [ID!] = ["1", "2"]): [User]
  members: [Member!]!
  settings: Settings @shareable
}
type Mutation { rename(id: ID!): User! settle: User @shareable leave: Left! }
type Left { user: User query: Query! visits(first: Int = 2): [Query]! }
type User @key(fields: "id") @key(fields: "email") {
  id: ID! email: String! name: String handle: String @shareable
  friends(first: Int = 1): [User!]! role: Role
}
enum Role { ADMIN MEMBER }
type Settings @shareable { version: Int! theme: String nested: Nested }
type Nested @shareable { right: String }
interface Member @key(fields: "id") { id: ID! since: Int buddy: Member }
type Person implements Member @key(fields: "id") {
  id: ID! since: Int buddy: Member age: Int user: User!
}
type Bot implements Member @key(fields: "id") { id: ID! since: Int buddy: Member engine: String }
"""
REVIEWS = """
type Query {
  reviews(first: Int = 2): [Review!]
  topReview: Review
  search(text: String): [Result]
  team: [Member!]
}
type Mutation { rate(id: ID!): Book promote(id: ID!): Member }
union Result = Book | User | Review
type Review @key(fields: "id") {
  id: ID! body(limit: Int = 5): String stars: Int!
  author: User @provides(fields: "handle") subject: Item by: Member
}
interface Item { id: ID! reviews(first: Int = 2): [Review!]! }
type Book implements Item @key(fields: "id") {
  id: ID! reviews(first: Int = 2): [Review!]! reviewCount: Int
}
type Film implements Item @key(fields: "id") {
  id: ID! reviews(first: Int = 2): [Review!]! reviewCount: Int
}
type User @key(fields: "id") {
  id: ID! handle: String @external reviews(first: Int = 2): [Review!]! score: Int
}
type Member @key(fields: "id") @interfaceObject {
  id: ID! karma: Int written: [Review!]! since: Int @external rank: Int @requires(fields: "since")
}
"""
INVENTORY = """
type Book @key(fields: "isbn") {
  isbn: String!
  dimensions: Dimensions @external
  price(currency: String = "USD"): Int @external
  inStock: Boolean
  shipping: Int @requires(fields: "price(currency: \\"EUR\\") dimensions { size weight }")
  duty: Int @requires(fields: "price(currency: \\"USD\\")")
  warehouse: Warehouse
}
type Dimensions @shareable { size: Int! weight: Int unit: String }
type Warehouse { id: ID! name: String country: Country }
type Country @shareable { code: String! label: String }
type Studio @key(fields: "id country { code }") { id: ID! country: Country! rating: Int }
type User @key(fields: "email") {
  email: String!
  score: Int @external
  name: String @external
  credit: Int @requires(fields: "score")
  label: String @requires(fields: "name score")
}
"""

COUNTS = 6
REQUIRES: Mapping[tuple[str, str], Any] = {
    ("Book", "shipping"): lambda one: (
        one["price"],
        (one["dimensions"] or {}).get("size"),
        (one["dimensions"] or {}).get("weight"),
    ),
    ("Book", "duty"): lambda one: (one["price"],),
    ("User", "credit"): lambda one: (one["score"],),
    ("User", "label"): lambda one: (one["name"], one["score"]),
    ("Member", "rank"): lambda one: (one["since"],),
}
SOURCES: Mapping[tuple[str, str], Any] = {
    ("Book", "shipping"): {"price": {"currency": "EUR"}, "dimensions": {}},
    ("Book", "duty"): {"price": {"currency": "USD"}},
    ("User", "credit"): {"score": {}},
    ("User", "label"): {"name": {}, "score": {}},
    ("Member", "rank"): {"since": {}},
}
# Fields whose value must not fail, since entities are found by them.
SURE = {"id", "isbn", "email", "country", "code", "size", "version"}
INTERFACES: dict[str, tuple[str, ...]] = {
    "Item": ("Book", "Film"),
    "Node": ("Book", "Film"),
    "Product": ("Book", "Film"),
}
INTERFACES |= {"Member": ("Person", "Bot"), "Result": ("Book", "User", "Review")}


def number(*parts: object) -> int:
    """A number that looks random and is always the same."""
    return zlib.crc32("/".join(map(str, parts)).encode())


def thing(type_name: str, key: object) -> dict[str, Any]:
    """The object of a type with an id; an abstract type's id says which type it has."""
    members = INTERFACES.get(type_name)
    if members:
        type_name = members[number(type_name, key) % len(members)]
        if members == INTERFACES["Item"]:
            type_name = members[int(str(key)) % 2]
        if members == INTERFACES["Member"]:
            type_name = members[int(str(key)) % 2]
    return {"__typename": type_name, "id": str(key)}


def owner(type_name: str, field: str) -> str:
    """The type a value hangs on: what all members have in common is the interface's."""
    if type_name in ("Person", "Bot") and field in ("karma", "written", "rank", "since"):
        return "Member"
    return type_name


def value(one: dict[str, Any], field: str, type_: Any, arguments: Mapping[str, Any]) -> Any:
    """The value of a field; raises for a few that fail, and None for a few that are null."""
    if field == "id":
        return one["id"]
    if field == "isbn":
        return f"isbn-{one['id']}"
    if field == "email":
        return f"{one['id']}@example.com"
    if field in ("product", "node"):
        known = str(arguments["id"]).isdigit() and int(arguments["id"]) < COUNTS
        return thing("Item", arguments["id"]) if known else None
    if field in ("restock", "shoot", "rename", "rate", "promote"):
        id_ = arguments["id"] if str(arguments["id"]).isdigit() else "0"
        return thing(get_named_type(type_).name, id_)
    if field == "users":
        return [thing("User", id_) for id_ in arguments["ids"] or ()]
    type_name = owner(one["__typename"], field)
    computed = REQUIRES.get((type_name, field))
    if computed:
        seed = number("computed", field, *computed(one["required"]))
        return str(seed % 1000) if field == "label" else seed % 1000
    seed = number(type_name, one["id"], field, *sorted(arguments.items()))
    if not is_non_null_type(type_) and field not in SURE:
        if seed % 13 == 0:
            raise ValueError(f"{type_name}.{field} of {one['id']} failed")
        if seed % 7 == 0:
            return None
    return shaped(type_, seed, arguments)


def shaped(type_: Any, seed: int, arguments: Mapping[str, Any]) -> Any:
    """A value of a type, from a seed."""
    if is_non_null_type(type_):
        return shaped(type_.of_type, seed, arguments)
    if is_list_type(type_):
        count = arguments.get("first", 2)
        count = 2 if count is None else max(0, min(count, 4))
        return [shaped(type_.of_type, number(seed, n), {}) for n in range(count)]
    name = get_named_type(type_).name
    match name:
        case "Int":
            return seed % 100
        case "Float":
            return seed % 100 / 4
        case "Boolean":
            return seed % 2 == 0
        case "String" | "ID":
            return f"s{seed % 100}"
        case "Query":
            return {"__typename": "Query", "id": ""}
        case "Role":
            return ("ADMIN", "MEMBER")[seed % 2]
        case _:
            return thing(name, seed % COUNTS)


def required(schema: GraphQLSchema, one: dict[str, Any], field: str) -> dict[str, Any]:
    """What a field requires, read from the world itself: a source that fails is null."""
    type_name = owner(one["__typename"], field)
    found = {}
    for name, arguments in SOURCES[type_name, field].items():
        found[name] = sure(schema, one, name, arguments)
        if name == "dimensions" and found[name]:
            below = found[name]
            found[name] = {key: sure(schema, below, key, {}) for key in ("size", "weight")}
    return found


def sure(
    schema: GraphQLSchema, one: dict[str, Any], field: str, arguments: Mapping[str, Any]
) -> Any:
    """A field's value, or None where it fails."""
    type_ = schema.type_map[one["__typename"]].fields[field].type  # type: ignore[attr-defined]
    try:
        return value(one, field, type_, arguments)
    except ValueError:
        return None


def monolith(schema: GraphQLSchema, document: str, variables: Mapping[str, Any]) -> ExecutionResult:
    """The one true answer, by the API schema."""

    def resolve(one: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
        one = one or {"__typename": info.parent_type.name, "id": ""}
        key = owner(one["__typename"], info.field_name), info.field_name
        if key in SOURCES:
            one = {**one, "required": required(schema, one, info.field_name)}
        return value(one, info.field_name, info.return_type, arguments)

    result = execute_sync(
        schema, parse(document), variable_values=dict(variables), field_resolver=resolve
    )
    assert isinstance(result, ExecutionResult)
    return result


class WorldGraph(Subgraph):
    """A subgraph answered by the world."""

    @property
    def field_resolver(self) -> Any:
        def resolve(one: Any, info: GraphQLResolveInfo[Any], **arguments: Any) -> Any:
            one = one or {"__typename": info.parent_type.name, "id": ""}
            key = owner(one["__typename"], info.field_name), info.field_name
            if key in SOURCES:
                given = one["given"]
                one = {**one, "required": {name: given.get(name) for name in SOURCES[key]}}
            return value(one, info.field_name, info.return_type, arguments)

        return resolve

    def _entity(self, representation: dict[str, Any]) -> Any:
        if "isbn" in representation:
            id_ = representation["isbn"].removeprefix("isbn-")
        elif "email" in representation:
            id_ = representation["email"].partition("@")[0]
        else:
            id_ = representation["id"]
        name = representation["__typename"]
        is_interface = is_interface_type(self.schema.type_map[name])
        found = thing(name, id_) if is_interface else {"__typename": name, "id": id_}
        return {**found, "given": representation}


def graph(name: str, sdl: str) -> WorldGraph:
    return WorldGraph(name, FED2 + sdl)


WORLD = Area(
    "../world",
    [
        graph("accounts", ACCOUNTS),
        graph("catalog", CATALOG),
        graph("inventory", INVENTORY),
        graph("reviews", REVIEWS),
    ],
    [],
    is_kept=True,
)
