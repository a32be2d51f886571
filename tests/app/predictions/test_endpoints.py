"""POST /v1/predict and POST /hf/{model}."""

import base64
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.main import create_app
from app.predictions import service
from app.predictions.endpoints import AUDIO_TYPES
from app.registry import loaded
from app.settings import Settings
from models.audio import Samples, decode, encode_wav
from models.checkpoint import ModelConfig, load_model, weights_bytes
from models.features import LogMel, windows
from tests.app.predictions.clips import BAD, good_wav, noise, wav
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey


@pytest.fixture
def settings(settings: Settings, starters: Path) -> Settings:
    """The starters tiny-a and tiny-b, of which the first is the default."""
    return settings.model_copy(update={"default_model": "tiny-a", "max_predict_bytes": 2_500_000})


def limited(settings: Settings, **changes: Any) -> Iterator[TestClient]:
    """A client of a service with other limits."""
    app = create_app(settings.model_copy(update=changes))
    with TestClient(app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000)) as client:
        yield client


def predict(
    client: TestClient,
    clip: bytes | None = None,
    path: str = "/v1/predict",
    headers: dict[str, str] | None = None,
) -> Any:
    content = good_wav() if clip is None else clip
    return client.post(
        path, content=content, headers={"content-type": "audio/wav", **(headers or {})}
    )


def expected(folder: Path, wav: bytes) -> list[float]:
    """What the plain functions of `models` say."""
    net, config = load_model(folder)
    features = LogMel()(torch.from_numpy(decode(wav).samples))
    with torch.inference_mode():
        logits = net(windows(config.standardizer(features), config.frames))
    mean: list[float] = logits.double().softmax(1).mean(0).tolist()
    return mean


