"""A helper that meets an error which its horse does not meet: a recording in its share alone."""

from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from models.architectures import ARCHITECTURES
from models.features import Standardizer
from models.training import Step, TrainingClips, TrainingState, train
from tests.models.tiny import TinyNet
from workers.runtime.outcome import JobFailed
from workers.trainings import rank_process

ARCHITECTURES["tiny"] = TinyNet


def fail(
    state: TrainingState,
    data: TrainingClips,
    standardizer: Standardizer,
    on_step: Callable[[Step], None],
    **options: Any,
) -> None:
    """Train as usual, for one iteration."""

    def damaged(_: Step) -> None:
        raise JobFailed("clip_damaged", "The recording of a.wav cannot be read.", details={"n": 1})

    train(state, data, standardizer, damaged, **options)


if __name__ == "__main__":
    with patch.object(rank_process, "train", fail):
        rank_process.main()
