"""The routes that audits and trainings have in common, as `/v1/jobs` serves them."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session, sessionmaker

from app.access.auth import may
from app.access.keys.scopes import Scope
from app.access.keys.service import revoke_key
from app.jobs.endpoints import job_routes
from app.jobs.service import Submission
from app.jobs.states import JobKind
from tests.app.jobs.conftest import AtLook, Claim, Looked, Make
from tests.app.state import reconfigure, state
from tests.conftest import MakeKey
from tests.recorded import record

Read = Callable[[str], dict[str, Any]]
STREAM = {"Accept": "text/event-stream"}
UNKNOWN = "audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
MEMBERS = {
    *("id", "object", "status", "model", "created_at", "started_at", "finished_at", "attempt"),
    *("expires_at", "audio_expires_at", "audio_expired_at"),
    *("progress", "input", "result", "error", "warnings", "metadata", "urls"),
}


class TestGetJob:
    def test_anonymous_is_401(self, client: TestClient, make_key: MakeKey) -> None:
        make_key("audit")
        assert client.get(f"/v1/jobs/{UNKNOWN}").status_code == 401

    def test_anothers_is_404_like_one_that_does_not_exist(
        self, client: TestClient, make_job: Make, make_key: MakeKey
    ) -> None:
        owner, other = make_key("audit"), make_key("audit", "admin")
        job = make_job(owner=owner.id)
        for method, path in [("GET", ""), ("POST", "/cancel"), ("GET", "/events")]:
            url = f"/v1/jobs/{job.id}{path}"
            assert client.request(method, url, headers=other.headers).status_code == 404
            assert client.request(method, url, headers=owner.headers).status_code == 200

    @pytest.mark.parametrize("job_id", [UNKNOWN, "x", "audit_%00", "..%2f..", "x" * 3000])
    def test_an_unknown_one_is_404(self, client: TestClient, job_id: str) -> None:
        answer = client.get(f"/v1/jobs/{job_id}")
        assert answer.status_code == 404
        assert answer.json()["code"] == "not_found"

    def test_a_job_has_the_members_that_clients_rely_on(self, make_job: Make, read: Read) -> None:
        job = make_job(metadata={"ticket": 7}, warnings=["odd"], model="cnn4-single")
        found = read(job.id)
        assert found.keys() == MEMBERS
        assert (found["object"], found["status"], found["attempt"]) == ("audit", "queued", 0)
        assert found["input"] == {"model": "cnn4-single"}
        assert (found["metadata"], found["warnings"]) == ({"ticket": 7}, ["odd"])
        assert found["progress"] == {"done": 0, "total": None, "unit": None, "eta_seconds": None}
        assert found["created_at"].endswith("Z")
        assert found["urls"]["self"] == f"/v1/audits/{job.id}"

    def test_a_job_tells_its_whole_life(self, make_job: Make, run: Claim, read: Read) -> None:
        job = make_job(JobKind.TRAINING)
        attempt = run(job.id)
        attempt.progress(30, 100, "iterations", eta_seconds=7)
        running = read(job.id)
        assert (running["status"], running["attempt"]) == ("running", 1)
        assert running["progress"]["eta_seconds"] == 7
        made = {"metrics": {"loss": float("nan")}}
        attempt.succeed(made, publish=lambda _: {"model": "model_1"})
        ended = read(job.id)
        assert (ended["status"], ended["model"]) == ("succeeded", "model_1")
        assert ended["result"] == {"metrics": {"loss": None}, "model": "model_1"}
        assert ended["started_at"] <= ended["finished_at"]
        assert ended["progress"]["eta_seconds"] is None

    def test_a_failure_says_why(self, make_job: Make, run: Claim, read: Read) -> None:
        job = make_job()
        run(job.id).fail({"code": "model_gone", "message": "It was deleted.", "model": "m"})
        assert read(job.id)["error"] == {
            "code": "model_gone",
            "message": "It was deleted.",
            "details": {"model": "m"},
        }

    def test_cause_and_effect_are_linked_in_both_directions(
        self, make_job: Make, read: Read
    ) -> None:
        audit = make_job()
        training = make_job(JobKind.TRAINING, parent_id=audit.id)
        second = make_job(parent_id=training.id)
        assert read(audit.id)["urls"]["caused"] == [f"/v1/trainings/{training.id}"]
        assert read(training.id)["urls"]["caused_by"] == f"/v1/audits/{audit.id}"
        assert read(training.id)["urls"]["caused"] == [f"/v1/audits/{second.id}"]
        assert read(second.id)["urls"]["caused_by"] == f"/v1/trainings/{training.id}"


class TestETag:
    def test_unchanged_is_304_without_a_body(self, client: TestClient, make_job: Make) -> None:
        url = f"/v1/jobs/{make_job().id}"
        tag = client.get(url).headers["etag"]
        answer = client.get(url, headers={"If-None-Match": f'"other", {tag}'})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag

    def test_the_tags_that_a_client_holds_may_come_in_several_lines(
        self, client: TestClient, make_job: Make
    ) -> None:
        url = f"/v1/jobs/{make_job().id}"
        held = [("If-None-Match", '"other"'), ("If-None-Match", client.get(url).headers["etag"])]
        assert client.get(url, headers=held).status_code == 304

    def test_every_change_gives_another_tag(
        self, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        url, tags = f"/v1/jobs/{job.id}", []
        tags.append(client.get(url).headers["etag"])
        attempt = run(job.id)
        tags.append(client.get(url).headers["etag"])
        attempt.progress(1, 2)
        tags.append(client.get(url).headers["etag"])
        make_job(JobKind.TRAINING, parent_id=job.id)
        tags.append(client.get(url).headers["etag"])
        attempt.succeed({})
        tags.append(client.get(url).headers["etag"])
        assert len(set(tags)) == 5
        stale = client.get(url, headers={"If-None-Match": ", ".join(tags[:-1])})
        assert stale.status_code == 200


class TestPreferWait:
    def test_the_answer_comes_when_the_job_has_ended(
        self, client: TestClient, make_job: Make, run: Claim, looked: Looked
    ) -> None:
        job = make_job()
        attempt = run(job.id)

        def work() -> None:
            looked()
            attempt.succeed({"n": 1})

        began = time.monotonic()
        worker = threading.Thread(target=work)
        worker.start()
        answer = client.get(f"/v1/jobs/{job.id}", headers={"Prefer": "respond-async, wait=60"})
        worker.join()
        assert answer.json()["status"] == "succeeded"
        assert answer.headers["preference-applied"] == "wait=60"
        assert time.monotonic() - began < 50

    def test_the_answer_is_the_job_as_it_is_when_the_time_is_over(
        self, client: TestClient, make_job: Make
    ) -> None:
        began = time.monotonic()
        answer = client.get(f"/v1/jobs/{make_job().id}", headers={"Prefer": "wait=1"})
        assert answer.json()["status"] == "queued"
        assert 0.9 < time.monotonic() - began < 50

    def test_the_wait_is_bounded(self, app: FastAPI, client: TestClient, make_job: Make) -> None:
        reconfigure(app, max_wait_seconds=0.1)
        answer = client.get(f"/v1/jobs/{make_job().id}", headers={"Prefer": "wait=99999"})
        assert answer.headers["preference-applied"] == "wait=0.1"

    def test_an_ended_job_is_answered_at_once(
        self, app: FastAPI, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        state(app).waiters.most = 0  # whoever waits is refused
        job = make_job()
        run(job.id).succeed({})
        answer = client.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=30"})
        assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")

    def test_a_wait_that_ends_in_304_is_told_of_too(
        self, client: TestClient, make_job: Make
    ) -> None:
        path = f"/v1/jobs/{make_job().id}"
        held = {"If-None-Match": client.get(path).headers["etag"]}
        answer = client.get(path, headers=held | {"Prefer": "wait=1"})
        assert answer.status_code == 304
        assert answer.headers["preference-applied"] == "wait=1"
        assert answer.headers["etag"] == held["If-None-Match"]
        assert "preference-applied" not in client.get(path, headers=held).headers

    def test_preferences_may_come_in_several_lines(
        self, client: TestClient, make_job: Make
    ) -> None:
        wanted = [("Prefer", "respond-async"), ("Prefer", "wait=1")]
        answer = client.get(f"/v1/jobs/{make_job().id}", headers=wanted)
        assert answer.headers["preference-applied"] == "wait=1"

    def test_a_preference_that_is_not_understood_is_ignored(
        self, client: TestClient, make_job: Make
    ) -> None:
        for preference in ("wait=soon", "wait", "await=30", "wait=-3", ""):
            answer = client.get(f"/v1/jobs/{make_job().id}", headers={"Prefer": preference})
            assert answer.status_code == 200
            assert "preference-applied" not in answer.headers

    def test_one_waiter_too_many_is_429(
        self, app: FastAPI, client: TestClient, make_job: Make
    ) -> None:
        state(app).waiters.most = 0
        job = make_job()
        for headers in ({"Prefer": "wait=9"}, {"Accept": "text/event-stream"}):
            path = "/events" if "Accept" in headers else ""
            answer = client.get(f"/v1/jobs/{job.id}{path}", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (429, "too_many_waiters")
            assert "retry-after" in answer.headers

    def test_one_key_has_half_of_the_places_and_leaves_the_others(
        self, app: FastAPI, client: TestClient, make_job: Make, run: Claim, make_key: MakeKey
    ) -> None:
        state(app).waiters.most = 4
        keys = [make_key("audit") for _ in range(2)]
        jobs = [make_job(owner=key.id).id for key in keys]
        with state(app).waiters.one(keys[0].id), state(app).waiters.one(keys[0].id):
            for more, path in (({"Prefer": "wait=9"}, ""), (STREAM, "/events")):
                got = client.get(f"/v1/jobs/{jobs[0]}{path}", headers=keys[0].headers | more)
                assert (got.status_code, got.json()["code"]) == (429, "too_many_waiters")
                assert "2 requests of this key" in got.json()["detail"]
            run(jobs[1]).succeed({})
            answer = client.get(f"/v1/jobs/{jobs[1]}/events", headers=keys[1].headers | STREAM)
            assert answer.status_code == 200

    def test_who_may_not_know_the_end_any_more_is_401(
        self,
        client: TestClient,
        make_job: Make,
        run: Claim,
        make_key: MakeKey,
        at_look: AtLook,
        make_sessions: sessionmaker[Session],
    ) -> None:
        key = make_key("audit")
        attempt = run(make_job(owner=key.id).id)

        def revoke_and_end() -> None:
            with make_sessions() as session:
                revoke_key(session, key.id, actor="cli")
            attempt.succeed({})

        at_look(2, revoke_and_end)
        headers = key.headers | {"Prefer": "wait=60"}
        assert client.get(f"/v1/jobs/{attempt.job_id}", headers=headers).status_code == 401

    def test_places_are_given_back(self, app: FastAPI, client: TestClient, make_job: Make) -> None:
        client.get(f"/v1/jobs/{make_job().id}", headers={"Prefer": "wait=1"})
        assert state(app).waiters.waiting == 0

    def test_waiting_holds_no_thread(
        self, app: FastAPI, client: TestClient, make_job: Make
    ) -> None:
        """With more waiters than the pool has threads, plain requests are still served."""
        job, answers = make_job(), []

        def wait() -> None:
            answers.append(client.get(f"/v1/jobs/{job.id}", headers={"Prefer": "wait=60"}))

        reconfigure(app, poll_seconds=0.5)
        threads = [threading.Thread(target=wait) for _ in range(60)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + 50
        while state(app).waiters.waiting < 60 and time.monotonic() < until:
            time.sleep(0.01)
        assert state(app).waiters.waiting == 60
        client.post(f"/v1/jobs/{job.id}/cancel")
        for thread in threads:
            thread.join()
        assert {answer.json()["status"] for answer in answers} == {"cancelled"}


class TestListJobs:
    def test_newest_first_in_pages(self, client: TestClient, make_job: Make) -> None:
        made = [make_job([JobKind.AUDIT, JobKind.TRAINING][i % 2]).id for i in range(5)][::-1]
        first = client.get("/v1/jobs?limit=2").json()
        assert (first["object"], first["has_more"]) == ("list", True)
        assert [job["id"] for job in first["data"]] == made[:2]
        rest = client.get(f"/v1/jobs?limit=3&after={made[1]}").json()
        assert [job["id"] for job in rest["data"]] == made[2:]
        assert rest["has_more"] is False

    def test_a_key_sees_its_own(
        self, client: TestClient, make_job: Make, make_key: MakeKey
    ) -> None:
        mine, other = make_key("audit"), make_key("audit")
        job = make_job(owner=mine.id)
        found = [
            client.get("/v1/jobs", headers=key.headers).json()["data"] for key in (mine, other)
        ]
        assert [[one["id"] for one in data] for data in found] == [[job.id], []]

    def test_jobs_can_be_asked_for_by_status(
        self, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        queued, running = make_job(), make_job()
        run(running.id)
        for status, job in (("queued", queued), ("running", running)):
            found = client.get("/v1/jobs", params={"status": status}).json()["data"]
            assert [one["id"] for one in found] == [job.id]

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=101", "limit=x", f"after={UNKNOWN}", "after=x", "status=lost"]
    )
    def test_what_makes_no_sense_is_422(self, client: TestClient, query: str) -> None:
        assert client.get(f"/v1/jobs?{query}").status_code == 422

    def test_the_id_of_anothers_job_is_no_place_to_go_on_after(
        self, client: TestClient, make_job: Make, make_key: MakeKey
    ) -> None:
        mine, other = make_key("audit"), make_key("audit")
        job = make_job(owner=other.id)
        answer = client.get(f"/v1/jobs?after={job.id}", headers=mine.headers)
        assert answer.status_code == 422


class TestCancelJob:
    def test_a_queued_one_is_cancelled_at_once(self, client: TestClient, make_job: Make) -> None:
        job = make_job()
        found = client.post(f"/v1/jobs/{job.id}/cancel").json()
        assert found["status"] == "cancelled"
        assert found["finished_at"] is not None

    def test_a_running_one_is_asked_to_stop_and_twice_is_once(
        self, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id)
        for _ in range(2):
            answer = client.post(f"/v1/jobs/{job.id}/cancel")
            assert (answer.status_code, answer.json()["status"]) == (200, "cancelling")
        found = client.get(f"/v1/jobs/{job.id}/events").json()["data"]
        assert [event["type"] for event in found].count("cancelling") == 1

    def test_an_ended_one_stays_as_it_ended(
        self, client: TestClient, make_job: Make, run: Claim
    ) -> None:
        job = make_job()
        run(job.id).succeed({"n": 1})
        found = client.post(f"/v1/jobs/{job.id}/cancel").json()
        assert (found["status"], found["result"]) == ("succeeded", {"n": 1})

    def test_a_cancel_needs_no_redis(
        self,
        app: FastAPI,
        client: TestClient,
        make_job: Make,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(state(app).queue, "redis", None)  # whoever asks it fails
        assert client.post(f"/v1/jobs/{make_job().id}/cancel").json()["status"] == "cancelled"

    def test_many_that_race_agree(
        self, client: TestClient, session: Session, make_job: Make
    ) -> None:
        job = make_job()
        threads = [
            threading.Thread(target=client.post, args=[f"/v1/jobs/{job.id}/cancel"])
            for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = client.get(f"/v1/jobs/{job.id}/events").json()["data"]
        assert [event["type"] for event in found] == ["queued", "cancelled"]


class TestRoutesOfOneKind:
    def test_the_routes_of_a_kind_show_that_kind_alone_and_ask_for_its_scope(
        self, app: FastAPI, client: TestClient, session: Session, make_key: MakeKey
    ) -> None:
        router = job_routes(JobKind.TRAINING, may(Scope.TRAIN))
        router.prefix = ""
        app.include_router(router, prefix="/v1/kind")
        key, other = make_key("train"), make_key("audit")
        made = {kind: record(session, Submission(kind, key.id, {})).id for kind in JobKind}
        url = router.routes[0].path  # type: ignore[attr-defined]
        base = f"/v1/kind{url}"
        found = client.get(base, headers=key.headers).json()["data"]
        assert [job["id"] for job in found] == [made[JobKind.TRAINING]]
        for kind, status in ((JobKind.TRAINING, 200), (JobKind.AUDIT, 404)):
            assert client.get(f"{base}/{made[kind]}", headers=key.headers).status_code == status
        assert client.get(base, headers=other.headers).status_code == 403
