"""From a client's operation to its answer, whatever brought it here.

source → limits → parse → validate → variables → introspection policy → plan →
execute.  Every step before the last is a look-up for a document seen before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.cache_control import NO_STORE
from gateway.clients import Clients
from gateway.cost import Bill, open_bill
from gateway.documents import Documents
from gateway.explain import Explanation
from gateway.federation.execution import IncrementalPlan, Response
from gateway.federation.operation.authorization import OperationRefused
from gateway.federation.operation.prepare import InvalidRequest
from gateway.federation.planner import PlanningError
from gateway.federation.transport import (
    SubgraphError,
    SubgraphRequest,
    SubgraphResponse,
    SubgraphTransport,
)
from gateway.increments import Gathered, written
from gateway.labels import OverrideLabels
from gateway.masking import quotable
from gateway.security.limits import LimitExceeded
from gateway.subscriptions import Subscriptions
from shared import exact_json
from shared.deadline import deadline
from shared.errors import NexusError
from shared.logger import get_logger
from shared.protocols.lifetime import closing
from shared.protocols.problems import internal_entry, refusal, request_error
from shared.protocols.service import (
    GraphQLRequest,
    GraphQLResult,
    IncrementalStream,
)

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.federation.execution import ExecutablePlan
    from gateway.runtime import Document, Planned, Runtime

__all__ = ["Pipeline"]

logger = get_logger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Work:
    """An operation that is ready to run."""

    document: Document
    planned: Planned
    variables: Mapping[str, Any]
    kind: str
    bill: Bill | None


class Pipeline:
    """A `GraphQLService` over the current `Runtime`, which may be swapped at any time."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        introspection: bool = False,
        timeout_seconds: float = 30.0,
        switched_on_labels: Sequence[str] = (),
        documents: Documents | None = None,
        most_waiting: int = 32,
    ) -> None:
        self._documents = documents or Documents()
        self._introspection = introspection
        self._timeout_seconds = timeout_seconds
        self._switched_on_labels = tuple(switched_on_labels)
        self._subscriptions = Subscriptions(most_waiting=most_waiting)
        self._clients = Clients()
        self._background: set[asyncio.Task[Any]] = set()
        self._set(runtime)

    @property
    def runtime(self) -> Runtime:
        """What new operations run on."""
        return self._runtime

    def swap(self, runtime: Runtime, *, with_supergraph: bool = False) -> None:
        """Run new operations on ``runtime``; those under way end on the one they began with.

        ``with_supergraph`` says that nothing else has the supergraph of that one: it is freed.
        """
        self._keep(self._runtime.retire(with_supergraph=with_supergraph))
        self._set(runtime)
        self._keep(self._subscriptions.check(runtime))

    async def close(self, *, seconds: float = 10.0) -> None:
        """Wait so long for what is under way, then close every connection."""
        self._subscriptions.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await asyncio.gather(*self._background, self._runtime.idle())
        await self._runtime.close()

    def _keep(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """A task that the loop cannot lose."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    def _set(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._labels = OverrideLabels(
            runtime.supergraph.labels, switched_on=self._switched_on_labels
        )

    async def execute(self, request: GraphQLRequest, context: RequestContext) -> GraphQLResult:
        """Answer a query or a mutation."""
        runtime = self._runtime
        with runtime.use():
            work = await self._prepare(runtime, request, context)
            if isinstance(work, GraphQLResult):
                return work
            if work.kind == "subscription":
                return request_error(
                    "A subscription needs a stream: accept text/event-stream or multipart/mixed,"
                    " or use a WebSocket.",
                    code="SUBSCRIPTION_NEEDS_STREAM",
                )
            return await self._answer(runtime, request, work, context)

    async def subscribe(
        self, request: GraphQLRequest, context: RequestContext
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        """Open a subscription's stream; answer anything else like `execute`."""
        runtime = self._runtime
        with runtime.use():
            work = await self._prepare(runtime, request, context)
        if runtime is not self._runtime:
            # What was made ready meanwhile is for a supergraph that is gone.
            return await self.subscribe(request, context)
        if isinstance(work, GraphQLResult):
            return work
        if work.kind == "subscription":
            return self._stream(runtime, request, work, context)
        incremental = work.planned.incremental
        if incremental is not None and request.incremental:
            parts = self._parts(runtime, incremental, request, work, context)
            return IncrementalStream(parts, request.incremental)
        with runtime.use():
            return await self._answer(runtime, request, work, context)

    async def _prepare(
        self, runtime: Runtime, request: GraphQLRequest, context: RequestContext
    ) -> _Work | GraphQLResult:
        try:
            self._clients.count(context)
            text = await self._documents.text_of(request)
            document = await runtime.prepare(text, request.operation_name)
            operation = document.operation
            context.operation_name = operation.name
            variables = runtime.coerce(document, request.variables)
            labels = self._labels.decide(context.identity)
            unmet = runtime.unmet(context.authorization)
            incremental = request.incremental is not None
            planned = await runtime.plan(
                document, variables, labels, unmet, incremental=incremental
            )
            bill = _bill(runtime, request, operation.kind, planned, variables, context)
        except InvalidRequest as invalid:
            errors = [_located(error.formatted, invalid.code) for error in invalid.errors]
            return GraphQLResult(errors=errors, status=400)
        except LimitExceeded as error:
            return request_error(str(error), code=error.code)
        except PlanningError as error:
            entry = {"message": str(error), "extensions": {"code": error.code}}
            return GraphQLResult(data=None, errors=[entry])
        except OperationRefused as refused:
            return GraphQLResult(errors=refused.errors, status=403)
        except NexusError as error:
            return refusal(error)
        if planned.overlooked:
            paths = [".".join(map(str, error["path"])) for error in planned.overlooked]
            logger.warning("authorization.not_refused", operation=operation.name, paths=paths)
        if planned.introspects and not self._introspection:
            return request_error("Introspection is off.", code="INTROSPECTION_DISABLED")
        return _Work(document, planned, variables, operation.kind, bill)

    async def _answer(
        self, runtime: Runtime, request: GraphQLRequest, work: _Work, context: RequestContext
    ) -> GraphQLResult:
        if work.kind == "query":
            return await self._run(runtime, work, context)
        if request.read_only:
            return request_error("A mutation needs POST.", code="MUTATION_OVER_GET", status=405)
        return await self._run_to_its_end(runtime, work, context)

    async def _run(self, runtime: Runtime, work: _Work, context: RequestContext) -> GraphQLResult:
        executable, bill = work.planned.executable, work.bill
        transport: SubgraphTransport = runtime.transport
        undecoded = runtime.execute_undecoded
        if bill is not None and bill.is_metered:
            transport, undecoded = bill.over(transport), None
        with _deadline(self._timeout_seconds):
            try:
                if context.explain:
                    response = await _explained(
                        transport, executable, work.variables, context, bill
                    )
                elif executable.passthrough and undecoded is not None:
                    response = await _pass_through(undecoded, executable, work.variables, context)
                else:
                    response = await executable.run(transport, work.variables, context)
            except Exception as error:  # noqa: BLE001 - the edge: logged, and told to the client
                return GraphQLResult(data=None, errors=[internal_entry(error)])
        if bill is not None and bill.is_metered:
            response = replace(response, extensions=bill.close(response.extensions))
        # An answer that tells how it came about, or what it cost, is nobody else's.
        keepable = work.kind == "query" and not response.errors and not response.extensions
        headers = _kept(context) if keepable else {}
        errors = quotable(response.errors)
        return GraphQLResult(response.data, errors, response.extensions, headers=headers)

    async def _run_to_its_end(
        self, runtime: Runtime, work: _Work, context: RequestContext
    ) -> GraphQLResult:
        """Like `_run`, also when the client hangs up: half a mutation helps nobody."""

        async def run() -> GraphQLResult:
            with runtime.use():
                return await self._run(runtime, work, context)

        return await asyncio.shield(self._keep(run()))

    async def _parts(
        self,
        runtime: Runtime,
        incremental: IncrementalPlan,
        request: GraphQLRequest,
        work: _Work,
        context: RequestContext,
    ) -> AsyncGenerator[GraphQLResult, None]:
        if runtime is not self._runtime:
            async for result in self._anew(request, context):
                yield replace(result, part=result.part or {"hasNext": False})
            return
        written_in = request.incremental
        assert written_in is not None
        transport: SubgraphTransport = runtime.transport
        bill = work.bill if work.bill is not None and work.bill.is_metered else None
        if bill is not None:
            transport = bill.over(transport)
        explanation, gathered = Explanation(bill) if context.explain else None, Gathered()
        observer = None
        if explanation is not None:
            transport, observer = explanation.over(transport), explanation.observe
        with runtime.use(), _deadline(self._timeout_seconds):
            increments = incremental.run(transport, work.variables, context, observer=observer)
            try:
                async for increment in increments:
                    part, told = written(increment, written_in), {}
                    if explanation is not None:
                        gathered.add(increment)
                    if explanation is not None and not increment.has_next:
                        told["explain"] = explanation.extension(
                            incremental.executable, gathered.data, gathered.errors
                        )
                    if bill is not None and not increment.has_next:
                        told = bill.close(told)
                    yield replace(part, part={**part.part, "extensions": told}) if told else part
            finally:
                await increments.aclose()

    async def _stream(
        self, runtime: Runtime, request: GraphQLRequest, work: _Work, context: RequestContext
    ) -> AsyncIterator[GraphQLResult]:
        if runtime is not self._runtime:
            async for result in self._anew(request, context):
                yield result
            return
        with runtime.use():
            events = self._subscriptions.open(
                runtime, work.document, work.planned, work.variables, context, work.bill
            )
            try:
                async for result in events:
                    yield result
            finally:
                await closing(events)

    async def _anew(
        self, request: GraphQLRequest, context: RequestContext
    ) -> AsyncGenerator[GraphQLResult, None]:
        """What is answered now: the runtime was swapped before anything was asked for."""
        answer = await self.subscribe(request, context)
        if isinstance(answer, GraphQLResult):
            yield answer
            return
        try:
            async for result in answer:
                yield result
        finally:
            await closing(answer)


def _kept(context: RequestContext) -> dict[str, str]:
    """Who may keep the answer, and for whom else it is good."""
    known = context.personal or context.identity.user_id is not None
    policy = context.cache_policy.merged(private=known)
    if policy == NO_STORE:
        return {"cache-control": policy}
    return {"cache-control": policy, "vary": context.varies_on}


def _located(error: Mapping[str, Any], code: str) -> dict[str, Any]:
    return {**error, "extensions": {**error.get("extensions", {}), "code": code}}


@contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """Set the deadline of the work inside, unless the edge has set an earlier one."""
    end = time.monotonic() + seconds
    earlier = deadline.get()
    token = deadline.set(end if earlier is None else min(end, earlier))
    try:
        yield
    finally:
        deadline.reset(token)


class _Answered:
    """A transport that gives the one answer that is there already."""

    def __init__(self, answer: SubgraphResponse | SubgraphError) -> None:
        self._answer = answer

    async def execute(self, _: SubgraphRequest) -> SubgraphResponse:
        if isinstance(self._answer, SubgraphError):
            raise self._answer
        return self._answer

    def subscribe(self, _: SubgraphRequest) -> AsyncIterator[SubgraphResponse]:
        raise SubgraphError("A subscription has no single answer.")


async def _pass_through(
    execute_undecoded: Callable[[SubgraphRequest], Awaitable[SubgraphResponse]],
    executable: ExecutablePlan,
    variables: Mapping[str, Any],
    context: RequestContext,
) -> Response:
    """The only fetch's ``data`` with the JSON that came; anything unusual goes through the engine.

    A root key too few or too many is unusual; what is below is the subgraph's own.
    """
    (fetch,) = executable.plan.fetches
    given = {name: variables[key] for name, key in fetch.variables if key in variables}
    answer: SubgraphResponse | SubgraphError
    try:
        answer = await execute_undecoded(SubgraphRequest(fetch, given, context))
    except SubgraphError as error:
        answer = error
    else:
        if answer.data and not answer.errors:
            if (*answer.data,) == executable.passthrough:
                return Response(answer.data)
            answer = replace(answer, data=exact_json.loads(exact_json.dumps(answer.data)))
    return await executable.run(_Answered(answer), variables, context)


def _bill(
    runtime: Runtime,
    request: GraphQLRequest,
    kind: str,
    planned: Planned,
    variables: Mapping[str, Any],
    context: RequestContext,
) -> Bill | None:
    """The bill of an operation, where costs are limited or told.

    Raises a `NexusError` for an operation that may cost too much.
    """
    limits = runtime.costs
    told = context.explain or (limits.exposed and request.extensions.get("cost") is True)
    if not told and not limits.are_kept:
        return None
    return open_bill(limits, runtime.cost_of(planned), variables, kind=kind, told=told)


async def _explained(
    transport: SubgraphTransport,
    executable: ExecutablePlan,
    variables: Mapping[str, Any],
    context: RequestContext,
    bill: Bill | None,
) -> Response:
    """The answer, and how it came about."""
    explanation = Explanation(bill)
    response = await executable.run(
        explanation.over(transport), variables, context, observer=explanation.observe
    )
    explain = explanation.extension(executable, response.data, response.errors)
    return Response(response.data, response.errors, {**response.extensions, "explain": explain})
