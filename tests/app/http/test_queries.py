"""What no route knows is refused by every route."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.observability.health import router as health

FILLED = {
    "job_id": "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
    "corpus_id": "corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
    "model_id": "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
    "key_id": "key_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
    "name": "uar-curve.png",
    "model": "cnn4-single-cremad",
}


def operations(app: FastAPI) -> list[tuple[str, str]]:
    """Every method and path but those for machines that watch, which may add what they like."""
    watched = {route.path for route in health.routes}  # type: ignore[attr-defined]
    return [
        (method.upper(), path.format_map(FILLED))
        for path, methods in app.openapi()["paths"].items()
        if path not in watched
        for method in methods
    ]


class TestUnknownParameters:
    def test_are_refused_and_named_by_every_route(self, app: FastAPI, client: TestClient) -> None:
        found = operations(app)
        assert len(found) > 25
        for method, path in found:
            answer = client.request(method, path, params={"stauts": "failed"}, json={})
            assert answer.status_code == 422, (method, path)
            named = {one["field"] for one in answer.json()["errors"]}
            assert "query.stauts" in named, (method, path)

    def test_are_refused_where_events_are_followed(self, client: TestClient) -> None:
        path = f"/v1/audits/{FILLED['job_id']}/events"
        answer = client.get(path, params={"limit": 5}, headers={"Accept": "text/event-stream"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "query.limit"

    def test_are_refused_where_clips_are_uploaded(self, client: TestClient) -> None:
        answer = client.post("/v1/audits?dry_run=1", files={"file": b"RIFF"})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "query.dry_run"

    @pytest.mark.parametrize("path", ["/healthz", "/metrics"])
    def test_do_not_disturb_what_is_watched(self, client: TestClient, path: str) -> None:
        """Monitors add them so that no cache answers in our place."""
        assert client.get(path, params={"t": 123}).status_code == 200


class TestPages:
    @pytest.mark.parametrize("path", ["audits", "trainings", "jobs", "corpora", "models"])
    def test_are_asked_for_alike(self, app: FastAPI, path: str) -> None:
        told: list[dict[str, Any]] = app.openapi()["paths"][f"/v1/{path}"]["get"]["parameters"]
        query = {one["name"]: one["schema"] for one in told if one["in"] == "query"}
        assert {"limit", "after"} <= query.keys()
        assert (query["limit"]["default"], query["limit"]["maximum"]) == (20, 100)
