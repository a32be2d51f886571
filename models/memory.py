"""Memory: what the C library does with what was freed, and whether there was too little."""

import ctypes
import sys
from typing import Final

import torch

# Of <malloc.h>.
M_TRIM_THRESHOLD: Final = -1
M_MMAP_MAX: Final = -4


def keep_freed_memory() -> None:
    """Reuse what was freed instead of giving it back to the kernel. For a process with one task.

    The GNU C library maps blocks of more than 32 MB anew each time, and the kernel zeroes them page
    by page: an activation of CNN-4 is such a block, and a fifth of a vanilla iteration went there.
    The process then keeps the most that it ever used, until it ends. Elsewhere this does nothing.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, -1)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory did not suffice.

    On a CPU, torch says so in the words of a plain RuntimeError.
    """
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
