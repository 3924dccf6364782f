"""Resolvers written for many parents at once.

    @strawberry.federation.type(keys=["id"])
    class Organization:
        id: strawberry.ID

        @batched(description="Who belongs to the organization.")
        @staticmethod
        async def members(
            parents: Sequence[Organization], info: strawberry.Info, first: int = 20
        ) -> list[MemberConnection | NexusError]:
            ...  # one item per parent, in their order

A batched field is awaited once per selection, with every parent of that
selection, whatever the number of parents.  An exception among the items is the
error of that parent alone; an exception that is raised is the error of all.
The GraphQL type is the list's item type, exceptions left out.

The field is an ordinary Strawberry field: graphql-core alone serves it too,
through an `aiodataloader` that lives as long as the execution and caches
nothing beyond it.  `shared.execution.executor` calls it directly.

`batched_resolver` gives the same to a schema made with graphql-core, and
`batched_reference` to the reference resolver of an entity
(`shared.execution.entities`).
"""

from __future__ import annotations

import inspect
import typing
from asyncio import Future, gather
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import or_
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Protocol, Union, cast, overload
from weakref import WeakKeyDictionary

from aiodataloader import DataLoader
from strawberry.annotation import StrawberryAnnotation
from strawberry.federation.params import process_federation_field_directives
from strawberry.types.field import StrawberryField
from strawberry.types.fields.resolver import ReservedName, StrawberryResolver

if TYPE_CHECKING:
    from graphql import GraphQLResolveInfo
    from graphql.pyutils import Path
    from strawberry.extensions import FieldExtension
    from strawberry.federation.params import FederationFieldParams
    from strawberry.permission import BasePermission
    from strawberry.types import Info
    from typing_extensions import Unpack

__all__ = [
    "BatchFunction",
    "BatchedField",
    "BatchedResolver",
    "batched",
    "batched_resolver",
    "checked_items",
]

BatchFunction = Callable[..., Awaitable[Sequence[object]]]


# --- what both executors share ------------------------------------------------------------


def checked_items(items: object, count: int, name: str) -> Sequence[object]:
    """The items a batched resolver returned, if there is one for each parent.

    Raises TypeError, which becomes the error of every parent.
    """
    if not isinstance(items, list | tuple):
        raise TypeError(f"Batched resolver '{name}' must return a list, not {type(items).__name__}")
    if len(items) != count:
        number = "few" if len(items) < count else "many"
        raise TypeError(f"Batched resolver '{name}' returned too {number} items")
    return items


# --- under plain graphql-core -------------------------------------------------------------


class _Call(NamedTuple):
    """One parent waiting for its item."""

    parent: Any
    info: Any
    arguments: Mapping[str, Any]


class CallBatch(Protocol):
    """Calls a batch function for many parents of one selection."""

    def __call__(
        self, parents: list[Any], info: Any, arguments: Mapping[str, Any], /
    ) -> Awaitable[Sequence[object]]: ...


# Per running execution (an object made for each request), the loaders of its selections:
# they disappear with it, so nothing can leak from one request into another.
_loaders: WeakKeyDictionary[object, dict[object, DataLoader[_Call, object]]] = WeakKeyDictionary()


def load(
    call: CallBatch, name: str, parent: object, info: Any, arguments: Mapping[str, Any], raw: Any
) -> Awaitable[object]:
    """The item of one parent, read together with those of its selection."""
    execution = raw.async_helpers.gather.__self__
    loaders = _loaders.setdefault(execution, {})
    selection = (name, _selection(raw.path))
    loader = loaders.get(selection)
    if loader is None:
        loader = loaders[selection] = _loader(call, name)
    item = loader.load(_Call(parent, info, arguments))
    item.add_done_callback(_seen)  # also when graphql-core has given up waiting for it
    return item


def _seen(item: Future[object]) -> None:
    if not item.cancelled():
        item.exception()