class TestAnswer:
    def test_a_prediction_says_what_was_found(self, client: TestClient, starters: Path) -> None:
        answer = predict(client)
        assert answer.status_code == 200
        prediction = answer.json()
        assert set(prediction) == {
            "object", "model", "label", "scores", "duration_s", "windows", "warnings", "request_id",
        }  # fmt: skip
        assert prediction["object"] == "prediction"
        assert prediction["model"] == "tiny-a"
        assert prediction["request_id"] == answer.headers["x-request-id"]
        assert prediction["duration_s"] == 0.5
        assert prediction["windows"] == 1
        assert prediction["warnings"] == []

    def test_scores_are_sorted_sum_to_one_and_are_the_models(
        self, client: TestClient, starters: Path
    ) -> None:
        prediction = predict(client).json()
        scores = [score["score"] for score in prediction["scores"]]
        assert scores == sorted(scores, reverse=True)
        assert math.isclose(sum(scores), 1, abs_tol=1e-9)
        assert prediction["label"] == prediction["scores"][0]["label"]
        by_label = {score["label"]: score["score"] for score in prediction["scores"]}
        wanted = dict(
            zip(tiny_config().labels, expected(starters / "tiny-a", good_wav()), strict=True)
        )
        assert by_label == pytest.approx(wanted, abs=1e-6)

    def test_a_long_clip_is_the_mean_of_its_windows(
        self, client: TestClient, starters: Path
    ) -> None:
        clip = encode_wav(noise(3) * torch.linspace(0.01, 2, 48_000).numpy())
        prediction = predict(client, clip).json()
        assert prediction["windows"] == 11  # 186 frames, in windows of 32 that overlap by half
        by_label = {score["label"]: score["score"] for score in prediction["scores"]}
        wanted = dict(zip(tiny_config().labels, expected(starters / "tiny-a", clip), strict=True))
        assert by_label == pytest.approx(wanted, abs=1e-6)

    def test_the_model_can_be_chosen(self, client: TestClient, starters: Path) -> None:
        prediction = predict(client, path="/v1/predict?model=tiny-b").json()
        assert prediction["model"] == "tiny-b"
        best = max(expected(starters / "tiny-b", good_wav()))
        assert prediction["scores"][0]["score"] == pytest.approx(best, abs=1e-6)

    def test_top_k_leaves_the_most_probable(self, client: TestClient) -> None:
        everything = predict(client).json()
        best = predict(client, path="/v1/predict?top_k=2").json()
        assert best["scores"] == everything["scores"][:2]

    @pytest.mark.parametrize("query", ["top_k=0", "top_k=-1", "top_k=x", "modle=tiny-a"])
    def test_a_query_that_does_not_hold_is_422(self, client: TestClient, query: str) -> None:
        assert predict(client, path=f"/v1/predict?{query}").status_code == 422

    def test_the_time_it_took_is_told_by_step(self, client: TestClient) -> None:
        steps = [
            step.split(";dur=") for step in predict(client).headers["server-timing"].split(", ")
        ]
        assert [name for name, _ in steps] == ["decode", "features", "queue", "network"]
        assert all(float(milliseconds) >= 0 for _, milliseconds in steps)

    def test_what_the_client_should_know_is_told(self, client: TestClient) -> None:
        left = noise()
        stereo = torch.stack([torch.from_numpy(left), torch.zeros(len(left))], 1).numpy()
        body = (stereo * 32_767).astype("<i2").tobytes()
        (warning,) = predict(client, wav(body, channels=2)).json()["warnings"]
        assert warning == {
            "code": "one_channel_of_two",
            "message": "Of two channels the left one was taken.",
            "value": "left",
        }

    def test_a_channel_can_be_chosen(self, client: TestClient) -> None:
        stereo = np.stack([noise(seed=1), noise(seed=2) / 2], axis=1)
        body = wav((stereo * 32_767).astype("<i2").tobytes(), channels=2)
        alone = wav((stereo[:, 1] * 32_767).astype("<i2").tobytes())
        right = predict(client, body, "/v1/predict?channel=right").json()
        assert right["scores"] == predict(client, alone).json()["scores"]
        assert right["warnings"][0]["value"] == "right"
        answer = predict(client, alone, "/v1/predict?channel=right")
        assert (answer.status_code, answer.json()["code"]) == (422, "no_such_channel")

    def test_speech_outside_the_levels_that_the_model_learnt_from_is_told(
        self, client: TestClient
    ) -> None:
        config = replace(tiny_config(), levels_dbfs=(-30.0, -10.0))
        path = f"/v1/predict?model={uploaded(client, config=config).rsplit('/', 1)[-1]}"
        assert predict(client, good_wav(loudness=0.1), path).json()["warnings"] == []
        (warning,) = predict(client, good_wav(loudness=0.01), path).json()["warnings"]
        assert warning["code"] == "level"
        assert warning["value"] == pytest.approx(-40, abs=0.5)
        assert "quieter than the -30.0 to -10.0 dBFS" in warning["message"]

    def test_what_hugging_faces_answer_has_no_place_for_is_a_header(
        self, client: TestClient
    ) -> None:
        answer = predict(client, good_wav(0.25), "/hf/tiny-a")
        assert answer.headers["serval-warnings"] == "too_short=0.25"


def stereo(left: Samples, right: Samples) -> bytes:
    steps = np.stack([left, right], axis=1) * 32_767
    return wav(steps.astype("<i2").tobytes(), channels=2)


