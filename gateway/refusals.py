"""What is refused: where clients read it, and what a gateway has to refuse to all of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gateway.federation.operation.authorization import CODE, AuthorizationRules
from shared.logger import get_logger
from shared.protocols.lifetime import closing
from shared.protocols.service import GraphQLResult, IncrementalStream

if TYPE_CHECKING:
    from gateway.context import RequestContext
    from gateway.federation.supergraph import Supergraph
    from shared.protocols.service import GraphQLRequest, GraphQLService

__all__ = ["Refusals", "Where", "warn_of_the_ungranted"]

Where = Literal["extensions", "nowhere"]
logger = get_logger(__name__)
_EXTENSION = "authorizationErrors"


@dataclass(frozen=True, slots=True)
class Refusals:
    """A service whose answers have the errors of refused fields taken out of ``errors``."""

    service: GraphQLService[RequestContext]
    where: Where

    async def execute(self, request: GraphQLRequest, context: RequestContext) -> GraphQLResult:
        """Answer a query or a mutation."""
        return self._moved(await self.service.execute(request, context))

    async def subscribe(
        self, request: GraphQLRequest, context: RequestContext
    ) -> GraphQLResult | AsyncIterator[GraphQLResult]:
        """Open a subscription's stream; answer anything else like `execute`."""
        answer = await self.service.subscribe(request, context)
        if isinstance(answer, GraphQLResult):
            return self._moved(answer)
        results = self._each(answer)
        if isinstance(answer, IncrementalStream):
            return IncrementalStream(results, answer.format)
        return results

    async def _each(
        self, results: AsyncIterator[GraphQLResult]
    ) -> AsyncGenerator[GraphQLResult, None]:
        try:
            async for result in results:
                yield self._moved(result)
        finally:
            await closing(results)

    def _moved(self, result: GraphQLResult) -> GraphQLResult:
        if not result.executed:
            return result
        if result.follows:
            patches = result.part.get("incremental", ())
            moved = {"incremental": [self._patch(patch) for patch in patches]} if patches else {}
            return replace(result, part={**result.part, **moved})
        errors, extensions = self._split(result.errors, result.extensions)
        return replace(result, errors=errors, extensions=extensions)

    def _patch(self, patch: Mapping[str, Any]) -> dict[str, Any]:
        errors, extensions = self._split(patch.get("errors", ()), patch.get("extensions", {}))
        moved = {**patch, "errors": errors, "extensions": extensions}
        return {key: value for key, value in moved.items() if key in ("data", "path") or value}

    def _split(
        self, errors: Sequence[Mapping[str, Any]], extensions: Mapping[str, Any]
    ) -> tuple[Sequence[Mapping[str, Any]], Mapping[str, Any]]:
        refused = [one for one in errors if one.get("extensions", {}).get("code") == CODE]
        if not refused:
            return errors, extensions
        left = [one for one in errors if one not in refused]
        if self.where == "nowhere":
            return left, extensions
        return left, {**extensions, _EXTENSION: refused}


def warn_of_the_ungranted(supergraph: Supergraph, lacking: Mapping[str, str]) -> None:
    """Say so when a supergraph protects what no caller can have here.

    ``lacking`` has the directives that nobody can meet, each with what it would take.
    """
    rules = AuthorizationRules.of(supergraph)
    refused = {
        coordinate: asked
        for coordinate, unmet in (rules.fields if rules is not None else {}).items()
        if (asked := lacking.keys() & {one.directive for one in unmet})
    }
    if refused:
        directives = frozenset().union(*refused.values())
        logger.warning(
            "authorization.granted_to_nobody",
            directives=[f"@{name}" for name in sorted(directives)],
            lacking=sorted({lacking[name] for name in directives}),
            refused_to_everybody=len(refused),
            such_as=sorted(map(".".join, refused))[:5],
        )
