"""`_entities`: grouped by type, each bad representation an error of its own."""

from __future__ import annotations

import copy
import datetime as dt
import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
import strawberry

from shared.execution import batched_reference, serve_entities
from tests.shared.execution.differential import compiled, interpreted, same

CALLS: list[Any] = []


@strawberry.enum
class Region(enum.Enum):
    EU = "eu"


@dataclass(frozen=True, slots=True)
class OwnerKey:
    id: str


@dataclass(frozen=True, slots=True)
class OrgKey:
    id: str | None = None
    slug: str | None = None
    owner: OwnerKey | None = None
    created_at: dt.date | None = None
    region: Region | None = None
    scores: list[int] | None = None
    members: list[OwnerKey] | None = None


@dataclass(frozen=True, slots=True)
class StrictKey:
    id: str
    size: int
    unknown: str = ""


@strawberry.federation.type(keys=["id"])
class User:
    id: strawberry.ID
    email: str | None = strawberry.federation.field(external=True, default=None)
    boss: User | None = None

    @strawberry.federation.field(requires=["email"])
    def greeting(self) -> str | None:
        return f"hi {self.email} of {self.boss and self.boss.id}"


@strawberry.interface
class Named:
    name: str = "named"


@strawberry.federation.type(keys=["id", "slug owner { id }"])
class Org(Named):
    id: strawberry.ID
    slug: str = "slug"
    owner: User | None = None
    created_at: dt.date | None = None
    region: Region | None = None
    scores: list[int] | None = None
    members: list[User] | None = None
    parent: Named | None = None

    @batched_reference
    @classmethod
    async def organizations(
        cls, keys: Sequence[OrgKey], info: strawberry.Info
    ) -> list[Org | ValueError | None]:
        CALLS.append((cls.__name__, list(keys), info.field_name))
        return [_org(key) for key in keys]


def _org(key: OrgKey) -> Org | ValueError | None:
    if key.id == "gone":
        return None
    if key.id == "bad":
        return ValueError("a bad one")
    return Org(id=strawberry.ID(key.id or "by slug"), slug=key.slug or "slug")


@strawberry.federation.type(keys=["id"])
class Single:
    id: strawberry.ID

    @batched_reference
    @staticmethod
    async def singles(keys: Sequence[strawberry.ID]) -> list[Single]:
        return [Single(id=key) for key in keys]


@strawberry.federation.type(keys=["id"])
class Raw:
    id: strawberry.ID
    day: dt.date | None = None

    @batched_reference
    @classmethod
    async def raws(cls, keys: Sequence[Mapping[str, Any]]) -> list[Raw]:
        CALLS.append(("Raw", list(keys)))
        return [cls(id=key["id"]) for key in keys]


@strawberry.federation.type(keys=["id"])
class Untyped:
    id: strawberry.ID

    @batched_reference
    @staticmethod
    async def untyped(keys) -> list[Untyped]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        return [Untyped(id=key["id"]) for key in keys]


@strawberry.federation.type(keys=["id"])
class Strict:
    id: strawberry.ID
    size: int = 0

    @batched_reference
    @classmethod
    async def resolve_reference(cls, keys: Sequence[StrictKey]) -> list[Strict]:
        return [cls(id=strawberry.ID(key.id), size=key.size) for key in keys]


@dataclass(frozen=True, slots=True)
class LooseKey:
    id: str
    owner: dict[str, Any] | None = None
    made: str = field(default="made", init=False)


@strawberry.federation.type(keys=["id"])
class Loose:
    id: strawberry.ID
    owner: User | None = None

    @batched_reference
    @classmethod
    async def loose(cls, keys: Sequence[LooseKey]) -> list[Loose]:
        return [cls(id=strawberry.ID(f"{key.id} {key.owner} {key.made}")) for key in keys]


@strawberry.federation.type(keys=["id"])
class Broken:
    id: strawberry.ID

    @batched_reference
    @classmethod
    async def all(cls, keys: Sequence[strawberry.ID]) -> list[Broken]:
        raise RuntimeError("all broken")


@strawberry.federation.type(keys=["id"])
class Short:
    id: strawberry.ID

    @batched_reference
    @classmethod
    async def all(cls, keys: Sequence[strawberry.ID]) -> list[Short]:
        return []


