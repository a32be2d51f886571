"""Processes that help a work-horse with its training: one GPU each, or a share of the cores.

The horse is the first rank: it reports, evaluates and saves as without helpers. A helper holds
nothing that would be missed: it reads the corpus and the horse's state, makes the same steps on its
share of each batch, and is killed when the horse is done, put down, or dead. If a helper dies
itself, so does the horse, and the training goes on from its last checkpoint as after any death.
"""

import json
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import structlog
import torch

from app.processes import ending, python_command, python_environment
from app.trainings.schemas import TrainingRequest
from models.corruptions import Recordings
from models.ranks import ALONE, Ranks, joined
from models.training import TrainingState
from workers.runtime.noises import CorpusRecordings

log = structlog.get_logger("workers.trainings")

RANK_PROCESS = "workers.trainings.rank_process"
"""The module that a helper runs; another one in tests."""
LOOK_SECONDS: Final = 0.2
DYING_SECONDS: Final = 5.0
"""From a broken connection to the end of the process behind it, at most."""


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


@contextmanager
def helped(
    size: int,
    state: TrainingState,
    request: TrainingRequest,
    folder: Path,
    start: Path,
    noises: Mapping[str, Recordings],
    *,
    leave: Callable[[], None] = _leave,
) -> Iterator[Ranks]:
    """Train with so many processes, this one among them, until this is left.

    Args:
        size: from `processes`.
        state: of the training, as it begins or goes on.
        request: of the training.
        folder: of its corpus.
        start: a file from which the helpers read that state; removed again.
        noises: recordings that its corruptions take.
        leave: ends this process if a helper has died; replaced in tests.
    """
    if size == 1:
        yield ALONE
        return
    alone = torch.get_num_threads()
    threads = max(1, alone // size)
    torch.set_num_threads(threads)
    start.parent.mkdir(parents=True, exist_ok=True)
    helpers: list[subprocess.Popen[bytes]] = []
    done = threading.Event()
    try:
        state.save(start)
        # The helpers write there until they are gone, and they may leave something behind.
        with tempfile.TemporaryDirectory(
            prefix="serval-ranks-", ignore_cleanup_errors=True
        ) as place:
            address = f"file://{place}/meeting"
            task = _task(request, folder, start, noises, address, size, threads, state)
            with _ended_at_last(helpers, done):
                helpers += [_started({**task, "rank": rank}) for rank in range(1, size)]
                threading.Thread(target=_watch, args=(helpers, done, leave), daemon=True).start()
                log.info("training with helpers", processes=size, threads=threads)
                with joined(state.net, address=address, rank=0, size=size) as ranks:
                    start.unlink()  # all have read it: they would not be here otherwise
                    try:
                        yield ranks
                    except RuntimeError:  # perhaps a connection, which breaks before its process
                        _watch(helpers, done, leave, seconds=DYING_SECONDS)
                        raise
                    finally:
                        done.set()  # from here on helpers may end as they like
    finally:
        start.unlink(missing_ok=True)
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
    start: Path,
    noises: Mapping[str, Recordings],
    address: str,
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
        "start": str(start.absolute()),
        "noises": paths,
        "address": address,
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
    done: threading.Event,
    leave: Callable[[], None],
    seconds: float = float("inf"),
) -> None:
    """Leave if a helper ends otherwise than well, within so many seconds or until all is done."""
    while seconds > 0 and not done.wait(LOOK_SECONDS):
        seconds -= LOOK_SECONDS
        codes = [code for helper in helpers if (code := helper.poll())]
        if codes:
            log.error("a helper of the training has died", reason=f"it {ending(codes[0])}")
            leave()
            return
