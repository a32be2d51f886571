"""The worker as a process: `python -m workers audits`, `python -m workers trainings`."""

import os
import sys

# Before torch is imported: asking whether there is a GPU must not open it in the parent, whose
# forked children could then not use it.
os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
# And how long OpenMP's threads spin when they have nothing to do: by default for milliseconds, in
# which they keep the processor from those they wait for, if those are another process'. Two
# trainings beside one another took ten times as long as one alone; with this, twice as long.
os.environ.setdefault("GOMP_SPINCOUNT", "2000")

from workers.jobs import PERFORM, PERFORM_SHARD
from workers.runtime.worker import main

if __name__ == "__main__":
    sys.exit(main(PERFORM, PERFORM_SHARD))
