"""A helper that meets an error which its horse does not meet: a recording in its share alone."""

from typing import Any

from models.training import TrainingState, train
from tests.workers.trainings import tiny_rank_process as tiny
from workers.runtime.outcome import JobFailed
from workers.trainings import rank_process


def fail(state: TrainingState, *given: Any, **options: Any) -> None:
    """Train as usual, up to the second iteration."""
    *rest, _ = given

    def damaged(_: object) -> None:
        raise JobFailed("clip_damaged", "The recording of a.wav cannot be read.", details={"n": 1})

    train(state, *rest, damaged, **options)


if __name__ == "__main__":
    rank_process.train = fail  # type: ignore[assignment]
    tiny.main()