class TestEachChannel:
    """Two parties on a line: each has its own emotion."""

    EACH = "/v1/predict?channel=each"

    def test_both_are_predicted_as_if_they_came_alone(self, client: TestClient) -> None:
        both = stereo(noise(seed=1), noise(loudness=0.01, seed=2))
        answer = predict(client, both, self.EACH).json()
        assert set(answer) == {"object", "model", "duration_s", "channels", "request_id"}
        assert (answer["object"], answer["model"]) == ("channel_predictions", "tiny-a")
        assert answer["duration_s"] == 0.5
        for found, side in zip(answer["channels"], ("left", "right"), strict=True):
            alone = predict(client, both, f"/v1/predict?channel={side}").json()
            assert found["channel"] == side
            assert found["label"] == alone["label"]
            for mine, its in zip(found["scores"], alone["scores"], strict=True):
                assert mine == pytest.approx(its, abs=1e-6)
            assert found["windows"] == alone["windows"] == 1
            assert found["error"] is None
        assert answer["channels"][0]["scores"] != answer["channels"][1]["scores"]

    def test_each_has_the_warnings_that_are_its_own(self, client: TestClient) -> None:
        gated = noise(seed=1)
        gated[2_000:4_000] = 0
        both = stereo(gated, np.clip(noise(loudness=0.9), -1, 1))
        left, right = predict(client, both, self.EACH).json()["channels"]
        assert [one["code"] for one in left["warnings"]] == ["digital_silence"]
        assert [one["code"] for one in right["warnings"]] == ["clipped"]

    def test_a_silent_party_does_not_cost_the_other_ones_prediction(
        self, client: TestClient
    ) -> None:
        both = stereo(np.zeros(8_000, np.float32), noise())
        left, right = predict(client, both, self.EACH).json()["channels"]
        assert (left["label"], left["scores"], left["windows"]) == (None, [], 0)
        assert left["error"]["code"] == "silent"
        assert "silent" in left["error"]["message"]
        assert right["label"]

    def test_two_silent_ones_are_refused_as_one_is(self, client: TestClient) -> None:
        refused = predict(client, stereo(*np.zeros((2, 8_000), np.float32)), self.EACH)
        assert (refused.status_code, refused.json()["code"]) == (422, "silent")

    def test_a_lone_channel_is_the_left_one(self, client: TestClient) -> None:
        (only,) = predict(client, path=self.EACH).json()["channels"]
        assert only["channel"] == "left"
        assert only["scores"] == predict(client).json()["scores"]

    def test_top_k_holds_for_each(self, client: TestClient) -> None:
        both = stereo(noise(seed=1), noise(seed=2))
        channels = predict(client, both, f"{self.EACH}&top_k=1").json()["channels"]
        assert [len(one["scores"]) for one in channels] == [1, 1]

    def test_the_time_it_took_is_told_by_channel(self, client: TestClient) -> None:
        timing = predict(client, stereo(noise(), noise()), self.EACH).headers["server-timing"]
        assert "left-network;dur=" in timing
        assert "right-decode;dur=" in timing

    @pytest.mark.parametrize(("clip", "status", "code"), BAD.values(), ids=BAD)
    def test_bad_audio_is_the_same_problem(
        self, client: TestClient, clip: bytes, status: int, code: str
    ) -> None:
        refused = predict(client, clip, self.EACH)
        assert (refused.status_code, refused.json()["code"]) == (status, code)
        assert predict(client, path=self.EACH).status_code == 200

    def test_more_windows_than_allowed_are_422(self, settings: Settings) -> None:
        for client in limited(settings, max_clip_windows=3):
            refused = predict(client, stereo(noise(1.5), noise(1.5)), self.EACH)
            assert (refused.status_code, refused.json()["code"]) == (422, "too_long")

    def test_hugging_faces_answer_has_room_for_one(self, client: TestClient) -> None:
        assert predict(client, path="/hf/tiny-a?channel=each").status_code == 422
        both = stereo(noise(seed=1), noise(loudness=0.01, seed=2))
        right = predict(client, both, "/v1/predict?channel=right").json()["scores"]
        assert predict(client, both, "/hf/tiny-a?channel=right").json() == right


class TestWaysToSend:
    @pytest.mark.parametrize("kind", [*AUDIO_TYPES, "Audio/WAV; charset=binary"])
    def test_the_body_under_any_name_of_wav(self, client: TestClient, kind: str) -> None:
        answer = client.post("/v1/predict", content=good_wav(), headers={"content-type": kind})
        assert answer.status_code == 200

    def test_the_body_without_a_type(self, client: TestClient) -> None:
        assert client.post("/v1/predict", content=good_wav()).status_code == 200

    def test_a_form(self, client: TestClient) -> None:
        answer = client.post("/v1/predict", files={"file": ("x.wav", good_wav())})
        assert answer.json()["scores"] == predict(client).json()["scores"]

    def test_a_body_in_pieces_of_unknown_length(self, client: TestClient) -> None:
        clip = good_wav()
        answer = client.post(
            "/v1/predict",
            content=iter([clip[:10], clip[10:5000], clip[5000:]]),
            headers={"content-type": "audio/wav"},
        )
        assert answer.status_code == 200

    @pytest.mark.parametrize(
        "kind", ["audio/mpeg", "application/json", "application/x-www-form-urlencoded", "text/html"]
    )
    def test_another_type_is_415_and_says_what_would_do(
        self, client: TestClient, kind: str
    ) -> None:
        refused = client.post("/v1/predict", content=good_wav(), headers={"content-type": kind})
        assert refused.status_code == 415
        assert "audio/wav" in refused.json()["detail"]

    def test_a_form_without_the_file_is_422(self, client: TestClient) -> None:
        refused = client.post("/v1/predict", files={"clip": ("x.wav", good_wav())})
        assert refused.status_code == 422
        assert "clip" in refused.json()["detail"]

    @pytest.mark.parametrize("name", ["model", "top_k", "channel"])
    def test_a_parameter_in_the_form_is_told_to_go_into_the_query(
        self, client: TestClient, name: str
    ) -> None:
        refused = client.post(
            "/v1/predict", files={"file": ("x.wav", good_wav())}, data={name: "tiny-b"}
        )
        assert refused.status_code == 422
        assert f"/v1/predict?{name}=" in refused.json()["detail"]

    def test_what_browsers_record_is_refused_with_a_recipe(self, client: TestClient) -> None:
        headers = {"content-type": "audio/webm;codecs=opus"}
        refused = client.post("/v1/predict", content=b"\x1aE\xdf\xa3", headers=headers)
        assert refused.status_code == 415
        assert "docs/recording-in-a-browser.md" in refused.json()["detail"]

    def test_a_broken_form_is_400(self, client: TestClient) -> None:
        refused = client.post(
            "/v1/predict",
            content=b"--x\r\nnonsense",
            headers={"content-type": "multipart/form-data"},
        )
        assert refused.status_code == 400


