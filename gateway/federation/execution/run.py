"""One request's run of a plan: what it has so far, and how a fetch adds to it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from gateway.federation.execution.errors import (
    DOWNSTREAM_ERROR,
    Error,
    accounts_for,
    asked_at,
    client_error,
    entity_errors,
    root_errors,
    undo_aliases,
)
from gateway.federation.execution.merge import as_it_is, own, rename_keys
from gateway.federation.transport import SubgraphError, SubgraphRequest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gateway.federation.execution.merge import Merger, Plot, Take
    from gateway.federation.execution.positions import Position, ResponsePath
    from gateway.federation.execution.representations import Batch, EntityBuilder
    from gateway.federation.plan import Fetch, KeyRenamer
    from gateway.federation.transport import SubgraphResponse, SubgraphTransport

__all__ = ["Call", "FetchReport", "Observer", "Run", "Step"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FetchReport:
    """What became of one fetch; times are of `time.perf_counter`.

    A fetch with nothing to ask about was not sent: ``sent`` is false.
    ``errors`` are those the client sees because of this fetch.  ``data`` is what the
    request has from all its fetches, and grows with them.
    """

    fetch: Fetch
    started: float
    ended: float
    representations: int
    sent: bool
    errors: Sequence[Error]
    data: dict[str, Any]


Observer = Callable[[FetchReport], None]

_INCOMPLETE = "The subgraph's answer is incomplete."


@dataclass(frozen=True, slots=True)
class Call:
    """One `_entities` call of a fetch; ``plots`` are those of its positions."""

    builder: EntityBuilder
    plots: tuple[Plot, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One fetch, compiled; without ``calls`` it is a root fetch.

    ``targets`` are the positions a root fetch's data goes to.
    """

    fetch: Fetch
    calls: tuple[Call, ...]
    targets: tuple[tuple[Position, Plot], ...]
    path: ResponsePath
    """Where an error belongs that says nothing of its place."""


