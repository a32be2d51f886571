"""A lone prediction while other processes are busy on the same machine, against while none is.

What else runs on this machine counts as busy, too: the note says the load.
"""

import contextlib
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from bench.predict import CLIP, Client, a_model, request_bytes, server, upload

BUSY = "while True: pass"
TURNS = 3
EACH = 25
SETTLE_SECONDS = 1.0  # until it is seen how busy the machine is
BARS = {1: 3.0, 2: 5.0}


def measure() -> list[dict[str, Any]]:
    """The ratio of the medians for one and for two busy processes, by turns with none."""
    clip = CLIP.read_bytes()
    seconds: dict[int, list[float]] = {0: [], **{number: [] for number in BARS}}
    loads = []
    with server() as (port, _):
        request = request_bytes(f"/v1/predict?model={upload(port, a_model())}", clip)
        client = Client(port, request)
        for _ in range(TURNS):
            for number, found in seconds.items():
                with busy(number):
                    time.sleep(SETTLE_SECONDS)
                    loads.append(os.getloadavg()[0])
                    found += [timed(client) for _ in range(EACH)]
    idle = statistics.median(seconds[0])
    return [
        {
            "name": f"one client's p50 beside {number} busy process{'es' if number > 1 else ''}",
            "value": statistics.median(seconds[number]) / idle,
            "bar": bar,
            "better": "lower",
            "note": f"{1000 * statistics.median(seconds[number]):.1f} ms against"
            f" {1000 * idle:.1f} ms, on {os.cpu_count()} cores at a load of {min(loads):.1f} to"
            f" {max(loads):.1f}",
        }
        for number, bar in BARS.items()
    ]


@contextlib.contextmanager
def busy(number: int) -> Iterator[None]:
    """So many processes that compute without a pause."""
    # Each of a session of its own, as a stranger's is: Linux shares the cores among sessions first.
    command = [sys.executable, "-c", BUSY]
    processes = [subprocess.Popen(command, start_new_session=True) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def timed(client: Client) -> float:
    """Seconds of one prediction."""
    began = time.perf_counter()
    client.predict()
    return time.perf_counter() - began