def _selection(path: Path | None) -> tuple[object, ...]:
    """The response path without list indices: the same for all parents of a selection."""
    keys: list[object] = []
    while path is not None:
        if path.typename is not None:
            keys.append((path.key, path.typename))
        path = path.prev
    return tuple(keys)


def _loader(call: CallBatch, name: str) -> DataLoader[_Call, object]:
    async def load_calls(calls: list[_Call]) -> list[object]:
        groups = _by_arguments(calls)
        if len(groups) == 1:
            return await read(calls)
        items: list[object] = [None] * len(calls)
        answers = await gather(
            *(read([calls[index] for index in group]) for group in groups), return_exceptions=True
        )
        for group, answer in zip(groups, answers, strict=True):
            for position, index in enumerate(group):
                items[index] = answer if isinstance(answer, BaseException) else answer[position]
        return items

    async def read(calls: list[_Call]) -> list[object]:
        parents = [each.parent for each in calls]
        first = calls[0]
        items = await call(parents, first.info, first.arguments)
        return list(checked_items(items, len(parents), name))

    return DataLoader(load_calls, cache=False)


def _by_arguments(calls: list[_Call]) -> list[list[int]]:
    """Indices of the calls with equal arguments.

    One group, unless a field extension changes the arguments for some parents.
    """
    groups: list[list[int]] = []
    for index, each in enumerate(calls):
        for group in groups:
            if calls[group[0]].arguments == each.arguments:
                group.append(index)
                break
        else:
            groups.append([index])
    return groups


