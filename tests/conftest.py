"""What every test gets: a random order, and no trace of the developer's own environment."""

from __future__ import annotations

import faulthandler
import gc
import os
import random
import sys
from collections.abc import Generator
from itertools import count, islice

import hypothesis
import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

pytest_plugins = ["tests.servers.fixtures"]
CLEANED_UP = 120.0  # seconds within which a test has given back what it took

# How long an example takes is the machine's affair, which has other tests to run.
hypothesis.settings.register_profile("flowlang", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("flowlang")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="the order of the tests; by default a new one each time")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed once; xdist's workers get it from the process that started them."""
    given = getattr(config, "workerinput", {}).get("seed", config.getoption("--seed"))
    config.stash[SEED] = random.randrange(10**6) if given is None else given


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node) -> None:  # type: ignore[no-untyped-def]  # xdist's WorkerController
    node.workerinput["seed"] = node.config.stash[SEED]


def pytest_report_header(config: pytest.Config) -> str:
    return f"order: --seed {config.stash[SEED]}"


@pytest.hookimpl(trylast=True)  # what is left out is out
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Shuffle: a test that leans on another one's leavings shows itself. The slow ones begin, on each of xdist's
    workers: one that began last would keep the others waiting."""
    random.Random(config.stash[SEED]).shuffle(items)
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    slow = [each for each in items if each.get_closest_marker("slow")]
    others = iter([each for each in items if not each.get_closest_marker("slow")])
    share = len(items) // workers  # xdist gives each worker as many to begin with, in the order of `items`
    ordered = []
    for number in range(workers):
        first = slow[number::workers]
        ordered += [*first, *islice(others, max(0, share - len(first)))]
    items[:] = [*ordered, *others]


def pytest_collection_finish() -> None:
    """What was collected stays to the end: the garbage collector need not look at it again and again. What tests write
    and import is not kept compiled: a file changed within a second, to one as long, would count as it was."""
    sys.dont_write_bytecode = True
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """A test that failed may leave a thread for which its event loop waits for ever, and the time limit of the test is
    over: the process ends then, and says where it stood."""
    stderr = item.config.stash.get(fault_handler_stderr_fd_key, sys.__stderr__)
    faulthandler.dump_traceback_later(CLEANED_UP, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def pytest_runtest_logfinish() -> None:
    """The same for what tests leave in caches, now and then: whoever collects looks through all of it, and many do."""
    if next(_ENDED) % 25 == 0:
        gc.collect()
        gc.freeze()


def pytest_terminal_summary(terminalreporter) -> None:  # type: ignore[no-untyped-def]  # pytest's TerminalReporter
    """The figures that tests were asked to tell (`record_property("figure", …)`), also those of xdist's workers."""
    reports = [each for kind in ("passed", "failed") for each in terminalreporter.stats.get(kind, ())]
    for told in sorted(value for each in reports for name, value in each.user_properties if name == "figure"):
        terminalreporter.write_line(told)


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings and secrets of the machine never reach a test."""
    for name in list(os.environ):
        if name.startswith("FLOWLANG_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # as in this process, once all is collected


SEED = pytest.StashKey[int]()
_ENDED = count(1)  # tests
