"""Spans reach an OTLP endpoint, and metrics have the names that operators know."""

from __future__ import annotations

import gzip
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

PROGRAM = """
import sys
from shared.config import TelemetrySettings
from shared.telemetry import configure, tracer
shutdown = configure(TelemetrySettings(otlp_endpoint=sys.argv[1]), service="billing")
with tracer.start_as_current_span("a job"):
    pass
shutdown()
"""


@contextmanager
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    """The address of an OTLP endpoint, and what it was sent."""
    received: list[ExportTraceServiceRequest] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            received.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", received
        finally:
            server.shutdown()
            thread.join()


def test_spans_are_exported_under_the_services_name() -> None:
    with collector() as (endpoint, received):
        ran = subprocess.run(
            [sys.executable, "-c", PROGRAM, endpoint], capture_output=True, text=True, check=False
        )
    assert ran.returncode == 0, ran.stderr
    (resource,) = received[0].resource_spans
    names = {each.key: each.value.string_value for each in resource.resource.attributes}
    assert names["service.name"] == "billing"
    assert [span.name for span in resource.scope_spans[0].spans] == ["a job"]
