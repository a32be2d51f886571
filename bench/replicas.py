"""Predictions over two processes of the API against one, on the same cores.

The two share database and data folder, as replicas do; the clients spread over both, or keep to the
first. An answer that is no prediction ends the measurement.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.predict import (
    CLIENTS,
    CLIP,
    REST,
    Measured,
    a_model,
    in_parallel,
    medians,
    request_bytes,
    server,
    timed,
    upload,
)

TURNS = 5
EACH = 25
"""Clips of a client in a turn."""


def measure() -> list[dict[str, Any]]:
    """The ratio of predictions a second, both sides by turns."""
    with (
        tempfile.TemporaryDirectory() as folder,
        server(Path(folder)) as (first, _),
        server(Path(folder)) as (second, _),
    ):
        path = f"/v1/predict?model={upload(first, a_model())}"
        found = measured([first, second], request_bytes(path, CLIP.read_bytes()))
    return [
        {
            "name": f"predictions over two APIs against one, {CLIENTS} clients",
            "value": found.ratio,
            "bar": 1.0,
            "better": "higher",
            "note": f"{found.ours:.1f}/s against {found.theirs:.1f}/s, no error in"
            f" {2 * TURNS * EACH * CLIENTS}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
        }
    ]


def measured(ports: list[int], request: bytes) -> Measured:
    """Predictions a second over all ports and over the first alone."""
    count = EACH * CLIENTS
    for port in ports:
        in_parallel([port], request, count)  # each loads the model, and fills its caches
    both, one = [], []
    for _ in range(TURNS):
        both.append(count / timed(lambda: in_parallel(ports, request, count)))
        time.sleep(REST)
        one.append(count / timed(lambda: in_parallel(ports[:1], request, count)))
        time.sleep(REST)
    return medians(both, one)
