"""POST /v1/studies: what is accepted, what is refused and how, and that nothing is half-made."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis.exceptions import ConnectionError as RedisConnectionError
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.services import Services
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.studies.tables import StudyTask
from app.trainings.detector_request import DetectorRequest
from models.corpus.manifest import Manifest
from tests.app.state import reconfigure
from tests.app.studies.conftest import End, Submit, small
from tests.conftest import MakeKey
from tests.speechless import add_corpus, manifest

Children = Callable[..., list[Job]]


def rows(session: Session) -> int:
    session.rollback()
    jobs = session.scalar(select(func.count(Job.id))) or 0
    return jobs + (session.scalar(select(func.count(StudyTask.number))) or 0)


class TestAccepted:
    def test_it_runs_at_once_and_has_begun_its_first_trainings(
        self, submit: Submit, children: Children
    ) -> None:
        study = submit(metadata={"ticket": 1})
        assert (study["object"], study["status"]) == ("study", "running")
        assert study["progress"] == {"done": 0, "total": 4, "unit": "cells", "eta_seconds": None}
        begun = children(study)
        assert [job.kind for job in begun] == [JobKind.TRAINING] * 2
        assert [job.request["train_on"] for job in begun] == ["train", "train+dev"]
        assert [job.request["iterations"] for job in begun] == [4, 4]
        assert all(job.enqueued_at and job.metadata_ == {"ticket": 1} for job in begun)

    def test_its_jobs_name_it_and_it_names_them(
        self, client: TestClient, submit: Submit, children: Children
    ) -> None:
        study = submit()
        training = children(study)[0]
        assert f"/v1/trainings/{training.id}" in study["urls"]["caused"]
        read = client.get(f"/v1/trainings/{training.id}").json()
        assert read["urls"]["caused_by"] == study["urls"]["self"]

    def test_one_whose_trainings_are_all_under_way_tells_how_many_cells_it_has(
        self, submit: Submit
    ) -> None:
        submit(seeds=[3])
        assert submit(seeds=[3])["progress"]["total"] == 4

    def test_it_is_a_job_like_the_others(self, client: TestClient, submit: Submit) -> None:
        study = submit()
        assert client.get(f"/v1/jobs/{study['id']}").json()["id"] == study["id"]
        (listed,) = client.get("/v1/studies").json()["data"]
        assert listed["id"] == study["id"]
        unfinished = client.delete(f"/v1/studies/{study['id']}")
        assert (unfinished.status_code, unfinished.json()["code"]) == (409, "job_not_ended")

    def test_it_is_stored_with_what_stands_in_for_its_audits(self, submit: Submit) -> None:
        stored = submit()["input"]["audits"]
        assert [one["type"] for one in stored] == ["fgsm", "pgd", "noise"]
        assert [one["epsilon"] for one in stored] == [None, None, None]  # the study's
        assert stored[1]["steps"] == 10

    def test_its_input_can_be_posted_again(self, client: TestClient, submit: Submit) -> None:
        study = submit(preset="icassp2020-paper", recipe={"frames": 32, "batch_size": 4})
        again = client.post("/v1/studies", json=study["input"])
        assert again.status_code == 202, again.text
        assert again.json()["input"] == study["input"]

    def test_the_same_idempotency_key_gives_the_same_study(
        self, client: TestClient, corpus: Corpus, session: Session
    ) -> None:
        key = {"Idempotency-Key": "once"}
        first, second = (
            client.post("/v1/studies", json=small(corpus), headers=key) for _ in range(2)
        )
        assert first.json()["id"] == second.json()["id"]
        assert session.scalar(select(func.count()).where(Job.kind == JobKind.STUDY)) == 1

    def test_a_corpus_without_test_or_dev_is_told_to_lack_it(
        self, client: TestClient, services: Services, session: Session, tiny_architecture: None
    ) -> None:
        learnt = add_corpus(session, services.storage, manifest().split("train", "test"))
        answer = client.post("/v1/studies", json=small(learnt) | {"train_on": ["train"]})
        assert answer.status_code == 202, answer.text
        assert answer.json()["warnings"] == ["The corpus has no partition dev: no figures for it."]


class TestRefused:
    @pytest.mark.parametrize(
        ("wanted", "field", "words"),
        [
            ({"trainings": [{"type": "similarity", "beta": 0.8}]}, "trainings.0.gamma",
             "beta + gamma is 1.2"),
            ({"seeds": [1, 1]}, "seeds", "more than once"),
            ({"epsilons": []}, "epsilons", "at least one"),
            ({"iterations": 100_001}, "iterations", "100000"),
            ({"recipe": {"seed": 1}}, "recipe", "give seeds"),
            ({"audits": [{"type": "fgsm", "epsilon": [0.02]}, {"type": "fgsm"}]}, "audits.1",
             "same attack"),
            ({"audits": [{"type": "transfer", "from": "nobody",
                          "attack": {"type": "fgsm", "epsilon": [0.1]}}]},
             "audits.0.from", "no such model"),
            ({"audits": "no-such-preset"}, "audits", "thorough"),
            ({"limit": 0}, "limit", "at least 1"),
            ({"colour": "red"}, "colour", "unknown"),
        ],
    )  # fmt: skip
    def test_a_request_that_does_not_hold_is_422_at_its_field(
        self,
        client: TestClient,
        corpus: Corpus,
        session: Session,
        wanted: dict[str, Any],
        field: str,
        words: str,
    ) -> None:
        answer = client.post("/v1/studies", json=small(corpus) | wanted)
        assert answer.status_code == 422, answer.text
        found = {one["field"] for one in answer.json()["errors"]}
        assert any(one.startswith(field) for one in found), found
        assert words in answer.text
        assert rows(session) == 0

    def test_more_cells_than_allowed_are_refused_with_their_number_and_no_forecast(
        self, client: TestClient, app: FastAPI, corpus: Corpus, session: Session
    ) -> None:
        reconfigure(app, max_study_cells=3)
        answer = client.post("/v1/studies", json=small(corpus))
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_cells")
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["value"]) == ("architectures", "['tiny']")
        assert "these are 4 cells, more than the 3" in fault["message"]
        assert "SERVAL_MAX_STUDY_CELLS" in fault["message"]
        assert "no training of tiny single, tiny vanilla has ended here" in fault["message"]
        assert rows(session) == 0

    def test_a_grid_of_millions_of_cells_is_not_made_to_be_refused(
        self, client: TestClient, corpus: Corpus
    ) -> None:
        axis = list(range(32))
        wanted = {"seeds": axis, "epsilons": [0.01 * (1 + n) for n in range(16)]}
        answer = client.post("/v1/studies", json=small(corpus) | wanted)
        assert answer.json()["code"] == "too_many_cells"
        assert "1088 cells" in answer.text

    @pytest.mark.parametrize(
        ("clips", "code", "words"),
        [
            (manifest().split("train", "test"), "no_dev", "the corpus has no partition dev"),
            (manifest(("anger",)), "one_class", "one emotion only"),
            (
                Manifest(tuple(one for one in manifest() if one.speaker != "dev1")),
                "one_speaker",
                "its partition dev has one speaker only (dev0)",
            ),
        ],
        ids=["without dev", "one emotion", "one speaker"],
    )
    def test_a_corpus_that_does_not_do_is_refused(
        self,
        client: TestClient,
        services: Services,
        session: Session,
        tiny_architecture: None,
        clips: Manifest,
        code: str,
        words: str,
    ) -> None:
        corpus = add_corpus(session, services.storage, clips)
        answer = client.post("/v1/studies", json=small(corpus))
        assert (answer.status_code, answer.json()["code"]) == (422, code), answer.text
        assert words in answer.text
        assert answer.json()["errors"][0]["remedy"]
        assert rows(session) == 0

    def test_audits_that_would_be_too_large_are_refused_now(
        self, client: TestClient, app: FastAPI, corpus: Corpus, session: Session
    ) -> None:
        reconfigure(app, max_audit_passes=100)
        answer = client.post("/v1/studies", json=small(corpus))
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_passes")
        assert answer.json()["errors"][0]["field"] == "audits"
        assert rows(session) == 0

    def test_nothing_is_left_while_redis_is_away(
        self, client: TestClient, corpus: Corpus, services: Services, session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        def away(*_: object) -> None:
            raise RedisConnectionError("refused")

        monkeypatch.setattr(services.queue.redis, "ping", away)
        assert client.post("/v1/studies", json=small(corpus)).status_code == 503
        assert rows(session) == 0


class TestWhoMay:
    @pytest.mark.parametrize("scope", ["audit", "train"])
    def test_it_takes_both_scopes(
        self, client: TestClient, make_key: MakeKey, services: Services, session: Session,
        tiny_architecture: None, scope: str,
    ) -> None:  # fmt: skip
        key = make_key(scope)
        corpus = add_corpus(session, services.storage, owner=key.id)
        answer = client.post("/v1/studies", json=small(corpus), headers=key.headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_anothers_study_and_corpus_are_404(
        self, client: TestClient, make_key: MakeKey, services: Services, session: Session,
        tiny_architecture: None,
    ) -> None:  # fmt: skip
        mine, theirs = make_key("audit", "train"), make_key("audit", "train")
        corpus = add_corpus(session, services.storage, owner=mine.id)
        unseen = client.post("/v1/studies", json=small(corpus), headers=theirs.headers)
        assert unseen.status_code == 404
        study = client.post("/v1/studies", json=small(corpus), headers=mine.headers).json()
        for method, path in (
            ("GET", ""), ("GET", "/cells"), ("POST", "/cancel"), ("POST", "/resume"),
            ("POST", "/cells"), ("DELETE", ""),
        ):  # fmt: skip
            answer = client.request(
                method,
                f"/v1/studies/{study['id']}{path}",
                headers=theirs.headers,
                json={"seeds": [1]} if (method, path) == ("POST", "/cells") else None,
            )
            assert answer.status_code == 404, (method, path)

    def test_a_study_counts_as_a_job_of_its_key(
        self, client: TestClient, app: FastAPI, make_key: MakeKey, services: Services,
        session: Session, tiny_architecture: None,
    ) -> None:  # fmt: skip
        key = make_key("audit", "train")
        corpus = add_corpus(session, services.storage, owner=key.id)
        reconfigure(app, max_key_jobs=2)
        first = client.post("/v1/studies", json=small(corpus), headers=key.headers)
        assert first.status_code == 202
        second = client.post("/v1/studies", json=small(corpus), headers=key.headers)
        assert (second.status_code, second.json()["code"]) == (429, "jobs_quota")

    def test_one_whose_key_keeps_too_much_does_not_go_on(
        self, client: TestClient, app: FastAPI, make_key: MakeKey, services: Services,
        session: Session, tiny_architecture: None,
    ) -> None:  # fmt: skip
        key = make_key("audit", "train")
        corpus = add_corpus(session, services.storage, owner=key.id)
        study = client.post("/v1/studies", json=small(corpus), headers=key.headers).json()
        path = f"/v1/studies/{study['id']}"
        session.get_one(Corpus, corpus.id).bytes = 1000
        session.commit()
        reconfigure(app, max_key_bytes=1000)
        more = client.post(f"{path}/cells", json={"seeds": [1]}, headers=key.headers)
        assert (more.status_code, more.json()["code"]) == (429, "bytes_quota")
        client.post(f"{path}/cancel", headers=key.headers)
        again = client.post(f"{path}/resume", headers=key.headers)
        assert (again.status_code, again.json()["code"]) == (429, "bytes_quota")
        assert client.get(path, headers=key.headers).json()["status"] == "cancelled"


class TestForecast:
    def test_a_dry_run_makes_nothing(
        self, client: TestClient, corpus: Corpus, session: Session
    ) -> None:
        answer = client.post("/v1/studies?dry_run=true", json=small(corpus) | {"seeds": [0, 1]})
        assert answer.status_code == 200
        assert answer.json() == {
            "object": "study_forecast",
            "cells": 8,
            "reused": 0,
            "audits": 14,
            "iterations": 32,
            "training_seconds": None,
            "seconds": None,
            "unmeasured": ["tiny single", "tiny vanilla"],
        }
        assert rows(session) == 0

    def test_it_counts_with_what_earlier_trainings_took_and_leaves_out_what_is_there(
        self, client: TestClient, corpus: Corpus, session: Session, submit: Submit,
        children: Children, end: End,
    ) -> None:  # fmt: skip
        study = submit()
        for _ in range(2):
            for job in children(study, JobKind.TRAINING):
                if not job.status.terminal:
                    end(job)
        told = client.post("/v1/studies?dry_run=true", json=small(corpus) | {"seeds": [0, 1]})
        assert told.json()["reused"] == 4
        assert told.json()["iterations"] == 16
        assert told.json()["unmeasured"] == []
        assert told.json()["training_seconds"] >= 0

    @pytest.mark.parametrize("cells", [200, 1], ids=["a dry run", "a refusal"])
    def test_it_does_not_count_with_trainings_of_detectors(
        self, client: TestClient, app: FastAPI, corpus: Corpus, session: Session, cells: int
    ) -> None:
        reconfigure(app, max_study_cells=cells)
        wanted = DetectorRequest(type="detector", model="cnn4-single-cremad", corpus=corpus.id)
        trained(session, wanted.to_request())
        answer = client.post("/v1/studies?dry_run=true", json=small(corpus))
        assert answer.status_code == (200 if cells == 200 else 422), answer.text
        assert "tiny vanilla" in answer.text

    @pytest.mark.parametrize(
        "other", [{"resume_from": "train_1"}, {"on_overfitting": "stop"}], ids=["went on", "ended"]
    )
    def test_it_does_not_count_with_trainings_that_did_not_do_all_of_their_steps(
        self, client: TestClient, corpus: Corpus, session: Session, other: dict[str, Any]
    ) -> None:
        step = {"architecture": "tiny", "defense": {"type": "single"}, "iterations": 4}
        trained(session, step | other)
        told = client.post("/v1/studies?dry_run=true", json=small(corpus)).json()
        assert "tiny single" in told["unmeasured"]


def trained(session: Session, request: dict[str, Any]) -> None:
    """A training that has succeeded at once."""
    moment = datetime.now(UTC)
    session.add(
        Job(
            id=new_id("train"), kind=JobKind.TRAINING, owner="local", request=request,
            status=JobStatus.SUCCEEDED, attempt=1, started_at=moment, finished_at=moment,
        )
    )  # fmt: skip
    session.commit()
