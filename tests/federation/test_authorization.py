"""`@authenticated`, `@requiresScopes` and `@policy`: what is refused is never asked for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random
from typing import Any

import orjson
import pytest

from gateway.context import RequestContext
from gateway.federation.operation.authorization import (
    Authorization,
    AuthorizationRules,
    Requirement,
)
from gateway.federation.operation.prepare import parse_and_validate, prepare
from gateway.federation.supergraph import Supergraph
from gateway.pipeline import Pipeline
from gateway.runtime import Runtime
from shared.auth import Identity
from shared.protocols.service import GraphQLRequest, GraphQLResult, IncrementalStream
from tests.federation.areas import areas
from tests.federation.authorization import SUBGRAPHS, SUPERGRAPH_FILE
from tests.federation.deferring import deferring, put
from tests.federation.operations import random_operation
from tests.federation.scripted import supergraph
from tests.federation.subgraphs import InMemory, Subgraph

CODE = "UNAUTHORIZED_FIELD_OR_TYPE"
KNOWN = Identity(user_id="u1")
SDL = SUPERGRAPH_FILE.read_text()


def _as_older_composers_did(sdl: str) -> str:
    """The SDL without what composition adds for implementers and for what `@requires` reads."""
    lines = []
    for line in sdl.splitlines():
        is_interface = line.startswith("interface Item")
        if is_interface or "  badge: String" in line:
            lines.append(line.replace("@authenticated", ""))
        elif lines and lines[-1].startswith("interface Paper"):
            lines.append("  stars: Int")
        else:
            lines.append(line)
    return "\n".join(lines)


class _Transport(InMemory):
    async def close(self) -> None:
        """There is nothing to close."""


class Caller:
    """Asks a gateway over both subgraphs, and sees what they were asked."""

    def __init__(self, sdl: str, *subgraphs: Subgraph) -> None:
        self.transport = _Transport(*(subgraphs or SUBGRAPHS.values()))
        self.runtime = Runtime(Supergraph.from_sdl(sdl), self.transport)
        self.pipeline = Pipeline(self.runtime, introspection=True)

    async def ask(self, query: str, **has: Any) -> tuple[Any, list[list[str | int]]]:
        """The data, and where something was refused; there are no other errors."""
        answered = await self.pipeline.execute(GraphQLRequest(query), RequestContext(**has))
        answer = orjson.loads(answered.encode())
        errors = answer.get("errors", [])
        assert {one["extensions"]["code"] for one in errors} <= {CODE}, errors
        assert not self.transport.invalid
        return answer["data"], [one["path"] for one in errors]

    @property
    def asked(self) -> str:
        """Every document the subgraphs got."""
        return "\n".join(call.document for call in self.transport.calls)


@pytest.fixture(params=["composed", "older"])
async def caller(request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A caller of the composed supergraph, and of one where rules are only where they were put."""
    made = Caller(SDL if request.param == "composed" else _as_older_composers_did(SDL))
    yield made
    await made.pipeline.close()


@pytest.fixture
async def older() -> AsyncIterator[Caller]:
    made = Caller(_as_older_composers_did(SDL))
    yield made
    await made.pipeline.close()


async def test_a_refused_field_is_null_at_its_place_and_never_asked_for(caller: Caller) -> None:
    data, refused = await caller.ask("{ me { name email nickname } }")
    assert list(data["me"].items()) == [("name", "Ada"), ("email", None), ("nickname", "A")]
    assert refused == [["me", "email"]]
    assert "email" not in caller.asked


async def test_who_has_what_is_asked_for_gets_everything(caller: Caller) -> None:
    query = "{ me { email } vault { content } viewer { badge } items { id } }"
    data, refused = await caller.ask(query, identity=KNOWN)
    assert refused == []
    assert data == {
        "me": {"email": "ada@example.test"},
        "vault": {"content": "gold"},
        "viewer": {"badge": "badge of s3"},
        "items": [{"id": "s1"}, {"id": "n1"}],
    }


