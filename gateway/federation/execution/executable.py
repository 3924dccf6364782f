"""A plan made ready to run: what can be decided before a request is decided here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from graphql import is_object_type, parse

from gateway.federation.execution.introspection import Introspection
from gateway.federation.execution.merge import Merger, plot_plan, shape_of
from gateway.federation.execution.nulls import explain_nulls
from gateway.federation.execution.passthrough import passes_through
from gateway.federation.execution.positions import Position
from gateway.federation.execution.projection import compile_projection
from gateway.federation.execution.representations import compile_entities
from gateway.federation.execution.run import Call, Run, Step
from gateway.federation.execution.schedule import schedule_fetches
from gateway.federation.transport import SubgraphError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence

    from gateway.federation.execution.errors import Error
    from gateway.federation.execution.merge import Plot
    from gateway.federation.execution.projection import Projection
    from gateway.federation.execution.run import Observer
    from gateway.federation.execution.schedule import Schedule
    from gateway.federation.operation.authorization import Refusals
    from gateway.federation.operation.selection import Operation
    from gateway.federation.plan import Fetch, QueryPlan
    from gateway.federation.supergraph import Supergraph
    from gateway.federation.transport import SubgraphTransport

__all__ = ["ExecutablePlan", "Response", "compile_plan"]


@dataclass(frozen=True, slots=True)
class Response:
    """What the client gets; `errors` is empty, never None, when all went well."""

    data: Mapping[str, Any] | None
    errors: list[Error] = field(default_factory=list)
    extensions: dict[str, Any] = field(default_factory=dict)


def compile_plan(
    supergraph: Supergraph,
    operation: Operation,
    plan: QueryPlan,
    refusals: Refusals | None = None,
) -> ExecutablePlan:
    """Return the executable form of a plan; good for every request with the same operation.

    With ``refusals`` the plan is one for what they left of the operation.
    """
    documents = [parse(fetch.document, no_location=True) for fetch in plan.fetches]
    shapes = [shape_of(document) for document in documents]
    # The root fields, before renames add to them.
    roots = [list(shape) for shape in shapes]
    plot = plot_plan(plan.fetches, shapes)
    steps = tuple(
        _compile_step(fetch, keys, plot, supergraph)
        for fetch, keys in zip(plan.fetches, roots, strict=True)
    )
    is_stream = bool(plan.fetches) and plan.fetches[0].kind == "subscription"
    names = supergraph.schema.type_map.items()
    introspection = Introspection.of(supergraph.api_schema, operation)
    passes = (
        refusals is None
        and introspection is None
        and passes_through(supergraph, operation, plan, documents)
    )
    return ExecutablePlan(
        supergraph=supergraph,
        operation=operation,
        plan=plan,
        passthrough=tuple(roots[0]) if passes else (),
        steps=steps[1:] if is_stream else steps,
        _stream=steps[0] if is_stream else None,
        _schedule=schedule_fetches(plan.fetches[1:] if is_stream else plan.fetches),
        _merger=Merger(frozenset(name for name, type_ in names if is_object_type(type_))),
        _projection=compile_projection(supergraph.api_schema, supergraph.schema, operation),
        introspection=introspection,
        refusals=refusals,
    )


def _compile_step(
    fetch: Fetch, root_keys: Sequence[str], plot: Plot, supergraph: Supergraph
) -> Step:
    calls = []
    for entities in fetch.entities:
        builder = compile_entities(entities, supergraph.possible_types)
        plots = tuple(_plot_at(plot, position.keys) for position in builder.positions)
        calls.append(Call(builder, plots))
    if calls:
        return Step(fetch, tuple(calls), (), calls[0].builder.positions[0].prefix())
    positions = [Position(path, supergraph.possible_types) for path in fetch.at or ((),)]
    targets = tuple((position, _plot_at(plot, position.keys)) for position in positions)
    only = [*root_keys] if len(root_keys) == 1 and not fetch.at else []
    return Step(fetch, (), targets, [*positions[0].prefix(), *only])


def _plot_at(plot: Plot, keys: Sequence[str]) -> Plot:
    for key in keys:
        plot = plot.get(key, {})
    return plot


@dataclass(frozen=True, slots=True)
class ExecutablePlan:
    """A plan ready to run any number of times, at the same time."""

    supergraph: Supergraph
    operation: Operation
    plan: QueryPlan
    passthrough: tuple[str, ...]
    """The root keys of an operation whose only fetch asks exactly what the client does: without
    errors, ``data`` that has these may go to the client as it came, its values even undecoded."""
    steps: tuple[Step, ...]
    _stream: Step | None
    _schedule: Schedule
    _merger: Merger
    _projection: Projection
    introspection: Introspection | None
    refusals: Refusals | None

    def take_apart(self) -> None:
        """Free the compiled functions, which know one another, when nobody will run them again."""
        self._projection.scope.clear()

    async def run(
        self,
        transport: SubgraphTransport,
        variables: Mapping[str, Any],
        context: Any,
        *,
        observer: Observer | None = None,
    ) -> Response:
        """Answer a query or a mutation; `variables` are coerced by the API schema.

        A subgraph that fails makes its part null and adds an error; this never raises.
        """
        run = self.start(transport, variables, context, observer)
        if not self.passthrough:
            await self._perform(run)
        elif (data := await run.pass_through(self.steps[0], self.passthrough)) is not None:
            return Response(data)
        return self._respond(run)

    async def subscribe(
        self,
        transport: SubgraphTransport,
        variables: Mapping[str, Any],
        context: Any,
        *,
        observer: Observer | None = None,
    ) -> AsyncGenerator[Response, None]:
        """Yield a response per event of the subscription; closing this closes the upstream."""
        first = self.start(transport, variables, context, observer)
        if self._stream is None:
            # A valid subscription skips nothing at its root, so its only field was refused.
            yield self._respond(first)
            return
        events = transport.subscribe(first.request(self._stream))
        try:
            async for event in events:
                run = self.start(transport, variables, context, observer)
                run.take(self._stream, (), event)
                await self._perform(run)
                yield self._respond(run)
        except SubgraphError as error:
            first.fail(self._stream, code=error.code, message=str(error))
            yield Response(None, first.errors)
        finally:
            close = getattr(events, "aclose", None)
            if close is not None:
                await close()

    def start(
        self,
        transport: SubgraphTransport,
        variables: Mapping[str, Any],
        context: Any,
        observer: Observer | None,
    ) -> Run:
        """Return the state of a request that has asked no subgraph yet."""
        aliases = self.plan.key_aliases
        return Run(self._merger, aliases, transport, variables, context, observer)

    async def _perform(self, run: Run) -> None:
        async def perform(index: int) -> None:
            await run.perform(self.steps[index])

        if self.steps:
            await self._schedule.run(perform)

    def _respond(self, run: Run) -> Response:
        merged = run.data
        if self.refusals is not None:
            merged, refused = self.refusals.apply(merged)
            run.errors += refused
        if self.introspection is not None:
            merged = self.introspection.fill(merged, run.variables)
        data, has_notes = self._projection.project(merged)
        if has_notes:
            schemas = self.supergraph.api_schema, self.supergraph.schema
            run.errors += explain_nulls(*schemas, self.operation, merged, run.errors)
        return Response(data, run.errors)
