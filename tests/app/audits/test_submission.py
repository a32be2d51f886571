"""POST /v1/audits: what is queued, and what is refused with which words."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audits import endpoints, files, service
from app.audits.dry_run import CALIBRATING
from app.corpora.tables import Corpus
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from app.settings import Settings
from models.checkpoint import weights_bytes
from tests.app.state import change, reconfigure
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey, TestKey
from tests.spoken import wav

HARDEN = {"defense": {"type": "vanilla"}, "when": {"epsilon": 0.1, "success_rate_above": 0.3}}


def jobs(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(Job)) or 0


def refused(
    client: TestClient, body: Any, status: int = 422, headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """The problem with ``body``, which is JSON, or text that is nearly JSON."""
    if isinstance(body, str):
        kind = {"Content-Type": "application/json"}
        answer = client.post("/v1/audits", content=body, headers=kind)
    else:
        answer = client.post("/v1/audits", json=body, headers=headers)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


@pytest.fixture
def _nothing_is_queued_and_the_next_works(
    client: TestClient, body: Any, session: Session
) -> Iterator[None]:
    """What is refused leaves nothing behind."""
    good = deepcopy(body)
    yield
    assert jobs(session) == 0
    assert client.post("/v1/audits", json=good).status_code == 202


def model_of(client: TestClient, key: TestKey, front_end: str = "logmel-1") -> str:
    """The id of a model that the key has uploaded, which knows the corpus' emotions."""
    config = tiny_config("anger", "joy", "sadness")
    made = client.post(
        "/v1/models",
        files={"weights": ("w", weights_bytes(tiny_net()))},
        data={"config": replace(config, front_end=front_end).to_json()},
        headers=key.headers,
    )
    return str(made.json()["id"])


