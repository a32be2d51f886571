"""Memory that was freed is used again, and an error that says there is none is known."""

import subprocess
import sys

import pytest
import torch

from models.memory import is_out_of_memory

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


class TestIsOutOfMemory:
    def test_what_a_cpu_says_of_a_tensor_that_no_machine_holds(self) -> None:
        with pytest.raises(RuntimeError) as refused:
            torch.empty(10**15)
        assert is_out_of_memory(refused.value)

    @pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA"), MemoryError()], ids=repr)
    def test_what_a_gpu_and_python_say(self, error: Exception) -> None:
        assert is_out_of_memory(error)

    @pytest.mark.parametrize(
        "error", [RuntimeError("shapes do not match"), OSError("can't allocate memory")], ids=repr
    )
    def test_other_errors_say_something_else(self, error: Exception) -> None:
        assert not is_out_of_memory(error)