async def test_the_outcome_is_part_of_what_a_plan_is_kept_under(caller: Caller) -> None:
    query = "{ me { name email } }"
    answers = [await caller.ask(query, identity=who) for who in (KNOWN, Identity(), KNOWN)]
    assert [data["me"]["email"] for data, _ in answers] == [
        "ada@example.test",
        None,
        "ada@example.test",
    ]


async def test_a_rule_on_a_type_counts_for_every_field_that_returns_it(caller: Caller) -> None:
    data, refused = await caller.ask("{ motto vault { __typename title } mood }", identity=KNOWN)
    assert data == {
        "motto": "ever on",
        "vault": {"__typename": "Safe", "title": "Safe"},
        "mood": None,
    }
    assert refused == [["mood"]]
    data, refused = await caller.ask("{ motto vault { __typename title } }")
    assert data == {"motto": "ever on", "vault": None}
    assert refused == [["vault"]]


@pytest.mark.parametrize(
    ("scopes", "is_answered"),
    [
        ({"read:ssn", "read:all"}, True),
        ({"admin"}, True),
        ({"read:ssn"}, False),
        ({"read:all", "other"}, False),
        (set(), False),
    ],
)
async def test_scopes_are_a_choice_of_sets(
    caller: Caller, scopes: set[str], is_answered: bool
) -> None:
    data, refused = await caller.ask("{ me { name ssn } motto }", scopes=frozenset(scopes))
    if is_answered:
        assert (data["me"], refused) == ({"name": "Ada", "ssn": "123"}, [])
    else:
        # The field is not nullable: the null goes up to the first that is.
        assert (data, refused) == ({"me": None, "motto": "ever on"}, [["me", "ssn"]])
        assert "ssn" not in caller.asked


async def test_a_policy_nobody_decided_on_is_denied(caller: Caller) -> None:
    query = "{ me { name card } }"
    data, refused = await caller.ask(query, identity=KNOWN, scopes=frozenset({"cards"}))
    assert (data["me"]["card"], refused) == (None, [["me", "card"]])
    data, refused = await caller.ask(query, policies=frozenset({"cards"}))
    assert (data["me"]["card"], refused) == ("4000", [])


async def test_each_element_of_a_list_has_its_own_null_and_error(caller: Caller) -> None:
    data, refused = await caller.ask("{ users { email name } }")
    assert data["users"] == [{"email": None, "name": "Ada"}, {"email": None, "name": "Bob"}]
    assert refused == [["users", 0, "email"], ["users", 1, "email"]]


async def test_nulls_of_elements_go_up_to_the_root(caller: Caller) -> None:
    data, refused = await caller.ask("{ users { name ssn } }")
    assert data is None
    assert refused == [["users", 0, "ssn"], ["users", 1, "ssn"]]


async def test_where_nothing_is_left_nothing_is_asked(caller: Caller) -> None:
    data, refused = await caller.ask("{ me { email card } vault { content } }")
    assert data == {"me": None, "vault": None}
    assert refused == [["me", "email"], ["me", "card"], ["vault"]]
    assert caller.transport.calls == []


async def test_a_list_with_nothing_left_is_null_and_so_is_what_needs_it(caller: Caller) -> None:
    data, refused = await caller.ask("{ users { email } }")
    assert (data, refused) == (None, [["users"]])
    assert caller.transport.calls == []


async def test_an_alias_shows_nothing_the_engine_read_for_itself(caller: Caller) -> None:
    # The color needs the key `id`, which is read under the very name the alias has.
    data, refused = await caller.ask("{ me { id: email color } }")
    assert data == {"me": {"id": None, "color": "red"}}
    assert refused == [["me", "id"]]


async def test_a_mutation_that_is_refused_does_not_happen(caller: Caller) -> None:
    query = 'mutation { erase rename(name: "Eve") { email name } }'
    data, refused = await caller.ask(query)
    assert data == {"erase": None, "rename": {"email": None, "name": "Eve"}}
    assert sorted(refused, key=len) == [["erase"], ["rename", "email"]]
    assert "erase" not in caller.asked
    data, _ = await caller.ask(query, identity=KNOWN)
    assert data["erase"] is True