class TestCreateAudit:
    def test_anonymous_is_401(self, client: TestClient, body: Any, make_key: MakeKey) -> None:
        make_key("audit")
        assert client.post("/v1/audits", json=body).status_code == 401

    def test_a_key_without_the_scope_is_403(
        self, client: TestClient, body: Any, make_key: MakeKey
    ) -> None:
        key = make_key("predict")
        assert client.post("/v1/audits", json=body, headers=key.headers).status_code == 403

    def test_is_queued_and_named(self, client: TestClient, body: Any, model: str) -> None:
        answer = client.post("/v1/audits", json=body)
        assert answer.status_code == 202
        job = answer.json()
        assert (job["object"], job["status"], job["model"]) == ("audit", "queued", model)
        assert answer.headers["location"] == f"/v1/audits/{job['id']}"
        assert client.get(answer.headers["location"]).headers["etag"] == answer.headers["etag"]
        assert job["urls"]["artifacts"] == f"/v1/audits/{job['id']}/artifacts"
        assert job["urls"]["report"] == f"/v1/audits/{job['id']}/report"

    def test_every_default_is_spelt_out(self, client: TestClient, body: Any) -> None:
        stored = client.post("/v1/audits", json=body).json()["input"]
        assert stored == {
            "model": "knowing",
            "corpus": body["corpus"],
            "partition": "test",
            "fold": None,
            "allow_partial": False,
            "limit": None,
            "group_by": None,
            "windows": "all",
            "precision": "float32",
            "max_seconds": None,
            "seed": 0,
            "save_adversarial": True,
            "attacks": [
                {
                    "type": "fgsm",
                    "domain": "features",
                    "norm": "linf",
                    "epsilon": [0, 0.1],
                    "snr_db": None,
                    "labels": "true",
                    "goal": "untargeted",
                    "minimum": False,
                    "clip": None,
                }
            ],
            "corruptions": [],
            "harden": None,
        }

    def test_metadata_comes_back(self, client: TestClient, body: Any) -> None:
        job = client.post("/v1/audits", json=body | {"metadata": {"who": "me"}}).json()
        assert job["metadata"] == {"who": "me"}

    @pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
    def test_an_unknown_model_is_404_and_named(self, client: TestClient, body: Any) -> None:
        problem = refused(client, body | {"model": "cnn5"}, 404)
        assert "There is no model 'cnn5'" in problem["detail"]

    @pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
    def test_an_unknown_corpus_is_404_and_named(self, client: TestClient, body: Any) -> None:
        absent = new_id("corpus")
        problem = refused(client, body | {"corpus": absent}, 404)
        assert f"There is no corpus '{absent}'" in problem["detail"]

    def test_anothers_corpus_is_404_and_ones_own_works(
        self, client: TestClient, body: Any, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        key = make_key("audit")  # the corpus is local's
        problem = refused(client, body, 404, key.headers)
        assert f"There is no corpus '{corpus.id}'" in problem["detail"]
        assert jobs(session) == 0
        corpus.owner = key.id
        session.commit()
        assert client.post("/v1/audits", json=body, headers=key.headers).status_code == 202

    def test_anothers_model_is_404_and_ones_own_works(
        self, client: TestClient, body: Any, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        theirs, mine = make_key("train"), make_key("audit", "train")
        corpus.owner = mine.id
        session.commit()
        model = model_of(client, theirs)
        problem = refused(client, body | {"model": model}, 404, mine.headers)
        assert f"There is no model '{model}'" in problem["detail"]
        assert jobs(session) == 0
        own = body | {"model": model_of(client, mine)}
        assert client.post("/v1/audits", json=own, headers=mine.headers).status_code == 202

    def test_the_same_idempotency_key_gives_the_same_job(
        self, client: TestClient, body: Any, session: Session
    ) -> None:
        headers = {"Idempotency-Key": "once"}
        first, second = (client.post("/v1/audits", json=body, headers=headers) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]
        assert jobs(session) == 1

    def test_a_retry_is_not_judged_again(
        self, client: TestClient, body: Any, app: Any, settings: Settings
    ) -> None:
        headers = {"Idempotency-Key": "once"}
        first = client.post("/v1/audits", json=body, headers=headers).json()
        client.post(f"/v1/audits/{first['id']}/cancel")
        assert client.delete(f"/v1/corpora/{body['corpus']}").status_code == 204
        reconfigure(app, max_audit_scores=1)
        second = client.post("/v1/audits", json=body, headers=headers)
        assert (second.status_code, second.json()["id"]) == (202, first["id"])
        other = client.post("/v1/audits", json=body | {"seed": 1}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
        assert client.post("/v1/audits", json=body).status_code == 404

    def test_a_second_payload_under_the_same_key_is_422(
        self, client: TestClient, body: Any
    ) -> None:
        headers = {"Idempotency-Key": "once"}
        client.post("/v1/audits", json=body, headers=headers)
        other = client.post("/v1/audits", json=body | {"seed": 1}, headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    def test_while_the_queue_is_away_nothing_half_made_stays(
        self, client: TestClient, body: Any, session: Session, app: Any
    ) -> None:
        from app.jobs.queue import JobQueue, brief_client

        change(app, queue=JobQueue(brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.2)))
        answer = client.post("/v1/audits", json=body)
        assert answer.status_code == 503
        assert int(answer.headers["retry-after"]) > 0
        assert jobs(session) == 0


@pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
class TestEpsilon:
    @pytest.mark.parametrize(
        ("epsilon", "field", "shown", "remedy"),
        [
            ([0.1, -0.02], "epsilon.1", "-0.02", "at least 0"),
            ([1e9], "epsilon", "1000000000.0", "at most 10"),
            ([0.01 * n for n in range(200)], "epsilon", "[0.0, 0.01", "1 to 32"),
            ([], "epsilon", "[]", "1 to 32"),
            ([True], "epsilon.0", "True", "a number"),
            (["0.1"], "epsilon.0", "'0.1'", "a number"),
            (0.1, "epsilon", "0.1", "a list"),
            ({"0": 0.1}, "epsilon", "{'0': 0.1}", "a list"),
        ],
    )
    def test_out_of_range_is_422_with_the_value_and_the_remedy(
        self, client: TestClient, body: Any, epsilon: Any, field: str, shown: str, remedy: str
    ) -> None:
        body["attacks"][0]["epsilon"] = epsilon
        (fault,) = refused(client, body)["errors"]
        assert fault["field"] == f"attacks.0.{field}"
        assert shown in fault["value"]
        assert remedy in fault["remedy"]

    @pytest.mark.parametrize("given", [{}, {"epsilon": None}])
    def test_without_one_there_is_nothing_to_try(
        self, client: TestClient, body: Any, given: dict[str, Any]
    ) -> None:
        body["attacks"] = [{"type": "fgsm", **given}]
        (fault,) = refused(client, body)["errors"]
        assert (fault["field"], fault["value"]) == ("attacks.0.epsilon", None)
        assert fault["remedy"] == "give at least one strength"

    @pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
    def test_what_is_no_number_is_422(self, client: TestClient, body: Any, word: str) -> None:
        text = json.dumps(body).replace("[0.0, 0.1]", f"[0.02, {word}]")
        (fault,) = refused(client, text)["errors"]
        assert fault["field"] == "attacks.0.epsilon.1"
        assert fault["value"] == str(float(word))
        assert "finite" in fault["remedy"]

    @pytest.mark.parametrize(
        ("epsilon", "shown", "remedy"),
        [
            (-0.02, "-0.02", "greater than 0"),
            (0, "0", "greater than 0"),
            (1e9, "1000000000.0", "at most 10"),
            (float("nan"), "nan", "finite"),
            (float("inf"), "inf", "finite"),
            ([0.01 * n for n in range(200)], "[0.0, 0.01", "a number"),
            ("0.1", "'0.1'", "a number"),
        ],
    )
    def test_the_one_that_hardening_looks_at_is_held_to_the_same(
        self, client: TestClient, body: Any, epsilon: Any, shown: str, remedy: str
    ) -> None:
        when = {"epsilon": epsilon, "success_rate_above": 0.3}
        (fault,) = refused(client, json.dumps(body | {"harden": HARDEN | {"when": when}}))["errors"]
        assert fault["field"] == "harden.when.epsilon"
        assert shown in fault["value"]
        assert remedy in fault["remedy"]

    def test_twice_the_same_is_422(self, client: TestClient, body: Any) -> None:
        body["attacks"][0]["epsilon"] = [0.1, 0.02, 0.1]
        assert "0.1 more than once" in refused(client, body)["detail"]

    def test_many_attacks_share_a_limit(self, client: TestClient, body: Any) -> None:
        many = [0.01 * n for n in range(30)]
        body["attacks"] = [
            {"type": "fgsm", "epsilon": many, "clip": clip} for clip in (0.1, 0.2, 0.3)
        ]
        (fault,) = refused(client, body)["errors"]
        assert fault["field"] == "attacks"
        assert "90 strengths" in fault["value"]
        assert fault["remedy"] == "give at most 64"


SAID = {"type": "fgsm", "epsilon": [0.1]}
WAVE = {"type": "pgd", "domain": "waveform"}
TRANSFER = {"type": "transfer", "from": "knowing", "attack": SAID}

REFUSED: list[Any] = [
    pytest.param([{"type": "cw", "epsilon": [0.1]}], "type", "'cw'", "fgsm, mim, nes, noise, pgd",
                 id="unknown attack"),
    pytest.param([{"epsilon": [0.1]}], "type", None, "one of", id="no type"),
    pytest.param([SAID | {"eps": 1}], "eps", "1", "spelling", id="unknown parameter"),
    pytest.param([SAID | {"steps": 5}], "steps", "5", "spelling", id="another attack's parameter"),
    pytest.param([SAID | {"domain": "video"}], "domain", "'video'", "'features' or 'waveform'",
                 id="unknown domain"),
    pytest.param([SAID | {"norm": "l1"}], "norm", "'l1'", "'linf' or 'l2'", id="unknown norm"),
    pytest.param([WAVE | {"snr_db": [-5]}], "snr_db.0", "-5", "at least 0",
                 id="a negative SNR"),
    pytest.param([WAVE | {"snr_db": [1e9]}], "snr_db", "1000000000.0", "at most 120",
                 id="a huge SNR"),
    pytest.param([{"type": "fgsm", "snr_db": [30]}], "snr_db", "[30]", "give epsilon",
                 id="an SNR of log-mels"),
    pytest.param([WAVE | {"norm": "l2", "epsilon": [0.1]}], "epsilon", "[0.1]", "give snr_db",
                 id="an epsilon where an SNR counts"),
    pytest.param([SAID | {"epsilon": [1e9]}], "epsilon", "1000000000.0", "at most 10.0 sigma",
                 id="an epsilon beyond all speech"),
    pytest.param([WAVE | {"epsilon": [1.5]}], "epsilon", "1.5", "at most 1.0 full_scale",
                 id="more than full scale"),
    pytest.param([SAID | {"snr_db": [30]}], "snr_db", "[30]", "give epsilon", id="both strengths"),
    pytest.param([WAVE | {"epsilon": [0.1], "snr_db": [30]}], "epsilon", "[0.1]", "give snr_db",
                 id="both strengths of a waveform"),
    pytest.param([WAVE | {"norm": "linf", "epsilon": [0.1], "snr_db": [30]}], "snr_db", "[30]",
                 "give epsilon", id="both strengths with a norm"),
    pytest.param([SAID | {"goal": {"label": "boredom"}}], "goal.label", "'boredom'",
                 "anger, joy, sadness", id="an unknown target"),
    pytest.param([SAID | {"goal": {"label": 7}}], "goal.label", "7", "text", id="no label"),
    pytest.param([SAID | {"goal": "joy"}], "goal", "'joy'", "an object with a label",
                 id="a target that is no object"),
    pytest.param([{"type": "noise", "epsilon": [0.1], "goal": "all_targets"}], "goal",
                 "'all_targets'", "leave goal out", id="a target for noise"),
    pytest.param([{"type": "noise", "epsilon": [0.1], "kind": "white"}], "kind", "'white'",
                 "sign or uniform", id="noise of another norm"),
    pytest.param([{"type": "noise", "epsilon": [0.1], "draws": 0}], "draws", "0", "at least 1",
                 id="noise without a draw"),
    pytest.param([{"type": "pgd", "epsilon": [0.1], "steps": 0}], "steps", "0", "at least 1",
                 id="no steps"),
    pytest.param([{"type": "pgd", "epsilon": [0.1], "loss": "dlr", "goal": "all_targets"}], "loss",
                 "'dlr'", "ce or margin", id="a loss that has no targets"),
    pytest.param([{"type": "square", "epsilon": [0.1], "queries": 0}], "queries", "0",
                 "at least", id="a search without a query"),
    pytest.param([{"type": "nes", "epsilon": [0.1], "queries": 0}], "queries", "0",
                 "at least", id="an estimate without a query"),
    pytest.param([TRANSFER | {"from": "cnn5"}], "from", "'cnn5'", "GET /v1/models",
                 id="a source that is not there"),
    pytest.param([TRANSFER | {"from": "tiny-a"}], "from", "'tiny-a'", "the same labels",
                 id="a source with other labels"),
    pytest.param([{"type": "transfer", "attack": SAID}], "from", None, "add it", id="no source"),
    pytest.param([TRANSFER | {"epsilon": [0.1]}], "epsilon", "[0.1]", "a field of attack",
                 id="strengths outside of what is transferred"),
    pytest.param([TRANSFER | {"attack": {"type": "fgsm"}}], "attack.epsilon", None,
                 "at least one strength", id="no strengths inside of what is transferred"),
    pytest.param([TRANSFER | {"attack": SAID | {"epsilon": [1e9]}}], "attack.epsilon",
                 "1000000000.0", "at most 10.0 sigma", id="a strength inside"),
    pytest.param([TRANSFER | {"attack": SAID | {"goal": {"label": "boredom"}}}],
                 "attack.goal.label", "'boredom'", "anger, joy, sadness", id="a target inside"),
]  # fmt: skip


@pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
class TestAttacks:
    """A refusal names the field without the name of the attack, so that one more breaks nobody."""

    @pytest.mark.parametrize(("attacks", "field", "value", "remedy"), REFUSED)
    def test_what_cannot_be_run_is_422_with_field_value_and_remedy(
        self, client: TestClient, body: Any, attacks: Any, field: str, value: str | None,
        remedy: str,
    ) -> None:  # fmt: skip
        (fault,) = refused(client, body | {"attacks": attacks})["errors"]
        assert fault["field"] == f"attacks.0.{field}"
        assert (value is None and fault["value"] is None) or value in fault["value"]
        assert remedy in fault["remedy"]

    @pytest.mark.parametrize(("attacks", "field", "value", "remedy"), REFUSED)
    def test_a_forecast_is_refused_with_the_same_words(
        self, client: TestClient, body: Any, attacks: Any, field: str, value: str | None,
        remedy: str,
    ) -> None:  # fmt: skip
        asked = body | {"attacks": attacks}
        answer = client.post("/v1/audits?dry_run=true", json=asked)
        assert (answer.status_code, answer.json()["errors"]) == (
            422,
            refused(client, asked)["errors"],
        )

    @pytest.mark.parametrize(
        "first",
        [SAID, SAID | {"epsilon": [0.2]}, SAID | {"goal": "untargeted", "labels": "true"}],
        ids=["the same", "with other strengths", "with its defaults spelt out"],
    )
    def test_the_same_attack_twice_is_422(
        self, client: TestClient, body: Any, first: dict[str, Any]
    ) -> None:
        (fault,) = refused(client, body | {"attacks": [first, SAID]})["errors"]
        assert fault["field"] == "attacks.1"
        assert "FGSM" in fault["value"]
        assert fault["message"] == "is the same attack as attacks.0"
        assert fault["remedy"] == "give all strengths in one of them"

    def test_the_second_of_several_is_named_by_its_place(
        self, client: TestClient, body: Any
    ) -> None:
        (fault,) = refused(client, body | {"attacks": [SAID, SAID | {"clip": 0}]})["errors"]
        assert fault["field"] == "attacks.1.clip"

    def test_towards_a_label_that_all_clips_have_is_422(
        self, client: TestClient, body: Any, corpus: Corpus, session: Session
    ) -> None:
        before = corpus.partitions
        part = corpus.partitions["test"] | {"classes": {"joy": 12}}
        corpus.partitions = before | {"test": part}
        session.commit()
        asked = body | {"attacks": [SAID | {"goal": {"label": "joy"}}]}
        problem = refused(client, asked)
        (fault,) = problem["errors"]
        assert (problem["code"], fault["field"]) == ("own_label", "attacks.0.goal.label")
        assert (fault["value"], fault["remedy"]) == ("'joy'", "give another label")
        corpus.partitions = before
        session.commit()

    def test_on_a_waveform_where_there_are_no_recordings_is_422(
        self, client: TestClient, body: Any
    ) -> None:
        wave = WAVE | {"snr_db": [30]}
        problem = refused(client, body | {"attacks": [SAID, wave]})
        (fault,) = problem["errors"]
        assert (problem["code"], fault["field"]) == ("no_recordings", "attacks.1.domain")
        assert fault["value"] == "'waveform'"
        assert "upload the corpus again" in fault["remedy"]


class TestCorruptions:
    def test_without_recordings_are_422(self, client: TestClient, body: Any) -> None:
        problem = refused(client, body | {"corruptions": [{"type": "gain", "db": [-6]}]})
        (fault,) = problem["errors"]
        assert (problem["code"], fault["field"]) == ("no_recordings", "corruptions.0.type")
        assert "upload the corpus again" in fault["remedy"]

    @pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
    @pytest.mark.parametrize(
        ("corruptions", "field", "message"),
        [
            ([{"type": "wind"}], "corruptions.0.type", "is unknown"),
            ([{"type": "gain", "db": [-61]}], "corruptions.0.db.0", "at least -60"),
            ([{"type": "gain", "db": [6, 6]}], "corruptions.0.db", "holds 6 more than once"),
            (
                [{"type": "gain", "db": [6]}, {"type": "gain", "db": [-6]}],
                "corruptions.1",
                "is the same corruption as corruptions.0",
            ),
            (
                [{"type": "gain", "db": list(range(32))},
                 {"type": "noise", "snr_db": list(range(32))}],
                "corruptions",
                "have 66 strengths together",
            ),
            ([{"type": "gain", "db": [n]} for n in range(17)], "corruptions", "at most 16"),
            ("gain", "corruptions", "list"),
        ],
    )  # fmt: skip
    def test_that_do_not_hold_are_422_and_named(
        self, client: TestClient, body: Any, corruptions: Any, field: str, message: str
    ) -> None:
        problem = refused(client, body | {"corruptions": corruptions})
        fault = problem["errors"][0]
        assert fault["field"] == field
        assert message in f"{fault['message']}: {fault['remedy']}"

    def test_an_audit_of_nothing_is_422(self, client: TestClient, body: Any) -> None:
        nothings: list[dict[str, Any]] = [{}, {"attacks": []}, {"attacks": [], "corruptions": []}]
        for nothing in nothings:
            asked = {name: value for name, value in body.items() if name != "attacks"} | nothing
            (fault,) = refused(client, asked)["errors"]
            assert (fault["field"], fault["remedy"]) == (
                "attacks", "give at least one attack or corruption",
            )  # fmt: skip

    def test_an_unknown_preset_is_422(self, client: TestClient, body: Any) -> None:
        (fault,) = refused(client, body | {"preset": "robust"})["errors"]
        assert fault["field"] == "preset"
        assert "robuser" in fault["remedy"]


class TestTransfer:
    """An attack that is carried out on another model."""

    def test_from_anothers_model_is_422_as_if_there_was_none_and_from_ones_own_works(
        self, client: TestClient, body: Any, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        theirs, mine = make_key("train"), make_key("audit", "train")
        corpus.owner = mine.id
        session.commit()
        asked = body | {"attacks": [TRANSFER | {"from": model_of(client, theirs)}]}
        problem = refused(client, asked, headers=mine.headers)
        assert problem["code"] == "unknown_model"
        assert problem["errors"][0]["field"] == "attacks.0.from"
        assert jobs(session) == 0
        asked["attacks"] = [TRANSFER | {"from": model_of(client, mine)}]
        assert client.post("/v1/audits", json=asked, headers=mine.headers).status_code == 202

    def test_of_features_from_a_model_that_hears_otherwise_is_422(
        self, client: TestClient, body: Any, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        mine = make_key("audit", "train")
        corpus.owner = mine.id
        session.commit()
        source = model_of(client, mine, front_end="logmel-2")
        asked = body | {"attacks": [TRANSFER | {"from": source}]}
        problem = refused(client, asked, headers=mine.headers)
        assert problem["code"] == "other_front_end"
        assert problem["errors"][0]["field"] == "attacks.0.from"
        assert "domain waveform" in problem["detail"]
        assert jobs(session) == 0

    def test_its_source_stays_until_the_audit_has_ended(
        self, client: TestClient, body: Any, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        key = make_key("audit", "train")
        corpus.owner = key.id
        session.commit()
        source, other = model_of(client, key), model_of(client, key)
        asked = body | {"attacks": [TRANSFER | {"from": source}]}
        job = client.post("/v1/audits", json=asked, headers=key.headers).json()
        refusal = client.delete(f"/v1/models/{source}", headers=key.headers)
        assert (refusal.status_code, refusal.json()["code"]) == (409, "model_in_use")
        assert job["id"] in refusal.json()["detail"]
        assert client.delete(f"/v1/models/{other}", headers=key.headers).status_code == 204
        client.post(f"/v1/audits/{job['id']}/cancel", headers=key.headers)
        assert client.delete(f"/v1/models/{source}", headers=key.headers).status_code == 204

    def test_a_forecast_counts_the_passes_of_the_source(
        self, client: TestClient, body: Any
    ) -> None:
        body["attacks"] = [{"type": "transfer", "from": "knowing", "attack": SAID}]
        told = client.post("/v1/audits?dry_run=true", json=body).json()
        assert (told["forwards"], told["backwards"], told["queries"]) == (12 * 3, 12, 0)


class TestOtherFields:
    @pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"attacks": []}, "attacks"),
            ({"attacks": ["fgsm"]}, "attacks.0"),
            ({"attacks": [{"type": "noise", "epsilon": [0.1 * n]} for n in range(17)]}, "attacks"),
            ({"epsilons": [0.1]}, "epsilons"),
            ({"harden": HARDEN | {"after": 1}}, "harden.after"),
            ({"windows": "last"}, "windows"),
            ({"precision": "float16"}, "precision"),
            ({"max_seconds": 0}, "max_seconds"),
            ({"max_seconds": float("inf")}, "max_seconds"),
            ({"partition": "validation"}, "partition"),
            ({"limit": 0}, "limit"),
            ({"seed": -1}, "seed"),
            ({"save_adversarial": "yes"}, "save_adversarial"),
            ({"labels": ["anger"]}, "labels"),
            ({"metadata": {"x": "y" * 20_000}}, "metadata"),
        ],
    )
    def test_what_does_not_hold_is_422_and_named(
        self, client: TestClient, body: Any, change: dict[str, Any], field: str
    ) -> None:
        problem = refused(client, json.dumps(body | change))
        assert field in [fault["field"] for fault in problem["errors"]]

    def test_a_partition_that_the_corpus_lacks_is_422(
        self, client: TestClient, body: Any, corpus: Corpus, session: Session
    ) -> None:
        corpus.partitions = {name: corpus.partitions[name] for name in ("train", "dev")}
        session.commit()
        problem = refused(client, body)
        assert problem["code"] == "unknown_split"
        assert "train, dev, all" in problem["errors"][0]["remedy"]


class TestGroupBy:
    def test_takes_a_column_of_the_corpus(self, client: TestClient, body: Any) -> None:
        answer = client.post("/v1/audits", json=body | {"group_by": "split"})
        assert answer.status_code == 202
        assert answer.json()["input"]["group_by"] == "split"

    @pytest.mark.usefixtures("_nothing_is_queued_and_the_next_works")
    @pytest.mark.parametrize("column", ["accent", "speaker", "duration", "sentence"])
    def test_another_is_422_and_told_which_there_are(
        self, client: TestClient, body: Any, column: str
    ) -> None:
        problem = refused(client, body | {"group_by": column})
        assert problem["code"] == "unknown_column"
        (fault,) = problem["errors"]
        assert (fault["field"], fault["value"]) == ("group_by", repr(column))
        assert "give one of split" in fault["remedy"]


class TestFit:
    def test_a_model_that_knows_none_of_the_emotions_is_422(
        self, client: TestClient, body: Any
    ) -> None:
        problem = refused(client, body | {"model": "tiny-a"})
        assert problem["code"] == "no_common_emotions"
        assert "calm, cross, sad" in problem["detail"]

    def test_emotions_that_the_model_does_not_know_are_a_warning(
        self, client: TestClient, body: Any, corpus: Corpus, session: Session
    ) -> None:
        part = corpus.partitions["test"] | {"classes": {"anger": 4, "boredom": 3, "joy": 4}}
        corpus.partitions = corpus.partitions | {"test": part}
        session.commit()
        job = client.post("/v1/audits", json=body).json()
        assert job["warnings"] == [
            "Clips of emotions that the model does not know are left out: boredom (3 clips)."
        ]

    @pytest.fixture
    def mostly_unknown(self, corpus: Corpus, session: Session) -> None:
        part = corpus.partitions["test"] | {"classes": {"anger": 4, "angry": 3, "boredom": 3}}
        corpus.partitions = corpus.partitions | {"test": part}
        session.commit()

    @pytest.mark.usefixtures("mostly_unknown")
    def test_an_audit_that_would_lose_most_clips_is_422_with_what_to_do(
        self, client: TestClient, body: Any
    ) -> None:
        problem = refused(client, body)
        assert problem["code"] == "most_clips_left_out"
        assert "6 of the 10 clips of test (angry, boredom)" in problem["detail"]
        assert '"labels": {"angry": "anger"}' in problem["detail"]
        assert '"allow_partial": true' in problem["detail"]

    @pytest.mark.usefixtures("mostly_unknown")
    def test_or_is_accepted_where_that_is_asked_for(self, client: TestClient, body: Any) -> None:
        answer = client.post("/v1/audits", json=body | {"allow_partial": True})
        assert answer.status_code == 202, answer.text
        assert "angry (3 clips), boredom (3 clips)" in answer.json()["warnings"][0]

    def test_a_fold_takes_the_place_of_the_partition(self, client: TestClient, body: Any) -> None:
        asked = body | {"fold": {"number": 2, "of": 4}}
        assert client.post("/v1/audits", json=asked).status_code == 202
        problem = refused(client, body | {"fold": {"speaker": "nobody"}})
        assert problem["code"] == "unknown_speaker"
        assert "'speaker': 'nobody'" in problem["errors"][0]["value"]
        assert ".." not in problem["detail"]

    def test_a_fold_has_no_dev(self, client: TestClient, body: Any) -> None:
        problem = refused(client, body | {"fold": {"number": 2, "of": 4}, "partition": "dev"})
        (fault,) = problem["errors"]
        assert (fault["field"], fault["value"]) == ("partition", "'dev'")
        assert "fold 2/4 has no dev" in fault["message"]
        assert "Give test, train or all" in fault["message"]


class TestHarden:
    def test_is_accepted(self, client: TestClient, body: Any) -> None:
        answer = client.post("/v1/audits", json=body | {"harden": HARDEN})
        assert answer.status_code == 202, answer.text
        assert answer.json()["input"]["harden"]["iterations"] == 10_000

    @pytest.mark.parametrize(
        ("when", "field", "value", "remedy"),
        [
            ({"epsilon": 0.02}, "epsilon", "0.02", "give one of 0, 0.1, or an attack with that"),
            ({"epsilon": 0.1, "norm": "l2"}, "epsilon", "0.1", "give an attack with that strength"),
            ({"domain": "waveform", "snr_db": 30}, "snr_db", "30.0", "give an attack with that"),
            ({"snr_db": 30}, "snr_db", "30.0", "give epsilon, or domain waveform"),
            ({"domain": "waveform", "snr_db": -5}, "snr_db", "-5", "at least 0"),
            ({"domain": "waveform", "snr_db": 121}, "snr_db", "121.0", "at most 120 dB"),
            ({"epsilon": 0.1, "snr_db": 30}, "snr_db", "30.0", "give epsilon"),
            ({}, "epsilon", None, "give epsilon"),
        ],
    )
    def test_at_a_strength_that_is_not_tried_is_422(
        self, client: TestClient, body: Any, when: Any, field: str, value: str | None, remedy: str
    ) -> None:
        when |= {"success_rate_above": 0.3}
        (fault,) = refused(client, body | {"harden": HARDEN | {"when": when}})["errors"]
        assert (fault["field"], fault["value"]) == (f"harden.when.{field}", value)
        assert remedy in fault["remedy"]

    def test_a_control_is_no_attack_that_tries_it(self, client: TestClient, body: Any) -> None:
        body["attacks"].append({"type": "noise", "epsilon": [0.3]})
        when = {"epsilon": 0.3, "success_rate_above": 0.3}
        (fault,) = refused(client, body | {"harden": HARDEN | {"when": when}})["errors"]
        assert "give one of 0, 0.1" in fault["remedy"]

    def test_without_a_defence_is_422(self, client: TestClient, body: Any) -> None:
        harden = HARDEN | {"defense": {"type": "single"}}
        (fault,) = refused(client, body | {"harden": harden})["errors"]
        assert fault["field"] == "harden.defense.type"
        assert "similarity" in fault["remedy"]
        assert "single" not in fault["remedy"]

    def test_a_training_whose_attack_cannot_train_is_422(
        self, client: TestClient, body: Any
    ) -> None:
        attack = {"type": "pgd", "domain": "waveform"}
        (fault,) = refused(client, body | {"harden": HARDEN | {"attack": attack}})["errors"]
        assert fault["field"] == "harden.attack"
        assert "leave domain out" in fault["message"]

    def test_without_a_train_partition_is_422(
        self, client: TestClient, body: Any, corpus: Corpus, storage: Storage
    ) -> None:
        index = storage.corpus_dir(corpus.id) / "index.csv"
        index.write_text(
            index.read_text().replace(",train\r\n", ",dev\r\n").replace(",train\n", ",dev\n")
        )
        problem = refused(client, body | {"harden": HARDEN})
        assert "harden asks for a training that would be refused" in problem["detail"]

    def test_more_iterations_than_allowed_are_422(self, client: TestClient, body: Any) -> None:
        problem = refused(client, body | {"harden": HARDEN | {"iterations": 10_000_000}})
        assert "iterations" in problem["detail"]

    def test_needs_the_scope_train(
        self, client: TestClient, body: Any, make_key: MakeKey, session: Session, corpus: Corpus
    ) -> None:
        auditor, both = make_key("audit"), make_key("audit", "train")
        for key, status in ((auditor, 403), (both, 202)):
            corpus.owner = key.id
            session.commit()
            answer = client.post("/v1/audits", json=body | {"harden": HARDEN}, headers=key.headers)
            assert answer.status_code == status, answer.text


class TestUploads:
    def test_forms_beyond_four_at_a_time_are_asked_to_come_again(
        self, client: TestClient, session: Session
    ) -> None:
        with ExitStack() as taken:
            for key in ("key_a", "key_a", "key_b", "key_b"):
                taken.enter_context(endpoints.UPLOADS.one(key))
            answer = self.post(client, [("a.wav", wav("anger"))])
        assert (answer.status_code, answer.json()["code"]) == (503, "uploads_busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert jobs(session) == 0
        assert self.post(client, [("a.wav", wav("anger"))]).status_code == 202

    def test_a_request_as_a_browser_appends_a_blob_is_taken(self, client: TestClient) -> None:
        request = {"model": "knowing", "attacks": [{"type": "fgsm", "epsilon": [0.1]}]}
        parts = [
            ("file", ("a.wav", wav("anger"), "audio/wav")),
            ("request", ("blob", json.dumps(request).encode(), "application/json")),
        ]
        answer = client.post("/v1/audits", files=parts)
        assert answer.status_code == 202, answer.text

    def post(
        self,
        client: TestClient,
        files_: list[tuple[str, bytes]],
        *,
        labels: Any = None,
        model: str = "knowing",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> Any:
        request = {
            "model": model,
            "attacks": [{"type": "fgsm", "epsilon": [0.1]}],
            "labels": labels,
            **more,
        }
        return client.post(
            "/v1/audits",
            files=[("file", (name, content, "audio/wav")) for name, content in files_],
            data={"request": json.dumps(request)},
            headers=headers,
        )

    @pytest.fixture(autouse=True)
    def _model(self, model: str) -> None:
        """Every test here asks for it."""

    @pytest.mark.parametrize(
        ("epsilon", "field", "shown"),
        [
            ([0.1, -0.02], "epsilon.1", "-0.02"),
            ([float("nan")], "epsilon.0", "nan"),
            ([1e9], "epsilon", "1000000000.0"),
            ([0.01 * n for n in range(200)], "epsilon", "[0.0, 0.01"),
        ],
    )
    def test_a_strength_out_of_range_is_422_and_the_next_upload_works(
        self, client: TestClient, session: Session, epsilon: list[float], field: str, shown: str
    ) -> None:
        clips = [("a.wav", wav("anger"))]
        answer = self.post(client, clips, attacks=[{"type": "fgsm", "epsilon": epsilon}])
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        (fault,) = answer.json()["errors"]
        assert fault["field"] == f"attacks.0.{field}"
        assert shown in fault["value"]
        assert jobs(session) == 0
        assert self.post(client, clips).status_code == 202

    def test_an_unknown_model_and_anothers_are_404_and_named(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        theirs, mine = make_key("train"), make_key("audit")
        clips = [("a.wav", wav("anger"))]
        for model in ("cnn5", model_of(client, theirs)):
            answer = self.post(client, clips, model=model, headers=mine.headers)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
            assert f"There is no model '{model}'" in answer.json()["detail"]
        assert self.post(client, clips, headers=mine.headers).status_code == 202

    def test_are_kept_with_their_labels(self, client: TestClient, storage: Storage) -> None:
        clips = [("a.wav", wav("anger")), ("b.wav", wav("joy"))]
        answer = self.post(client, clips, labels=["anger", None])
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert job["input"]["labels"] == ["anger", None]
        assert "1 of 2 clips have no label" in job["warnings"][0]
        folder = files.inputs_dir(storage, job["id"])
        assert files.read_inputs(folder) == [
            files.Input("a.wav", "anger", 0.5),
            files.Input("b.wav", None, 0.5),
        ]
        assert files.input_path(folder, 1).read_bytes() == wav("joy")

    def test_without_labels_the_predictions_are_attacked(self, client: TestClient) -> None:
        job = self.post(client, [("a.wav", wav("anger"))]).json()
        assert job["input"]["labels"] == [None]
        assert "No clip has a label" in job["warnings"][0]

    def test_a_bad_clip_is_422_and_named(self, client: TestClient, session: Session) -> None:
        clips = [("a.wav", wav("anger")), ("\u202e<b>.wav", b"ID3" + b"0" * 500)]
        answer = self.post(client, clips)
        problem = answer.json()
        assert answer.status_code == 422
        assert problem["code"] == "not_audio"
        assert problem["errors"][0]["field"] == "file.1"
        assert "\\\\u202e<b>.wav" in problem["errors"][0]["value"]
        assert jobs(session) == 0

    def test_all_bad_clips_are_named(self, client: TestClient) -> None:
        clips = [("a.wav", b""), ("b.wav", wav("joy")), ("c.wav", wav("joy")[:30])]
        problem = self.post(client, clips).json()
        assert [fault["field"] for fault in problem["errors"]] == ["file.0", "file.2"]
        assert "1 more" in problem["detail"]

    def test_nothing_of_a_refused_upload_stays(self, client: TestClient, storage: Storage) -> None:
        self.post(client, [("a.wav", b"text")])
        assert not list((storage.root / "staging").iterdir())
        assert not list((storage.root / "jobs").iterdir())

    def test_an_unknown_label_is_422_with_those_that_the_model_knows(
        self, client: TestClient
    ) -> None:
        clips = [("a.wav", wav("anger")), ("b.wav", wav("joy"))]
        problem = self.post(client, clips, labels=["anger", "boredom"]).json()
        assert problem["code"] == "unknown_label"
        (fault,) = problem["errors"]
        assert (fault["field"], fault["value"]) == ("labels.1", "'boredom'")
        assert "anger, joy, sadness" in fault["remedy"]

    @pytest.mark.parametrize("labels", [[], ["anger", "joy"]])
    def test_a_label_too_many_or_too_few_is_422(self, client: TestClient, labels: Any) -> None:
        problem = self.post(client, [("a.wav", wav("anger"))], labels=labels).json()
        assert problem["code"] == "wrong_number_of_labels"
        assert "there are 1 files" in problem["detail"]

    def test_a_file_too_many_is_422(self, client: TestClient, app: Any, settings: Settings) -> None:
        reconfigure(app, max_audit_files=2)
        problem = self.post(client, [("a.wav", wav("anger"))] * 3).json()
        assert problem["code"] == "wrong_number_of_files"
        assert "1 to 2" in problem["detail"]

    def test_no_file_is_422(self, client: TestClient) -> None:
        request = {"model": "knowing", "attacks": [{"type": "fgsm", "epsilon": [0.1]}]}
        answer = client.post("/v1/audits", files={"request": (None, json.dumps(request))})
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong_number_of_files")

    def test_a_text_part_in_place_of_a_file_is_422(self, client: TestClient) -> None:
        request = {"model": "knowing", "attacks": [{"type": "fgsm", "epsilon": [0.1]}]}
        parts = [("request", (None, json.dumps(request))), ("file", (None, "a.wav"))]
        answer = client.post("/v1/audits", files=parts)
        assert (answer.status_code, answer.json()["code"]) == (422, "file_missing")

    @pytest.mark.parametrize("field", ["corpus", "partition", "limit", "harden"])
    def test_what_belongs_to_a_corpus_is_refused(self, client: TestClient, field: str) -> None:
        more: dict[str, Any] = {field: "x"}
        answer = self.post(client, [("a.wav", wav("anger"))], **more)
        assert answer.status_code == 422
        assert field in answer.json()["detail"]

    def test_too_large_a_form_is_413(
        self, client: TestClient, app: Any, settings: Settings
    ) -> None:
        reconfigure(app, max_audit_bytes=1000)
        assert self.post(client, [("a.wav", wav("anger"))]).status_code == 413

    def test_a_retry_with_the_same_key_is_the_same_job(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        headers = {"Idempotency-Key": "once"}
        clips = [("a.wav", wav("anger"))]
        first, second = (self.post(client, clips, headers=headers).json() for _ in range(2))
        assert first["id"] == second["id"]
        assert len(list((storage.root / "jobs").iterdir())) == jobs(session) == 1

    def test_a_retry_is_answered_though_the_model_is_gone_and_decodes_nothing(
        self, client: TestClient, make_key: MakeKey, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        key = make_key("audit", "train")
        model, headers = model_of(client, key), key.headers | {"Idempotency-Key": "once"}
        clips = [("a.wav", wav("anger"))]
        first = self.post(client, clips, model=model, headers=headers)
        client.post(f"/v1/jobs/{first.json()['id']}/cancel", headers=headers)
        assert client.delete(f"/v1/models/{model}", headers=headers).status_code == 204

        def decode(*_: object, **__: object) -> None:
            raise AssertionError("it was decoded again")

        monkeypatch.setattr(service, "decode", decode)
        second = self.post(client, clips, model=model, headers=headers)
        assert (second.status_code, second.json()["id"]) == (202, first.json()["id"])
        renamed = self.post(client, [("b.wav", wav("anger"))], model=model, headers=headers)
        assert (renamed.status_code, renamed.json()["code"]) == (422, "idempotency_key_reused")

    def test_other_clips_under_the_same_key_are_422(self, client: TestClient) -> None:
        headers = {"Idempotency-Key": "once"}
        self.post(client, [("a.wav", wav("anger"))], headers=headers)
        other = self.post(client, [("a.wav", wav("joy"))], headers=headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")

    def test_names_are_shown_and_never_paths(self, client: TestClient, storage: Storage) -> None:
        job = self.post(client, [("../../etc/passwd", wav("anger")), ("\x00\n", wav("joy"))]).json()
        folder = files.inputs_dir(storage, job["id"])
        assert sorted(path.name for path in folder.iterdir()) == [
            "000001.wav",
            "000002.wav",
            "inputs.json",
        ]
        assert all(one.name.isprintable() for one in files.read_inputs(folder))


class TestSize:
    def test_more_scores_than_allowed_are_422(
        self, client: TestClient, body: Any, app: Any, settings: Settings
    ) -> None:
        reconfigure(app, max_audit_scores=100)
        problem = refused(client, body)
        assert problem["code"] == "too_many_scores"
        assert "12 clips and 3 labels these are 108 scores" in problem["detail"]
        assert client.post("/v1/audits", json=body | {"limit": 11}).status_code == 202

    def test_more_passes_than_allowed_are_422_with_the_forecast(
        self, client: TestClient, body: Any, app: Any, session: Session
    ) -> None:
        """Of each clip: one to score it, 11 and 10 back for the attack, one to score that."""
        reconfigure(app, max_audit_passes=275)
        body["attacks"] = [{"type": "pgd", "epsilon": [0.1], "steps": 10}]
        problem = refused(client, body)
        (fault,) = problem["errors"]
        assert problem["code"] == "too_many_passes"
        assert (fault["field"], fault["value"]) == ("attacks", "'276 passes'")
        assert "12 clips the attacks need up to 156 forward and 120 backward" in fault["message"]
        assert "more than the 275 that this service allows" in fault["message"]
        assert "give a limit, fewer strengths, steps, restarts or queries" in fault["remedy"]
        assert jobs(session) == 0
        assert client.post("/v1/audits", json=body | {"limit": 11}).status_code == 202

    def test_of_uploads_too(
        self, client: TestClient, model: str, app: Any, session: Session
    ) -> None:
        reconfigure(app, max_audit_passes=22)
        attacks = [{"type": "pgd", "epsilon": [0.1], "steps": 10}]
        answer = client.post(
            "/v1/audits",
            files=[("file", ("a.wav", wav("anger"), "audio/wav"))],
            data={"request": json.dumps({"model": model, "attacks": attacks})},
        )
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_passes")
        assert jobs(session) == 0


class TestDryRun:
    ATTACKS: ClassVar = [
        {"type": "fgsm", "epsilon": [0.02, 0.1]},
        {"type": "pgd", "epsilon": [0.1], "steps": 10, "restarts": 2},
        {"type": "noise", "epsilon": [0.1], "draws": 3},
    ]

    def test_tells_the_cost_and_queues_nothing(
        self, client: TestClient, body: Any, session: Session
    ) -> None:
        asked = body | {"attacks": self.ATTACKS, "limit": 10}
        answer = client.post("/v1/audits?dry_run=true", json=asked)
        assert answer.status_code == 200
        told = answer.json()
        seconds = told.pop("seconds")
        # Of a clip: its score; fgsm 1 + 2 scores; pgd 2 * 11 + 1; noise 3 + 1.
        assert told == {
            "object": "forecast",
            "clips": 10,
            "forwards": 10 * (1 + 3 + 23 + 4),
            "backwards": 10 * (1 + 20),
            "queries": 10 * 3,
            "exact": True,
            "device": "cpu",
        }
        assert seconds > 0
        assert jobs(session) == 0

    def test_says_where_it_is_the_most(self, client: TestClient, body: Any) -> None:
        body["attacks"] = [{"type": "fgsm", "epsilon": [0.1], "minimum": True}]
        assert client.post("/v1/audits?dry_run=true", json=body).json()["exact"] is False

    @pytest.mark.parametrize("change", [{"model": "cnn5"}, {"corpus": new_id("corpus")}])
    def test_what_is_not_there_is_404(
        self, client: TestClient, body: Any, change: dict[str, str]
    ) -> None:
        answer = client.post("/v1/audits?dry_run=true", json=body | change)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")

    def test_what_could_not_be_trained_is_422(self, client: TestClient, body: Any) -> None:
        asked = body | {"harden": HARDEN | {"iterations": 10_000_000}}
        answer = client.post("/v1/audits?dry_run=true", json=asked)
        assert answer.status_code == 422
        assert "harden asks for a training that would be refused" in answer.json()["detail"]

    def test_needs_the_scope_of_what_it_would_queue(
        self, client: TestClient, body: Any, make_key: MakeKey
    ) -> None:
        predict, audit = make_key("predict"), make_key("audit")
        path = "/v1/audits?dry_run=true"
        assert client.post(path, json=body, headers=predict.headers).status_code == 403
        asked = body | {"harden": HARDEN}
        assert client.post(path, json=asked, headers=audit.headers).status_code == 403

    def test_with_a_form_it_is_422_and_queues_nothing(
        self, client: TestClient, model: str, session: Session
    ) -> None:
        answer = client.post(
            "/v1/audits?dry_run=true",
            files=[("file", ("a.wav", wav("anger"), "audio/wav"))],
            data={"request": json.dumps({"model": model, "attacks": self.ATTACKS})},
        )
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["field"] == "query.dry_run"
        assert jobs(session) == 0

    def test_one_is_made_at_a_time(self, client: TestClient, body: Any) -> None:
        with CALIBRATING:
            answer = client.post("/v1/audits?dry_run=true", json=body)
        assert (answer.status_code, answer.json()["code"]) == (503, "forecast_busy")
        assert int(answer.headers["retry-after"]) >= 1
        assert client.post("/v1/audits?dry_run=true", json=body).status_code == 200

    @pytest.mark.parametrize("word", ["perhaps", ""])
    def test_it_is_asked_for_with_true_or_false(
        self, client: TestClient, body: Any, word: str, session: Session
    ) -> None:
        answer = client.post(f"/v1/audits?dry_run={word}", json=body)
        assert answer.status_code == 422
        assert jobs(session) == 0
        assert client.post("/v1/audits?dry_run=false", json=body).status_code == 202


class TestDocument:
    def test_tells_of_both_bodies(self, client: TestClient) -> None:
        document = client.get("/openapi.json").json()
        content = document["paths"]["/v1/audits"]["post"]["requestBody"]["content"]
        assert set(content) == {"application/json", "multipart/form-data"}
        assert "$defs" not in json.dumps(content)
        assert "Fgsm" in document["components"]["schemas"]
