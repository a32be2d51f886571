"""Pages of other origins in a browser."""

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings
from tests.app.predictions.clips import good_wav
from tests.conftest import MakeKey, TestKey

PAGE = {"origin": "https://app.example"}
ALLOWED = "access-control-allow-origin"


@pytest.fixture
def settings(settings: Settings, starters: Path) -> Settings:
    changes = {
        "cors_origins": "https://app.example,http://localhost:3000",
        "default_model": "tiny-a",
    }
    return settings.model_copy(update=changes)


@pytest.fixture
def key(make_key: MakeKey) -> TestKey:
    return make_key("predict")


class TestAnAllowedOrigin:
    def test_may_predict_with_a_key_and_read_what_it_needs(
        self, client: TestClient, key: TestKey
    ) -> None:
        headers = {**PAGE, **key.headers, "content-type": "audio/wav"}
        answer = client.post("/v1/predict", content=good_wav(), headers=headers)
        assert answer.status_code == 200
        assert answer.headers[ALLOWED] == "https://app.example"
        assert "Origin" in answer.headers["vary"]
        exposed = answer.headers["access-control-expose-headers"]
        assert {"Location", "Retry-After", "Serval-Warnings"} <= set(exposed.split(", "))
        assert "access-control-allow-credentials" not in answer.headers

    def test_is_told_before_it_sends_a_key_that_it_may(self, client: TestClient) -> None:
        asked = {
            **PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization, content-type, idempotency-key",
        }
        answer = client.options("/v1/predict", headers=asked)
        assert answer.status_code == 200
        assert answer.headers[ALLOWED] == "https://app.example"

    @pytest.mark.parametrize("size", [10, 40_000_000])
    def test_may_read_why_it_was_refused(self, client: TestClient, key: TestKey, size: int) -> None:
        headers = {**PAGE, **key.headers, "content-type": "audio/wav"}
        refused = client.post("/v1/predict", content=bytes(size), headers=headers)
        assert refused.status_code in {400, 413}
        assert refused.headers[ALLOWED] == "https://app.example"

    def test_needs_a_key(self, client: TestClient, key: TestKey) -> None:
        assert client.post("/v1/predict", content=good_wav(), headers=PAGE).status_code == 401


class TestAnyOtherOrigin:
    @pytest.mark.parametrize("origin", ["https://evil.example", "http://app.example", "null"])
    def test_is_told_nothing(self, client: TestClient, key: TestKey, origin: str) -> None:
        headers = {"origin": origin, **key.headers}
        assert ALLOWED not in client.get("/v1/models", headers=headers).headers
        asked = {"origin": origin, "access-control-request-method": "POST"}
        assert client.options("/v1/predict", headers=asked).status_code == 400
