"""What crashes left behind goes; what might be somebody's stays."""

import os
import time
from datetime import timedelta
from pathlib import Path

import pytest
from ulid import ULID

from app.audits import files
from app.jobs import service as jobs
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence import orphans
from tests.recorded import record
from tests.workers.conftest import Submit
from workers.runtime import collect as collecting
from workers.runtime.collect import collect
from workers.runtime.context import WorkerContext

HOUR = 3600


def folder(context: WorkerContext, *, seconds_ago: float, marked: bool = True) -> Path:
    """A job's folder without a row, of so many seconds ago."""
    then = time.time() - seconds_ago
    path = context.storage.job_dir(f"train_{ULID.from_timestamp(then)}")
    path.mkdir(parents=True)
    (path / "rows.ndjson").write_text("{}")
    if marked:
        orphans.mark(path)
    for file in path.iterdir():
        os.utime(file, (then, then))
    return path


class TestFolders:
    def test_one_whose_row_was_never_committed_goes(self, context: WorkerContext) -> None:
        left = folder(context, seconds_ago=2 * HOUR)
        collect(context)
        assert not left.exists()

    def test_one_of_a_corpus_goes_too(self, context: WorkerContext) -> None:
        left = folder(context, seconds_ago=2 * HOUR)
        moved = left.rename(context.storage.corpus_dir(f"corpus_{ULID()}"))
        collect(context)
        assert not moved.exists()

    def test_one_that_may_get_its_row_yet_stays(self, context: WorkerContext) -> None:
        new = folder(context, seconds_ago=HOUR / 2)
        collect(context)
        assert new.exists()

    def test_one_with_a_row_stays_and_is_marked_no_longer(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        left = folder(context, seconds_ago=2 * HOUR)
        kept = left.rename(context.storage.job_dir(submit().id))
        collect(context)
        assert kept.exists()
        assert not (kept / orphans.MARK).exists()

    def test_one_of_another_database_stays_though_this_one_has_an_older_job(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        job = submit()
        with context.sessions.begin() as session:
            session.get_one(Job, job.id).created_at -= timedelta(days=9)
        other = folder(context, seconds_ago=2 * HOUR, marked=False)
        collect(context)
        assert other.exists()

    def test_an_empty_database_makes_nothing_look_abandoned(self, context: WorkerContext) -> None:
        other = folder(context, seconds_ago=2 * HOUR, marked=False)
        collect(context)
        assert other.exists()

    def test_what_has_no_id_for_a_name_is_not_touched(self, context: WorkerContext) -> None:
        left = folder(context, seconds_ago=2 * HOUR)
        strange = left.rename(left.with_name("notes"))
        collect(context)
        assert strange.exists()


class TestFilesOfJobs:
    def test_the_checkpoints_of_a_job_that_has_ended_go_and_of_others_stay(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        ended, running = submit(), submit(seed=1)
        for job in (ended, running):
            context.checkpoint_dir(job.id).mkdir(parents=True)
        attempt = claim(context.sessions, ended.id)
        assert attempt is not None
        attempt.succeed({})
        collect(context)
        assert not context.checkpoint_dir(ended.id).exists()
        assert context.checkpoint_dir(running.id).exists()

    def test_the_clips_of_audits_that_were_cancelled_in_the_queue_go(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(collecting, "JOBS_A_LOOK", 2)
        with context.sessions() as session:
            made = [record(session, Submission(JobKind.AUDIT, "local", {})).id for _ in range(5)]
            for job_id in made[1:]:
                jobs.cancel(session, job_id, owner="local")
        inputs = [files.inputs_dir(context.storage, job_id) for job_id in made]
        for folder in inputs:
            folder.mkdir(parents=True)
        collect(context)
        assert [folder.exists() for folder in inputs] == [True, False, False, False, False]


class TestStaging:
    def test_what_was_not_published_in_a_day_goes(self, context: WorkerContext) -> None:
        old, new = (context.storage.root / "staging" / name for name in ("old", "new"))
        for path in (old, new):
            path.mkdir()
        then = time.time() - collecting.STAGED_SECONDS - 1
        os.utime(old, (then, then))
        collect(context)
        assert not old.exists()
        assert new.exists()

    def test_what_vanishes_meanwhile_stops_nothing(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An upload is published between the look at the folder and the look at what is in it."""
        old = context.storage.root / "staging" / "old"
        old.mkdir()
        then = time.time() - collecting.STAGED_SECONDS - 1
        os.utime(old, (then, then))
        gone = old.with_name("gone")
        monkeypatch.setattr(collecting, "_entries", lambda parent: iter([gone, *parent.iterdir()]))
        collect(context)
        assert not old.exists()
