"""The states of a training that its attempts have saved, so that a later one goes on from them."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Protocol

import structlog
from safetensors import SafetensorError
from torch import nn

from models.training import TrainingState, iteration_of, not_finite

log = structlog.get_logger("workers.trainings")

NO_CHECKPOINT: Final = (
    "A checkpoint could not be written: is the disk full? The training goes on, but what it has"
    " done since the last checkpoint is lost if its worker stops."
)
BEST_NOT_SAVED: Final = (
    "The best model under PGD could not be saved: is the disk full? The training goes on; if it"
    " overfits, it ends with the model that it has then."
)
NO_BEST: Final = (
    "The best model under PGD was not kept: the disk was full when it was to be saved. The model is"
    " that of iteration {iteration}."
)
UNUSED_CHECKPOINT: Final = (
    "The checkpoint {name} is not used, and what was done until it is done again: {reason}."
)


class Resumable(Protocol):
    """The state of a training, which can be put down and taken up again."""

    @property
    def net(self) -> nn.Module:
        """What is trained."""

    @property
    def iteration(self) -> int:
        """How many iterations are done."""

    def save(self, path: Path) -> None:
        """Write it, whole or not at all."""

    def load(self, path: Path) -> None:
        """Read it; what is refused leaves it as it was."""


class Checkpoints:
    """The states that attempts of one training have saved, one file an attempt.

    Each attempt writes its own file: one that was taken for dead and is not cannot spoil another's.
    """

    def __init__(self, folder: Path, attempt: int, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._own = folder / f"attempt-{attempt:04d}.safetensors"
        self._own_best = folder / f"best-{attempt:04d}.safetensors"

    def restore(self, state: Resumable) -> bool:
        """Load the latest state that fits; says whether there was one.

        What does not fit costs its owner work that was done, so it is told.
        """
        for path in sorted(self._folder.glob("attempt-*.safetensors"), reverse=True):
            try:
                state.load(path)
            except (SafetensorError, ValueError, KeyError, OSError, RuntimeError) as error:
                log.warning("a checkpoint is not used", path=str(path), error=str(error))
                self._warn(UNUSED_CHECKPOINT.format(name=path.stem, reason=str(error)[:500]))
            else:
                return True
        return False

    def latest(self) -> int | None:
        """Iterations done at the latest checkpoint; None if there is none that can be read."""
        for path in sorted(self._folder.glob("attempt-*.safetensors"), reverse=True):
            try:
                return iteration_of(path)
            except (SafetensorError, ValueError, OSError) as error:
                log.warning("a checkpoint cannot be read", path=str(path), error=str(error))
        return None

    def save(self, state: Resumable) -> None:
        """Save the state, and remove what earlier attempts saved.

        On a full disk the training goes on without, and its owner is told: a checkpoint saves
        work, and to fail for want of one would lose it. A state that has diverged is not saved:
        nothing can go on from it, and the one before is what its owner may need.
        """
        if not_finite(state.net) is None:
            self._save(state, self._own, NO_CHECKPOINT)

    def save_best(self, state: TrainingState) -> None:
        """Save the state as the best so far, in place of the best of before. On a full disk its
        owner is told, as by `save`."""
        self._save(state, self._own_best, BEST_NOT_SAVED)

    def load_best(self, state: TrainingState, iteration: int) -> bool:
        """Load the state that was the best after so many iterations; says whether it was kept."""
        for path in sorted(self._folder.glob("best-*.safetensors"), reverse=True):
            try:
                state.load(path)
            except (SafetensorError, ValueError, KeyError, OSError, RuntimeError) as error:
                log.warning("a checkpoint is not used", path=str(path), error=str(error))
                continue
            if state.iteration == iteration:
                return True
        return False

    def _save(self, state: Resumable, own: Path, fault: str) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            state.save(own)
        except (OSError, SafetensorError) as error:
            log.warning("no checkpoint", iteration=state.iteration, error=str(error))
            self._warn(fault)
            return
        kind = own.name.partition("-")[0]
        for path in self._folder.glob(f"{kind}-*"):
            if path.name < own.name:
                path.unlink(missing_ok=True)
