"""`--otel`: what arrives at a collector, and what happens where there is none."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.conftest import Done, cli, environment, folder, process
from tests.telemetry.conftest import Collector

__all__ = ["cli", "folder", "process"]
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
FLOW = """
flow: orders
connections: {db: {type: sqlite, database: ":memory:"}}
inputs: [{name: pin, type: string, secret: true}]
steps:
  - sqlite_query: {id: q, query: "SELECT ${inputs.pin} AS pin"}
  - {sqlite_query: {id: bad, query: "SELECT nope"}, continue_on_error: true}
outputs:
  - {name: rows, value: "${q.count}"}
"""


def test_a_collector_gets_traces_and_metrics(process: Callable[..., Done], folder: Path, collector: Collector) -> None:
    """A variable that names one is enough. The trace goes on where TRACEPARENT says; no secret is in anything."""
    (folder / "flow.yaml").write_text(FLOW)
    env = {
        ENDPOINT: collector.url,
        "TRACEPARENT": PARENT,
        "OTEL_SERVICE_NAME": "nightly",
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=k1",
    }
    done = process("run", "flow.yaml", "-i", "pin=kanarien/vogel+7e1", env=env)
    assert (done.code, done.out) == (0, "rows = 1\n"), done.err
    assert "warning" not in done.err
    assert collector.services == {"nightly"}
    assert {each.trace_id.hex() for each in collector.spans} == {PARENT.split("-")[1]}
    root = next(each for each in collector.spans if each.name == "run orders")
    assert root.parent_span_id.hex() == PARENT.split("-")[2]
    assert {each.name for each in collector.spans} >= {"q", "bad", "sqlite_query", "lease db", "connect db"}
    assert {each.name for each in collector.metrics} >= {"flowlang.run.duration", "flowlang.lease.wait"}
    assert all(each["api-key"] == "k1" for each in collector.headers)
    assert "kanarien" not in str(collector.spans) + str(collector.metrics)


def test_no_otel_and_a_disabled_sdk_export_nothing(
    cli: Callable[..., Done], folder: Path, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    monkeypatch.setenv(ENDPOINT, collector.url)
    assert cli("run", "flow.yaml", "--no-otel").code == 0
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert cli("run", "flow.yaml", "--otel").code == 0
    assert not collector.headers


def test_a_collector_that_is_not_there_costs_a_warning(process: Callable[..., Done], folder: Path) -> None:
    """One line, without what the endpoint and the headers hold of credentials; the exit code is the run's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    (folder / "flow.yaml").write_text(FLOW)
    env = {
        ENDPOINT: f"http://user:hush-hush@127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "no pair, token=top-secret-token",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    done = process("run", "flow.yaml", "--otel", env=env)
    assert (done.code, done.out) == (0, "rows = 1\n"), done.err
    assert done.err.count("warning:") == 1, done.err
    assert f"could not be delivered to `http://127.0.0.1:{port}`" in done.err
    assert "hush-hush" not in done.err
    assert "top-secret" not in done.err


def test_a_collector_that_never_answers_is_given_up(folder: Path) -> None:
    """The process is over while a request still hangs."""
    (folder / "flow.yaml").write_text(FLOW)
    script = "from flowlang.telemetry import export; export.PATIENCE = 0.2; from flowlang.cli import main; main()"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        env = environment(**{ENDPOINT: f"http://127.0.0.1:{silent.getsockname()[1]}"})
        command = [sys.executable, "-c", script, "run", "flow.yaml"]
        done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "no answer within 0.2 s; the run is not affected" in done.stderr


def test_missing_packages_are_named_with_the_way_to_install_them(
    cli: Callable[..., Done], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks with --otel is refused; where only the machine's environment asks, the run goes on."""
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    done = cli("run", "flow.yaml", "--otel")
    assert done.code == 2
    assert "OpenTelemetry, which is not installed: pip install 'flowlang[otel]'" in done.err
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:1")
    done = cli("run", "flow.yaml")
    assert done.code == 0
    assert f"pip install 'flowlang[otel]' (`{ENDPOINT}` asks" in done.err


@pytest.mark.parametrize(
    ("variable", "value", "told"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "flowlang speaks `http/protobuf`"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "flowlang exports by `otlp`, or `none`"),
    ],
)
def test_another_way_to_export_is_refused(
    cli: Callable[..., Done], folder: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    monkeypatch.setenv(variable, value)
    done = cli("run", "flow.yaml", "--otel")
    assert done.code == 2
    assert f"`{variable}` is `{value}`; {told}" in done.err


def test_a_broken_traceparent_is_told(cli: Callable[..., Done], folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "flow.yaml").write_text("flow: f\nsteps:\n  - log: hello\n")
    monkeypatch.setenv("TRACEPARENT", "00-zzz")
    done = cli("run", "flow.yaml")
    assert done.code == 0
    assert "`TRACEPARENT` holds no trace context" in done.err
