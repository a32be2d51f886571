"""Processes that help a work-horse with its training: one GPU each, or a share of the cores.

The horse is the first rank: it reports, evaluates and saves as without helpers. A helper holds
nothing that would be missed: it reads the corpus and the horse's state, makes the same steps on its
share of each batch, and is killed when the horse is done, put down, or dead. If a helper dies
itself, so does the horse, and the training goes on from its last checkpoint as after any death. But
an error that has a name is the training's, whichever process meets it: another attempt would meet
it again.
"""

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from safetensors import SafetensorError

from app.processes import ending, python_command, python_environment
from app.trainings.schemas import TrainingRequest
from models.corruptions import Recordings
from models.memory import is_out_of_memory
from models.ranks import ALONE, Ranks, joined
from models.training import TrainingState
from workers.runtime.noises import CorpusRecordings
from workers.runtime.outcome import JobFailed

log = structlog.get_logger("workers.trainings")

RANK_PROCESS = "workers.trainings.rank_process"
"""The module that a helper runs; another one in tests."""
LOOK_SECONDS: Final = 0.2
DYING_SECONDS: Final = 5.0
"""From a broken connection to the end of the process behind it, at most; and from an error of a
helper to the broken connection."""
NO_HELPERS: Final = (
    "The training is made by one process: what the others begin with could not be written. Is the"
    " disk full?"
)


def processes(wanted: int, batch_size: int, device: torch.device) -> int:
    """How many processes train together.

    Args:
        wanted: `SERVAL_TRAINING_PROCESSES`; 0 is one for each GPU.
        batch_size: of the training, which they share equally: so fewer where it cannot be shared.
        device: of the worker. Of one GPU that was chosen by its number, only that is used.
    """
    most = max(1, wanted)
    if device.type == "cuda":
        gpus = torch.cuda.device_count() if device == torch.device("cuda") else 1
        most = min(wanted or gpus, gpus)
    return max(size for size in range(1, most + 1) if batch_size % size == 0)


def _leave() -> None:
    os._exit(1)


@dataclass(frozen=True)
class Meeting:
    """Where processes meet: a folder with all that they tell each other in files."""

    folder: Path

    @property
    def start(self) -> Path:
        """The state that the helpers begin with."""
        return self.folder / "start.safetensors"

    @property
    def address(self) -> str:
        """See `models.ranks.joined`."""
        return f"file://{self.folder.absolute()}/meeting"

    def fault(self, rank: int) -> Path:
        """What a helper writes of an error that ends it."""
        return self.folder / f"fault-{rank}.json"

    def told(self) -> JobFailed | None:
        """The error of a helper; None if none has told one."""
        for path in sorted(self.folder.glob("fault-*.json")):
            error = json.loads(path.read_text())
            return JobFailed(error.pop("code"), error.pop("message"), **error)
        return None

    def clear(self) -> None:
        """Remove what earlier attempts left, which may have been killed."""
        for older in self.folder.parent.glob("helpers-*"):
            if older.name <= self.folder.name:
                shutil.rmtree(older, ignore_errors=True)

    def begin(self, state: TrainingState, warn: Callable[[str], None]) -> bool:
        """Save the state.

        Returns:
            Whether that could be written; if not, the owner is warned.

        Raises:
            Diverged: the state holds numbers that are none.
        """
        try:
            self.folder.mkdir(parents=True)
            state.save(self.start)
        except (OSError, SafetensorError) as error:
            log.warning("no helpers", error=str(error))
            warn(NO_HELPERS)
            return False
        return True

    def end(self) -> None:
        """Remove it: whoever is still there may leave something behind."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def helped(
    size: int,
    state: TrainingState,
    request: TrainingRequest,
    folder: Path,
    meeting: Meeting,
    noises: Mapping[str, Recordings],
    *,
    warn: Callable[[str], None],
    fail: Callable[[JobFailed], None],
    leave: Callable[[], None] = _leave,
) -> Iterator[Ranks]:
    """Train with so many processes, this one among them, until this is left.

    Args:
        size: from `processes`.
        state: of the training, as it begins or goes on.
        request: of the training.
        folder: of its corpus.
        meeting: where they meet; removed again.
        noises: recordings that its corruptions take.
        warn: tells the owner that there are no helpers, because the disk is full.
        fail: tells the owner of an error of a helper where this process hangs.
        leave: ends this process if a helper has died; replaced in tests.

    Raises:
        JobFailed: an error of a helper that has a name.
    """
    meeting.clear()
    if size == 1:
        yield ALONE
        return
    alone = torch.get_num_threads()
    threads = max(1, alone // size)
    helpers: list[subprocess.Popen[bytes]] = []
    done = threading.Event()
    try:
        if not meeting.begin(state, warn):
            yield ALONE
            return
        torch.set_num_threads(threads)
        task = _task(request, folder, meeting, noises, size, threads, state)
        with _ended_at_last(helpers, done):
            for rank in range(1, size):  # one by one: if one cannot start, the others are ended
                fault = str(meeting.fault(rank).absolute())
                helpers.append(_started({**task, "rank": rank, "fault": fault}))
            watched = (helpers, meeting, done, fail, leave)
            threading.Thread(target=_watch, args=watched, daemon=True).start()
            log.info("training with helpers", processes=size, threads=threads)
            with joined(state.net, address=meeting.address, rank=0, size=size) as ranks:
                meeting.start.unlink()  # all have read it: they would not be here otherwise
                try:
                    yield ranks
                except RuntimeError as error:
                    if not is_out_of_memory(error):  # perhaps a connection
                        _tell_apart(error, helpers, meeting, done, leave)
                    raise
                finally:
                    done.set()  # from here on helpers may end as they like
    finally:
        meeting.end()
        torch.set_num_threads(alone)


@contextmanager
def _ended_at_last(
    helpers: "list[subprocess.Popen[bytes]]", done: threading.Event
) -> Iterator[None]:
    try:
        yield
    finally:
        done.set()
        for helper in helpers:
            helper.kill()
            helper.wait()


def _task(
    request: TrainingRequest,
    folder: Path,
    meeting: Meeting,
    noises: Mapping[str, Recordings],
    size: int,
    threads: int,
    state: TrainingState,
) -> dict[str, Any]:
    """What a helper is told, in JSON's types; see `workers.trainings.rank_process`."""
    paths = {
        source: [str(path) for path in found.paths]
        for source, found in noises.items()
        if isinstance(found, CorpusRecordings)
    }
    return {
        "parent": os.getpid(),
        "request": request.to_request(),
        "folder": str(folder.absolute()),
        "start": str(meeting.start.absolute()),
        "noises": paths,
        "address": meeting.address,
        "size": size,
        "threads": threads,
        "device": next(state.net.parameters()).device.type,
    }