@strawberry.federation.type(keys=["id"])
class Old:
    id: strawberry.ID

    @classmethod
    async def resolve_reference(cls, info: strawberry.Info, **key: Any) -> Old:
        if key["id"] == "bad":
            raise ValueError("old and bad")
        return cls(id=key["id"] + info.field_name)


@strawberry.federation.type(keys=["id"])
class Sync:
    id: strawberry.ID

    @classmethod
    def resolve_reference(cls, id: strawberry.ID) -> Sync | None:  # noqa: A002
        return cls(id=id) if id != "gone" else None


TYPES = [User, Org, Single, Raw, Untyped, Strict, Broken, Short, Old, Sync, Loose]


def served() -> strawberry.federation.Schema:
    schema = strawberry.federation.Schema(types=TYPES)
    serve_entities(schema)
    return schema


SCHEMA = served()
TEXT = """
query($r: [_Any!]!) { _entities(representations: $r) {
  __typename ... on User { id greeting } ... on Org { id slug name } ... on Single { id }
  ... on Strict { id size } ... on Old { id } ... on Sync { id } ... on Raw { id }
  ... on Untyped { id } ... on Loose { id }
} }
"""


@pytest.mark.parametrize(
    "representations",
    [
        [],
        [{"__typename": "Org", "id": "1"}, {"__typename": "User", "id": "2", "email": "e"}],
        [{"__typename": "Org", "id": key} for key in ("1", "gone", "bad", "2")],
        [{"__typename": "Org", "slug": "s", "owner": {"id": 5}, "createdAt": "2020-01-02",
          "region": "EU", "scores": [1, 2], "members": [{"id": "m"}], "parent": {"x": 1}}],
        [{"__typename": "Org", "id": "1", "owner": None, "scores": None, "other": 1}],
        [{"__typename": "Org", "slug": "s"}, {"__typename": "Org", "slug": "s", "owner": 5},
         {"__typename": "Org", "id": None}, {"__typename": "Org", "slug": "s", "owner": [{}]},
         {"__typename": "Org"}],
        [{"__typename": "Org", "id": "1", "region": "XX"}, {"__typename": "Org", "id": [1]},
         {"__typename": "Org", "id": "1", "scores": 5}, {"__typename": "Org", "id": True},
         {"__typename": "Org", "id": "1", "members": [5]}],
        [{"__typename": "Org", "id": "1", "members": [None]}],
        [{"__typename": "Nope", "id": 1}, {"id": 1}, {"__typename": 5}, 5, "text", {}],
        [{"__typename": "Strict", "id": 1, "size": 2}, {"__typename": "Strict", "id": 1}],
        [{"__typename": name, "id": "1"} for name in ("Single", "Raw", "Untyped", "Old", "Sync")],
        [{"__typename": "Sync", "id": "1"}, {"__typename": "Sync", "id": "gone"},
         {"__typename": "Sync", "x": 1}],
        [{"__typename": "Old", "id": "bad"}, {"__typename": "User", "id": "1",
          "boss": {"id": "b"}}, {"__typename": "User"}],
        [{"__typename": "Broken", "id": "1"}, {"__typename": "Short", "id": "1"},
         {"__typename": "Single", "id": "1"}, {"__typename": "Broken", "id": "2"}],
        [{"__typename": "Single", "id": "1"}, {"__typename": "Single", "id": "2"}],
        [{"__typename": "Single", "id": "1"}, {"__typename": "Single", "id": 2}],
        [{"__typename": "Strict", "id": "1"}],
        [{"__typename": "Loose", "id": "1"}, {"__typename": "Loose", "id": "2"}],
        [{"__typename": "Loose", "id": "1", "owner": {"id": "o"}, "region": "EU"}],
        [{"__typename": "Broken", "id": "1"}, {"__typename": "Broken", "id": "2"}],
        [{"__typename": "Short", "id": "1"}],
        [None],
        5,
    ],
    ids=repr,
)  # fmt: skip
async def test_entities_are_resolved_one_by_one(representations: Any) -> None:
    before = copy.deepcopy(representations)
    await same(SCHEMA, TEXT, variables={"r": representations})
    assert representations == before


