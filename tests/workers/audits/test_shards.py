"""A large audit in shards: the same bytes whoever scores them, and in what order."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.audits import files
from app.corpora.tables import Corpus
from app.jobs import shards as rows_of_shards
from app.jobs.shards import shard_id
from app.jobs.states import JobKind, ShardStatus
from tests.workers.audits.audits import (
    CLIPS,
    FGSM,
    audited,
    claimed,
    done,
    ended,
    events,
    findings,
    performed,
    request,
    submit,
)
from tests.workers.audits.conftest import NO_PICTURES, Passes
from tests.workers.audits.test_resuming import before_pass, put_down
from workers.audits import audit_job
from workers.audits.shards import ranges
from workers.jobs import PERFORM, PERFORM_SHARD
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.run import configure, run

PGD = {"type": "pgd", "epsilon": [0.3, 0.6], "steps": 3, "restarts": 2}
NOISE = {"type": "noise", "epsilon": [0.4], "draws": 2}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 2}
MINIMUM = {"type": "fgsm", "epsilon": [0.6], "minimum": True, "clip": 5}
ATTACKS = [FGSM, PGD, NOISE, WAVE, MINIMUM]
SHARDS = 5
"""Of 18 clips in chunks of four."""


class TestRanges:
    def test_are_of_whole_chunks_and_hold_each_clip_once(self) -> None:
        found = ranges(clips=200, total_passes=20_000, chunk=16, shard_passes=3_300)
        assert found == [*(range(n, n + 32) for n in range(0, 192, 32)), range(192, 200)]

    def test_are_of_one_chunk_where_that_alone_takes_more(self) -> None:
        found = ranges(clips=40, total_passes=4_000_000, chunk=16, shard_passes=10)
        assert found == [range(16), range(16, 32), range(32, 40)]

    def test_are_never_more_than_there_may_be(self) -> None:
        found = ranges(clips=50_000, total_passes=50_000_000, chunk=1, shard_passes=1)
        assert len(found) == 256
        assert (found[0].start, found[-1].stop) == (0, 50_000)


@pytest.fixture
def sharded(context: WorkerContext) -> WorkerContext:
    """A worker that splits any audit, into shards of a chunk."""
    settings = context.settings.model_copy(update={"audit_shard_passes": 1})
    made = replace(context, settings=settings)
    quick = partial(audit_job.perform, pictures=NO_PICTURES)
    configure(made, {**PERFORM, JobKind.AUDIT: quick}, PERFORM_SHARD)
    return made


def whole(client: TestClient, context: WorkerContext, body: dict[str, Any]) -> dict[str, Any]:
    """The audit, scored in one piece."""
    quick = partial(audit_job.perform, pictures=NO_PICTURES)
    configure(context, {**PERFORM, JobKind.AUDIT: quick})
    return audited(client, body)


def made(context: WorkerContext, job: dict[str, Any]) -> dict[str, Any]:
    """All that an audit leaves, but for what tells of time and which audit it is."""
    folder = findings(context, job["id"], job["attempt"])
    found: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != files.REPORT
    }
    report = json.loads((folder / files.REPORT).read_text())
    del report["audit"], report["created_at"]
    for result in (report["result"], job["result"]):
        del result["forecast"]["seconds"]
        for one in (*result["attacks"], result):
            del one["cost"]["seconds"]
    return found | {"report": report, "result": job["result"], "warnings": job["warnings"]}


def by_another(job_id: str, number: int) -> Callable[[int], None]:
    """What lets another worker do a shard before the first pass of the audit's own attempt."""

    def before(pass_: int) -> None:
        if pass_ == 1:
            run(shard_id(job_id, number))

    return before


def shards(context: WorkerContext, job_id: str) -> list[Any]:
    return list(rows_of_shards.read(context.sessions, job_id))


