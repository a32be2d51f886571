"""`serval purge` and `serval deletions`, on the database of the settings."""

import json
from datetime import timedelta

import pytest
import typer
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.database import now
from app.persistence.storage import Storage
from app.settings import Settings
from tests.app.cli.conftest import Serval
from tests.conftest import MakeKey
from tests.recorded import record
from tests.speechless import add_corpus


@pytest.fixture(autouse=True)
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


def ended(session: Session, owner: str, *, days_ago: float = 0) -> str:
    job = record(session, Submission(JobKind.AUDIT, owner, {}))
    jobs.cancel(session, job.id, owner=owner)
    session.refresh(job)
    job.finished_at = now() - timedelta(days=days_ago)
    session.commit()
    return job.id


def left(session: Session) -> set[str]:
    session.rollback()
    return set(session.scalars(select(Job.id)))


class TestPurge:
    def test_it_must_be_said_what_is_to_go(self, serval: Serval) -> None:
        said = serval("purge")
        assert said.status == 1
        assert "--key" in said.err
        assert "--older-than" in said.err

    def test_all_of_a_key_goes_and_stands_in_the_trail(
        self, serval: Serval, session: Session, storage: Storage, make_key: MakeKey
    ) -> None:
        key, other = make_key("audit"), make_key("audit")
        add_corpus(session, storage, owner=key.id)
        gone, stays = ended(session, key.id), ended(session, other.id)
        said = serval("purge", "--key", key.id, "--yes")
        assert said.status == 0, said.err
        assert "Deleted 1 jobs, 1 corpora, 0 models: " in said.out
        assert left(session) == {stays}
        assert session.scalar(select(func.count(Corpus.id))) == 0
        assert list((storage.root / "corpora").iterdir()) == []
        trail = json.loads(serval("deletions", "--json").out)
        assert [(one["actor"], one["reason"], one["kind"]) for one in trail] == [
            ("cli", "purge", "corpus"),
            ("cli", "purge", "audit"),
        ]
        assert gone in serval("deletions").out

    def test_a_dry_run_shows_what_would_go_and_deletes_nothing(
        self, serval: Serval, session: Session, make_key: MakeKey
    ) -> None:
        key = make_key("audit")
        kept = {ended(session, key.id), ended(session, key.id)}
        said = serval("purge", "--key", key.id, "--dry-run")
        assert (key.id in said.out, "jobs" in said.out, " 2 " in said.out) == (True,) * 3
        (group,) = json.loads(serval("purge", "--key", key.id, "--dry-run", "--json").out)
        assert (group["owner"], group["kind"], group["number"]) == (key.id, "jobs", 2)
        assert left(session) == kept

    @pytest.mark.parametrize("sure", [True, False])
    def test_without_yes_it_shows_what_would_go_and_asks(
        self, serval: Serval, session: Session, monkeypatch: pytest.MonkeyPatch, sure: bool
    ) -> None:
        job_id = ended(session, "local")

        def confirm(*_: object, **__: object) -> None:
            if not sure:
                raise typer.Abort

        monkeypatch.setattr(typer, "confirm", confirm)
        said = serval("purge", "--key", "local")
        assert "local" in said.out
        assert (said.status, left(session)) == ((0, set()) if sure else (1, {job_id}))

    def test_only_what_is_older_goes_of_a_key_or_of_all(
        self, serval: Serval, session: Session
    ) -> None:
        old, new = ended(session, "local", days_ago=8), ended(session, "local", days_ago=6)
        others = ended(session, "key_other", days_ago=8)
        queued = record(session, Submission(JobKind.AUDIT, "local", {})).id
        serval("purge", "--key", "local", "--older-than", "7", "--yes")
        assert left(session) == {new, others, queued}
        serval("purge", "--older-than", "7", "--yes")
        assert left(session) == {new, queued}
        assert old not in left(session)
        assert "nothing to delete" in serval("purge", "--older-than", "7", "--yes").out

    def test_a_folder_without_the_services_files_is_refused(
        self, serval: Serval, session: Session, storage: Storage
    ) -> None:
        kept = {ended(session, "local")}
        (storage.root / "jobs").rmdir()
        said = serval("purge", "--key", "local", "--yes")
        assert said.status == 1
        assert "SERVAL_DATA_DIR" in said.err
        assert left(session) == kept

    def test_an_unknown_key_is_named(self, serval: Serval) -> None:
        said = serval("purge", "--key", "key_nobody", "--yes")
        assert said.status == 1
        assert "key_nobody" in said.err


class TestKeys:
    def test_limits_of_its_own_are_shown(self, serval: Serval) -> None:
        wanted = ("--name", "k", "--scopes", "audit", "--max-bytes", "1000", "--max-jobs", "0")
        serval("keys", "create", *wanted)
        (key,) = json.loads(serval("keys", "list", "--json").out)
        assert (key["max_bytes"], key["max_jobs"]) == (1000, 0)

    def test_a_revocation_stands_in_the_trail(self, serval: Serval, make_key: MakeKey) -> None:
        key = make_key("audit")
        said = serval("keys", "revoke", key.id)
        assert said.status == 0
        (told,) = json.loads(serval("deletions", "--json").out)
        assert (told["actor"], told["kind"], told["subject"]) == ("cli", "key", key.id)