class TestBadAudio:
    @pytest.mark.parametrize(("clip", "status", "code"), BAD.values(), ids=BAD)
    def test_bad_audio_is_a_problem_and_the_next_request_works(
        self, client: TestClient, clip: bytes, status: int, code: str
    ) -> None:
        refused = predict(client, clip)
        problem = refused.json()
        assert (refused.status_code, problem["code"]) == (status, code)
        assert refused.headers["content-type"] == "application/problem+json"
        assert problem["status"] == status
        assert problem["instance"] == "/v1/predict"
        assert problem["detail"]
        assert predict(client).status_code == 200

    @pytest.mark.parametrize(("clip", "status", "code"), BAD.values(), ids=BAD)
    def test_bad_audio_in_a_form_is_the_same_problem(
        self, client: TestClient, clip: bytes, status: int, code: str
    ) -> None:
        refused = client.post("/v1/predict", files={"file": ("x.wav", clip)})
        assert (refused.status_code, refused.json()["code"]) == (status, code)

    def test_a_body_over_the_limit_is_413(self, client: TestClient, settings: Settings) -> None:
        clip = bytes(settings.max_predict_bytes + 1)
        for refused in (
            predict(client, clip),
            client.post("/v1/predict", content=iter([clip[:1000], clip[1000:]])),
            client.post("/v1/predict", files={"file": ("x.wav", clip)}),
        ):
            assert refused.status_code == 413
            assert refused.headers["content-type"] == "application/problem+json"
        assert predict(client).status_code == 200

    def test_more_windows_than_allowed_are_422(self, settings: Settings) -> None:
        for client in limited(settings, max_clip_windows=3):
            assert predict(client, good_wav(1)).json()["windows"] == 3
            refused = predict(client, good_wav(1.5))
            assert (refused.status_code, refused.json()["code"]) == (422, "too_long")
            assert "3 are accepted" in refused.json()["detail"]