async def test_a_refused_subscription_opens_no_stream(caller: Caller) -> None:
    request = GraphQLRequest("subscription { erased }")
    stream = await caller.pipeline.subscribe(request, RequestContext())
    assert not isinstance(stream, GraphQLResult)
    answers = [orjson.loads(one.encode()) async for one in stream]
    assert [(one["data"], one["errors"][0]["path"]) for one in answers] == [
        ({"erased": None}, ["erased"])
    ]
    assert caller.transport.calls == []


async def test_introspection_is_for_everybody(caller: Caller) -> None:
    query = '{ __typename __type(name: "User") { fields { name } } me { __typename email } }'
    data, refused = await caller.ask(query)
    assert data["__typename"] == "Query"
    assert "email" in [one["name"] for one in data["__type"]["fields"]]
    assert data["me"] == {"__typename": "User", "email": None}
    assert refused == [["me", "email"]]


async def test_what_requires_reads_counts(older: Caller) -> None:
    data, refused = await older.ask("{ me { badge label } }")
    assert data == {"me": {"badge": None, "label": "label of A"}}
    assert refused == [["me", "badge"]]
    assert "secretCode" not in older.asked
    data, _ = await older.ask("{ me { badge } }", identity=KNOWN)
    assert data == {"me": {"badge": "badge of s3"}}


async def test_a_field_of_an_interface_is_refused_for_any_implementer(older: Caller) -> None:
    data, refused = await older.ask("{ papers { __typename stars } }")
    # Also where the object turns out to be one that asks for nothing.
    assert data["papers"] == [
        {"__typename": "Note", "stars": None},
        {"__typename": "Leaf", "stars": None},
    ]
    assert refused == [["papers", 0, "stars"], ["papers", 1, "stars"]]
    assert "stars" not in older.asked
    data, refused = await older.ask("{ papers { stars } }", scopes=frozenset({"stars"}))
    assert (data, refused) == ({"papers": [{"stars": 3}, {"stars": 5}]}, [])


async def test_a_fragment_is_refused_for_its_own_types_only(older: Caller) -> None:
    data, refused = await older.ask("{ papers { ... on Note { stars } ... on Leaf { stars } } }")
    assert data == {"papers": [{"stars": 3}, {"stars": None}]}
    assert refused == [["papers", 1, "stars"]]


async def test_objects_of_a_refused_type_are_null(older: Caller) -> None:
    data, refused = await older.ask("{ items { ... on Note { title } ... on Safe { content } } }")
    assert data == {"items": [None, {"title": "Note"}]}
    assert refused == [["items", 0]]
    assert "content" not in older.asked


async def test_a_rule_on_an_interface_counts_for_what_returns_it() -> None:
    caller = Caller(SDL)
    data, refused = await caller.ask("{ motto items { ... on Note { title } } }")
    assert (data, refused) == ({"motto": "ever on", "items": None}, [["items"]])
    await caller.pipeline.close()


async def test_the_members_of_a_union_are_judged_one_by_one(caller: Caller) -> None:
    query = "{ things { __typename ... on Note { text } ... on Safe { content } } }"
    data, refused = await caller.ask(query)
    assert data == {"things": [{"__typename": "Note", "text": "milk"}] * 2}
    assert refused == []
    assert "content" not in caller.asked
    data, refused = await caller.ask("{ motto things { ... on Safe { content } } }")
    assert (data, refused) == ({"motto": "ever on", "things": None}, [["things"]])


async def parts(caller: Caller, query: str, **has: Any) -> list[Any]:
    """The parts of an answer; every fetch of theirs was allowed."""
    request = GraphQLRequest(query, incremental="deferspec=20220824")
    answer = await caller.pipeline.subscribe(request, RequestContext(**has))
    assert isinstance(answer, IncrementalStream)
    shown = [orjson.loads(part.encode()) async for part in answer]
    assert not caller.transport.invalid
    return shown


