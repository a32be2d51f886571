"""Keys over REST."""

from typing import Any
from urllib.parse import unquote

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import event

from tests.app.state import state
from tests.conftest import MakeKey

WANTED = {"name": "call centre", "scopes": ["predict", "audit"]}


class TestCreateKey:
    def test_the_first_one_is_made_on_loopback_and_closes_the_door(
        self, client: TestClient
    ) -> None:
        made = client.post("/v1/keys", json=WANTED)
        assert made.status_code == 201
        assert made.json()["object"] == "key"
        assert made.json()["scopes"] == ["audit", "predict"]
        assert client.get("/v1/jobs").status_code == 401
        headers = {"authorization": f"Bearer {made.json()['token']}"}
        assert client.get("/v1/jobs", headers=headers).status_code == 200

    def test_a_key_is_made_by_an_admin_alone(self, client: TestClient, make_key: MakeKey) -> None:
        mortal, admin = make_key("train"), make_key("admin")
        assert client.post("/v1/keys", json=WANTED).status_code == 401
        assert client.post("/v1/keys", json=WANTED, headers=mortal.headers).status_code == 403
        assert client.post("/v1/keys", json=WANTED, headers=admin.headers).status_code == 201

    @pytest.mark.parametrize(
        "letter", ["\n", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\u200f"]
    )
    def test_a_name_that_would_look_like_another_is_422(
        self, client: TestClient, letter: str
    ) -> None:
        answer = client.post("/v1/keys", json=WANTED | {"name": f"a{letter}b"})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "name")
        assert client.post("/v1/keys", json=WANTED | {"name": "محمد 王 é"}).status_code == 201

    def test_a_scope_that_does_not_exist_is_422(self, client: TestClient) -> None:
        answer = client.post("/v1/keys", json=WANTED | {"scopes": ["root"]})
        assert answer.status_code == 422
        assert "'predict', 'audit', 'train' or 'admin'" in answer.json()["errors"][0]["remedy"]

    def test_a_key_without_a_scope_is_422(self, client: TestClient) -> None:
        assert client.post("/v1/keys", json=WANTED | {"scopes": []}).status_code == 422


class TestListKeys:
    def test_the_list_shows_all_keys_and_no_secret(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        admin, other = make_key("admin"), make_key("audit")
        answer = client.get("/v1/keys", headers=admin.headers)
        assert {key["id"] for key in answer.json()["data"]} == {admin.id, other.id}
        assert answer.json()["object"] == "list"
        assert admin.token.rpartition("_")[2] not in answer.text
        assert "sha256" not in answer.text


class TestRevokeKey:
    def test_a_revoked_key_opens_nothing_at_once_and_twice_is_as_good_as_once(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        admin, other = make_key("admin"), make_key("audit")
        for _ in range(2):
            gone = client.delete(f"/v1/keys/{other.id}", headers=admin.headers)
            assert gone.status_code == 204
        assert client.get("/v1/jobs", headers=other.headers).status_code == 401

    def test_an_unknown_one_is_404_and_named(self, client: TestClient) -> None:
        answer = client.delete("/v1/keys/key_nobody")
        assert answer.status_code == 404
        assert "key_nobody" in answer.json()["detail"]

    @pytest.mark.parametrize("name", ["a%00b", "key_%00", "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    def test_what_is_no_id_is_404_and_never_reaches_the_database(
        self, client: TestClient, app: FastAPI, name: str
    ) -> None:
        """PostgreSQL takes no text with NUL in it: asked for such a key, it would fail."""
        asked: list[str] = []

        @event.listens_for(state(app).engine, "before_cursor_execute")
        def note(_: Any, __: Any, ___: str, given: Any, *____: Any) -> None:
            asked.append(repr(given))

        answer = client.delete(f"/v1/keys/{name}")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert asked  # whether there is a key
        assert not any(repr(unquote(name)) in given for given in asked)
