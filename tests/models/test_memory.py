"""Memory that was freed is used again."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import torch
from models.memory import keep_freed_memory

if "keep" in sys.argv:
    keep_freed_memory()
for _ in range(40):  # until they lie where they will stay
    torch.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only the GNU C library is told anything")
def test_a_large_tensor_made_again_and_again_faults_no_pages_anew() -> None:
    def faults(*arguments: str) -> int:
        command = [sys.executable, "-c", PROGRAM, *arguments]
        return int(subprocess.run(command, check=True, capture_output=True).stdout)

    if faults() < 1000:
        pytest.skip("this C library keeps what was freed of its own accord")
    assert faults("keep") < 1000
