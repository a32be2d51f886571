"""A helper of a training, as a process: ``python -m workers.trainings.rank_process``.

Standard input says what there is to do, see `workers.trainings.rank_processes`. An error that its
owner can act on is written beside the file where the processes met, for the horse to tell.
"""

import json
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from app.processes import die_with
from app.trainings.schemas import TrainingRequest
from models.memory import keep_freed_memory
from models.ranks import joined
from models.training import Step, TrainingState, train
from workers.runtime.named_errors import named
from workers.runtime.noises import CorpusRecordings
from workers.trainings.training_data import load_training_data


def help_with(task: dict[str, Any]) -> None:
    """Train until the training is over; the horse ends this process if it is sooner."""
    torch.set_num_threads(task["threads"])
    kind, rank = task["device"], task["rank"]
    device = torch.device(kind, rank) if kind == "cuda" else torch.device(kind)
    if kind == "cuda":
        torch.cuda.set_device(device)
    request = TrainingRequest.of_stored(task["request"])
    noises = {
        source: CorpusRecordings(source, tuple(map(Path, paths)))
        for source, paths in task["noises"].items()
    }
    data = load_training_data(Path(task["folder"]), request, device, noises)
    state = TrainingState(request.plan(len(data.labels)), device)
    state.load(Path(task["start"]))
    meeting = {"address": task["address"], "rank": rank, "size": task["size"]}
    with joined(state.net, **meeting) as ranks, suppress(FloatingPointError):  # the horse tells it
        train(state, data.train, data.standardizer, _nobody, emotions=data.labels, ranks=ranks)


def tell(error: Exception, path: Path) -> None:
    """Write what the horse is to say of an error, whole or not at all, if it has a name."""
    told = named(error)
    if told is not None:
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(told))
        draft.replace(path)


def _nobody(step: Step) -> None:
    """The first process watches for all."""


def main() -> None:
    """Do what standard input says, and never outlive the horse."""
    task = json.load(sys.stdin)
    die_with(task["parent"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C concerns the worker alone
    keep_freed_memory()
    try:
        help_with(task)
    except Exception as error:
        tell(error, Path(task["fault"]))
        raise


if __name__ == "__main__":
    main()