def refused_in(part: Any) -> list[Any]:
    """Where something was refused in one part, or in one patch."""
    return [one["path"] for one in part.get("errors", []) if one["extensions"]["code"] == CODE]


async def test_what_is_refused_at_once_does_not_wait_for_what_is_deferred(caller: Caller) -> None:
    first, second = await parts(caller, "{ me { email name ... @defer { color } } }")
    assert first["data"] == {"me": {"email": None, "name": "Ada"}}
    assert refused_in(first) == [["me", "email"]]
    assert second["incremental"] == [{"path": ["me"], "data": {"color": "red"}}]


async def test_what_is_refused_in_a_deferred_part_is_null_there(caller: Caller) -> None:
    query = "{ me { name ... @defer { badge color } } }"
    first, second = await parts(caller, query)
    assert first["data"] == {"me": {"name": "Ada"}}
    assert refused_in(first) == []
    (patch,) = second["incremental"]
    assert patch["data"] == {"badge": None, "color": "red"}
    assert refused_in(patch) == [["me", "badge"]]
    assert "secretCode" not in caller.asked
    _, second = await parts(caller, query, identity=KNOWN)
    assert second["incremental"][0]["data"] == {"badge": "badge of s3", "color": "red"}


async def test_a_refused_null_bubbles_to_its_part_and_no_further(caller: Caller) -> None:
    first, second = await parts(caller, "{ users { name ... @defer { ssn color } } }")
    assert first["data"] == {"users": [{"name": "Ada"}, {"name": "Bob"}]}
    assert [patch["data"] for patch in second["incremental"]] == [None, None]
    refused = [refused_in(patch) for patch in second["incremental"]]
    assert refused == [[["users", 0, "ssn"]], [["users", 1, "ssn"]]]


async def test_an_object_of_which_all_is_refused_is_null_at_once(caller: Caller) -> None:
    query = "{ motto me { ... @defer { email } } viewer: me { name ... @defer { color } } }"
    first, second = await parts(caller, query)
    assert first["data"] == {"motto": "ever on", "me": None, "viewer": {"name": "Ada"}}
    assert refused_in(first) == [["me", "email"]]
    assert [patch["path"] for patch in second["incremental"]] == [["viewer"]]


async def test_an_object_of_a_refused_type_gets_no_part(caller: Caller) -> None:
    query = """{
      things { __typename ... on Note @defer { text } ... on Safe @defer { content } }
      me { ... @defer { color } }
    }"""
    first, *rest = await parts(caller, query)
    assert first["data"]["things"] == [{"__typename": "Note"}] * 2
    found = {str(patch["path"]): patch["data"] for one in rest for patch in one["incremental"]}
    assert found["['things', 0]"] == {"text": "milk"}
    assert "content" not in caller.asked


async def test_whatever_is_deferred_the_same_is_refused(caller: Caller) -> None:
    seen = whole_parts = 0
    for seed in range(160):
        random = Random(seed)  # noqa: S311
        whole = random_operation(caller.runtime.supergraph.api_schema, random)
        has: dict[str, Any] = {
            "identity": random.choice((KNOWN, Identity())),
            "scopes": frozenset(random.choice(((), ("admin",), ("stars",)))),
        }
        request = GraphQLRequest(deferring(whole, random), incremental="deferspec=20220824")
        stream = await caller.pipeline.subscribe(request, RequestContext(**has))
        if isinstance(stream, GraphQLResult):
            continue
        seen += 1
        first, *rest = [orjson.loads(part.encode()) async for part in stream]
        together, told = first["data"], refused_in(first)
        patches = [patch for part in rest for patch in part["incremental"]]
        for patch in patches:
            told += refused_in(patch)
            if patch["data"] is not None:
                together = put(together, patch["path"], patch["data"])
        plain, refused = await caller.ask(whole, **has)
        assert {str(path) for path in told} <= {str(path) for path in refused}, request.query
        # Of what a null took along nothing more is told.
        if first["data"] is not None and all(patch["data"] is not None for patch in patches):
            whole_parts += 1
            assert together == plain, request.query
            assert sorted(map(str, told)) == sorted(map(str, refused)), request.query
    assert seen > whole_parts > 10