class TestModels:
    def test_an_unknown_one_is_404_and_named(self, client: TestClient) -> None:
        refused = predict(client, path="/v1/predict?model=tiny-z")
        assert refused.status_code == 404
        assert "tiny-z" in refused.json()["detail"]

    def test_a_default_model_that_is_not_there_is_404_and_named(self, settings: Settings) -> None:
        for client in limited(settings, default_model="tiny-z", warm_up=True):
            refused = predict(client)
            assert refused.status_code == 404
            assert "tiny-z" in refused.json()["detail"]
            assert "SERVAL_DEFAULT_MODEL" in refused.json()["detail"]
            assert predict(client, path="/v1/predict?model=tiny-a").status_code == 200

    def test_an_uploaded_one_predicts_at_once_and_not_after_it_was_deleted(
        self, client: TestClient
    ) -> None:
        path = uploaded(client)
        model_id = path.rsplit("/", 1)[-1]
        assert predict(client, path=f"/v1/predict?model={model_id}").json()["model"] == model_id
        assert client.delete(path).status_code == 204
        assert predict(client, path=f"/v1/predict?model={model_id}").status_code == 404

    def test_anothers_is_404_even_when_it_is_loaded(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        theirs, mine = make_key("predict", "train"), make_key("predict")
        model_id = uploaded(client, headers=theirs.headers).rsplit("/", 1)[-1]
        path = f"/v1/predict?model={model_id}"
        assert predict(client, path=path, headers=theirs.headers).status_code == 200
        assert predict(client, path=path, headers=mine.headers).status_code == 404
        assert predict(client, path=path, headers=theirs.headers).status_code == 200

    def test_anothers_is_404_and_named_for_hugging_face_too(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        theirs, mine = make_key("predict", "train"), make_key("predict")
        model_id = uploaded(client, headers=theirs.headers).rsplit("/", 1)[-1]
        asked = {"inputs": base64.b64encode(good_wav()).decode()}
        assert predict(client, path=f"/hf/{model_id}", headers=theirs.headers).status_code == 200
        for refused in (
            predict(client, path=f"/hf/{model_id}", headers=mine.headers),
            client.post(f"/hf/{model_id}", json=asked, headers=mine.headers),
        ):
            assert refused.status_code == 404
            assert refused.headers["content-type"] == "application/problem+json"
            assert f"There is no model '{model_id}'" in refused.json()["detail"]
        assert predict(client, path="/hf/tiny-a", headers=mine.headers).status_code == 200

    def test_one_whose_weights_overflow_is_422(self, client: TestClient) -> None:
        net = tiny_net()
        with torch.no_grad():
            net.classifier.weight.mul_(3e38)
            net.scale.mul_(3e38)
        model_id = uploaded(client, weights_bytes(net)).rsplit("/", 1)[-1]
        refused = predict(client, path=f"/v1/predict?model={model_id}")
        assert (refused.status_code, refused.json()["code"]) == (422, "non_finite_scores")
        assert predict(client).status_code == 200


def uploaded(
    client: TestClient,
    weights: bytes | None = None,
    headers: dict[str, str] | None = None,
    config: ModelConfig | None = None,
) -> str:
    made = client.post(
        "/v1/models",
        files={"weights": ("w", weights or weights_bytes(tiny_net()))},
        data={"config": (config or tiny_config()).to_json()},
        headers=headers,
    )
    path: str = made.headers["location"]
    return path


class TestKeys:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        key = make_key("predict")
        assert predict(client).status_code == 401
        assert predict(client, path="/hf/tiny-a").status_code == 401
        assert predict(client, headers=key.headers).status_code == 200

    def test_another_scope_is_403(self, client: TestClient, make_key: MakeKey) -> None:
        assert predict(client, headers=make_key("audit").headers).status_code == 403

    def test_a_key_that_asks_too_often_is_429(self, settings: Settings, make_key: MakeKey) -> None:
        key = make_key("predict")
        for client in limited(settings, predict_rate="2/hour"):
            answers = [predict(client, headers=key.headers) for _ in range(3)]
            assert [answer.status_code for answer in answers] == [200, 200, 429]
            assert int(answers[-1].headers["retry-after"]) > 0


class TestHuggingFace:
    def test_the_answer_is_a_bare_list(self, client: TestClient) -> None:
        answer = predict(client, path="/hf/tiny-a")
        assert answer.json() == predict(client).json()["scores"]
        assert "network;dur=" in answer.headers["server-timing"]

    def test_base64_with_parameters(self, client: TestClient) -> None:
        asked = {
            "inputs": base64.b64encode(good_wav()).decode(),
            "parameters": {"top_k": 1, "function_to_apply": "softmax"},
        }
        answer = client.post("/hf/tiny-a", json=asked)
        assert answer.json() == predict(client).json()["scores"][:1]

    @pytest.mark.parametrize("parameters", [None, {}, {"top_k": None, "function_to_apply": None}])
    def test_parameters_of_null_are_none(self, client: TestClient, parameters: object) -> None:
        asked = {"inputs": base64.b64encode(good_wav()).decode(), "parameters": parameters}
        answer = client.post("/hf/tiny-a", json=asked)
        assert answer.json() == predict(client).json()["scores"]

    def test_a_problem_says_error_too_and_only_here(self, client: TestClient) -> None:
        for path in ("/hf/tiny-z", "/hf/tiny-a?top_k=0"):
            problem = predict(client, path=path).json()
            assert problem["error"] == problem["detail"]
        assert "error" not in predict(client, path="/v1/predict?top_k=0").json()

    @pytest.mark.parametrize(
        ("asked", "status"),
        [
            ("{", 400),
            ({"inputs": "***"}, 400),
            ({"inputs": "äöü"}, 400),
            ({}, 422),
            ({"inputs": 1}, 422),
            ({"inputs": "", "parameters": {"top_k": 0}}, 422),
            ({"inputs": "", "parameters": {"function_to_apply": "sigmoid"}}, 422),
            ({"inputs": "", "colour": "red"}, 422),
            ({"inputs": ""}, 400),
        ],
    )
    def test_a_request_that_does_not_hold(
        self, client: TestClient, asked: object, status: int
    ) -> None:
        body = asked if isinstance(asked, str) else json.dumps(asked)
        refused = client.post(
            "/hf/tiny-a", content=body, headers={"content-type": "application/json"}
        )
        assert refused.status_code == status
        assert refused.headers["content-type"] == "application/problem+json"
        assert predict(client, path="/hf/tiny-a").status_code == 200

    @pytest.mark.parametrize(("clip", "status", "code"), BAD.values(), ids=BAD)
    def test_bad_audio_is_refused_in_the_same_way(
        self, client: TestClient, clip: bytes, status: int, code: str
    ) -> None:
        for refused in (
            predict(client, clip, path="/hf/tiny-a"),
            client.post("/hf/tiny-a", json={"inputs": base64.b64encode(clip).decode()}),
        ):
            assert (refused.status_code, refused.json()["code"]) == (status, code)

    def test_a_clip_over_the_limit_is_413_also_as_base64(
        self, client: TestClient, settings: Settings
    ) -> None:
        clip = bytes(settings.max_predict_bytes + 1)
        asked = {"inputs": base64.b64encode(clip).decode()}
        refused = predict(client, clip, path="/hf/tiny-a")
        assert refused.status_code == 413
        assert refused.json()["error"] == refused.json()["detail"]
        assert client.post("/hf/tiny-a", json=asked).status_code == 413

    def test_an_unknown_model_is_404(self, client: TestClient) -> None:
        assert predict(client, path="/hf/tiny-z").status_code == 404


class TestService:
    def test_ready_while_the_thread_runs(self, client: TestClient) -> None:
        assert client.get("/readyz").json()["checks"]["predictions"] == "ok"

    def test_metrics_count_batches(self, client: TestClient) -> None:
        predict(client)
        text = client.get("/metrics").text
        assert 'serval_predict_batch_windows_bucket{le="1.0"} 1.0' in text
        assert "serval_predict_waiting 0.0" in text
        assert "serval_loaded_models 1.0" in text

    def test_the_limits_stand_in_the_description(self, app: FastAPI, settings: Settings) -> None:
        text = app.openapi()["paths"]["/v1/predict"]["post"]["description"]
        assert f"{settings.max_clip_seconds:g} s" in text
        assert f"{settings.max_clip_windows} windows" in text
        assert f"{settings.predict_queue} clips may wait" in text

    def test_the_default_model_is_warm_before_the_first_request(self, settings: Settings) -> None:
        for client in limited(settings, warm_up=True):
            assert "serval_loaded_models 1.0" in client.get("/metrics").text

    def test_a_default_model_that_fails_makes_the_service_not_ready_and_does_not_end_it(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: object) -> NoReturn:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

        monkeypatch.setattr(service, "WARM_UP_AGAIN_SECONDS", 0.2)
        with monkeypatch.context() as patch:
            patch.setattr(loaded, "served", broken)
            starting = limited(settings, warm_up=True)
            client = next(starting)
            answer = client.get("/readyz")
        assert answer.status_code == 503
        assert "predictions: The default model does not predict: RuntimeError" in answer.text
        until = time.monotonic() + 20
        while client.get("/readyz").status_code != 200:  # it was tried again
            assert time.monotonic() < until
            time.sleep(0.05)
        assert list(starting) == []
