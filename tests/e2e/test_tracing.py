"""One trace from the client through the gateway into the subgraphs, in both modes."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.e2e.people import create_organization, sign_up
from tests.support.nexus import Nexus

CLIENTS_TRACE = 0xABC0_0000_0000_0000_0000_0000_0000_0001


@pytest.fixture(scope="module")
def exporter() -> Iterator[InMemorySpanExporter]:
    """What the spans of this process are, from here on."""
    exporter = InMemorySpanExporter()
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield exporter
    exporter.shutdown()


async def test_a_request_its_fetches_and_its_subgraphs_are_one_trace(
    nexus: Nexus, exporter: InMemorySpanExporter
) -> None:
    ada = await sign_up(nexus, "Ada")
    organization = await create_organization(ada)
    # An operation that nobody has asked before: a known one is not planned again.
    fresh = f"o{uuid.uuid4().hex}"
    query = (
        f"query Org($id: ID!) {{ {fresh}: organization(id: $id) {{"
        " name creditBalance { amount } } }"
    )
    headers = {
        "authorization": f"Bearer {ada.token}",
        "traceparent": f"00-{CLIENTS_TRACE:032x}-00000000000000ff-01",
    }
    exporter.clear()
    body = {"query": query, "variables": {"id": organization}}
    await nexus.client.post("/graphql", json=body, headers=headers)

    spans = [
        span
        for span in exporter.get_finished_spans()
        if span.context is not None and span.context.trace_id == CLIENTS_TRACE
    ]
    names = Counter(span.name for span in spans)
    # Orgs is asked a second time when the caller's memberships are not known yet.
    assert set(names) == {"POST /graphql", "fetch billing", "fetch orgs", "plan"}
    assert names["fetch billing"] == 1
    fetches = names["fetch billing"] + names["fetch orgs"]
    assert names["POST /graphql"] == 1 + (fetches if nexus.mode == "services" else 0)
    (request,) = [
        span
        for span in spans
        if span.parent is not None and span.parent.span_id == 0xFF and span.attributes
    ]
    assert request.attributes is not None
    assert request.attributes["graphql.operation.name"] == "Org"
    assert request.attributes["http.route"] == "/graphql"
