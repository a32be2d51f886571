"""Fixtures for the faults: one running service for all of them, and the figures they measure."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.corpora.tables import Corpus
from app.migrations import upgrade
from tests import services
from tests.faults.stack import Stack
from tests.speechless import add_corpus

Measure = Callable[[str, float, float], None]
FIGURES = pytest.StashKey[list[tuple[str, float, float]]]()

SMALL: dict[str, Any] = {
    "architecture": "cnn4",
    "defense": {"type": "vanilla"},
    "batch_size": 2,
    "frames": 32,
    "evaluate_every": 0,
}
"""A training of the real CNN-4 whose iterations take a fifth of a second."""

TINY = SMALL | {"architecture": "tiny", "batch_size": 8}
"""One whose iterations take milliseconds, for processes started `with_tiny`."""


CONNECTIONS = 40
"""That the PostgreSQL which is harmed takes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.faults)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def stack(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    postgresql_url: str | None,
) -> Iterator[Stack]:
    """The running service. Each test leaves it whole, see `submit`."""
    folder = tmp_path_factory.mktemp("stack")
    if postgresql_url is None:
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "serval.db")
    stack = Stack(folder, postgresql_url or f"sqlite:///{folder / 'serval.db'}")
    try:
        stack.start()
        yield stack
    finally:
        stack.end()


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[services.PostgreSQL]:
    """A PostgreSQL that tests may harm; each leaves it running."""
    try:
        binaries = services.postgres_binaries()
    except services.ServiceError as error:
        pytest.skip(str(error))
    with services.temporary_folder() as folder:
        server = services.PostgreSQL(binaries, folder / "postgres", connections=CONNECTIONS)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def stack_on_postgresql(
    postgresql_server: services.PostgreSQL, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    """The running service on that server, with a worker of each kind."""
    upgrade(postgresql_server.url)
    stack = Stack(tmp_path_factory.mktemp("on-postgresql"), postgresql_server.url)
    try:
        stack.start(trainers=1)
        yield stack
    finally:
        stack.end()


@pytest.fixture(scope="session")
def corpus(stack: Stack) -> Corpus:
    with stack.sessions() as session:
        return add_corpus(session, stack.storage)


@pytest.fixture
def submit(stack: Stack, corpus: Corpus) -> Iterator[Callable[..., str]]:
    """`submit(iterations=20)` submits a tiny training and gives its id.

    Afterwards every job has ended and every worker is there, also if the test failed.
    """

    def submit(**wanted: Any) -> str:
        return stack.submit(**{"corpus": corpus.id, **TINY, **wanted})

    yield submit
    for worker in stack.workers:
        if not worker.running:
            stack.replace(worker)
    stack.cancel_all()


@pytest.fixture
def measure(request: pytest.FixtureRequest) -> Measure:
    """`measure("horse gone, s", 0.02, 1.0)` holds a figure to its bar, and reports it."""
    stash = request.config.stash

    def measure(name: str, value: float, bar: float) -> None:
        stash.setdefault(FIGURES, []).append((name, value, bar))
        assert value <= bar, f"{name}: {value:.3f}, more than {bar:g}"

    return measure


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """The worst of each figure, with its bar."""
    figures = config.stash.get(FIGURES, [])
    if not figures:
        return
    terminalreporter.section("faults: the worst of each figure")
    for name in dict.fromkeys(name for name, _, _ in figures):
        values = [value for other, value, _ in figures if other == name]
        bar = next(bar for other, _, bar in figures if other == name)
        line = f"{name:<52}{max(values):8.3f}   bar {bar:g}   of {len(values)}"
        terminalreporter.write_line(line)