class TestBytes:
    def test_are_those_of_an_audit_in_one_piece(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS)
        alone = made(context, whole(client, context, body))
        settings = context.settings.model_copy(update={"audit_shard_passes": 1})
        quick = partial(audit_job.perform, pictures=NO_PICTURES)
        configure(replace(context, settings=settings), {**PERFORM, JobKind.AUDIT: quick})
        assert made(context, audited(client, body)) == alone

    def test_exhibits_are_the_same_where_few_other_inputs_are_kept(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        few = {"max_saved_clips": 1}
        body = request(model, corpus)
        one_piece = replace(context, settings=context.settings.model_copy(update=few))
        alone = made(context, whole(client, one_piece, body))
        settings = context.settings.model_copy(update={**few, "audit_shard_passes": 1})
        quick = partial(audit_job.perform, pictures=NO_PICTURES)
        configure(replace(context, settings=settings), {**PERFORM, JobKind.AUDIT: quick})
        found = made(context, audited(client, body))
        assert found == alone
        assert len(found["report"]["exhibits"]) == 3

    @pytest.mark.parametrize("number", range(SHARDS))
    def test_are_the_same_if_another_worker_takes_a_shard(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        sharded: WorkerContext,
        passes: Passes,
        number: int,
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS)
        alone = made(sharded, audited(client, body))
        job_id = submit(client, body)
        passes.batches.clear()
        passes.before = by_another(job_id, number)
        shared = done(client, job_id)
        assert made(sharded, shared) == alone
        assert shared["attempt"] == 1

    def test_are_the_same_after_the_audit_was_put_down(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        sharded: WorkerContext,
        passes: Passes,
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS)
        alone = made(sharded, audited(client, body))
        total = len(passes.batches)
        job_id = submit(client, body)
        put_down(client, job_id, passes, before_pass(total // 2))
        assert {one.status for one in shards(sharded, job_id)} == {
            ShardStatus.DONE,
            ShardStatus.QUEUED,
        }
        passes.batches.clear()
        job = done(client, job_id)
        assert made(sharded, job) == alone
        assert job["attempt"] == 2
        assert len(passes.batches) < total - total // 2 + total // SHARDS  # less than a chunk more
        (resumed,) = events(client, job_id, "resumed")
        assert resumed["clips"] in {2, 6, 10, 14}


class TestProgress:
    def test_is_that_of_the_whole_and_ends_with_it(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext
    ) -> None:
        job = audited(client, request(model, corpus, attacks=[PGD], save_adversarial=False))
        passes = job["result"]["cost"]["forwards"] + job["result"]["cost"]["backwards"]
        told = job["progress"]
        assert (told["done"], told["total"], told["unit"]) == (passes, passes, "passes")
        assert events(client, job["id"], "scored")[-1] == {"clips": CLIPS, "of": CLIPS}


class TestMaxSeconds:
    """Each pass takes a second."""

    def test_end_the_whole_with_what_all_shards_have(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext, passes: Passes
    ) -> None:
        weak = [{"type": "fgsm", "epsilon": [0.01, 0.02]}]
        body = request(model, corpus, attacks=weak, max_seconds=9.5)  # 4 passes a chunk
        job_id = submit(client, body)
        attempt = claimed(sharded, job_id)
        outcome = performed(sharded, attempt, clock=lambda: len(passes.batches))
        result = outcome.result
        assert (result["n"], result["of"], result["complete"]) == (10, CLIPS, False)
        assert [point["n"] for point in result["curve"]] == [6, 6]
        attempt.succeed(result)
        job = client.get(f"/v1/audits/{job_id}").json()
        assert job["warnings"][0].startswith("The audit ended after max_seconds (9.5)")
        rows = client.get(f"/v1/audits/{job_id}/results").json()["data"]
        assert [row["index"] for row in rows] == [*range(8, 18)]

    def test_rows_are_paged_by_their_index_where_some_are_left_out(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext, passes: Passes
    ) -> None:
        weak = [{"type": "fgsm", "epsilon": [0.01]}]
        job_id = submit(client, request(model, corpus, attacks=weak, max_seconds=4.5))
        attempt = claimed(sharded, job_id)
        outcome = performed(sharded, attempt, clock=lambda: len(passes.batches))
        attempt.succeed(outcome.result)
        page = client.get(f"/v1/audits/{job_id}/results?limit=2&after=14").json()
        assert [row["index"] for row in page["data"]] == [15, 16]
        page = client.get(f"/v1/audits/{job_id}/results?after=2&limit=2").json()
        assert all(row["index"] > 2 for row in page["data"])

    def test_that_are_over_before_a_clip_is_scored_are_an_error(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus, max_seconds=1))
        clock = iter(range(0, 10_000, 10))
        with pytest.raises(JobFailed, match="before a clip was scored"):
            performed(sharded, claimed(sharded, job_id), clock=lambda: next(clock))


class TestFailures:
    def test_a_shard_that_fails_elsewhere_fails_the_audit_with_its_error(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext, passes: Passes
    ) -> None:
        job_id = submit(client, request(model, corpus))

        def fail_elsewhere(pass_: int) -> None:
            if pass_ == 1:
                other = rows_of_shards.claim(sharded.sessions, job_id, 0)
                assert other is not None
                other.fail({"code": "clip_damaged", "message": "Clip 0 cannot be read."})

        passes.before = fail_elsewhere
        job = ended(client, job_id)
        assert job["status"] == "failed"
        assert job["error"]["code"] == "clip_damaged"
        assert job["error"]["message"] == "Clip 0 cannot be read."

    def test_a_shard_whose_files_are_gone_fails_the_audit_and_says_so(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        sharded: WorkerContext,
        passes: Passes,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("workers.audits.shards.UNSEEN_SECONDS", 0.1)
        job_id = submit(client, request(model, corpus))

        def pretend(pass_: int) -> None:
            if pass_ == 1:
                other = rows_of_shards.claim(sharded.sessions, job_id, 0)
                assert other is not None
                result = {"rows": 4, "kept": [], "in_time": True, "warnings": [], "device": "cpu"}
                other.finish(result)

        passes.before = pretend
        job = ended(client, job_id)
        assert job["error"]["code"] == "shard_lost"

    def test_shards_are_offered_to_as_many_workers_as_may_be_there(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        sharded: WorkerContext,
        passes: Passes,
    ) -> None:
        job_id = submit(client, request(model, corpus))
        waiting: list[set[str]] = []

        def look(pass_: int) -> None:
            if pass_ == 1:
                waiting.append(sharded.queue.waiting(JobKind.AUDIT) - {job_id})

        passes.before = look
        done(client, job_id)
        assert waiting == [{shard_id(job_id, 0), shard_id(job_id, 1)}]

    def test_the_audit_needs_no_redis(
        self, client: TestClient, model: str, corpus: Corpus, sharded: WorkerContext, tmp_path: Path
    ) -> None:
        job_id = submit(client, request(model, corpus))
        settings = sharded.settings.model_copy(
            update={"redis_url_setting": "redis://127.0.0.1:1/0", "redis_timeout_seconds": 0.05}
        )
        away = replace(sharded, settings=settings)
        outcome = performed(away, claimed(away, job_id))
        assert outcome.result["n"] == CLIPS