def test_a_supergraph_without_rules_has_none() -> None:
    bare = SDL
    for directive in ("@authenticated", '@policy(policies: [["', "@requiresScopes(scopes: [["):
        bare = "\n".join(
            line.split(f" {directive}")[0] + (" {" if line.endswith("{") else "")
            if f" {directive}" in line and not line.startswith(("directive", "schema"))
            else line
            for line in bare.splitlines()
        )
    assert AuthorizationRules.of(Supergraph.from_sdl(bare)) is None
    assert AuthorizationRules.of(supergraph()) is None


async def test_directives_are_found_under_the_names_they_are_linked_as() -> None:
    renamed = SDL.replace("@authenticated", "@loggedIn").replace(
        'authenticated/v0.1", for', 'authenticated/v0.1", as: "loggedIn", for'
    )
    assert "@loggedIn" in renamed
    caller = Caller(renamed)
    assert await caller.ask("{ me { name email } }") == (
        {"me": {"name": "Ada", "email": None}},
        [["me", "email"]],
    )
    await caller.pipeline.close()


def _guarded(area: str, field: str) -> AuthorizationRules:
    """The rules of a conformance area where each field that is written so needs a caller."""
    sdl = next(one for one in areas() if one.name == area).supergraph_file.read_text()
    link = '@link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)'
    sdl = sdl.replace("\nschema\n", f"\nschema {link}\n", 1).replace(
        field, f"{field} @authenticated"
    )
    definition = "directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM"
    rules = AuthorizationRules.of(Supergraph.from_sdl(f"{sdl}\n{definition}"))
    assert rules is not None
    assert AuthorizationRules.of(rules.supergraph) is rules
    return rules


def _protected(rules: AuthorizationRules) -> set[tuple[str, str]]:
    unmet = rules.unmet(Authorization())
    return {coordinate for coordinate, asked in rules.fields.items() if asked & unmet}


def test_fields_of_an_interface_object_keep_their_rules_on_every_type() -> None:
    rules = _guarded("interface-object-with-requires", '@join__field(graph: B, requires: "name")')
    assert _protected(rules) == {("NodeWithName", "username"), ("User", "username")}


def test_what_the_requires_of_an_interface_object_reads_counts() -> None:
    rules = _guarded("interface-object-with-requires", "  name: String\n  age: Int")
    assert _protected(rules) == {("User", "age")}
    rules = _guarded("interface-object-with-requires", "  name: String")
    assert ("User", "username") in _protected(rules)
    assert ("NodeWithName", "username") in _protected(rules)


def test_what_fragments_of_a_requires_read_counts() -> None:
    rules = _guarded("requires-with-fragments", "  qux: String!")
    assert _protected(rules) == {("Qux", "qux"), ("Entity", "requirer")}
    rules = _guarded("requires-with-fragments", "  foo: String!")
    assert ("Entity", "requirer2") in _protected(rules)


def test_a_choice_of_nothing_is_never_met_and_a_choice_of_no_conditions_always() -> None:
    assert not Requirement("requiresScopes").met_by(Authorization(scopes=frozenset({"all"})))
    assert Requirement("policy", (frozenset(),)).met_by(Authorization())


