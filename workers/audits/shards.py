"""A large audit in shards, which several workers score; see `app.jobs.shards`.

A shard is some whole chunks of the audit's clips. How an audit is split depends on the audit alone,
and what a shard makes of its clips on nothing but these, so that rows, result and artifacts are the
same whichever workers scored them, and however many: all but what tells of time, which is
`cost.seconds` (the sum over the workers), `forecast.seconds` and the report's `created_at`.

    checkpoint/shard-0003/    what the attempts at a shard have scored, as `workers.audits.record`
    checkpoint/merged-0001/   rows of all shards, and the inputs of the clips that are shown
    checkpoint/elapsed.json   seconds that the attempts at the audit have had

Each shard keeps the inputs of the clips that it would show, which those are among that the whole
audit shows.
"""

import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from app.jobs import shards
from app.jobs.shards import ShardAttempt
from app.jobs.states import ShardStatus
from app.jobs.tables import Shard
from models.audit import AuditRow, Summary
from workers.audits import detector
from workers.audits.choice import BrokenClips, Choice
from workers.audits.pacing import ShardPacing, passes
from workers.audits.record import ROWS, Record, read_json, write_json
from workers.audits.scored import AuditAttempt, Scored, clips_shown
from workers.audits.scoring import TOLD, Scoring
from workers.audits.setup import Setup, group_by, set_up
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import REPORT_SECONDS, Watch
from workers.runtime.retries import retry_while_database_is_away
from workers.runtime.shards import do_shards, read

MOST_SHARDS: Final = 256
"""Each is a row, a folder and an entry of the queue."""
UNSEEN_SECONDS: Final = 30.0
"""A network file system may show what another host wrote only after so long."""


