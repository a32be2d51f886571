"""How often a key may ask."""

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient

from app.access.auth import MayPredict, MaySubmitAudit
from app.access.rates import Rates
from app.errors import TooMany
from app.main import create_app
from app.settings import Settings
from tests.conftest import MakeKey

router = APIRouter()


@router.get("/predict")
async def predict(caller: MayPredict) -> None: ...


@router.get("/submit")
async def submit(caller: MaySubmitAudit) -> None: ...


class TestRates:
    def test_each_key_and_each_activity_is_counted_by_itself(self, settings: Settings) -> None:
        rates = Rates(settings.model_copy(update={"predict_rate": "2/hour", "submit_rate": ""}))
        for key in ("a", "b"):
            for _ in range(2):
                rates.take("predict", key)
        with pytest.raises(TooMany) as refused:
            rates.take("predict", "a")
        assert 3500 <= int(refused.value.headers["Retry-After"]) <= 3600
        for _ in range(100):
            rates.take("submit", "a")

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
