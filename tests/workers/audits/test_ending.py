"""An audit ends at its max_seconds with what it has, stops between two passes, and does with less
memory."""

import itertools
import time
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from app.audits.result import AuditResult
from app.corpora.tables import Corpus
from models.attacks import parse
from models.audit import AuditRow, AuditSummary, summarize
from tests.workers.audits.audits import (
    CLIPS,
    audited,
    claimed,
    done,
    ended,
    events,
    performed,
    request,
    rows,
    submit,
)
from tests.workers.audits.conftest import Passes
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Stopped, Watchdog

FGSM = {"type": "fgsm", "epsilon": [0.01, 0.02]}
NOISE = {"type": "noise", "epsilon": [0.01], "draws": 2}
PGD = {"type": "pgd", "epsilon": [0.01, 0.02], "steps": 3, "restarts": 2}
ATTACKS = [FGSM, NOISE, PGD]
"""A chunk takes 25 passes: its score, 1 + 2, 2 + 1, and twice 8 + 1. They break nothing, so that no
sound is scored beside them."""
SEARCH = {"type": "square", "epsilon": [0.01], "queries": 5000}


def partial_result(
    context: WorkerContext, client: TestClient, passes: Passes, body: dict[str, Any]
) -> tuple[AuditResult, dict[str, Any]]:
    """What an audit comes to in which each pass takes a second, and its job."""
    job_id = submit(client, body)
    attempt = claimed(context, job_id)
    outcome = performed(context, attempt, clock=lambda: len(passes.batches))
    attempt.succeed(outcome.result)
    job: dict[str, Any] = client.get(f"/v1/audits/{job_id}").json()
    return AuditResult.model_validate(job["result"]), job


