"""The trail of deletions over REST."""

from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.states import JobKind
from tests.app.corpora.zips import corpus_zip
from tests.conftest import MakeKey
from tests.recorded import record


class TestListDeletions:
    def test_anonymous_is_401_and_others_than_admins_are_403(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        mortal = make_key("audit", "train")
        assert client.get("/v1/deletions").status_code == 401
        assert client.get("/v1/deletions", headers=mortal.headers).status_code == 403

    def test_a_deletion_is_told_with_who_asked_and_how_large_it_was_and_without_its_name(
        self, client: TestClient, make_key: MakeKey
    ) -> None:
        admin, owner = make_key("admin"), make_key("audit")
        corpus = client.post(
            "/v1/corpora",
            files={"file": ("c.zip", corpus_zip())},
            data={"request": '{"name": "the secret one", "format": "index"}'},
            headers=owner.headers,
        ).json()
        client.delete(f"/v1/corpora/{corpus['id']}", headers=owner.headers)
        answer = client.get("/v1/deletions", headers=admin.headers)
        (told,) = answer.json()["data"]
        assert told.pop("id").startswith("deletion_")
        assert told.pop("created_at").endswith("Z")
        assert told.pop("bytes") > 1000
        assert told == {
            "object": "deletion",
            "actor": owner.id,
            "kind": "corpus",
            "subject": corpus["id"],
            "owner": owner.id,
            "reason": "requested",
        }
        assert "secret" not in answer.text

    def test_a_revocation_is_told_once(self, client: TestClient, make_key: MakeKey) -> None:
        admin, other = make_key("admin"), make_key("audit")
        for _ in range(2):
            client.delete(f"/v1/keys/{other.id}", headers=admin.headers)
        (told,) = client.get("/v1/deletions", headers=admin.headers).json()["data"]
        assert (told["actor"], told["kind"]) == (admin.id, "key")
        assert (told["subject"], told["reason"]) == (other.id, "revoked")

    def test_they_come_in_pages_newest_first(self, client: TestClient, session: Session) -> None:
        gone = []
        for _ in range(5):
            job = record(session, Submission(JobKind.AUDIT, "local", {}))
            jobs.cancel(session, job.id, owner="local")
            assert client.delete(f"/v1/audits/{job.id}").status_code == 204
            gone.append(job.id)
        first = client.get("/v1/deletions?limit=3").json()
        after = first["data"][-1]["id"]
        rest = client.get(f"/v1/deletions?limit=3&after={after}").json()
        assert (first["has_more"], rest["has_more"]) == (True, False)
        told = [one["subject"] for one in first["data"] + rest["data"]]
        assert told == gone[::-1]

    def test_a_deletion_that_is_refused_leaves_no_trail(
        self, client: TestClient, session: Session
    ) -> None:
        job = record(session, Submission(JobKind.AUDIT, "local", {}))
        assert client.delete(f"/v1/audits/{job.id}").status_code == 409
        assert client.get("/v1/deletions").json()["data"] == []
