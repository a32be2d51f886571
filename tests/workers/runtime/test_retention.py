"""What is kept no longer goes, when a setting says so and not before; a kill costs nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from structlog.testing import capture_logs

from app.access.deletions.service import Order
from app.access.deletions.service import record as record_deletion
from app.access.deletions.tables import Deletion
from app.audits import files
from app.corpora.tables import Corpus
from app.errors import Unavailable
from app.jobs import service as jobs
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job, JobEvent
from app.observability import logs
from app.persistence.database import now
from app.persistence.kept import tree_size
from app.persistence.storage import Storage
from tests.recorded import record
from tests.workers.conftest import Submit
from workers.runtime import retention
from workers.runtime.context import WorkerContext
from workers.runtime.recovery import clear_away
from workers.runtime.retention import enforce

DAY = timedelta(days=1)
RECORDINGS = (
    "clean-000000.wav",
    "adversarial-000000-01.wav",
    "exhibit-easiest-original.flac",
    "adversarial.safetensors",
)

Audited = Callable[..., str]
Keeping = Callable[..., WorkerContext]


@pytest.fixture
def keeping(context: WorkerContext) -> Keeping:
    """The same place under other settings."""

    def keeping(**days: float) -> WorkerContext:
        return replace(context, settings=context.settings.model_copy(update=days))

    return keeping


@pytest.fixture
def audited(context: WorkerContext) -> Audited:
    """An audit of two uploaded clips that succeeded so many days ago, with its files."""

    def audited(days_ago: float = 0, *, measured: bool = True, **how: Any) -> str:
        with context.sessions() as session:
            job_id = record(session, Submission(JobKind.AUDIT, "key_me", {}, **how)).id
        inputs = files.inputs_dir(context.storage, job_id)
        inputs.mkdir(parents=True)
        for number in range(2):
            files.input_path(inputs, number).write_bytes(b"voice" * 100)
        attempt = claim(context.sessions, job_id)
        assert attempt is not None
        found = files.attempt_dir(context.storage, job_id, attempt.number)
        (found / files.ARTIFACTS).mkdir(parents=True)
        (found / files.ROWS).write_text("{}\n")
        for name in (*RECORDINGS, files.CURVE):
            (found / files.ARTIFACTS / name).write_bytes(name.encode())
        kept = files.sizes(context.storage, job_id, attempt.number) if measured else None
        attempt.succeed({}, kept=kept)
        age(context, job_id, days_ago)
        return job_id

    return audited


def age(context: WorkerContext, job_id: str, days: float) -> None:
    """Let the job have ended so many days ago."""
    with context.sessions.begin() as session:
        ended = now() - days * DAY
        session.execute(update(Job).where(Job.id == job_id).values(finished_at=ended))


def artifacts(context: WorkerContext, job_id: str) -> set[str]:
    folder = files.attempt_dir(context.storage, job_id, 1) / files.ARTIFACTS
    return {path.name for path in folder.iterdir()}


def row(context: WorkerContext, job_id: str) -> Job | None:
    with context.sessions() as session:
        return session.get(Job, job_id)


def deletions(context: WorkerContext) -> list[tuple[str, str, str, str]]:
    with context.sessions() as session:
        rows = session.scalars(select(Deletion).order_by(Deletion.created_at, Deletion.id))
        return [(one.actor, one.reason, one.kind, one.subject) for one in rows]


class TestForEver:
    def test_nothing_goes_without_a_setting(self, context: WorkerContext, audited: Audited) -> None:
        job_id = audited(10_000)
        assert not enforce(context)
        assert artifacts(context, job_id) == {*RECORDINGS, files.CURVE}
        assert files.inputs_dir(context.storage, job_id).exists()
        assert deletions(context) == []


class TestAudio:
    def test_recordings_go_when_their_time_is_over_and_the_result_stays(
        self, keeping: Keeping, audited: Audited
    ) -> None:
        context = keeping(keep_audio_days=30)
        old, new = audited(31), audited(29)
        enforce(context)
        assert artifacts(context, old) == {files.CURVE}
        assert not files.inputs_dir(context.storage, old).exists()
        assert (files.attempt_dir(context.storage, old, 1) / files.ROWS).exists()
        assert artifacts(context, new) == {*RECORDINGS, files.CURVE}
        assert deletions(context) == [
            ("retention", "SERVAL_KEEP_AUDIO_DAYS", "audio", old),
        ]

    def test_the_row_says_when_and_what_is_kept_still(
        self, keeping: Keeping, audited: Audited
    ) -> None:
        context = keeping(keep_audio_days=30)
        job_id = audited(31)
        before = row(context, job_id)
        assert before is not None
        assert before.bytes == tree_size(context.storage.job_dir(job_id))
        assert before.audio_bytes == 1000 + sum(map(len, RECORDINGS))
        enforce(context)
        after = row(context, job_id)
        assert after is not None
        assert after.audio_expired_at is not None
        assert after.bytes == tree_size(context.storage.job_dir(job_id)) > 0
        assert (after.audio_bytes, after.version) == (0, before.version + 1)

    def test_a_kill_between_the_mark_and_the_removal_is_made_good_at_the_next_look(
        self, keeping: Keeping, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = keeping(keep_audio_days=30)
        job_id = audited(31)

        def die(*_: object) -> None:
            raise SystemExit

        with monkeypatch.context() as patch:
            patch.setattr(files, "remove_audio", die)
            with pytest.raises(SystemExit):
                enforce(context)
        marked = row(context, job_id)
        assert marked is not None
        assert marked.audio_expired_at is not None
        assert RECORDINGS[0] in artifacts(context, job_id)
        enforce(keeping())  # whatever the setting is now: it was told to be gone
        assert artifacts(context, job_id) == {files.CURVE}
        assert len(deletions(context)) == 1

    def test_twice_is_once(self, keeping: Keeping, audited: Audited) -> None:
        context = keeping(keep_audio_days=30)
        audited(31)
        enforce(context)
        before = deletions(context)
        enforce(context)
        assert deletions(context) == before

    def test_an_audit_that_has_not_ended_keeps_what_it_needs(
        self, keeping: Keeping, context: WorkerContext
    ) -> None:
        with context.sessions() as session:
            job = record(session, Submission(JobKind.AUDIT, "local", {}, staged_bytes=9))
            job.created_at = now() - 99 * DAY
            session.commit()
        inputs = files.inputs_dir(context.storage, job.id)
        inputs.mkdir(parents=True)
        enforce(keeping(keep_audio_days=1, keep_results_days=1, keep_failed_days=1))
        assert inputs.exists()


class TestJobs:
    def test_one_that_has_succeeded_goes_with_its_files_and_events(
        self, keeping: Keeping, audited: Audited
    ) -> None:
        context = keeping(keep_results_days=30)
        old, new = audited(31), audited(29)
        enforce(context)
        assert row(context, old) is None
        assert not context.storage.job_dir(old).exists()
        assert row(context, new) is not None
        with context.sessions() as session:
            told = select(func.count(JobEvent.seq)).where(JobEvent.job_id == old)
            assert session.scalar(told) == 0
        assert deletions(context) == [
            ("retention", "SERVAL_KEEP_RESULTS_DAYS", "audit", old),
        ]

    def test_one_that_failed_or_was_cancelled_has_a_setting_of_its_own(
        self, keeping: Keeping, audited: Audited, submit: Submit
    ) -> None:
        context = keeping(keep_failed_days=7)
        done = audited(8)
        failed, cancelled = submit().id, submit(seed=1).id
        attempt = claim(context.sessions, failed)
        assert attempt is not None
        attempt.fail({"code": "x", "message": "y"})
        with context.sessions() as session:
            jobs.cancel(session, cancelled, owner="local")
        for job_id in (failed, cancelled):
            age(context, job_id, 8)
        enforce(context)
        assert row(context, done) is not None
        assert row(context, failed) is row(context, cancelled) is None
        assert {one[1] for one in deletions(context)} == {"SERVAL_KEEP_FAILED_DAYS"}

    def test_a_cause_stays_as_long_as_its_effect_has_not_ended(
        self, keeping: Keeping, audited: Audited
    ) -> None:
        context = keeping(keep_results_days=30)
        first = audited(31)
        with context.sessions() as session:
            effect = record(session, Submission(JobKind.TRAINING, "key_me", {}, parent_id=first))
        assert not enforce(context)
        assert row(context, first) is not None
        with context.sessions() as session:
            jobs.cancel(session, effect.id, owner="key_me")
        enforce(context)
        assert row(context, first) is None

    def test_a_look_does_a_bounded_piece_and_says_that_there_is_more(
        self, keeping: Keeping, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "MOST", 2)
        context = keeping(keep_results_days=30)
        made = [audited(31 + number) for number in range(3)]
        assert enforce(context)
        assert [row(context, one) is None for one in made] == [False, True, True]
        assert not enforce(context)
        assert row(context, made[0]) is None

    def test_a_look_ends_when_its_time_is_over(
        self, keeping: Keeping, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(retention, "MOST_SECONDS", -1.0)
        job_id = audited(31)
        assert enforce(keeping(keep_results_days=30))
        assert row(keeping(), job_id) is not None

    def test_corpora_and_models_stay(
        self, keeping: Keeping, corpus: Corpus, context: WorkerContext
    ) -> None:
        with context.sessions.begin() as session:
            session.get_one(Corpus, corpus.id).created_at = now() - 999 * DAY
        enforce(keeping(keep_audio_days=1, keep_results_days=1, keep_failed_days=1))
        assert context.storage.corpus_dir(corpus.id).exists()


class TestTheTrail:
    def test_its_rows_are_kept_for_three_years_or_as_long_as_is_said(
        self, keeping: Keeping, context: WorkerContext
    ) -> None:
        with context.sessions.begin() as session:
            for subject in ("corpus_A", "corpus_B"):
                record_deletion(session, Order("cli"), "corpus", subject, owner="local")
            session.flush()
            session.execute(
                update(Deletion)
                .where(Deletion.subject == "corpus_A")
                .values(created_at=now() - 1096 * DAY)
            )
        enforce(keeping(keep_deletions_days=0))
        assert len(deletions(context)) == 2
        enforce(context)
        assert [one[3] for one in deletions(context)] == ["corpus_B"]


class TestBytes:
    def test_what_was_there_before_rows_said_so_is_measured(
        self, context: WorkerContext, audited: Audited, corpus: Corpus
    ) -> None:
        job_id = audited(measured=False)
        with context.sessions.begin() as session:
            session.get_one(Corpus, corpus.id).bytes = None
        enforce(context)
        with context.sessions() as session:
            found = session.get_one(Job, job_id)
            folder = context.storage.job_dir(job_id)
            assert (found.bytes, found.audio_bytes) == tuple(
                files.sizes(context.storage, job_id, 1)
            )
            assert found.bytes == tree_size(folder)
            size = tree_size(context.storage.corpus_dir(corpus.id))
            assert session.get_one(Corpus, corpus.id).bytes == size > 0

    def test_a_job_that_was_cancelled_keeps_none_once_its_files_are_gone(
        self, context: WorkerContext
    ) -> None:
        with context.sessions() as session:
            job = record(session, Submission(JobKind.AUDIT, "local", {}, staged_bytes=9))
            folder: Path = files.inputs_dir(context.storage, job.id)
            folder.mkdir(parents=True)
            jobs.cancel(session, job.id, owner="local")
        clear_away(context, [job.id])
        found = row(context, job.id)
        assert found is not None
        assert (found.bytes, found.audio_bytes) == (0, 0)

    def test_files_whose_removal_fails_are_counted_still(
        self, keeping: Keeping, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = keeping(keep_audio_days=30)
        job_id = audited(31)

        def fail(*_: object) -> None:
            raise OSError("the disk is away")

        monkeypatch.setattr(Storage, "remove", fail)
        logs.configure("info")
        try:
            with capture_logs() as told:
                enforce(context)
        finally:
            logs.configure("error")
        assert (job_id, "the disk is away") in [(one.get("id"), one.get("error")) for one in told]
        found = row(context, job_id)
        assert found is not None
        assert found.bytes == tree_size(context.storage.job_dir(job_id))


class TestFolders:
    def test_one_that_cannot_be_removed_keeps_no_other_waiting(
        self, keeping: Keeping, audited: Audited, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        context = keeping(keep_audio_days=30)
        first, second = audited(32), audited(31)
        remove = Storage.remove

        def fail(storage: Storage, path: Path) -> None:
            if first in path.parts:
                raise PermissionError("not yours")
            remove(storage, path)

        monkeypatch.setattr(Storage, "remove", fail)
        enforce(context)
        assert artifacts(context, first) == {*RECORDINGS, files.CURVE}
        assert artifacts(context, second) == {files.CURVE}

    def test_nothing_goes_while_the_data_folder_is_not_there(
        self, keeping: Keeping, audited: Audited
    ) -> None:
        """A row that goes without its files would leave voices where nobody looks for them."""
        context = keeping(keep_audio_days=30, keep_results_days=30)
        job_id = audited(31)
        jobs_folder = context.storage.root / "jobs"
        jobs_folder.rename(context.storage.root / "away")
        with pytest.raises(Unavailable, match="no service keeps its files"):
            enforce(context)
        found = row(context, job_id)
        assert found is not None
        assert found.audio_expired_at is None
        (context.storage.root / "away").rename(jobs_folder)
        enforce(context)
        assert row(context, job_id) is None