class TestMaxSeconds:
    def test_each_point_says_how_many_clips_were_scored_at_it(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """It ends in the second chunk, in the first strength of pgd."""
        body = request(model, corpus, attacks=ATTACKS, max_seconds=25 + 1 + 3 + 3 + 2)
        result, job = partial_result(context, client, passes, body)
        assert (result.n, result.of, result.complete) == (8, CLIPS, False)
        assert [point.n for point in result.curve] == [8, 8, 8, 4, 4]
        assert sum(passes.batches) == result.cost.forwards + 4 * 3  # a pass was under way
        (warning,) = job["warnings"]
        assert warning.startswith("The audit ended after max_seconds (34)")
        assert len(rows(context, job["id"])) == 8

    def test_what_was_not_reached_is_null_and_never_zero(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS, max_seconds=2)
        result, _ = partial_result(context, client, passes, body)
        assert [point.n for point in result.curve] == [4, 0, 0, 0, 0]
        assert result.curve[0].uar is not None
        for point in result.curve[1:]:
            for name in (
                *("uar", "accuracy", "recall", "confusion", "success_rate", "flip_rate"),
                *("mean_success_rate", "unlabelled", "distortion", "survives_as_audio", "snr_db"),
            ):
                assert getattr(point, name) is None, name
            assert point.measures
            for name, figure in point.measures.items():
                assert (figure.value, figure.interval, figure.n) == (None, None, 0), name
        weak, strong = result.worst_case
        assert (weak.n, weak.uar, weak.success_rate) == (0, None, None)
        assert (strong.n, strong.uar, strong.success_rate) == (0, None, None)

    def test_the_worst_case_of_a_part_is_that_of_clips_under_all_attacks(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS, max_seconds=34)
        result, _ = partial_result(context, client, passes, body)
        assert [case.n for case in result.worst_case] == [4, 4]

    def test_a_minimum_that_was_found_in_time_is_kept(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        first = FGSM | {"minimum": True, "clip": 5}
        body = request(model, corpus, attacks=[first, PGD], max_seconds=6)
        result, job = partial_result(context, client, passes, body)
        assert [point.n for point in result.curve] == [4, 4, 0, 0]
        assert result.minimum[0].right_before == 4
        for row in rows(context, job["id"]):
            (found,) = row["minimum"]
            assert (found["attack"], found["strength"]) == (0, None)

    def test_a_partial_result_can_be_added_up_from_its_rows(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS, max_seconds=34)
        result, job = partial_result(context, client, passes, body)
        again = summarize(
            [AuditRow.model_validate(row) for row in rows(context, job["id"])],
            result.labels,
            [parse(one) for one in ATTACKS],
            of=CLIPS,
            scale=result.scale,
            seconds={one.index: one.cost.seconds for one in result.attacks},
        )
        fields = set(AuditSummary.model_fields) - {"cost"}
        assert again.model_dump(include=fields) == result.model_dump(include=fields)

    def test_progress_says_how_far_it_came(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=ATTACKS, max_seconds=34)
        result, job = partial_result(context, client, passes, body)
        assert job["progress"]["total"] == result.forecast.forwards + result.forecast.backwards
        assert 0 < job["progress"]["done"] < job["progress"]["total"]

    def test_without_a_clip_that_was_scored_the_job_fails(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        attempt = claimed(context, submit(client, request(model, corpus, max_seconds=5)))
        with pytest.raises(JobFailed, match="before a clip was scored") as failed:
            performed(context, attempt, clock=itertools.count(step=10).__next__)
        assert failed.value.code == "out_of_time"

    def test_it_counts_over_all_attempts(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """Two chunks in fifty seconds, and then four seconds of sixty that are left."""
        job_id = submit(client, request(model, corpus, attacks=ATTACKS, max_seconds=54))

        def stop(number: int) -> None:
            if number == 51:
                raise Stopped

        passes.before = stop
        first = claimed(context, job_id)
        with pytest.raises(Stopped):
            performed(context, first, clock=lambda: len(passes.batches))
        first.release("the worker was stopped")
        passes.before = lambda _: None
        passes.batches.clear()
        second = claimed(context, job_id)
        outcome = performed(context, second, clock=lambda: 1000 + len(passes.batches))
        assert len(passes.batches) == 5
        assert [one["n"] for one in outcome.result["curve"]] == [12, 12, 8, 8, 8]

    def test_an_audit_that_has_ended_stays_so_for_a_later_attempt(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """Its worker was stopped while pictures were drawn."""
        job_id = submit(client, request(model, corpus, attacks=ATTACKS, max_seconds=34))

        class StoppedInArtifacts(Watchdog):
            def progress(self, done: float, total: Any = None, unit: Any = None, **_: Any) -> None:
                if unit == "artifacts":
                    raise Stopped

        first = claimed(context, job_id)
        watchdog = StoppedInArtifacts(first, time_limit_seconds=60)
        with pytest.raises(Stopped):
            performed(context, first, watchdog, clock=lambda: len(passes.batches))
        first.release("the worker was stopped")
        passes.batches.clear()
        second = claimed(context, job_id)
        outcome = performed(context, second, clock=lambda: 0)
        assert passes.batches == []
        assert [one["n"] for one in outcome.result["curve"]] == [8, 8, 8, 4, 4]
        assert len(client.get(f"/v1/audits/{job_id}").json()["warnings"]) == 1

    def test_enough_of_them_change_nothing(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = audited(client, request(model, corpus, max_seconds=3600))
        assert (job["result"]["complete"], job["warnings"]) == (True, [])


class TestStopping:
    def test_it_stops_before_the_first_pass_when_asked_to(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        attempt = claimed(context, submit(client, request(model, corpus)))
        watchdog = Watchdog(attempt, time_limit_seconds=60)
        watchdog.stop()
        with pytest.raises(Stopped):
            performed(context, attempt, watchdog)
        assert passes.batches == []

    def test_within_a_long_search_it_stops_before_the_next_pass(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        attempt = claimed(context, submit(client, request(model, corpus, attacks=[SEARCH])))
        watchdog = Watchdog(attempt, time_limit_seconds=60)
        asked: list[float] = []

        def ask(number: int) -> None:
            if number == 100:
                watchdog.stop()
                asked.append(time.monotonic())

        passes.before = ask
        with pytest.raises(Stopped):
            performed(context, attempt, watchdog)
        assert time.monotonic() - asked[0] <= 1
        assert len(passes.batches) == 100

    def test_a_job_that_is_put_down_is_queued_again(
        self, client: TestClient, model: str, corpus: Corpus, passes: Passes
    ) -> None:
        def stop(number: int) -> None:
            if number == 100:
                raise Stopped

        passes.before = stop
        job_id = submit(client, request(model, corpus, attacks=[SEARCH]))
        assert ended(client, job_id)["status"] == "queued"


CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you"
    " tried to allocate 40000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


class TestMemory:
    @pytest.mark.parametrize(
        "error",
        [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), CPU],
        ids=["of a GPU", "of Python", "of a CPU"],
    )
    def test_where_it_does_not_suffice_the_batch_is_halved_and_the_owner_told(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        passes: Passes,
        error: Exception,
    ) -> None:
        whole = audited(client, request(model, corpus, attacks=ATTACKS))
        passes.most, passes.no_memory = 2, error
        job = audited(client, request(model, corpus, attacks=ATTACKS))
        assert job["warnings"] == [
            "The memory did not suffice for batches of 4 clips: the audit went on with 2."
        ]
        assert job["result"]["cost"]["forwards"] == whole["result"]["cost"]["forwards"]
        found, wanted = (rows(context, one["id"]) for one in (job, whole))
        for row, other in zip(found, wanted, strict=True):
            assert row["clean"]["label"] == other["clean"]["label"]
            assert [one["cost"] for one in row["attacked"]] == [
                one["cost"] for one in other["attacked"]
            ]

    def test_what_was_finished_before_is_not_scored_again(
        self, client: TestClient, model: str, corpus: Corpus, passes: Passes
    ) -> None:
        """It runs out in the second strength of pgd on the first and only chunk."""

        def shrink(number: int) -> None:
            passes.most = 2 if number > 1 + 3 + 3 + 9 else 4

        passes.before = shrink
        job_id = submit(client, request(model, corpus, attacks=ATTACKS, limit=4))
        done(client, job_id)
        assert passes.batches == [4] * 16 + [2] * 2 * 9

    def test_it_is_halved_once(
        self, client: TestClient, model: str, corpus: Corpus, passes: Passes
    ) -> None:
        passes.most, passes.no_memory = 1, CPU
        job = ended(client, submit(client, request(model, corpus)))
        assert (job["status"], job["error"]["code"]) == ("failed", "out_of_memory")
        assert len(events(client, job["id"], "warning")) == 1

    def test_another_error_is_no_lack_of_memory(
        self, client: TestClient, model: str, corpus: Corpus, passes: Passes
    ) -> None:
        passes.most, passes.no_memory = 2, RuntimeError("shapes do not match")
        job = ended(client, submit(client, request(model, corpus)))
        assert (job["status"], job["error"]["code"]) == ("failed", "internal_error")
        assert job["warnings"] == []
