"""Traces over OpenTelemetry and metrics for Prometheus.

A span stands for a request, a plan, a fetch, a job: never for a field.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, DEFAULT_ON
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from prometheus_client import REGISTRY, CollectorRegistry, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from opentelemetry.context import Context
    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

    from shared.config import TelemetrySettings

__all__ = [
    "REQUEST_DURATION",
    "LoopLag",
    "PoolUsage",
    "configure",
    "current_headers",
    "metrics",
    "remote_context",
    "request_span",
    "span",
    "tracer",
]

tracer = trace.get_tracer("nexus")

REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "Duration of HTTP requests.",
    ("service", "method", "route", "operation", "status"),
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.5, 1, 2.5, 5, 10, 30),
)

_LAG = tuple(
    Gauge(
        name,
        "Delay of the event loop: how late a timer fires.",
        ("service",),
        multiprocess_mode="livemax",
    )
    for name in ("eventloop_lag_seconds", "nodejs_eventloop_lag_seconds")
)

_propagator = TraceContextTextMapPropagator()
_NO_SPAN = nullcontext(INVALID_SPAN)


def configure(settings: TelemetrySettings, *, service: str) -> Callable[[], None]:
    """Export spans where an OTLP endpoint is set, else only give them ids; returns the shutdown."""
    endpoint = settings.otlp_endpoint
    provider = TracerProvider(
        resource=Resource.create({"service.name": service}),
        sampler=DEFAULT_ON if endpoint else ALWAYS_OFF,
    )
    if endpoint:
        url = endpoint.rstrip("/") + "/v1/traces"
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=url)))
    trace.set_tracer_provider(provider)
    return provider.shutdown


def span(name: str) -> AbstractContextManager[Span]:
    """A span for a block of work; where none are exported, the block stays in the one around it."""
    return tracer.start_as_current_span(name) if _exported() else _NO_SPAN


def request_span(name: str, headers: Mapping[str, str]) -> AbstractContextManager[Span]:
    """The span of a request in the trace its headers name, or in a new one.

    Where spans are not exported it costs next to nothing and still has its ids.
    """
    context = remote_context(headers) if "traceparent" in headers else None
    if _exported():
        return tracer.start_as_current_span(name, context=context, kind=SpanKind.SERVER)
    return _Current(_unexported(context))


class _Current:
    """Makes a span that records nothing the current one."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = otel.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, *_: object) -> None:
        otel.detach(self._token)


def _exported() -> bool:
    provider = trace.get_tracer_provider()
    return isinstance(provider, TracerProvider) and provider.sampler is not ALWAYS_OFF


def _unexported(context: Context | None) -> Span:
    parent = trace.get_current_span(context).get_span_context() if context else None
    if parent is None or not parent.is_valid:
        return NonRecordingSpan(SpanContext(_new_trace_id(), _new_span_id(), is_remote=False))
    return NonRecordingSpan(
        SpanContext(
            parent.trace_id,
            _new_span_id(),
            is_remote=False,
            trace_flags=parent.trace_flags,
            trace_state=parent.trace_state,
        )
    )


def _new_trace_id() -> int:
    return random.getrandbits(128) or 1


def _new_span_id() -> int:
    return random.getrandbits(64) or 1


def current_headers() -> dict[str, str]:
    """The W3C trace headers that carry the current span to another process or a job."""
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return {}
    place = f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
    if context.trace_state:
        return {"traceparent": place, "tracestate": context.trace_state.to_header()}
    return {"traceparent": place}


def remote_context(headers: Mapping[str, str]) -> Context:
    """The trace context that a caller sent, to start a span in."""
    return _propagator.extract(headers)


async def metrics(_request: Request) -> Response:
    """Metrics in Prometheus' text format.

    Every one of this process or, where several serve one port, the sums of what
    is counted with the library's own types.
    """
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return Response(
        generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8"
    )


class LoopLag:
    """Measures the event loop's lag, twice a second, while it is entered."""

    def __init__(self, service: str, *, interval: float = 0.5) -> None:
        self._service = service
        self._interval = interval
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._measure(), name="loop-lag")

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _measure(self) -> None:
        gauges = [gauge.labels(self._service) for gauge in _LAG]
        while True:
            started = time.perf_counter()
            await asyncio.sleep(self._interval)
            lag = max(0.0, time.perf_counter() - started - self._interval)
            for gauge in gauges:
                gauge.set(lag)


class PoolUsage:
    """Exports `db_connection_pool_usage`: connections in use as a share of the pool's size."""

    def __init__(self) -> None:
        self._pools: dict[str, Callable[[], float]] = {}
        REGISTRY.register(self)

    def add(self, pool: str, usage: Callable[[], float]) -> None:
        """Read ``usage()`` at each scrape under the label ``pool``."""
        self._pools[pool] = usage

    def remove(self, pool: str) -> None:
        """Stop exporting that pool."""
        self._pools.pop(pool, None)

    def collect(self) -> Iterable[Metric]:
        """Called by Prometheus' registry."""
        family = GaugeMetricFamily(
            "db_connection_pool_usage", "Connections in use, 0 to 1.", labels=["pool"]
        )
        for pool, usage in list(self._pools.items()):
            family.add_metric([pool], usage())
        yield family