LINKS = """
schema
  @link(url: "https://specs.apollo.dev/link/v1.0")
  @link(url: "https://specs.apollo.dev/join/v0.3", for: EXECUTION)
  @link(url: "https://specs.apollo.dev/authenticated/v0.1", for: SECURITY)
  @link(url: "https://specs.apollo.dev/requiresScopes/v0.1", for: SECURITY)
  @link(url: "https://specs.apollo.dev/policy/v0.1", for: SECURITY)
{ query: Query }
directive @link(url: String, as: String, for: link__Purpose, import: [link__Import])
  repeatable on SCHEMA
directive @join__graph(name: String!, url: String!) on ENUM_VALUE
directive @join__type(graph: join__Graph!, key: join__FieldSet, isInterfaceObject: Boolean)
  repeatable on OBJECT | INTERFACE | UNION
directive @join__field(graph: join__Graph, requires: join__FieldSet, external: Boolean)
  repeatable on FIELD_DEFINITION
directive @join__implements(graph: join__Graph!, interface: String!) repeatable on OBJECT
directive @join__unionMember(graph: join__Graph!, member: String!) repeatable on UNION
directive @authenticated on FIELD_DEFINITION | OBJECT | INTERFACE | SCALAR | ENUM
directive @requiresScopes(scopes: [[String!]!]) on FIELD_DEFINITION
directive @policy(policies: [[String!]!]) on FIELD_DEFINITION
scalar link__Import
scalar join__FieldSet
enum link__Purpose { SECURITY EXECUTION }
enum join__Graph { A @join__graph(name: "a", url: "") B @join__graph(name: "b", url: "") }
"""


def _rules(types: str) -> AuthorizationRules:
    rules = AuthorizationRules.of(Supergraph.from_sdl(LINKS + types))
    assert rules is not None
    return rules


FOUND = """
type Query @join__type(graph: A) { found: [Found] }
union Found @join__type(graph: A)
  @join__unionMember(graph: A, member: "Book") @join__unionMember(graph: A, member: "Film")
  = Book | Film
type Book @join__type(graph: A) { writer: Person }
type Film @join__type(graph: A) { writer: Person }
type Person @join__type(graph: A) { name: String phone: String @authenticated }
"""


def _finding(*found: dict[str, Any]) -> Caller:
    sdl = """
    type Query { found: [Found] }
    union Found = Book | Film
    type Book { writer: Person }
    type Film { writer: Person }
    type Person { name: String phone: String }
    """
    return Caller(LINKS + FOUND, Subgraph("a", sdl, {"Query": {"found": list(found)}}))


async def test_what_is_refused_of_one_type_is_not_refused_of_another() -> None:
    ada = {"name": "Ada", "phone": "1"}
    caller = _finding(*({"__typename": name, "writer": ada} for name in ("Book", "Film")))
    data, refused = await caller.ask(
        "{ found { ... on Book { writer { name phone } } ... on Film { writer { name } } } }"
    )
    writers = [{"name": "Ada", "phone": None}, {"name": "Ada"}]
    assert data == {"found": [{"writer": one} for one in writers]}
    assert refused == [["found", 0, "writer", "phone"]]
    await caller.pipeline.close()


async def test_nothing_is_refused_of_what_is_not_there() -> None:
    caller = _finding({"__typename": "Book", "writer": None})
    query = "{ found { ... on Book { writer { name phone } } } }"
    assert await caller.ask(query) == ({"found": [{"writer": None}]}, [])
    caller.transport.down.add("a")
    answered = await caller.pipeline.execute(GraphQLRequest(query), RequestContext())
    assert [one["extensions"]["code"] for one in answered.errors] == ["DOWN"]
    await caller.pipeline.close()


async def test_an_answer_of_another_shape_is_not_looked_into() -> None:
    caller = _finding({"__typename": "Book", "writer": None})
    caller.transport.subgraphs["a"] = Subgraph(
        "a",
        """type Query { found: [Found] } union Found = Book type Book { writer: Person }
        type Person { name: String }""",
        {"Query": {"found": None}},
    )
    query = "{ found { ... on Book { writer { name phone } } } }"
    assert (await caller.ask(query))[0] == {"found": None}
    await caller.pipeline.close()


def test_what_is_read_over_two_ways_is_followed_once() -> None:
    rules = _rules(
        """
        type Query @join__type(graph: A) { t: T @join__field(graph: A) }
        type T @join__type(graph: A, key: "id") @join__type(graph: B, key: "id") {
          id: ID!
          base: Int @authenticated @join__field(graph: A) @join__field(graph: B, external: true)
          one: Int @join__field(graph: B, requires: "base") @join__field(graph: A, external: true)
          two: Int @join__field(graph: B, requires: "base") @join__field(graph: A, external: true)
          both: Int @join__field(graph: A, requires: "one two")
          kind: Int @join__field(graph: A, requires: "__typename id")
        }
        """
    )
    names = {name for _, name in _protected(rules)}
    assert names == {"base", "one", "two", "both"}


