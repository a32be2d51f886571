"""Taking in a corpus over HTTP: CREMA-D as an archive, against a loop that only decodes it.

A fresh server receives the archive, writes 5,370 clips, decodes them, computes their features,
partitions them and makes all of it durable. The loop decodes the same clips and computes the same
features, one after the other in one process, and keeps nothing.
"""

import http.client
import json
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from bench.predict import server
from models.audio import decode
from models.corpus.labels import is_audio
from models.features import LogMel

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "cremad"
SECONDS = 12.0
PIECE = 1 << 20
BOUNDARY = "serval-bench"


def measure() -> list[dict[str, Any]]:
    """The import in seconds, with the loop beside it; or why neither was measured."""
    name = "CREMA-D imported over HTTP, decoded and turned into features, s"
    if not CORPUS.is_dir():
        return [{"name": name, "skipped": f"there is no {CORPUS.parent.name}/{CORPUS.name}"}]
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "cremad.zip"
        pack(archive)
        seconds, clips = imported(archive)
    loop = looped()
    note = (
        f"{clips} clips on {torch.get_num_threads()} cores; a loop that only decodes and computes,"
        f" in one process, takes {loop:.1f} s"
    )
    return [{"name": name, "value": seconds, "bar": SECONDS, "better": "lower", "note": note}]


def pack(archive: Path) -> None:
    """Zip the corpus, as `serval corpus add` does."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as packed:
        for path in sorted(CORPUS.iterdir()):
            packed.write(path, path.name)


def imported(archive: Path) -> tuple[float, int]:
    """Seconds of a request to a fresh server, and the clips of the corpus."""
    with server() as (port, _):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        head = (
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="request"\r\n\r\n'
            f'{{"name": "CREMA-D"}}\r\n--{BOUNDARY}\r\n'
            'Content-Disposition: form-data; name="file"; filename="cremad.zip"\r\n'
            "Content-Type: application/zip\r\n\r\n"
        ).encode()
        tail = f"\r\n--{BOUNDARY}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
            "Content-Length": str(len(head) + archive.stat().st_size + len(tail)),
        }
        began = time.perf_counter()
        connection.request("POST", "/v1/corpora", _body(head, archive, tail), headers)
        answer = connection.getresponse()
        corpus = json.loads(answer.read())
        seconds = time.perf_counter() - began
    if answer.status != http.HTTPStatus.CREATED:
        raise RuntimeError(f"the corpus was refused: {corpus}")
    return seconds, int(corpus["clips"])


def _body(head: bytes, archive: Path, tail: bytes) -> Iterator[bytes]:
    yield head
    with archive.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece
    yield tail


def looped() -> float:
    """Seconds to decode every clip and compute its features, one after the other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    log_mel = LogMel()
    began = time.perf_counter()
    with torch.inference_mode():
        for path in sorted(CORPUS.iterdir()):
            if is_audio(path.name):
                log_mel(torch.from_numpy(decode(path.read_bytes()).samples))
    seconds = time.perf_counter() - began
    torch.set_num_threads(threads)
    return seconds
