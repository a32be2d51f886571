"""The routes that answer predictions and the routes that document them are two of the same."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from app.http.plain_route import PlainRoute
from app.main import create_app
from app.predictions.documented import documented_routes
from app.settings import Settings
from tests.app.predictions.clips import good_wav
from tests.conftest import MakeKey, TestKey

MOST = 20_000  # bytes of a clip; the good one has 16,044
JSON = {"content-type": "application/json"}


@pytest.fixture
def settings(settings: Settings, starters: Path) -> Settings:
    return settings.model_copy(update={"default_model": "tiny-a", "max_predict_bytes": MOST})


def plain_routes(app: FastAPI) -> list[PlainRoute]:
    return [route for route in app.router.routes if isinstance(route, PlainRoute)]


@pytest.fixture
def documented(settings: Settings) -> Iterator[TestClient]:
    """A client of an application in which the documented routes must answer themselves."""
    app = create_app(settings)
    for route in plain_routes(app):
        app.router.routes.remove(route)
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


@pytest.fixture
def key(make_key: MakeKey) -> TestKey:
    return make_key("predict")


CLIP = base64.b64encode(good_wav()).decode()
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "a clip": ("POST", "/v1/predict", {"content": good_wav()}),
    "a clip and a query": ("POST", "/v1/predict?model=tiny-b&top_k=1", {"content": good_wav()}),
    "a query with one name twice": (
        "POST",
        "/v1/predict?model=tiny-z&model=tiny-b",
        {"content": good_wav()},
    ),
    "an empty value": ("POST", "/v1/predict?top_k=", {}),
    "a value out of bounds": ("POST", "/v1/predict?top_k=0", {}),
    "two values that do not hold": ("POST", f"/v1/predict?top_k=x&model={'m' * 101}", {}),
    "an unknown name": ("POST", "/v1/predict?modle=tiny-a", {}),
    "no clip": ("POST", "/v1/predict", {}),
    "another type": (
        "POST",
        "/v1/predict",
        {"content": b"ID3", "headers": {"content-type": "x/y"}},
    ),
    "an unknown model": ("POST", "/v1/predict?model=tiny-z", {"content": good_wav()}),
    "another key": ("POST", "/v1/predict", {"headers": {"authorization": "Bearer sk_no"}}),
    "each channel": ("POST", "/v1/predict?channel=each", {"content": good_wav()}),
    "a channel that there is not": ("POST", "/v1/predict?channel=middle", {}),
    "another method": ("GET", "/v1/predict", {}),
    "the head": ("HEAD", "/v1/predict", {}),
    "the options": ("OPTIONS", "/v1/predict", {}),
    "a slash too many": ("POST", "/v1/predict/", {}),
    "capitals": ("POST", "/V1/predict", {}),
    "Hugging Face": ("POST", "/hf/tiny-b", {"content": good_wav()}),
    "Hugging Face as JSON": (
        "POST",
        "/hf/tiny-b?top_k=2",
        {"content": json.dumps({"inputs": CLIP}), "headers": JSON},
    ),
    "Hugging Face out of bounds": ("POST", "/hf/tiny-b?top_k=1001", {}),
    "Hugging Face unknown": ("POST", "/hf/tiny-z", {"content": good_wav()}),
    "Hugging Face too long": ("POST", f"/hf/{'m' * 101}", {}),
    "Hugging Face by another method": ("DELETE", "/hf/tiny-b", {}),
}


class TestPlainRoutes:
    @pytest.mark.parametrize(("method", "path", "more"), REQUESTS.values(), ids=REQUESTS)
    def test_answer_as_the_documented_ones_would(
        self,
        client: TestClient,
        documented: TestClient,
        key: TestKey,
        method: str,
        path: str,
        more: dict[str, Any],
    ) -> None:
        sent = {"x-request-id": "same", **key.headers, **more.get("headers", {})}

        def answer(of: TestClient) -> tuple[int, str, dict[str, str]]:
            got = of.request(method, path, **more | {"headers": sent})
            headers = dict(got.headers)
            if "server-timing" in headers:
                headers["server-timing"] = "told"
            return got.status_code, got.text, headers

        assert answer(client) == answer(documented)

    def test_are_those_that_are_documented_and_come_before_all_others(
        self, app: FastAPI, settings: Settings
    ) -> None:
        plain = plain_routes(app)
        assert app.router.routes[: len(plain)] == plain
        assert {(route.path, *sorted(route.methods or {})) for route in plain} == {
            (route.path, *sorted(route.methods or {}))
            for route in documented_routes(settings).routes
            if isinstance(route, APIRoute)
        }

    def test_count_under_their_template(self, client: TestClient) -> None:
        client.post("/v1/predict", content=good_wav())
        client.post("/hf/tiny-a", content=good_wav())
        text = client.get("/metrics").text
        for route in ("/v1/predict", "/hf/{model}"):
            counted = (
                f'serval_http_requests_total{{method="POST",route="{route}",status="200"}} 1.0'
            )
            assert counted in text


class TestABodyOverTheLimit:
    """Of /v1/predict the limit is the clip's; of /hf/ that of a clip as base64."""

    @pytest.mark.parametrize("pieces", [[MOST + 1], [MOST, 1], [400] * 100])
    @pytest.mark.parametrize("declared", [True, False])
    def test_is_413_and_told_how_much_is_accepted(
        self, client: TestClient, pieces: list[int], declared: bool
    ) -> None:
        sent = (b"x" * size for size in pieces)
        answer = client.post("/v1/predict", content=b"".join(sent) if declared else sent)
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert f"larger than the {MOST} bytes" in answer.json()["detail"]
        assert client.post("/v1/predict", content=good_wav()).status_code == 200

    def test_is_refused_for_hugging_face_by_the_size_of_the_clip(self, client: TestClient) -> None:
        answer = client.post("/hf/tiny-a", content=b"x" * (MOST + 1))
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
        asked = json.dumps({"inputs": base64.b64encode(b"x" * (2 * MOST)).decode()})
        answer = client.post("/hf/tiny-a", content=asked, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