async def test_each_type_is_awaited_once_with_parsed_keys() -> None:
    CALLS.clear()
    representations = [
        {"__typename": "Org", "id": 1},
        {"__typename": "Raw", "id": 7, "day": "2020-01-02", "extra": 1},
        {"__typename": "Org", "slug": "s", "owner": {"id": 5}, "createdAt": "2020-01-02",
         "region": "EU", "scores": [1], "members": [{"id": "m"}]},
    ]  # fmt: skip
    await compiled(SCHEMA, TEXT, variables={"r": representations})
    assert [
        (
            "Org",
            [
                OrgKey(id="1"),
                OrgKey(
                    slug="s",
                    owner=OwnerKey("5"),
                    created_at=dt.date(2020, 1, 2),
                    region=Region.EU,
                    scores=[1],
                    members=[OwnerKey("m")],
                ),
            ],
            "_entities",
        ),
        ("Raw", [{"id": "7", "day": dt.date(2020, 1, 2)}]),
    ] == CALLS


async def test_what_is_wrong_with_a_representation_is_said() -> None:
    representations: list[Any] = [
        {"__typename": "Nope"},
        {},
        5,
        {"__typename": "Org", "slug": "s"},
        {"__typename": "Org", "id": "1", "region": "XX"},
        {"__typename": "Strict", "id": "1"},
        {"__typename": "Short", "id": "1"},
        {"__typename": "Org", "id": "1", "members": [None]},
    ]
    result = await compiled(SCHEMA, TEXT, variables={"r": representations})
    assert [(error.message, error.path) for error in result.errors or ()] == [
        ("This subgraph has no entity type 'Nope'", ["_entities", 0]),
        ("A representation must have a '__typename'", ["_entities", 1]),
        ("A representation must be an object", ["_entities", 2]),
        (
            'A representation of \'Org\' must have the key "id" or "slug owner { id }"',
            ["_entities", 3],
        ),
        (
            (
                "A representation of 'Org' has an invalid 'region':"
                " Value 'XX' does not exist in 'Region' enum."
            ),
            ["_entities", 4],
        ),
        ("A representation of 'Strict' must have 'size'", ["_entities", 5]),
        ("Batched resolver 'Short.all' returned too few items", ["_entities", 6]),
        (
            "A representation of 'Org' has an invalid 'members': it must not be null",
            ["_entities", 7],
        ),
    ]


async def test_without_serve_entities_strawberry_reads_references_in_batches_too() -> None:
    CALLS.clear()
    plain = strawberry.federation.Schema(types=TYPES)
    representations = [
        {"__typename": "Org", "id": "1"},
        {"__typename": "Single", "id": "2"},
        {"__typename": "Org", "id": "bad"},
    ]
    variables = {"r": representations}
    result = await interpreted(plain, TEXT, variables=copy.deepcopy(variables))
    assert result.data == (await compiled(SCHEMA, TEXT, variables=variables)).data
    assert CALLS[0] == ("Org", [OrgKey(id="1"), OrgKey(id="bad")], "_entities")


async def test_a_reference_resolver_is_still_a_class_method() -> None:
    assert (await Single.singles([strawberry.ID("1")]))[0].id == "1"
    assert (await Raw.raws([{"id": "2"}]))[0].id == "2"


def test_a_schema_without_entities_is_left_as_it_is() -> None:
    @strawberry.type
    class Query:
        a: int = 1

    schema = strawberry.Schema(Query)
    serve_entities(schema)
    assert "_entities" not in schema.as_str()


def test_a_reference_resolver_is_async_and_takes_keys() -> None:
    async def no_keys(cls: type) -> list[Any]:
        return [cls]

    def no_async(cls: type, keys: Sequence[Any]) -> list[Any]:
        return [cls, keys]

    with pytest.raises(TypeError, match="no parameter 'keys'"):
        batched_reference(no_keys)
    with pytest.raises(TypeError, match="must be an async function"):
        batched_reference(no_async)


@pytest.mark.parametrize("annotation", [str, "str"])
def test_keys_must_be_a_sequence(annotation: Any) -> None:
    async def wrong(keys: Any) -> list[Any]:
        return [keys]

    wrong.__annotations__["keys"] = annotation
    with pytest.raises(TypeError, match=r"'keys' of '.*wrong' must be a Sequence"):
        _ = batched_reference(wrong).key_class


def test_single_values_need_a_single_key() -> None:
    @strawberry.federation.type(keys=["id", "slug"])
    class Two:
        id: strawberry.ID
        slug: str

        @batched_reference
        @classmethod
        async def both(cls, keys: Sequence[str]) -> list[Any]:
            return list(keys)

    with pytest.raises(TypeError, match="'Two' has no single key"):
        serve_entities(strawberry.federation.Schema(types=[Two]))
