"""DELETE of a job, as `/v1/audits` and `/v1/trainings` serve it."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.jobs.states import JobKind, kind_of
from app.jobs.tables import Job as Row
from app.jobs.tables import JobEvent
from app.persistence import orphans
from app.persistence.storage import Storage
from app.registry.tables import Model
from tests.app.jobs.conftest import Claim, Make
from tests.app.state import state
from tests.conftest import MakeKey

Read = Callable[[str], dict[str, Any]]


class Chain(NamedTuple):
    """An audit, the hardened training that it caused, and the audit of the new model."""

    first: str
    training: str
    second: str


@pytest.fixture
def ended(make_job: Make, run: Claim) -> Callable[..., str]:
    """The id of a job that has succeeded."""

    def ended(
        kind: JobKind = JobKind.AUDIT, result: dict[str, Any] | None = None, **how: Any
    ) -> str:
        job_id: str = make_job(kind, **how).id
        run(job_id).succeed(result or {})
        return job_id

    return ended


@pytest.fixture
def chain(ended: Callable[..., str], session: Session) -> Chain:
    first = ended(result={"hardening": {"triggered": True, "training": None, "audit": None}})
    training = ended(JobKind.TRAINING, parent_id=first)
    second = ended(parent_id=training)
    row = session.get_one(Row, first, populate_existing=True)
    named = {"triggered": True, "training": training, "audit": second}
    row.result = {"hardening": named}
    session.commit()
    return Chain(first, training, second)


def path_of(job_id: str) -> str:
    return f"/v1/{kind_of(job_id).collection}/{job_id}"


class TestDeleteJob:
    def test_anonymous_is_401(
        self, client: TestClient, ended: Callable[..., str], make_key: MakeKey
    ) -> None:
        job_id = ended()
        make_key("audit")
        assert client.delete(path_of(job_id)).status_code == 401

    def test_anothers_is_404_and_stays(
        self, client: TestClient, ended: Callable[..., str], make_key: MakeKey
    ) -> None:
        owner, other = make_key("audit"), make_key("audit", "admin")
        path = path_of(ended(owner=owner.id))
        assert client.delete(path, headers=other.headers).status_code == 404
        assert client.get(path, headers=owner.headers).status_code == 200

    def test_one_of_the_other_kind_is_404(
        self, client: TestClient, ended: Callable[..., str]
    ) -> None:
        assert client.delete(f"/v1/trainings/{ended()}").status_code == 404

    @pytest.mark.parametrize("kind", JobKind)
    def test_a_deletion_takes_the_row_the_events_and_the_files(
        self,
        app: FastAPI,
        client: TestClient,
        ended: Callable[..., str],
        session: Session,
        kind: JobKind,
    ) -> None:
        job_id = ended(kind)
        folder: Path = state(app).storage.job_dir(job_id)
        (folder / "attempt-0001").mkdir(parents=True)
        answer = client.delete(path_of(job_id))
        assert (answer.status_code, answer.content) == (204, b"")
        assert not folder.exists()
        for path in ("", "/events", "/results"):
            assert client.get(f"/v1/jobs/{job_id}{path}").status_code == 404
        assert session.scalar(select(func.count(JobEvent.seq))) == 0
        assert client.delete(path_of(job_id)).status_code == 404

    def test_one_that_has_not_ended_is_409_and_says_to_cancel(
        self, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        queued, running = make_job(), make_job()
        attempt = run(running.id)
        for job, status in ((queued, "queued"), (running, "running")):
            answer = client.delete(path_of(job.id))
            assert (answer.status_code, answer.json()["code"]) == (409, "job_not_ended")
            assert f"is {status}" in answer.json()["detail"]
            assert f"POST /v1/audits/{job.id}/cancel" in answer.json()["detail"]
            client.post(f"{path_of(job.id)}/cancel")
        attempt.cancelled()
        for job in (queued, running):
            assert client.delete(path_of(job.id)).status_code == 204

    def test_the_model_of_a_deleted_training_stays_and_names_it_no_more(
        self, client: TestClient, ended: Callable[..., str], session: Session
    ) -> None:
        training = ended(JobKind.TRAINING)
        model = Model(
            id="model_01K9ZQ3W8M4V7T2X6B5N0C1DEF",
            owner="local",
            name="mine",
            architecture="cnn4",
            labels=[],
            config={},
            sha256="0" * 64,
            training_id=training,
        )
        session.add(model)
        session.commit()
        assert client.delete(path_of(training)).status_code == 204
        session.refresh(model)
        assert model.training_id is None

    def test_files_that_a_crash_keeps_from_being_removed_are_marked_as_left_behind(
        self,
        app: FastAPI,
        client: TestClient,
        ended: Callable[..., str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        job_id = ended()
        folder: Path = state(app).storage.job_dir(job_id)
        folder.mkdir(parents=True)
        monkeypatch.setattr(Storage, "remove", lambda *_: None)
        assert client.delete(path_of(job_id)).status_code == 204
        assert client.get(path_of(job_id)).status_code == 404
        assert (folder / orphans.MARK).exists()


class TestDeleteFromAChain:
    def urls(self, job: dict[str, Any]) -> tuple[str | None, list[str]]:
        return job["urls"]["caused_by"], job["urls"]["caused"]

    def test_audits_are_linked_to_each_other_without_their_training(
        self, client: TestClient, chain: Chain, read: Read
    ) -> None:
        tags = [client.get(path_of(one)).headers["etag"] for one in (chain.first, chain.second)]
        assert client.delete(path_of(chain.training)).status_code == 204
        first, second = read(chain.first), read(chain.second)
        assert self.urls(first) == (None, [path_of(chain.second)])
        assert self.urls(second) == (path_of(chain.first), [])
        named = {"triggered": True, "training": None, "audit": chain.second}
        assert first["result"]["hardening"] == named
        for one, tag in zip((chain.first, chain.second), tags, strict=True):
            answer = client.get(path_of(one), headers={"If-None-Match": tag})
            assert answer.status_code == 200

    def test_a_training_without_the_first_audit_has_no_cause(
        self, client: TestClient, chain: Chain, read: Read
    ) -> None:
        assert client.delete(path_of(chain.first)).status_code == 204
        assert self.urls(read(chain.training)) == (None, [path_of(chain.second)])
        assert self.urls(read(chain.second)) == (path_of(chain.training), [])

    def test_no_result_names_the_second_audit_once_it_is_gone(
        self, client: TestClient, chain: Chain, read: Read
    ) -> None:
        assert client.delete(path_of(chain.second)).status_code == 204
        hardening = read(chain.first)["result"]["hardening"]
        assert hardening == {"triggered": True, "training": chain.training, "audit": None}
        assert self.urls(read(chain.training)) == (path_of(chain.first), [])

    def test_nothing_names_what_is_gone_in_whatever_order_jobs_go(
        self, client: TestClient, chain: Chain, read: Read
    ) -> None:
        client.delete(path_of(chain.training))
        client.delete(path_of(chain.second))
        first = read(chain.first)
        assert first["result"]["hardening"] == {"triggered": True, "training": None, "audit": None}
        assert self.urls(first) == (None, [])

    def test_deletions_that_race_leave_nothing_that_names_what_is_gone(
        self, client: TestClient, chain: Chain, read: Read
    ) -> None:
        answers: list[int] = []

        def delete(job_id: str) -> None:
            answers.append(client.delete(path_of(job_id)).status_code)

        threads = [
            threading.Thread(target=delete, args=[job_id])
            for job_id in (chain.training, chain.second) * 3
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers) == [204, 204, 404, 404, 404, 404]
        first = read(chain.first)
        assert first["result"]["hardening"] == {"triggered": True, "training": None, "audit": None}
        assert self.urls(first) == (None, [])

    def test_a_cause_stays_as_long_as_its_effect_has_not_ended(
        self, client: TestClient, ended: Callable[..., str], make_job: Make
    ) -> None:
        """The audit of the new model is made from the first one's row."""
        first = ended()
        training = make_job(JobKind.TRAINING, parent_id=first)
        answer = client.delete(path_of(first))
        assert (answer.status_code, answer.json()["code"]) == (409, "job_in_use")
        assert training.id in answer.json()["detail"]
        client.post(f"{path_of(training.id)}/cancel")
        assert client.delete(path_of(first)).status_code == 204
