"""Listeners on the real SDK that keep what they are told, and a collector that takes OTLP over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from flowlang.telemetry import OpenTelemetry


class Kept:
    """What one listener, `sink`, was told."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._reader = InMemoryMetricReader()
        self.sink = OpenTelemetry(self.tracers, MeterProvider([self._reader], shutdown_on_exit=False))

    @property
    def spans(self) -> list[ReadableSpan]:
        return sorted(self.exporter.get_finished_spans(), key=lambda each: (each.start_time, each.context.span_id))

    def named(self, name: str) -> list[ReadableSpan]:
        return [each for each in self.spans if each.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def above(self, span: ReadableSpan) -> list[str]:
        """The names of the spans around one, from the inside out."""
        by_id = {each.context.span_id: each for each in self.spans}
        found = []
        while span.parent is not None and span.parent.span_id in by_id:
            span = by_id[span.parent.span_id]
            found.append(span.name)
        return found

    def metrics(self) -> list[Any]:
        """All that was measured."""
        data = self._reader.get_metrics_data()
        return [each for part in data.resource_metrics for scope in part.scope_metrics for each in scope.metrics]

    def points(self) -> dict[str, list[tuple[dict[str, Any], Any]]]:
        """The points of each metric: attributes, and the value of a counter or the count of a histogram."""
        return {
            each.name: [
                (dict(point.attributes), point.count if hasattr(point, "count") else point.value)
                for point in each.data.data_points
            ]
            for each in self.metrics()
        }


@pytest.fixture
def kept() -> Kept:
    return Kept()


class Collector:
    """Takes OTLP over HTTP, as a collector does. `spans` and `metrics` are what arrived, `services` who sent it."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.services: set[str] = set()
        self.headers: list[dict[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.headers.append({name.lower(): value for name, value in self.headers.items()})
                outer.take(self.path, body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def take(self, path: str, body: bytes) -> None:
        if path == "/v1/traces":
            traces = ExportTraceServiceRequest.FromString(body)
            self._sent_by(traces.resource_spans)
            self.spans += [span for part in traces.resource_spans for scope in part.scope_spans for span in scope.spans]
        elif path == "/v1/metrics":
            metrics = ExportMetricsServiceRequest.FromString(body)
            self._sent_by(metrics.resource_metrics)
            self.metrics += [
                each for part in metrics.resource_metrics for scope in part.scope_metrics for each in scope.metrics
            ]

    def _sent_by(self, parts: Any) -> None:
        for part in parts:
            named = {each.key: each.value.string_value for each in part.resource.attributes}
            self.services.add(named["service.name"])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def collector() -> Iterator[Collector]:
    one = Collector()
    yield one
    one.close()
