"""Models over REST."""

import io
import json
import pickle
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.persistence.storage import Storage
from app.registry import endpoints
from app.settings import Settings
from models.checkpoint import WEIGHTS, sha256, weights_bytes
from tests.app.state import reconfigure, state
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey


@pytest.fixture(autouse=True)
def _starters(starters: Path) -> None:
    """Every test here sees the starters tiny-a and tiny-b."""


def config_json(**changes: Any) -> str:
    values = json.loads(tiny_config().to_json())
    return json.dumps({**values, **changes})


def upload(
    client: TestClient,
    weights: bytes | None = None,
    config: str | None = None,
    name: str = "mine",
    headers: dict[str, str] | None = None,
) -> Any:
    weights = weights_bytes(tiny_net()) if weights is None else weights
    return client.post(
        "/v1/models",
        files={"weights": (WEIGHTS, weights)},
        data={"config": config or config_json(), "name": name},
        headers=headers,
    )


def both_as_files() -> dict[str, tuple[str, bytes]]:
    return {
        "weights": (WEIGHTS, weights_bytes(tiny_net())),
        "config": ("config.json", config_json().encode()),
    }


def torch_saved() -> bytes:
    """What `torch.save` writes: a zip archive with a pickle in it."""
    buffer = io.BytesIO()
    torch.save(tiny_net().state_dict(), buffer)
    assert buffer.getvalue().startswith(b"PK")
    return buffer.getvalue()


