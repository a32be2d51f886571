"""What a study begins, what it waits for, and how it ends."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.attempts import claim
from app.jobs.services import Services
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.registry.tables import Model
from app.studies import driving, findings
from app.studies.advancing import Workers
from app.studies.schemas import StudyRequest
from app.studies.tables import StudyTask
from app.trainings.detector_request import DetectorRequest
from tests.app.studies.conftest import End, Study, Submit
from tests.speechless import add_corpus

Children = Callable[..., list[Job]]
EndAll = Callable[..., None]


@pytest.fixture
def end_all(children: Children, end: End) -> EndAll:
    """End all jobs of a study until nothing is queued; a training in ``fails`` with that error."""

    def end_all(study: Study, fails: str | None = None) -> None:
        while waiting := [job for job in children(study) if job.status is JobStatus.QUEUED]:
            for job in waiting:
                failing = job.kind is JobKind.TRAINING and job.request["name"] == fails
                end(job, "not_finite" if failing else None)

    return end_all


@pytest.fixture
def read(client: TestClient) -> Callable[[Study], dict[str, Any]]:
    def read(study: Study) -> dict[str, Any]:
        found: dict[str, Any] = client.get(f"/v1/studies/{study['id']}").json()
        return found

    return read


@pytest.fixture
def cells(client: TestClient) -> Callable[[Study], dict[str, dict[str, Any]]]:
    """The cells of a study by name."""

    def cells(study: Study) -> dict[str, dict[str, Any]]:
        data = client.get(f"/v1/studies/{study['id']}/cells").json()["data"]
        return {one["cell"]: one for one in data}

    return cells


Read = Callable[[Study], dict[str, Any]]
Cells = Callable[[Study], dict[str, dict[str, Any]]]
SINGLE = "tiny single seed=0 train"
VANILLA = "tiny vanilla ε=0.02 seed=0 train"


class TestTheOrder:
    def test_a_model_is_audited_on_what_it_has_not_learnt_from(
        self, submit: Submit, children: Children, end: End
    ) -> None:
        study = submit(audits=[{"type": "fgsm"}, {"type": "noise", "epsilon": [0.5]}], limit=9)
        train, both = children(study)
        end(train)
        model = children(study)[0].model
        audits = children(study, JobKind.AUDIT)
        assert [(job.model, job.request["partition"]) for job in audits] == [
            (model, "dev"),
            (model, "test"),
        ]
        asked = audits[0].request
        assert [one["epsilon"] for one in asked["attacks"]] == [[0.02], [0.5]]
        assert (asked["limit"], asked["windows"], asked["save_adversarial"]) == (9, "first", False)
        end(audits[0])
        end(audits[1])
        end(both)
        assert [job.request["partition"] for job in children(study, JobKind.AUDIT)[2:]] == ["test"]

    def test_a_preset_of_audits_stands_for_its_attacks(
        self, submit: Submit, children: Children, end: End
    ) -> None:
        study = submit(audits="quick")
        end(children(study)[0])
        audit = children(study, JobKind.AUDIT)[0]
        assert audit.request["preset"] == "quick"
        assert audit.request["attacks"]

    def test_no_more_is_queued_than_keeps_the_workers_busy(
        self, submit: Submit, children: Children, end: End, services: Services,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        study = submit(seeds=[0, 1, 2])
        assert len(children(study)) == 2
        workers = {JobKind.TRAINING: 3, JobKind.AUDIT: 1}
        monkeypatch.setattr(driving, "living", lambda _: workers)
        driving.drive(services, study["id"])
        assert len(children(study)) == 6
        end(children(study)[0])
        assert len(children(study, JobKind.TRAINING)) == 7

    def test_each_of_two_models_is_attacked_by_way_of_the_other(
        self, submit: Submit, children: Children, end_all: EndAll
    ) -> None:
        study = submit(epsilons=[0.02, 0.06, 0.1])
        end_all(study)
        found = [
            job for job in children(study, JobKind.AUDIT)
            if job.request["attacks"][0]["type"] == "transfer"
        ]  # fmt: skip
        models = {job.request["name"]: job.model for job in children(study, JobKind.TRAINING)}
        single = models["tiny single seed=0 train+dev"]
        vanilla = models["tiny vanilla ε=0.06 seed=0 train+dev"]
        assert [(job.model, job.request["attacks"][0]["from"]) for job in found] == [
            (single, vanilla),
            (vanilla, single),
        ]
        assert found[0].request["attacks"][0]["attack"]["epsilon"] == [0.06]

    def test_a_model_that_there_is_not_is_left_out_until_it_is_trained_after_all(
        self, client: TestClient, submit: Submit, children: Children, end_all: EndAll
    ) -> None:
        def transfers(study: Study) -> list[int]:
            audits = [job.request["attacks"] for job in children(study, JobKind.AUDIT)]
            return [len(attacks) for attacks in audits if attacks[0]["type"] == "transfer"]

        study = submit(trainings=["single", "vanilla", "trades"], train_on=["train"])
        end_all(study, fails=VANILLA)
        assert transfers(study) == [1, 1]
        client.post(f"/v1/studies/{study['id']}/resume")
        end_all(study)
        assert transfers(study) == [1, 1, 2, 2, 2]

    def test_transfer_can_be_left_out(
        self, submit: Submit, children: Children, end_all: EndAll
    ) -> None:
        study = submit(transfer=False)
        end_all(study)
        kinds = {job.request["attacks"][0]["type"] for job in children(study, JobKind.AUDIT)}
        assert kinds == {"fgsm"}

    def test_two_that_drive_it_at_once_begin_each_job_once(
        self, submit: Submit, children: Children, services: Services, session: Session
    ) -> None:
        study = submit(seeds=[0, 1])
        training = children(study)[0]
        attempt = claim(services.sessions, training.id)
        assert attempt is not None
        attempt.fail({"code": "not_finite", "message": ""})
        with ThreadPoolExecutor(4) as threads:
            list(threads.map(lambda _: driving.drive(services, study["id"]), range(8)))
        assert len(children(study)) == 3
        keys = session.scalars(select(Job.idempotency_key).where(Job.parent_id == study["id"]))
        assert len(set(keys)) == 3


class TestTheEnd:
    def test_all_succeeded(self, submit: Submit, read: Read, cells: Cells, end_all: EndAll) -> None:
        study = submit()
        end_all(study)
        found = read(study)
        assert (found["status"], found["progress"]["done"]) == ("succeeded", 4)
        assert found["progress"]["eta_seconds"] is None
        assert found["result"]["succeeded"] == 4
        assert found["result"]["unfinished"] == []
        assert {one["status"] for one in cells(study).values()} == {"done"}
        assert set(cells(study)[SINGLE]["audits"]) == {"dev", "test"}

    def test_an_audit_by_way_of_others_that_fails_is_named_behind_the_cells(
        self, client: TestClient, submit: Submit, children: Children, end: End, end_all: EndAll,
        read: Read,
    ) -> None:  # fmt: skip
        study = submit()
        while waiting := [job for job in children(study) if job.status is JobStatus.QUEUED]:
            for job in waiting:
                by_way = job.request.get("attacks", [{}])[0].get("type") == "transfer"
                end(job, "storage_full" if by_way else None)
        found = read(study)["result"]
        assert (found["succeeded"], found["failed"]) == (4, 0)
        assert [one["cell"] for one in found["unfinished"]] == [
            "tiny single seed=0 train+dev attacked by way of the others",
            "tiny vanilla ε=0.02 seed=0 train+dev attacked by way of the others",
        ]
        assert found["unfinished"][0]["errors"][0]["code"] == "storage_full"
        client.post(f"/v1/studies/{study['id']}/resume")
        end_all(study)
        assert read(study)["result"]["unfinished"] == []

    def test_no_time_is_told_of_a_training_that_was_interrupted(
        self, submit: Submit, children: Children, session: Session, end: End
    ) -> None:
        study = submit()
        whole, interrupted = children(study)
        interrupted.attempt = 1
        session.commit()
        end(whole)
        end(interrupted)
        query = select(StudyTask.seconds).where(StudyTask.study_id == study["id"])
        assert session.scalar(query.where(StudyTask.job_id == whole.id)) is not None
        assert session.scalar(query.where(StudyTask.job_id == interrupted.id)) is None

    def test_each_cell_that_ends_is_told(
        self, client: TestClient, submit: Submit, end_all: EndAll
    ) -> None:
        study = submit()
        end_all(study, fails=VANILLA)
        events = client.get(f"/v1/studies/{study['id']}/events").json()["data"]
        told = {one["data"]["cell"]: one["data"] for one in events if one["type"] == "cell"}
        assert len(told) == 4
        assert told[SINGLE]["status"] == "done"
        assert told[VANILLA]["errors"][0]["code"] == "not_finite"

    def test_a_training_that_fails_fails_its_cell_alone(
        self, submit: Submit, read: Read, cells: Cells, children: Children, end_all: EndAll
    ) -> None:
        study = submit()
        end_all(study, fails=VANILLA)
        assert read(study)["status"] == "succeeded"
        (unfinished,) = read(study)["result"]["unfinished"]
        assert (unfinished["cell"], unfinished["status"]) == (VANILLA, "failed")
        codes = [one["code"] for one in cells(study)[VANILLA]["errors"]]
        assert codes == ["not_finite", "no_model", "no_model"]
        assert len(children(study, JobKind.TRAINING)) == 4

    def test_a_study_of_which_nothing_succeeds_has_failed(
        self, submit: Submit, read: Read, end_all: EndAll
    ) -> None:
        study = submit(trainings=["single"], train_on=["train"])
        end_all(study, fails=SINGLE)
        found = read(study)
        assert (found["status"], found["error"]["code"]) == ("failed", "no_cell_succeeded")
        assert found["error"]["details"]["unfinished"][0]["cell"] == SINGLE

    def test_a_child_that_somebody_cancels_is_a_cell_that_was_cancelled(
        self, client: TestClient, submit: Submit, children: Children, cells: Cells,
        services: Services, end_all: EndAll, read: Read,
    ) -> None:  # fmt: skip
        study = submit()
        client.post(f"/v1/trainings/{children(study)[0].id}/cancel")
        driving.drive(services, study["id"])
        end_all(study)
        assert cells(study)[SINGLE]["status"] == "cancelled"
        assert read(study)["result"]["cancelled"] == 1

    def test_a_model_that_is_deleted_before_its_audits_fails_the_cell(
        self, submit: Submit, children: Children, services: Services, cells: Cells, end_all: EndAll
    ) -> None:
        study = submit()
        training = children(study)[0]
        attempt = claim(services.sessions, training.id)
        assert attempt is not None
        attempt.succeed({}, publish=lambda _: {"model": "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"})
        driving.drive_all_with(services, training.id)
        end_all(study)
        found = cells(study)[SINGLE]
        assert (found["status"], found["errors"][0]["code"]) == ("failed", "model_deleted")

    def test_a_study_that_has_ended_can_be_deleted_and_its_jobs_stay(
        self, client: TestClient, submit: Submit, end_all: EndAll, session: Session
    ) -> None:
        study = submit()
        end_all(study)
        assert client.delete(f"/v1/studies/{study['id']}").status_code == 204
        assert session.scalar(select(func.count(StudyTask.number))) == 0
        left = session.scalars(select(Job.kind).where(Job.parent_id.is_(None))).all()
        assert len(left) == 12

    def test_it_tells_when_it_will_be_ready(
        self, submit: Submit, read: Read, children: Children, end: End
    ) -> None:
        study = submit()
        for _ in range(2):
            for job in children(study):
                if job.status is JobStatus.QUEUED:
                    end(job)
        assert read(study)["progress"]["eta_seconds"] > 0


class TestWhatIsKnown:
    def test_files_that_cannot_be_read_are_not_taken_for_removed_ones(
        self, submit: Submit, end_all: EndAll, services: Services, session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        def unreadable(*_: object, **__: object) -> None:
            raise PermissionError("rows.csv")

        study = submit()
        end_all(study)
        monkeypatch.setattr("app.studies.findings.audits.findings", unreadable)
        row = session.get_one(Job, study["id"])
        with pytest.raises(PermissionError):
            findings.read(session, services.storage, row, StudyRequest.model_validate(row.request))


class TestReuse:
    @pytest.fixture
    def by_hand(self, client: TestClient, corpus: Corpus) -> Callable[..., str]:
        """Submit the training of the first cell by hand."""

        def by_hand(**other: Any) -> str:
            wanted = {
                "corpus": corpus.id, "architecture": "tiny", "iterations": 4, "batch_size": 4,
                "frames": 32,
            }  # fmt: skip
            answer = client.post("/v1/trainings", json=wanted | other)
            assert answer.status_code == 202, answer.text
            job_id: str = answer.json()["id"]
            return job_id

        return by_hand

    def test_a_training_that_is_there_is_not_done_again(
        self, by_hand: Callable[..., str], submit: Submit, cells: Cells, session: Session,
        end: End, children: Children, end_all: EndAll, read: Read,
    ) -> None:  # fmt: skip
        job_id = by_hand(evaluate_every=2, name="of another name", epsilon=0.5)
        end(session.get_one(Job, job_id))
        study = submit()
        found = cells(study)[SINGLE]
        assert (found["reused"], found["training"]) == (True, f"/v1/trainings/{job_id}")
        end_all(study)
        assert len(children(study, JobKind.TRAINING)) == 3
        assert cells(study)[SINGLE]["status"] == "done"
        assert read(study)["result"]["reused"] == 1

    def test_the_training_of_a_detector_is_none(
        self, session: Session, submit: Submit, cells: Cells, corpus: Corpus
    ) -> None:
        wanted = DetectorRequest(type="detector", model="cnn4-single-cremad", corpus=corpus.id)
        session.add(
            Job(
                id=new_id("train"), kind=JobKind.TRAINING, owner="local",
                request=wanted.to_request(),
            )
        )  # fmt: skip
        session.commit()
        assert not cells(submit())[SINGLE]["reused"]

    def test_one_that_is_under_way_is_waited_for(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End,
        children: Children,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        study = submit()
        assert [job.request["train_on"] for job in children(study)] == ["train+dev", "train"]
        end(session.get_one(Job, job_id))
        assert [job.kind for job in children(study)].count(JobKind.AUDIT) == 2

    def test_one_that_fails_after_all_is_done_by_the_study_itself(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End,
        children: Children, cells: Cells, end_all: EndAll,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        study = submit()
        end(session.get_one(Job, job_id), "storage_full")
        end_all(study)
        assert len(children(study, JobKind.TRAINING)) == 4
        assert (cells(study)[SINGLE]["status"], cells(study)[SINGLE]["reused"]) == ("done", False)

    def test_one_whose_model_is_gone_when_it_ends_is_done_by_the_study_itself(
        self, by_hand: Callable[..., str], submit: Submit, services: Services, children: Children,
        cells: Cells, end_all: EndAll,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        study = submit()
        attempt = claim(services.sessions, job_id)
        assert attempt is not None
        attempt.succeed({}, publish=lambda _: {"model": "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"})
        driving.drive_all_with(services, job_id)
        end_all(study)
        assert (cells(study)[SINGLE]["status"], cells(study)[SINGLE]["reused"]) == ("done", False)

    def test_one_that_is_deleted_while_the_study_is_planned_is_done_by_the_study_itself(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End,
        cells: Cells, monkeypatch: pytest.MonkeyPatch,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        end(session.get_one(Job, job_id))

        def deleted_meanwhile(_: object) -> Workers:
            session.delete(session.get_one(Job, job_id))
            session.commit()
            return {}

        session.rollback()
        monkeypatch.setattr(driving, "living", deleted_meanwhile)
        assert not cells(submit())[SINGLE]["reused"]

    def test_one_on_the_same_data_uploaded_twice_is_found(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End,
        cells: Cells, services: Services,
    ) -> None:  # fmt: skip
        end(session.get_one(Job, by_hand()))
        twin = add_corpus(session, services.storage)
        assert cells(submit(corpus=twin.id))[SINGLE]["reused"]

    @pytest.mark.parametrize(
        "other",
        [{"seed": 1}, {"iterations": 5}, {"learning_rate": 0.01}, {"train_on": "train+dev"}],
    )
    def test_another_training_is_not(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End,
        cells: Cells, other: dict[str, Any],
    ) -> None:  # fmt: skip
        end(session.get_one(Job, by_hand(**other)))
        assert not cells(submit())[SINGLE]["reused"]

    def test_one_that_went_on_from_another_is_not(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End, cells: Cells
    ) -> None:
        job = session.get_one(Job, by_hand())
        job.request = job.request | {"resume_from": new_id("train")}
        session.commit()
        end(job)
        assert not cells(submit())[SINGLE]["reused"]

    def test_one_whose_model_was_deleted_is_not(
        self, by_hand: Callable[..., str], submit: Submit, session: Session, end: End, cells: Cells
    ) -> None:
        end(session.get_one(Job, by_hand()))
        session.query(Model).delete()
        session.commit()
        assert not cells(submit())[SINGLE]["reused"]

    def test_a_study_of_which_all_is_there_has_succeeded_at_once(
        self, submit: Submit, children: Children, end_all: EndAll
    ) -> None:
        end_all(submit())
        again = submit()
        assert (again["status"], again["progress"]["done"]) == ("succeeded", 4)
        assert children(again) == []

    def test_what_has_failed_here_and_succeeded_elsewhere_since_is_not_tried_again(
        self, client: TestClient, submit: Submit, children: Children, end_all: EndAll, cells: Cells,
    ) -> None:  # fmt: skip
        study = submit()
        end_all(study, fails=VANILLA)
        before = len(children(study))
        end_all(submit())
        answer = client.post(f"/v1/studies/{study['id']}/resume")
        assert answer.json()["status"] == "succeeded"
        assert (cells(study)[VANILLA]["status"], cells(study)[VANILLA]["reused"]) == ("done", True)
        assert len(children(study)) == before

    def test_two_studies_do_what_they_share_once(
        self, submit: Submit, children: Children, end_all: EndAll, read: Read
    ) -> None:
        first, second = submit(), submit(seeds=[0, 1])
        while any(job.status is JobStatus.QUEUED for job in [*children(first), *children(second)]):
            end_all(first)
            end_all(second)
        assert [read(study)["status"] for study in (first, second)] == ["succeeded"] * 2
        assert len(children(first, JobKind.TRAINING) + children(second, JobKind.TRAINING)) == 8
        audits = children(first, JobKind.AUDIT) + children(second, JobKind.AUDIT)
        asked = [(job.model, str(job.request)) for job in audits]
        assert len(set(asked)) == len(asked)

    def test_one_by_hand_is_waited_for_again_after_a_cancel(
        self, client: TestClient, by_hand: Callable[..., str], submit: Submit, children: Children,
        session: Session, end: End, end_all: EndAll, cells: Cells,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        study = submit()
        client.post(f"/v1/studies/{study['id']}/cancel")
        client.post(f"/v1/studies/{study['id']}/resume")
        end(session.get_one(Job, job_id))
        end_all(study)
        found = cells(study)[SINGLE]
        assert (found["status"], found["training"]) == ("done", f"/v1/trainings/{job_id}")
        names = [job.request["name"] for job in children(study, JobKind.TRAINING)]
        assert SINGLE not in names

    def test_one_by_hand_that_failed_after_a_cancel_is_done_by_the_study_itself(
        self, client: TestClient, by_hand: Callable[..., str], submit: Submit, session: Session,
        end: End, end_all: EndAll, cells: Cells,
    ) -> None:  # fmt: skip
        job_id = by_hand()
        study = submit()
        client.post(f"/v1/studies/{study['id']}/cancel")
        end(session.get_one(Job, job_id), "storage_full")
        client.post(f"/v1/studies/{study['id']}/resume")
        end_all(study)
        assert (cells(study)[SINGLE]["status"], cells(study)[SINGLE]["reused"]) == ("done", False)


class TestCancel:
    def test_what_it_has_begun_is_cancelled_and_nothing_more_is_begun(
        self, client: TestClient, submit: Submit, children: Children, cells: Cells, read: Read
    ) -> None:
        study = submit()
        client.post(f"/v1/studies/{study['id']}/cancel")
        assert read(study)["status"] == "cancelled"
        assert {job.status for job in children(study)} == {JobStatus.CANCELLED}
        assert len(children(study)) == 2
        assert {one["status"] for one in cells(study).values()} == {"cancelled"}

    @pytest.mark.parametrize("path", ["studies", "jobs"])
    def test_one_whose_training_runs_ends_when_that_has_stopped(
        self, client: TestClient, submit: Submit, children: Children, services: Services,
        read: Read, path: str,
    ) -> None:  # fmt: skip
        study = submit()
        training = children(study)[0]
        attempt = claim(services.sessions, training.id)
        assert attempt is not None
        answer = client.post(f"/v1/{path}/{study['id']}/cancel")
        assert answer.json()["status"] == "cancelling"
        assert attempt.status() is JobStatus.CANCELLING
        attempt.cancelled()
        driving.drive_all_with(services, training.id)
        assert read(study)["status"] == "cancelled"

    def test_what_it_shares_goes_on(
        self, client: TestClient, submit: Submit, children: Children, read: Read
    ) -> None:
        first, second = submit(), submit()
        assert children(second) != []
        shared = [job.id for job in children(first)]
        client.post(f"/v1/studies/{second['id']}/cancel")
        assert read(second)["status"] == "cancelled"
        assert [job.id for job in children(first) if job.status is JobStatus.QUEUED] == shared


class TestResume:
    def resume(self, client: TestClient, study: Study) -> Any:
        return client.post(f"/v1/studies/{study['id']}/resume")

    def test_what_failed_is_tried_again_and_nothing_else(
        self, client: TestClient, submit: Submit, children: Children, end_all: EndAll, read: Read
    ) -> None:
        study = submit()
        end_all(study, fails=VANILLA)
        before = len(children(study))
        answer = self.resume(client, study)
        assert (answer.status_code, answer.json()["status"]) == (202, "running")
        assert (answer.json()["attempt"], answer.json()["result"]) == (2, None)
        end_all(study)
        assert read(study)["result"]["succeeded"] == 4
        assert [job.kind for job in children(study)[before:]] == ["training", "audit", "audit"]

    def test_a_cancelled_study_goes_on_where_it_was(
        self, client: TestClient, submit: Submit, children: Children, end: End, end_all: EndAll,
        read: Read,
    ) -> None:  # fmt: skip
        study = submit()
        end(children(study)[0])
        client.post(f"/v1/studies/{study['id']}/cancel")
        assert self.resume(client, study).json()["status"] == "running"
        end_all(study)
        assert read(study)["result"]["succeeded"] == 4
        done = [j for j in children(study, JobKind.TRAINING) if j.status is JobStatus.SUCCEEDED]
        assert len(done) == 4

    def test_a_model_that_is_gone_is_trained_again(
        self, client: TestClient, submit: Submit, children: Children, services: Services,
        cells: Cells, end_all: EndAll,
    ) -> None:  # fmt: skip
        study = submit()
        training = children(study)[0]
        attempt = claim(services.sessions, training.id)
        assert attempt is not None
        attempt.succeed({}, publish=lambda _: {"model": "model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"})
        end_all(study)
        driving.drive(services, study["id"])
        end_all(study)
        self.resume(client, study)
        end_all(study)
        assert cells(study)[SINGLE]["status"] == "done"

    def test_one_that_has_nothing_to_try_again_stays_as_it_is(
        self, client: TestClient, submit: Submit, end_all: EndAll
    ) -> None:
        study = submit()
        end_all(study)
        answer = self.resume(client, study)
        assert (answer.status_code, answer.json()["status"]) == (202, "succeeded")

    def test_one_whose_corpus_is_gone_is_404_and_stays_as_it_is(
        self, client: TestClient, submit: Submit, corpus: Corpus, read: Read
    ) -> None:
        study = submit()
        client.post(f"/v1/studies/{study['id']}/cancel")
        assert client.delete(f"/v1/corpora/{corpus.id}").status_code == 204
        assert self.resume(client, study).status_code == 404
        assert read(study)["status"] == "cancelled"

    def test_a_corpus_stays_while_a_study_needs_it(
        self, client: TestClient, submit: Submit, corpus: Corpus
    ) -> None:
        submit()
        answer = client.delete(f"/v1/corpora/{corpus.id}")
        assert (answer.status_code, answer.json()["code"]) == (409, "corpus_in_use")


class TestMoreCells:
    def add(self, client: TestClient, study: Study, **more: Any) -> Any:
        return client.post(f"/v1/studies/{study['id']}/cells", json=more)

    def test_a_finished_study_goes_on_with_what_is_new(
        self, client: TestClient, submit: Submit, children: Children, end_all: EndAll, read: Read
    ) -> None:
        study = submit()
        end_all(study)
        before = len(children(study))
        answer = self.add(client, study, seeds=[1])
        assert (answer.status_code, answer.json()["status"]) == (202, "running")
        assert answer.json()["input"]["seeds"] == [0, 1]
        end_all(study)
        assert read(study)["progress"]["total"] == read(study)["result"]["succeeded"] == 8
        kinds = [job.kind for job in children(study)[before:]]
        assert (kinds.count(JobKind.TRAINING), kinds.count(JobKind.AUDIT)) == (4, 6)

    def test_a_running_study_takes_more(
        self, client: TestClient, submit: Submit, end_all: EndAll, read: Read
    ) -> None:
        study = submit()
        assert self.add(client, study, trainings=[{"type": "pgd", "steps": 2}]).status_code == 202
        end_all(study)
        assert read(study)["result"]["succeeded"] == 6

    def test_what_is_there_already_changes_nothing(
        self, client: TestClient, submit: Submit, end_all: EndAll
    ) -> None:
        study = submit()
        end_all(study)
        for _ in range(2):
            answer = self.add(client, study, seeds=[0], trainings=["single"])
            assert answer.json()["status"] == "succeeded"

    def test_a_training_by_its_name_is_that_of_the_studys_preset(
        self, client: TestClient, submit: Submit
    ) -> None:
        study = submit(
            preset="icassp2020-paper",
            recipe={"batch_size": 4, "frames": 32},
            trainings=["single", "similarity"],
        )
        answer = self.add(client, study, trainings=["similarity"])
        assert answer.json()["input"] == study["input"]
        more = self.add(client, study, trainings=[{"type": "similarity", "beta": 0.3}])
        added = more.json()["input"]["trainings"][2]
        assert (added["beta"], added["distance"]) == (0.3, "l2")

    def test_with_another_strength_all_models_are_audited_at_it(
        self, client: TestClient, submit: Submit, end_all: EndAll, cells: Cells, session: Session
    ) -> None:
        study = submit()
        end_all(study)
        self.add(client, study, epsilons=[0.1])
        end_all(study)
        audit = session.get_one(Job, cells(study)[SINGLE]["audits"]["dev"].rpartition("/")[2])
        assert audit.request["attacks"][0]["epsilon"] == [0.02, 0.1]

    def test_more_than_allowed_are_refused_and_the_study_stays(
        self, client: TestClient, submit: Submit, read: Read
    ) -> None:
        study = submit()
        answer = self.add(client, study, seeds=list(range(32)), epsilons=[0.1, 0.2, 0.3])
        assert (answer.status_code, answer.json()["code"]) == (422, "too_many_cells")
        assert read(study)["input"] == study["input"]

    def test_a_cancelled_study_is_to_be_resumed_first(
        self, client: TestClient, submit: Submit
    ) -> None:
        study = submit()
        client.post(f"/v1/studies/{study['id']}/cancel")
        answer = self.add(client, study, seeds=[1])
        assert (answer.status_code, answer.json()["code"]) == (409, "study_cancelled")

    def test_cells_come_in_pages(self, client: TestClient, submit: Submit) -> None:
        study = submit()
        path = f"/v1/studies/{study['id']}/cells"
        first = client.get(path, params={"limit": 3}).json()
        rest = client.get(path, params={"after": first["data"][-1]["cell"]}).json()
        assert (len(first["data"]), first["has_more"]) == (3, True)
        assert (len(rest["data"]), rest["has_more"]) == (1, False)
        assert client.get(path, params={"after": "nothing"}).status_code == 422
