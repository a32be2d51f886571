"""Where an Idempotency-Key would have no effect."""

import pytest
from fastapi.testclient import TestClient

from tests.conftest import MakeKey

KEY = {"Idempotency-Key": "monday-1"}


class TestWithoutIdempotency:
    @pytest.mark.parametrize("path", ["/v1/corpora", "/v1/models", "/v1/keys"])
    def test_a_key_is_refused_and_not_ignored(self, client: TestClient, path: str) -> None:
        body = {"name": "x", "scopes": ["audit"]} if path == "/v1/keys" else None
        answer = client.post(path, headers=KEY, json=body)
        assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_unsupported")
        assert f"POST {path}" in answer.json()["detail"]
        assert client.get("/v1/keys").json()["data"] == []

    def test_who_asks_is_looked_at_before_the_key(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        make_key("audit")
        assert client.post("/v1/corpora", headers=KEY).status_code == 401
