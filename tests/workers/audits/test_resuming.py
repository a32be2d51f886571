"""An audit that was killed or put down goes on where it was, and ends with the same rows."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.corpora.tables import Corpus
from tests import spoken
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
    rows,
    submit,
)
from tests.workers.audits.conftest import Passes
from workers.audits.record import ROWS
from workers.jobs import PERFORM
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.run import configure

PGD = {"type": "pgd", "epsilon": [0.3, 0.6], "steps": 3, "restarts": 2}
NOISE = {"type": "noise", "epsilon": [0.4], "draws": 2}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 2}
MINIMUM = {"type": "fgsm", "epsilon": [0.6], "minimum": True, "clip": 5}
WEAK = {"type": "fgsm", "epsilon": [0.01, 0.02]}
WEAK_PGD = {"type": "pgd", "epsilon": [0.01, 0.02], "steps": 3, "restarts": 2}
WEAK_NOISE = {"type": "noise", "epsilon": [0.01], "draws": 2}
CHUNK = 4


def before_pass(number: int) -> Callable[[int], None]:
    """What puts the work down before the pass of that number."""

    def before(pass_: int) -> None:
        if pass_ == number:
            raise Stopped

    return before


def when(holds: Callable[[], bool]) -> Callable[[int], None]:
    """What puts the work down before the first pass at which something holds."""

    def before(_: int) -> None:
        if holds():
            raise Stopped

    return before


def put_down(
    client: TestClient, job_id: str, passes: Passes, before: Callable[[int], None]
) -> list[int]:
    """Run the job until it is put down; clips of the passes that were made."""
    passes.batches.clear()
    passes.before = before
    assert ended(client, job_id)["status"] == "queued"
    passes.before = lambda _: None
    return list(passes.batches)


def published(context: WorkerContext, job: dict[str, Any]) -> bytes:
    """Its rows, byte by byte."""
    return (findings(context, job["id"], job["attempt"]) / files.ROWS).read_bytes()


class TestRows:
    @pytest.mark.parametrize("number", [1, 2, 8, 14, 25, 33, 40])
    def test_of_an_audit_that_was_stopped_anywhere_are_those_of_one_that_was_not(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        passes: Passes,
        number: int,
    ) -> None:
        body = request(model, corpus, attacks=[FGSM, PGD, NOISE, WAVE, MINIMUM], limit=7)
        whole = audited(client, body)
        job_id = submit(client, body)
        put_down(client, job_id, passes, before_pass(number))
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert published(context, job) == published(context, whole)
        for result in (job["result"], whole["result"]):
            for one in (*result["attacks"], result):
                del one["cost"]["seconds"]
            del result["forecast"]
        assert job["result"] == whole["result"]
        assert job["warnings"] == whole["warnings"]

    def test_a_row_that_was_torn_is_scored_again(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        whole = audited(client, request(model, corpus))
        job_id = submit(client, request(model, corpus))
        written = context.checkpoint_dir(job_id) / "attempt-0001" / ROWS

        def two_chunks() -> bool:
            return written.exists() and len(spoken.lines(written)) == 2 * CHUNK

        put_down(client, job_id, passes, when(two_chunks))
        with written.open("ab") as file:
            file.write(b'{"index":8,"clip":"torn')
        job = done(client, job_id)
        assert published(context, job) == published(context, whole)
        assert events(client, job_id, "resumed") == [{"clips": 2 * CHUNK}]

    def test_of_another_audit_are_not_taken_over(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        folder = context.checkpoint_dir(job_id) / "attempt-0000"
        folder.mkdir(parents=True)
        row = {"index": 0, "clip": "x", "label": None, "clean": {}, "adversarial": []}
        (folder / ROWS).write_text(json.dumps(row) + "\n")
        assert done(client, job_id)["result"]["n"] == CLIPS

    def test_in_chunks_of_another_size_are_those_that_fill_them(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """The operator changed the setting while the worker was down."""
        body = request(model, corpus, attacks=[PGD])
        whole = audited(client, body)
        job_id = submit(client, body)
        point = context.checkpoint_dir(job_id) / "attempt-0001" / "chunk" / "point-000.json"
        third = when(lambda: point.exists() and '"9"' in point.read_text())
        put_down(client, job_id, passes, third)
        other = context.settings.model_copy(update={"audit_batch": 3})
        configure(replace(context, settings=other), PERFORM)
        job = done(client, job_id)
        assert events(client, job_id, "resumed") == [{"clips": 6}]  # of eight that were written
        found, wanted = (rows(context, one["id"], one["attempt"]) for one in (job, whole))
        assert [row["index"] for row in found] == list(range(CLIPS))
        for row, other_row in zip(found, wanted, strict=True):  # sums of floats go by the batch
            assert row["clip"] == other_row["clip"]
            assert [one["label"] for one in row["attacked"]] == [
                one["label"] for one in other_row["attacked"]
            ]


class TestWork:
    """Strengths are such that break nothing: then no sound is scored beside what is counted."""

    def test_what_is_finished_is_not_scored_again(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=[WEAK, WEAK_NOISE, WEAK_PGD], limit=7)
        whole = audited(client, body)
        assert passes.batches == [4] * 25 + [3] * 25  # score, 1 + 2, 2 + 1, and twice 8 + 1
        job_id = submit(client, body)
        made = put_down(client, job_id, passes, before_pass(47))
        assert made == [4] * 25 + [3] * 21
        passes.batches.clear()
        job = done(client, job_id)
        assert passes.batches == [3] * 9  # the second strength of pgd on the second chunk
        assert published(context, job) == published(context, whole)

    def test_an_attack_whose_strengths_share_a_gradient_is_run_again_as_a_whole(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """One strength alone would cost a gradient more than its row says."""
        body = request(model, corpus, attacks=[WEAK], limit=4)
        whole = audited(client, body)
        job_id = submit(client, body)
        made = put_down(client, job_id, passes, before_pass(4))
        assert made == [4] * 3  # score, gradient, one of two strengths
        passes.batches.clear()
        job = done(client, job_id)
        assert passes.batches == [4] * 3  # gradient, both strengths
        assert published(context, job) == published(context, whole)

    def test_after_the_last_chunk_nothing_is_scored_again(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        """Also if that is not a full one, as with 18 clips in chunks of four."""
        job_id = submit(client, request(model, corpus))
        attempt = claimed(context, job_id)

        class StoppedInArtifacts(Watchdog):
            def progress(self, done: float, total: Any = None, unit: Any = None, **_: Any) -> None:
                if unit == "artifacts":
                    raise Stopped

        with pytest.raises(Stopped):
            performed(context, attempt, StoppedInArtifacts(attempt, time_limit_seconds=60))
        attempt.release("the worker was stopped")
        passes.batches.clear()
        job = done(client, job_id)
        assert passes.batches == []
        assert job["result"]["n"] == CLIPS
        names = [one["name"] for one in client.get(job["urls"]["artifacts"]).json()["data"]]
        assert {"adversarial.safetensors", "figure2-4.png"} <= set(names)

    def test_progress_goes_on_where_it_was(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext, passes: Passes
    ) -> None:
        body = request(model, corpus, attacks=[WEAK_NOISE, WEAK_PGD])
        job_id = submit(client, body)
        # In the second chunk: its score, noise, and pgd at the first of two strengths.
        put_down(client, job_id, passes, before_pass(22 + 1 + 3 + 9 + 1))
        told: list[float] = []

        class Noting(Watchdog):
            def progress(self, done: float, total: Any = None, unit: Any = None, **_: Any) -> None:
                if unit == "passes":
                    told.append(done)

        attempt = claimed(context, job_id)
        performed(context, attempt, Noting(attempt, time_limit_seconds=60))
        each = 1 + 3 + 2 * (8 + 6 + 1)  # there and back
        assert told == sorted(told)
        assert told[3] == 4 * each
        assert told[3:7] == [4 * each, 4 * each + 4, 4 * each + 16, 4 * each + 76]
        assert told[-1] == CLIPS * each

    def test_what_had_no_direction_is_counted_over_all_attempts(
        self,
        client: TestClient,
        corpus: Corpus,
        context: WorkerContext,
        session: Session,
        passes: Passes,
    ) -> None:
        """The clips that an earlier attempt scored are taken from its rows."""
        steep = spoken.add_model(session, context.storage, steepness=1e4)
        job_id = submit(client, request(steep, corpus))
        put_down(client, job_id, passes, before_pass(15))
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert [point["no_direction"] for point in job["result"]["curve"]] == [0, 18, 18, 18]
        assert "On 18 of 18 clips" in job["warnings"][0]


class TestFolders:
    def test_what_an_attempt_left_that_never_succeeded_is_removed(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        findings(context, job_id, attempt=0).mkdir(parents=True)
        done(client, job_id)
        assert not findings(context, job_id, attempt=0).exists()