def ranges(clips: int, total_passes: int, chunk: int, shard_passes: int) -> list[range]:
    """The clips of each shard: whole chunks, of at most ``shard_passes`` if a chunk has not more.

    Args:
        clips: of the audit.
        total_passes: that all of them need together.
        chunk: clips that are scored together.
        shard_passes: of a shard.
    """
    chunks = -(-clips // chunk)
    own = max(1, shard_passes * clips // max(1, total_passes * chunk), -(-chunks // MOST_SHARDS))
    size = own * chunk
    return [range(first, min(first + size, clips)) for first in range(0, clips, size)]


def is_worth_it(job: AuditAttempt) -> bool:
    """Whether the audit is to be scored in shards: those of an earlier attempt are gone on with, as
    is what an earlier attempt has scored in one piece."""
    context, job_id = job.context, job.attempt.job_id

    def has_shards() -> bool:
        with context.sessions() as session:
            return shards.is_split(session, job_id)

    if retry_while_database_is_away(has_shards):
        return True
    if any(context.checkpoint_dir(job_id).glob("attempt-*")):
        return False
    total = passes(job.expected.cost)
    return total >= 2 * context.settings.audit_shard_passes and len(_ranges(job)) > 1


def _ranges(job: AuditAttempt) -> list[range]:
    settings = job.context.settings
    total = passes(job.expected.cost)
    clips = len(job.setup.clips)
    return ranges(clips, total, settings.audit_batch, settings.audit_shard_passes)


def score(job: AuditAttempt) -> Scored:
    """Score the audit in shards, together with whatever other workers are free.

    Raises:
        Stopped: the worker is to stop; what is scored is saved.
        JobFailed: a shard failed, or what it made is gone.
    """
    asked = job.setup.detector_sha256
    of_detector = {} if asked is None else {"detector": asked}
    works = [{"first": one.start, "end": one.stop, **of_detector} for one in _ranges(job)]
    retry_while_database_is_away(lambda: shards.split(job.attempt, works))
    whole = Whole(job)
    found = do_shards(job.context, job.attempt, job.watchdog, whole.do, whole.tell)
    whole.tell(always=True)
    return merge(job, found, whole)


def perform_shard(context: WorkerContext, shard: ShardAttempt, watch: Watch) -> dict[str, Any]:
    """Score a shard of an audit that another worker holds.

    Raises:
        Stopped: the worker is to stop; what is scored is saved.
        ServalError, AuditError, CorpusError, JobFailed: the request cannot be fulfilled.
    """
    pacing = ShardPacing(
        watch.check, lambda: shard.ending, lambda done: watch.progress(done, unit="passes")
    )
    return _score_shard(context, shard, set_up(context, shard), pacing)


def _score_shard(
    context: WorkerContext, shard: ShardAttempt, setup: Setup, pacing: ShardPacing
) -> dict[str, Any]:
    """What the audit is told of the shard: JSON's types."""
    detector.check_same(setup.entry, setup.detector_sha256, shard.work.get("detector"))
    record = Record(
        _folder(context, shard.job_id, shard.shard),
        shard.number,
        context.settings.audit_batch,
        _clips(shard.work),
    )
    warnings: list[str] = []
    setup.audit.on_pass = pacing
    scoring = Scoring(
        setup.audit, record, clips_shown(context, setup.request), pacing, _tell_nobody,
        warnings.append,
    )  # fmt: skip
    in_time = scoring.run_in_time()
    return {
        "rows": scoring.done,
        "kept": scoring.kept,
        "in_time": in_time,
        "warnings": warnings,
        "device": setup.audit.victim.device.type,
    }


def _tell_nobody(type_: str, data: dict[str, Any]) -> None:
    """The events of an audit tell of the whole."""


def _clips(work: dict[str, Any]) -> range:
    return range(work["first"], work["end"])


def _folder(context: WorkerContext, job_id: str, number: int) -> Path:
    return context.checkpoint_dir(job_id) / f"shard-{number:04d}"


class Whole:
    """The audit, as the attempt that holds it sees it while shards are scored."""

    def __init__(self, job: AuditAttempt) -> None:
        self._job = job
        self._elapsed = _Elapsed(job)
        self._told_at = float("-inf")
        self._told_clips: int | None = None
        self._done = 0.0
        self._over = False

    @property
    def total(self) -> int:
        """Passes of the audit, at most."""
        return passes(self._job.expected.cost)

    def do(self, shard: ShardAttempt) -> dict[str, Any]:
        """Score a shard in this process."""

        def tell(done: int) -> None:
            if self._is_time():
                retry_while_database_is_away(lambda: shard.progress(done))
                self.tell()

        pacing = ShardPacing(
            self._job.watchdog.check, lambda: shard.ending or self.is_over(), tell, self._job.clock
        )
        return _score_shard(self._job.context, shard, self._job.setup, pacing)

    def is_over(self) -> bool:
        """Whether the audit has had its time; then it ends, on all workers."""
        most = self._job.setup.request.max_seconds
        if not self._over and most is not None and self._elapsed.seconds > most:
            self._over = True
            retry_while_database_is_away(
                lambda: shards.end_early(self._job.context.sessions, self._job.attempt.job_id)
            )
        return self._over

    def tell(self, *, always: bool = False) -> None:
        """Tell how far all shards are together, if it was not told just now.

        Raises:
            JobFailed: a shard failed.
        """
        if not always and not self._is_time():
            return
        self._told_at = time.monotonic()
        self._elapsed.save()
        self.is_over()
        found = read(self._job.context, self._job.attempt.job_id)
        # A shard that was killed begins its last chunk anew: progress waits, and does not go back.
        self._done = max(self._done, min(sum(map(self._passes, found)), self.total))
        self._job.watchdog.progress(self._done, self.total, "passes")
        self._tell_clips(sum((one.result or {}).get("rows", 0) for one in found))

    def finish(self, *, complete: bool) -> None:
        """Nothing more is scored."""
        done = self.total if complete else self._done
        self._job.watchdog.progress(done, self.total, "passes")

    def _is_time(self) -> bool:
        return time.monotonic() - self._told_at >= REPORT_SECONDS

    def _passes(self, shard: Shard) -> float:
        if shard.status is ShardStatus.DONE and (shard.result or {}).get("in_time"):
            return self.total * len(_clips(shard.work)) / len(self._job.setup.clips)
        return shard.progress_done

    def _tell_clips(self, done: int) -> None:
        of = len(self._job.setup.clips)
        if self._told_clips is None:
            self._told_clips = done
            if done:
                self._job.watchdog.event("resumed", {"clips": done})
        elif done > self._told_clips and (done == of or done - self._told_clips >= of // TOLD):
            self._told_clips = done
            self._job.watchdog.event("scored", {"clips": done, "of": of})


class _Elapsed:
    """Seconds that all attempts at the audit have had, those left out at which none was running."""

    def __init__(self, job: AuditAttempt) -> None:
        self._path = job.context.checkpoint_dir(job.attempt.job_id) / "elapsed.json"
        self._clock = job.clock
        self._began = job.clock()
        self._before = float((read_json(self._path) or {}).get("seconds", 0.0))

    @property
    def seconds(self) -> float:
        """So far."""
        return self._before + self._clock() - self._began

    def save(self) -> None:
        """For the next attempt."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        write_json(self._path, {"seconds": self.seconds})


def merge(job: AuditAttempt, found: Sequence[Shard], whole: Whole) -> Scored:
    """What the shards have made, joined in their order.

    Raises:
        Stopped: the worker is to stop.
        JobFailed: what a shard made is gone (code ``shard_lost``).
    """
    context, setup = job.context, job.setup
    # Of this attempt alone: one that was thought dead may be at its own.
    folder = context.checkpoint_dir(job.attempt.job_id) / f"merged-{job.attempt.number:04d}"
    clips = range(len(setup.clips))
    record = Record(folder, job.attempt.number, context.settings.audit_batch, clips)
    summary = Summary(setup.audit.victim.labels, setup.audit.attacks, group_by(setup.request))
    choice = Choice(clips_shown(context, setup.request))
    broken = BrokenClips(setup.audit.attacks)
    paths: dict[int, Path] = {}
    with (record.path / ROWS).open("ab") as rows:
        for shard in found:
            path = _folder(context, shard.job_id, shard.number) / f"attempt-{shard.attempt:04d}"
            made = shard.result or {}
            # A shard that was done before exhibits were kept says what it shows.
            paths |= {int(index): path for index in made.get("kept", made.get("shown", ()))}
            for text in _rows(path, made["rows"], shard.number):
                job.watchdog.check()
                row = AuditRow.model_validate_json(text)
                rows.write(text)
                summary.add(row)
                choice.add(row)
                broken.add(row)
            _add_seconds(record, path)
    shown = {*choice.indices, *(one.index for one in broken.exhibits.values())}
    for index in sorted(shown & paths.keys()):
        name = f"artifacts/{index:06d}.safetensors"
        shutil.copyfile(paths[index] / name, record.path / name)
    _warn(job, [shard.result or {} for shard in found])
    return Scored(
        summary,
        record,
        choice.indices,
        broken,
        clips=sum((shard.result or {})["rows"] for shard in found),
        in_time=all((shard.result or {})["in_time"] for shard in found),
        finish=whole.finish,
    )


def _rows(path: Path, count: int, number: int) -> Iterator[bytes]:
    """The rows of a shard, when all of them can be seen from here."""
    until = time.monotonic() + UNSEEN_SECONDS
    while True:
        try:
            with (path / ROWS).open("rb") as file:
                if sum(1 for _ in file) == count:
                    file.seek(0)
                    yield from file
                    return
        except FileNotFoundError:
            pass
        if time.monotonic() > until:
            raise JobFailed(
                "shard_lost",
                f"What shard {number} of the audit had scored is not in the data folder any more."
                " Submit the audit again; with workers on several hosts, see that all of them have"
                " the same folder.",
            )
        time.sleep(0.2)


def _add_seconds(record: Record, path: Path) -> None:
    taken = read_json(path / "seconds.json") or {"attacks": {}}
    for attack, seconds in taken["attacks"].items():
        record.seconds[int(attack)] = record.seconds.get(int(attack), 0.0) + float(seconds)


def _warn(job: AuditAttempt, made: Sequence[dict[str, Any]]) -> None:
    warnings = [text for one in made for text in one["warnings"]]
    devices = sorted({one["device"] for one in made})
    if len(devices) > 1:
        warnings.append(
            f"The audit was scored on several kinds of device ({', '.join(devices)}), whose sums"
            " differ in the last digits: another run may give slightly other figures."
        )
    for text in dict.fromkeys(warnings):
        retry_while_database_is_away(lambda text=text: job.attempt.warn(text))  # type: ignore[misc]