@dataclass(frozen=True, slots=True)
class BatchedResolver:
    """A graphql-core resolver that reads many parents at once.

    ``function(parents, info, **arguments)`` gets graphql-core's info, with the
    path of the first parent.
    """

    function: BatchFunction
    name: str

    def __call__(self, source: Any, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
        """Resolve one parent: what graphql-core calls."""
        return load(self.many, self.name, source, info, arguments, info)

    def many(
        self, parents: list[Any], info: GraphQLResolveInfo[Any], arguments: Mapping[str, Any]
    ) -> Awaitable[Sequence[object]]:
        """Resolve all parents of a selection."""
        return self.function(parents, info, **arguments)


def batched_resolver(function: BatchFunction) -> BatchedResolver:
    """A resolver for graphql-core schemas: ``function(parents, info, **arguments)``."""
    return BatchedResolver(function, getattr(function, "__qualname__", repr(function)))


# --- as a Strawberry field ----------------------------------------------------------------


class _ItemAnnotation(StrawberryAnnotation):
    """The return annotation of a batch function, read as the type of one item."""

    __slots__ = ()

    def evaluate(self) -> type[Any]:
        evaluated: Any = super().evaluate()
        item = typing.get_args(evaluated)[:1]
        if typing.get_origin(evaluated) not in (list, Sequence) or not item:
            raise TypeError(f"A batched field returns list[...], not {evaluated!r}")
        return cast("type[Any]", _without_exceptions(item[0]))


def _without_exceptions(annotation: Any) -> Any:
    if typing.get_origin(annotation) is Annotated:
        inner, *metadata = typing.get_args(annotation)
        return Annotated[(_without_exceptions(inner), *metadata)]
    if typing.get_origin(annotation) not in (Union, UnionType):
        return annotation
    kept = [each for each in typing.get_args(annotation) if not _is_exception(each)]
    return reduce(or_, kept) if kept else NoneType


def _is_exception(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseException)


_PARENTS = ReservedName("parents")


class _BatchStrawberryResolver(StrawberryResolver[Any]):
    """A Strawberry resolver whose ``parents`` is no argument and whose type is one item's."""

    RESERVED_PARAMSPEC = (*StrawberryResolver.RESERVED_PARAMSPEC, _PARENTS)

    @cached_property
    def type_annotation(self) -> StrawberryAnnotation | None:
        annotation = self.signature.return_annotation
        if annotation is inspect.Signature.empty:
            return None
        return _ItemAnnotation(annotation, namespace=self._namespace)


class BatchedField(StrawberryField):
    """A Strawberry field resolved for many parents at once; made by `batched`."""

    def get_result(
        self, source: Any, info: Info | None, args: list[Any], kwargs: Any
    ) -> Awaitable[Any]:
        """The item of one parent: what Strawberry calls under graphql-core."""
        assert info is not None  # Strawberry leaves it out for fields without a resolver only
        arguments = {name: value for name, value in kwargs.items() if name != self.info_name}
        return load(self.many, self.batch_name, source, info, arguments, info._raw_info)

    def many(
        self, parents: list[Any], info: Any, arguments: Mapping[str, Any]
    ) -> Awaitable[Sequence[object]]:
        """The items of all parents of a selection; ``arguments`` are the converted ones."""
        assert self.base_resolver is not None
        function = cast("BatchFunction", self.base_resolver.wrapped_func)
        if self.info_name is None:
            return function(parents=parents, **arguments)
        return function(parents=parents, **{self.info_name: info}, **arguments)

    @cached_property
    def info_name(self) -> str | None:
        """The parameter that takes the info, if the function asks for it."""
        assert self.base_resolver is not None
        parameter = self.base_resolver.info_parameter
        return parameter.name if parameter else None

    @property
    def batch_name(self) -> str:
        """The function's name, as errors show it."""
        assert self.base_resolver is not None
        return str(self.base_resolver._unbound_wrapped_func.__qualname__)


@overload
def batched(function: BatchFunction, /) -> StrawberryField: ...


@overload
def batched(
    *,
    name: str | None = None,
    description: str | None = None,
    deprecation_reason: str | None = None,
    permission_classes: list[type[BasePermission]] | None = None,
    extensions: list[FieldExtension] | None = None,
    directives: Sequence[object] = (),
    metadata: Mapping[Any, Any] | None = None,
    graphql_type: Any | None = None,
    **federation: Unpack[FederationFieldParams],
) -> Callable[[BatchFunction], StrawberryField]: ...


def batched(
    function: BatchFunction | None = None,
    /,
    *,
    name: str | None = None,
    description: str | None = None,
    deprecation_reason: str | None = None,
    permission_classes: list[type[BasePermission]] | None = None,
    extensions: list[FieldExtension] | None = None,
    directives: Sequence[object] = (),
    metadata: Mapping[Any, Any] | None = None,
    graphql_type: Any | None = None,
    **federation: Unpack[FederationFieldParams],
) -> StrawberryField | Callable[[BatchFunction], StrawberryField]:
    """Make a Strawberry field of ``async def field(parents, info, …) -> list[Item]``.

    Takes what `strawberry.federation.field` takes; permissions and field
    extensions run for each parent, as they do on any field, before the parents
    they let through are read together.  ``graphql_type`` is the type of one
    item, when it differs from the annotation.
    """

    def decorate(function: BatchFunction) -> StrawberryField:
        _check_signature(function)
        field = BatchedField(
            graphql_name=name,
            type_annotation=StrawberryAnnotation.from_annotation(graphql_type),
            description=description,
            deprecation_reason=deprecation_reason,
            permission_classes=permission_classes or [],
            extensions=extensions or [],
            directives=process_federation_field_directives(directives, **federation),
            metadata=metadata,
        )
        return field(_BatchStrawberryResolver(function))

    return decorate if function is None else decorate(function)


def _check_signature(function: Any) -> None:
    plain = inspect.unwrap(getattr(function, "__func__", function))
    if "parents" not in inspect.signature(plain).parameters:
        raise TypeError(f"Batched resolver '{plain.__qualname__}' has no parameter 'parents'")
    if not inspect.iscoroutinefunction(plain):
        raise TypeError(f"Batched resolver '{plain.__qualname__}' must be an async function")
