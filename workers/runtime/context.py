"""What a worker works with: settings, database, files, queue. Opened once, before any fork."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.jobs.services import Services
from app.trainings.kept_checkpoint import checkpoint_dir

if TYPE_CHECKING:
    import torch


class WorkerContext(Services):
    """What jobs share: the services, and what only a worker asks of them."""

    def device(self) -> "torch.device":
        """Where networks run. Only for a work-horse: asking for CUDA opens it."""
        from app.devices import chosen_device  # not above: the reconciler starts without torch

        return chosen_device(self.settings.device)

    def checkpoint_dir(self, job_id: str) -> Path:
        """Where a job keeps what only its later attempts need; gone when the job has ended, unless
        it is a training that diverged."""
        return checkpoint_dir(self.storage, job_id)
