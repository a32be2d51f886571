"""A disk that is full when a job would write its result: it fails with that reason."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from tests.full_disk import SmallDisk, small_disk
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run
from workers.runtime.context import WorkerContext


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "small", 4) as disk:
        yield disk


@pytest.fixture
def context(context: WorkerContext, disk: SmallDisk) -> WorkerContext:
    """Whose data folder, but not its database, lies on the small disk."""
    storage = Storage(disk.root)
    storage.prepare()
    return replace(context, storage=storage)


class TestFullDisk:
    def test_the_job_fails_with_the_reason_and_leaves_nothing_and_the_next_one_succeeds(
        self,
        context: WorkerContext,
        disk: SmallDisk,
        submit: Submit,
        row: Callable[[str], Job],
    ) -> None:
        jobs = submit(), submit()
        disk.fill()
        run._run(context, PERFORM, jobs[0].id)
        failed = row(jobs[0].id)
        assert failed.status is JobStatus.FAILED
        assert failed.error is not None
        assert failed.error["code"] == "storage_full"
        assert "SERVAL_DATA_DIR" in failed.error["message"]
        assert list((disk.root / "models").iterdir()) == []

        disk.make_room()
        run._run(context, PERFORM, jobs[1].id)
        assert row(jobs[1].id).status is JobStatus.SUCCEEDED