@dataclass(slots=True)
class Run:
    """The state of one request; its fetches write into it one after another."""

    merger: Merger
    aliases: Mapping[str, str]
    transport: SubgraphTransport
    variables: Mapping[str, Any]
    context: Any
    observer: Observer | None = None
    data: dict[str, Any] = field(default_factory=dict)
    errors: list[Error] = field(default_factory=list)

    async def perform(self, step: Step) -> None:
        """Do one fetch and merge its answer; whatever fails becomes an error, nothing is raised."""
        started = time.perf_counter()
        before = len(self.errors)
        batches = [call.builder.build(self.data) for call in step.calls]
        asked = sum(len(batch.values) for batch in batches)
        sent = bool(asked) or any(position.objects(self.data) for position, _ in step.targets)
        if sent:
            response = await self._ask(step, batches)
            if response is not None:
                self.take(step, batches, response)
        self._report(step, started, asked, sent=sent, before=before)

    async def pass_through(self, step: Step, keys: tuple[str, ...]) -> dict[str, Any] | None:
        """Return the data of the only fetch as it is; None, with the answer taken, if it is not
        an object with these keys, or has errors.
        """
        started = time.perf_counter()
        response = await self._ask(step)
        data: dict[str, Any] | None = None
        if response is not None:
            found = response.data
            if type(found) is dict and not response.errors and (*found,) == keys:
                self.data = data = found
            else:
                self.take(step, (), response)
        self._report(step, started, 0, sent=True, before=0)
        return data

    def _report(self, step: Step, started: float, asked: int, *, sent: bool, before: int) -> None:
        if self.observer:
            # What siblings added meanwhile is theirs.
            errors = [
                error
                for error in self.errors[before:]
                if error["extensions"].get("serviceName") == step.fetch.subgraph
            ]
            ended = time.perf_counter()
            report = FetchReport(step.fetch, started, ended, asked, sent, errors, self.data)
            self.observer(report)

    async def _ask(self, step: Step, batches: Sequence[Batch] = ()) -> SubgraphResponse | None:
        """Return the subgraph's answer, or None after noting why there is none."""
        try:
            return await self.transport.execute(self.request(step, batches))
        except SubgraphError as error:
            self.fail(step, batches, code=error.code, message=str(error))
        except Exception:
            # The edge to transports: a fault in one must not take its siblings' answers along.
            logger.exception("federation.transport.failed", extra={"subgraph": step.fetch.subgraph})
            message = "Internal server error."
            self.fail(step, batches, code="INTERNAL_SERVER_ERROR", message=message)
        return None

    def request(self, step: Step, batches: Sequence[Batch] = ()) -> SubgraphRequest:
        """Return the request of a fetch: its representations and the client's variables."""
        given = self.variables
        variables = {name: given[key] for name, key in step.fetch.variables if key in given}
        for call, batch in zip(step.calls, batches, strict=True):
            variables[call.builder.entities.variable] = batch.values
        return SubgraphRequest(step.fetch, variables, self.context)

    def fail(self, step: Step, batches: Sequence[Batch] = (), *, code: str, message: str) -> None:
        """Note that a fetch, or those of its calls that have ``batches``, brought nothing."""
        calls = zip((call.builder.positions for call in step.calls), batches, strict=False)
        for path in asked_at(calls) or [step.path]:
            self._add_error(step, path, code=code, message=message)

    def _add_error(self, step: Step, path: ResponsePath, *, code: str, message: str) -> None:
        path = undo_aliases(path, self.aliases)
        self.errors.append(
            client_error(message, code=code, subgraph=step.fetch.subgraph, path=path)
        )

    def take(self, step: Step, batches: Sequence[Batch], response: SubgraphResponse) -> None:
        """Merge an answer and note its errors."""
        before = len(self.errors)
        # First the errors: they are located by where the entities are now.
        if response.errors:
            self._note(step, batches, response)
        data = response.data
        if type(data) is not dict:
            if len(self.errors) == before:
                self.fail(step, batches, code=DOWNSTREAM_ERROR, message=_INCOMPLETE)
        elif not step.calls:
            self._merge_root(step, data, exclusive=response.exclusive)
        else:
            for call, batch in zip(step.calls, batches, strict=True):
                alias = call.builder.entities.alias
                results = data.get(alias)
                if type(results) is not list:
                    results = []
                self._merge_entities(step, call, batch, results, exclusive=response.exclusive)
                missing = len(results) < len(batch.values)
                if missing and not accounts_for(response.errors, alias, len(results)):
                    for path in asked_at([(call.builder.positions, batch)], start=len(results)):
                        self._add_error(step, path, code=DOWNSTREAM_ERROR, message=_INCOMPLETE)

    def _note(self, step: Step, batches: Sequence[Batch], response: SubgraphResponse) -> None:
        subgraph = step.fetch.subgraph
        if not step.calls:
            positions = [position for position, _ in step.targets]
            self.errors += root_errors(
                response.errors,
                subgraph=subgraph,
                aliases=self.aliases,
                positions=positions,
                data=self.data,
            )
            return
        calls = {
            call.builder.entities.alias: (call.builder.positions, batch)
            for call, batch in zip(step.calls, batches, strict=True)
        }
        self.errors += entity_errors(
            response.errors, subgraph=subgraph, aliases=self.aliases, calls=calls, data=self.data
        )

    def _merge_root(self, step: Step, data: dict[str, Any], *, exclusive: bool) -> None:
        places = [
            (one, plot) for position, plot in step.targets for one in position.objects(self.data)
        ]
        take = as_it_is if exclusive and len(places) == 1 else own
        for one, plot in places:
            self._merge(one, data, plot, step, step.fetch.output_rewrites, take)

    def _merge_entities(
        self, step: Step, call: Call, batch: Batch, results: Sequence[Any], *, exclusive: bool
    ) -> None:
        entities = call.builder.entities
        places = sum(map(len, batch.indexes))
        # Where every entity is at one place, its result belongs there alone.
        take = as_it_is if exclusive and places == len(batch.values) else own
        for plot, indexes, objects in zip(call.plots, batch.indexes, batch.objects, strict=True):
            pairs = [
                (target, results[index])
                for index, target in zip(indexes, objects, strict=True)
                if index < len(results) and type(results[index]) is dict
            ]
            if plot or entities.output_rewrites:
                for target, result in pairs:
                    self._merge(target, result, plot, step, entities.output_rewrites, take)
            else:
                for target, result in pairs:
                    target.update(result)

    def _merge(
        self,
        target: dict[str, Any],
        source: dict[str, Any],
        plot: Plot,
        step: Step,
        renamers: Sequence[KeyRenamer],
        take: Take,
    ) -> None:
        if renamers:
            source = rename_keys(source, renamers)
        if not self.merger.merge(target, source, plot, take):
            message = "The subgraph's answer does not fit what others answered."
            self.fail(step, code=DOWNSTREAM_ERROR, message=message)