class TestUpload:
    def test_an_uploaded_model_is_created_and_there(self, client: TestClient) -> None:
        weights = weights_bytes(tiny_net())
        made = upload(client, weights)
        assert made.status_code == 201
        model = made.json()
        assert made.headers["location"] == f"/v1/models/{model['id']}"
        assert client.get(made.headers["location"]).json() == model
        assert model["object"] == "model"
        assert model["name"] == "mine"
        assert model["labels"] == ["calm", "cross", "sad"]
        assert model["frames"] == 32
        assert model["defense"] == {"type": "single"}
        assert model["metrics"] == {}  # nobody here measured what its configuration says
        assert model["claimed_metrics"]["test"]["fgsm_uar"] == {"0.02": 0.25}
        assert model["sha256"] == sha256(weights)
        assert not model["starter"]
        assert model["training"] is None
        assert model["created_at"].endswith("Z")

    def test_the_configuration_may_be_a_file(self, client: TestClient) -> None:
        files = both_as_files()
        made = client.post("/v1/models", files=files)
        assert made.status_code == 201
        assert made.json()["name"] == "tiny"

    def test_the_levels_it_was_trained_on_are_told_and_given_back(self, client: TestClient) -> None:
        model = upload(client, config=config_json(levels_dbfs=[-42.5, -18])).json()
        assert model["levels_dbfs"] == [-42.5, -18.0]
        config = client.get(f"/v1/models/{model['id']}/config").json()
        assert config["levels_dbfs"] == [-42.5, -18.0]
        assert upload(client).json()["levels_dbfs"] is None

    def test_the_file_is_kept_as_it_came(self, client: TestClient, settings: Settings) -> None:
        header = json.dumps({"__metadata__": {"format": "pt"}, **_header()}).encode()
        weights = struct.pack("<Q", len(header)) + header + _body()
        model = upload(client, weights).json()
        stored = Storage(settings.data_dir).model_dir(model["id"]) / WEIGHTS
        assert stored.read_bytes() == weights
        assert model["sha256"] == sha256(weights)

    @pytest.mark.parametrize(
        ("weights", "code"),
        [
            (b"", "not_safetensors"),
            (b"RIFF....WAVE", "not_safetensors"),
            (pickle.dumps({"scale": [1.0]}), "not_safetensors"),
            (torch_saved(), "not_safetensors"),
            (struct.pack("<Q", 2**60) + b"{}", "not_safetensors"),
            (weights_bytes(tiny_net(n_classes=4)), "wrong_shape"),
        ],
        ids=[
            "empty",
            "a WAV",
            "a pickle",
            "a zip of torch.save",
            "a huge header",
            "another number of labels",
        ],
    )
    def test_weights_that_do_not_hold_are_422_and_leave_nothing(
        self, client: TestClient, settings: Settings, weights: bytes, code: str
    ) -> None:
        refused = upload(client, weights)
        assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert list((settings.data_dir / "models").iterdir()) == []
        assert list((settings.data_dir / "staging").iterdir()) == []
        assert upload(client).status_code == 201

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"surprise": 1}, "bad_config"),
            ({"architecture": "cnn5"}, "unknown_architecture"),
            ({"labels": ["one"]}, "bad_labels"),
            ({"labels": ["a", "a", "b"]}, "bad_labels"),
            ({"std": [0.0] * 64}, "bad_statistics"),
            ({"frames": 10**9}, "bad_frames"),
            ({"levels_dbfs": [-18, -42]}, "bad_levels"),
            ({"metrics": {"x": float("nan")}}, "bad_config"),
            ({"metrics": {"x": "\ud800"}}, "bad_config"),
        ],
    )
    def test_a_configuration_that_does_not_hold_is_422(
        self, client: TestClient, changes: dict[str, Any], code: str
    ) -> None:
        refused = upload(client, config=config_json(**changes))
        assert (refused.status_code, refused.json()["code"]) == (422, code)
        assert upload(client).status_code == 201

    @pytest.mark.parametrize(
        "config", ["{", "[]", '{"metrics":' + '{"a":' * 500 + "1" + "}" * 500 + "}"]
    )
    def test_a_configuration_that_is_no_plain_object_is_422(
        self, client: TestClient, config: str
    ) -> None:
        refused = upload(client, config=config)
        assert (refused.status_code, refused.json()["code"]) == (422, "bad_config")

    @pytest.mark.parametrize("missing", ["weights", "config"])
    def test_both_parts_are_needed(self, client: TestClient, missing: str) -> None:
        files = both_as_files()
        del files[missing]
        refused = client.post("/v1/models", files=files)
        assert refused.status_code == 422
        assert missing in refused.json()["detail"]

    def test_an_unknown_part_is_422(self, client: TestClient) -> None:
        refused = client.post("/v1/models", files=both_as_files(), data={"colour": "red"})
        assert refused.status_code == 422
        assert "colour" in refused.json()["detail"]

    @pytest.mark.parametrize("name", ["", "a" * 101, "two\nlines"])
    def test_a_name_is_one_short_line(self, client: TestClient, name: str) -> None:
        assert upload(client, name=name).status_code == 422

    def test_one_too_large_is_413_also_without_a_declared_length(
        self, client: TestClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        reconfigure(client.app, max_model_bytes=5000)
        big = b"\0" * 6000
        assert upload(client, big).status_code == 413
        request = client.build_request("POST", "/v1/models", files={"weights": (WEIGHTS, big)})
        content = request.read()
        chunked = client.post(
            "/v1/models",
            content=iter([content[:3000], content[3000:]]),
            headers={"content-type": request.headers["content-type"]},
        )
        assert chunked.status_code == 413
        assert upload(client).status_code == 201

    def test_one_too_many_at_a_time_is_503(self, client: TestClient) -> None:
        with endpoints.UPLOADS.one("key_a"), endpoints.UPLOADS.one("key_b"):
            refused = upload(client)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert upload(client).status_code == 201

    def test_one_key_uploads_one_at_a_time_and_leaves_the_other_place(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        busy, other = make_key("train"), make_key("train")
        with endpoints.UPLOADS.one(busy.id):
            assert upload(client, headers=busy.headers).status_code == 429
            assert upload(client, headers=other.headers).status_code == 201


class TestList:
    def test_ones_own_and_the_starters(self, client: TestClient) -> None:
        mine = upload(client).json()
        page = client.get("/v1/models").json()
        assert [model["id"] for model in page["data"]] == [mine["id"], "tiny-a", "tiny-b"]
        assert page["object"] == "list"
        assert not page["has_more"]

    def test_pages(self, client: TestClient) -> None:
        mine = upload(client).json()
        first = client.get("/v1/models?limit=2").json()
        assert [model["id"] for model in first["data"]] == [mine["id"], "tiny-a"]
        assert first["has_more"]
        second = client.get("/v1/models?limit=2&after=tiny-a").json()
        assert [model["id"] for model in second["data"]] == ["tiny-b"]
        assert not second["has_more"]

    def test_an_after_that_is_no_id_is_422(self, client: TestClient) -> None:
        assert client.get("/v1/models?after=tiny-z").status_code == 422


class TestOwnership:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        make_key("train")
        assert client.get("/v1/models").status_code == 401
        assert upload(client).status_code == 401

    def test_a_key_that_may_not_train_uploads_and_deletes_nothing(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        key = make_key("predict")
        assert client.get("/v1/models", headers=key.headers).status_code == 200
        assert upload(client, headers=key.headers).status_code == 403
        assert client.delete("/v1/models/tiny-a", headers=key.headers).status_code == 403

    def test_anothers_model_is_404(self, client: TestClient, make_key: MakeKey) -> None:
        theirs, mine = make_key("train"), make_key("train", "predict", "audit")
        path = upload(client, headers=theirs.headers).headers["location"]
        assert client.get(path, headers=mine.headers).status_code == 404
        assert client.delete(path, headers=mine.headers).status_code == 404
        listed = client.get("/v1/models", headers=mine.headers).json()["data"]
        assert [model["id"] for model in listed] == ["tiny-a", "tiny-b"]
        assert client.get(path, headers=theirs.headers).status_code == 200


class TestDownload:
    """What was trained or uploaded here can be taken away."""

    def test_the_weights_are_those_that_came(self, client: TestClient) -> None:
        weights = weights_bytes(tiny_net())
        model = upload(client, weights).json()
        answer = client.get(f"/v1/models/{model['id']}/weights")
        assert (answer.status_code, answer.content) == (200, weights)
        assert sha256(answer.content) == model["sha256"]
        assert answer.headers["content-type"] == "application/octet-stream"
        assert f'filename="{model["id"]}.safetensors"' in answer.headers["content-disposition"]

    def test_the_configuration_is_whole_with_whatever_the_training_says(
        self, client: TestClient
    ) -> None:
        said = config_json(training={"by": "someone else", "corpus": 5})
        path = upload(client, config=said).headers["location"]
        answer = client.get(f"{path}/config")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json() == json.loads(said)

    def test_both_together_are_an_upload_that_is_the_same_model(self, client: TestClient) -> None:
        path = upload(client).headers["location"]
        weights, config = (client.get(f"{path}/{part}") for part in ("weights", "config"))
        again = upload(client, weights.content, config.text).json()
        first = client.get(path).json()
        for name in ("id", "created_at"):
            del first[name], again[name]
        assert again == first

    @pytest.mark.parametrize("part", ["weights", "config"])
    def test_comes_in_parts_and_not_again_to_whoever_has_it(
        self, client: TestClient, part: str
    ) -> None:
        path = upload(client).headers["location"] + f"/{part}"
        whole = client.get(path)
        some = client.get(path, headers={"Range": "bytes=2-5"})
        assert (some.status_code, some.content) == (206, whole.content[2:6])
        beyond = client.get(path, headers={"Range": "bytes=9999999-"})
        assert (beyond.status_code, beyond.json()["code"]) == (416, "range_not_satisfiable")
        had = client.get(path, headers={"If-None-Match": whole.headers["etag"]})
        assert (had.status_code, had.content) == (304, b"")
        head = client.head(path)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(whole.content))

    @pytest.mark.parametrize("part", ["weights", "config"])
    def test_a_starter_is_everybodys(
        self, client: TestClient, make_key: MakeKey, starters: Path, part: str
    ) -> None:
        key = make_key("predict")
        answer = client.get(f"/v1/models/tiny-a/{part}", headers=key.headers)
        name = {"weights": WEIGHTS, "config": "config.json"}[part]
        assert answer.content == (starters / "tiny-a" / name).read_bytes()

    @pytest.mark.parametrize("part", ["weights", "config"])
    def test_anonymous_is_401_and_anothers_404(
        self, client: TestClient, make_key: MakeKey, part: str
    ) -> None:
        theirs, mine = make_key("train"), make_key("train", "predict", "audit")
        path = upload(client, headers=theirs.headers).headers["location"] + f"/{part}"
        assert client.get(path).status_code == 401
        assert client.get(path, headers=mine.headers).status_code == 404
        assert client.get(path, headers=theirs.headers).status_code == 200

    @pytest.mark.parametrize("part", ["weights", "config"])
    def test_of_what_is_not_there_is_404_and_a_query_is_refused(
        self, client: TestClient, part: str
    ) -> None:
        assert client.get(f"/v1/models/tiny-z/{part}").status_code == 404
        assert client.get(f"/v1/models/tiny-a/{part}?format=onnx").status_code == 422

    def test_a_file_that_is_gone_is_told_as_damage(
        self, client: TestClient, settings: Settings
    ) -> None:
        model = upload(client).json()
        (Storage(settings.data_dir).model_dir(model["id"]) / WEIGHTS).unlink()
        answer = client.get(f"/v1/models/{model['id']}/weights")
        assert (answer.status_code, answer.json()["code"]) == (500, "model_damaged")

    @pytest.mark.parametrize("part", ["weights", "config"])
    def test_of_files_that_this_host_does_not_see_yet_is_to_be_tried_again(
        self, client: TestClient, part: str
    ) -> None:
        model = upload(client).json()
        storage = state(client.app).storage
        storage.wait_seconds = 0.1
        storage.remove(storage.model_dir(model["id"]))
        answer = client.get(f"/v1/models/{model['id']}/{part}")
        assert (answer.status_code, answer.json()["code"]) == (503, "files_not_visible")
        assert answer.headers["retry-after"] == "5"

    def test_is_documented(self, client: TestClient) -> None:
        paths = client.get("/openapi.json").json()["paths"]
        for part in ("weights", "config"):
            answers = paths[f"/v1/models/{{model_id}}/{part}"]["get"]["responses"]
            assert {"200", "206", "304", "401", "404", "416"} <= answers.keys()


class TestDelete:
    def test_a_deleted_model_is_gone(self, client: TestClient, settings: Settings) -> None:
        path = upload(client).headers["location"]
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404
        assert client.delete(path).status_code == 404
        assert list((settings.data_dir / "models").iterdir()) == []

    def test_a_starter_is_403_and_stays(self, client: TestClient) -> None:
        refused = client.delete("/v1/models/tiny-a")
        assert (refused.status_code, refused.json()["code"]) == (403, "starter_model")
        assert client.get("/v1/models/tiny-a").status_code == 200

    def test_one_in_use_is_409_and_names_the_job(
        self, client: TestClient, session: Session
    ) -> None:
        from app.jobs.states import JobKind
        from app.jobs.tables import Job
        from app.persistence.ids import new_id

        model = upload(client).json()
        job = Job(
            id=new_id("audit"), kind=JobKind.AUDIT, owner="local", model=model["id"], request={}
        )
        session.add(job)
        session.commit()
        refused = client.delete(f"/v1/models/{model['id']}")
        assert (refused.status_code, refused.json()["code"]) == (409, "model_in_use")
        assert job.id in refused.json()["detail"]

    @pytest.mark.parametrize("name", ["tiny-z", "..", "%2e%2e%2ftiny-a", "model_nope", "a%00b"])
    def test_what_is_not_there_is_404(self, client: TestClient, name: str) -> None:
        assert client.get(f"/v1/models/{name}").status_code == 404
        assert client.delete(f"/v1/models/{name}").status_code in {404, 405}


def _header() -> dict[str, Any]:
    """The safetensors header of a tiny network, in an order of its own."""
    header: dict[str, Any] = {}
    at = 0
    for name, tensor in _state().items():
        end = at + tensor.numel() * 4
        header[name] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [at, end]}
        at = end
    return header


def _body() -> bytes:
    return b"".join(tensor.numpy().tobytes() for tensor in _state().values())


def _state() -> dict[str, torch.Tensor]:
    return dict(reversed(tiny_net().state_dict().items()))
