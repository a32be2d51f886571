"""What a client sees of things that are kept no longer."""

from datetime import timedelta
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.access.deletions.service import RETENTION, Order
from app.audits import files
from app.audits.files import ArtifactFile
from app.jobs import deletion
from app.jobs.tables import Job
from app.persistence.database import now
from app.persistence.storage import Storage
from tests.app.state import reconfigure
from tests.conftest import MakeKey

SOUND = files.clean_name(0)


@pytest.fixture
def audit(finished: str, storage: Storage, session: Session) -> str:
    """A finished audit with a recording among its artifacts."""
    folder = files.attempt_dir(storage, finished, 1)
    (folder / files.ARTIFACTS / SOUND).write_bytes(b"RIFF")
    sound = ArtifactFile(
        name=SOUND, media_type="audio/wav", description="é0.wav", bytes=4, sha256="0" * 64
    )
    files.write_artifacts(folder, [*files.read_artifacts(folder), sound])
    job = session.get_one(Job, finished)
    job.bytes, job.audio_bytes = files.sizes(storage, finished, 1)
    session.commit()
    return finished


def expire(session: Session, storage: Storage, audit: str) -> None:
    job = session.get_one(Job, audit)
    job.audio_expired_at = now()
    session.commit()
    files.remove_audio(storage, audit, 1)


def read(client: TestClient, audit: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/v1/audits/{audit}").json()
    return found


class TestArtifacts:
    def test_an_expired_recording_is_410_and_says_when_and_which_setting(
        self, client: TestClient, audit: str, session: Session, storage: Storage
    ) -> None:
        path = f"/v1/audits/{audit}/artifacts"
        assert client.get(f"{path}/{SOUND}").content == b"RIFF"
        expire(session, storage, audit)
        answer = client.get(f"{path}/{SOUND}")
        assert (answer.status_code, answer.json()["code"]) == (410, "artifact_expired")
        assert f"{now():%Y-%m-%d}" in answer.json()["detail"]
        assert "SERVAL_KEEP_AUDIO_DAYS" in answer.json()["detail"]
        assert client.get(f"{path}/{files.CURVE}").status_code == 200
        assert client.get(f"/v1/audits/{audit}/results").status_code == 200

    def test_it_is_410_as_soon_as_it_is_marked(
        self, client: TestClient, audit: str, session: Session
    ) -> None:
        session.get_one(Job, audit).audio_expired_at = now()
        session.commit()
        assert client.get(f"/v1/audits/{audit}/artifacts/{SOUND}").status_code == 410

    def test_the_list_says_which_have_expired_and_keeps_their_sha256(
        self, client: TestClient, audit: str, session: Session, storage: Storage
    ) -> None:
        expire(session, storage, audit)
        found = client.get(f"/v1/audits/{audit}/artifacts").json()["data"]
        told = {one["name"]: one for one in found}
        assert told[files.CURVE]["expired_at"] is None
        assert told[SOUND]["expired_at"].endswith("Z")
        assert told[SOUND]["sha256"] == "0" * 64

    def test_one_that_was_never_made_is_404_still(
        self, client: TestClient, audit: str, session: Session, storage: Storage
    ) -> None:
        expire(session, storage, audit)
        answer = client.get(f"/v1/audits/{audit}/artifacts/{files.clean_name(7)}")
        assert answer.status_code == 404


class TestTheJob:
    def test_without_a_setting_nothing_expires(self, client: TestClient, audit: str) -> None:
        job = read(client, audit)
        assert (job["expires_at"], job["audio_expires_at"], job["audio_expired_at"]) == (None,) * 3

    def test_it_says_when_it_and_its_recordings_expire(
        self, client: TestClient, audit: str, session: Session
    ) -> None:
        reconfigure(client.app, keep_audio_days=1, keep_results_days=2, keep_failed_days=3)
        ended = session.get_one(Job, audit).finished_at
        assert ended is not None
        job = read(client, audit)
        for days, field in ((2, "expires_at"), (1, "audio_expires_at")):
            moment = (ended + timedelta(days=days)).isoformat(timespec="milliseconds")
            assert job[field] == moment.replace("+00:00", "Z")
        assert client.get("/v1/audits").json()["data"][0]["expires_at"] == job["expires_at"]

    def test_its_tag_changes_with_the_setting(self, client: TestClient, audit: str) -> None:
        path = f"/v1/audits/{audit}"
        tag = {"If-None-Match": client.get(path).headers["etag"]}
        assert client.get(path, headers=tag).status_code == 304
        reconfigure(client.app, keep_results_days=2)
        assert client.get(path, headers=tag).status_code == 200

    def test_recordings_go_no_later_than_the_job(self, client: TestClient, audit: str) -> None:
        reconfigure(client.app, keep_audio_days=3, keep_results_days=2)
        job = read(client, audit)
        assert job["audio_expires_at"] == job["expires_at"]

    def test_recordings_that_are_gone_expire_no_more(
        self, client: TestClient, audit: str, session: Session, storage: Storage
    ) -> None:
        reconfigure(client.app, keep_audio_days=1)
        expire(session, storage, audit)
        job = read(client, audit)
        assert job["audio_expires_at"] is None
        assert job["audio_expired_at"].endswith("Z")

    @pytest.mark.parametrize("path", ["", "/artifacts", "/results", "/events"])
    def test_one_whose_time_is_over_is_410_for_its_owner_and_404_for_others(
        self,
        client: TestClient,
        audit: str,
        session: Session,
        storage: Storage,
        make_key: MakeKey,
        path: str,
    ) -> None:
        owner, other = make_key("audit"), make_key("audit")
        session.get_one(Job, audit).owner = owner.id
        session.commit()
        order = Order(RETENTION, "SERVAL_KEEP_RESULTS_DAYS")
        deletion.delete(session, storage, audit, owner=owner.id, order=order)
        answer = client.get(f"/v1/audits/{audit}{path}", headers=owner.headers)
        assert (answer.status_code, answer.json()["code"]) == (410, "job_expired")
        assert "SERVAL_KEEP_RESULTS_DAYS" in answer.json()["detail"]
        answer = client.get(f"/v1/audits/{audit}{path}", headers=other.headers)
        assert answer.status_code == 404