def _started(task: dict[str, Any]) -> "subprocess.Popen[bytes]":
    helper = subprocess.Popen(
        python_command(RANK_PROCESS),
        env=python_environment(os.environ),
        stdin=subprocess.PIPE,
    )
    assert helper.stdin is not None
    helper.stdin.write(json.dumps(task).encode())
    helper.stdin.close()
    return helper


def _watch(
    helpers: Sequence["subprocess.Popen[bytes]"],
    meeting: Meeting,
    done: threading.Event,
    fail: Callable[[JobFailed], None],
    leave: Callable[[], None],
) -> None:
    """Leave if a helper ends otherwise than well before all is done.

    Of an error with a name the horse hears itself, by its broken connection. One that waits for a
    helper which never came has none, and with NCCL it may hang: then its job fails from here.
    """
    while not done.wait(LOOK_SECONDS):
        found = _end_of(helpers, meeting)
        if isinstance(found, JobFailed):
            if done.wait(2 * DYING_SECONDS):
                return
            fail(found)
        if found is not None:
            log.error("a helper of the training has died", reason=str(found))
            leave()
            return


def _tell_apart(
    error: RuntimeError,
    helpers: Sequence["subprocess.Popen[bytes]"],
    meeting: Meeting,
    done: threading.Event,
    leave: Callable[[], None],
) -> None:
    """See whether a helper is behind an error of the horse. A connection breaks before the process
    behind it has ended.

    Raises:
        JobFailed: a helper met an error that has a name.
    """
    until = time.monotonic() + DYING_SECONDS
    while (found := _end_of(helpers, meeting)) is None and time.monotonic() < until:
        done.wait(LOOK_SECONDS)
    if isinstance(found, JobFailed):
        raise found from error
    if found is not None:
        log.error("a helper of the training has died", reason=found)
        leave()


def _end_of(
    helpers: Sequence["subprocess.Popen[bytes]"], meeting: Meeting
) -> JobFailed | str | None:
    """What the first helper that ended otherwise than well met, or how it ended; None if none did.
    The processes first: what one wrote before its end is there then."""
    codes = [code for helper in helpers if (code := helper.poll())]
    return meeting.told() or (f"it {ending(codes[0])}" if codes else None)