def test_only_an_interface_object_gives_its_rules_to_what_it_adds() -> None:
    rules = _rules(
        """
        type Query @join__type(graph: A) { users: [User] @join__field(graph: A) }
        interface Plain @join__type(graph: A) { id: ID! }
        interface Named @join__type(graph: A, key: "id")
          @join__type(graph: B, key: "id", isInterfaceObject: true)
        { id: ID! nick: String @authenticated @join__field(graph: B) }
        type User implements Plain & Named
          @join__implements(graph: A, interface: "Plain")
          @join__implements(graph: A, interface: "Named")
          @join__type(graph: A, key: "id")
        { id: ID! nick: String @join__field }
        """
    )
    assert _protected(rules) == {("Named", "nick"), ("User", "nick")}


@pytest.mark.parametrize(
    ("written", "met", "unmet"),
    [
        ('@requiresScopes(scopes: "a")', {"a"}, {"b"}),
        ('@requiresScopes(scopes: ["a", ["b", "c"]])', {"b", "c"}, {"b"}),
        ('@requiresScopes(scopes: [["a"]]) @authenticated', {"a"}, {"b"}),
        ("@requiresScopes", None, {"a", "b"}),
    ],
)
def test_scopes_are_read_as_graphql_reads_lists(
    written: str, met: set[str] | None, unmet: set[str]
) -> None:
    rules = _rules(f"type Query @join__type(graph: A) {{ a: Int {written} }}")
    assert rules.unmet(Authorization(authenticated=True, scopes=frozenset(unmet)))
    if met is not None:
        assert not rules.unmet(Authorization(authenticated=True, scopes=frozenset(met)))


def test_what_was_refused_is_told_once_each_in_the_order_of_the_operation() -> None:
    schema = Supergraph.from_sdl(SDL).api_schema
    rules = AuthorizationRules.of(Supergraph.from_sdl(SDL))
    assert rules is not None
    query = "{ me { name email } me { email card } users { ssn } things { ... on Safe { title } } }"
    operation = prepare(schema, parse_and_validate(schema, query)).fold({})
    _, refusals = rules.prune(operation, rules.unmet(Authorization()))
    assert refusals is not None
    assert [error["path"] for error in refusals.errors] == [
        ["users"],
        ["things"],
        ["me", "email"],
        ["me", "card"],
    ]


async def test_an_operation_may_be_refused_as_a_whole_or_only_be_logged() -> None:
    query = "{ me { name email } }"
    for refuse, status, asked in (("operation", 403, ""), ("nothing", 200, "email")):
        transport = _Transport(*SUBGRAPHS.values())
        runtime = Runtime(Supergraph.from_sdl(SDL), transport, refuse=refuse)  # type: ignore[arg-type]
        pipeline = Pipeline(runtime)
        answer = await pipeline.execute(GraphQLRequest(query), RequestContext())
        assert answer.status == status
        assert asked in "".join(call.document for call in transport.calls)
        assert bool(transport.calls) is bool(asked)
        allowed = await pipeline.execute(GraphQLRequest("{ me { name } }"), RequestContext())
        assert allowed.data == {"me": {"name": "Ada"}}
        if status == 403:
            assert [one["path"] for one in answer.errors] == [["me", "email"]]
        await pipeline.close()


async def test_what_only_data_can_show_is_refused_in_the_data() -> None:
    transport = _Transport(*SUBGRAPHS.values())
    pipeline = Pipeline(Runtime(Supergraph.from_sdl(SDL), transport, refuse="operation"))
    query = "{ things { __typename } }"
    answer = await pipeline.execute(GraphQLRequest(query), RequestContext())
    assert answer.data == {"things": [{"__typename": "Note"}] * 2}
    await pipeline.close()
