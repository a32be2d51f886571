"""Taking in a corpus: CREMA-D as an archive, against a loop that only decodes it.

The import reads the archive, writes 5,370 clips, decodes them, computes their features, partitions
them and makes all of it durable. The loop decodes the same clips and computes the same features,
one after the other in one process, and keeps nothing.
"""

import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import torch

from app.corpora import service
from app.corpora.schemas import CorpusRequest
from app.migrations import upgrade
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings
from models.audio import decode
from models.corpus.labels import is_audio
from models.features import LogMel

CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpora" / "cremad"
SECONDS = 45.0


def measure() -> list[dict[str, Any]]:
    """The import in seconds, with the loop beside it; or why neither was measured."""
    name = "CREMA-D imported, decoded and turned into features, s"
    if not CORPUS.is_dir():
        return [{"name": name, "skipped": f"there is no {CORPUS.parent.name}/{CORPUS.name}"}]
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "cremad.zip"
        pack(archive)
        seconds, clips = imported(archive, Path(folder) / "data")
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


def imported(archive: Path, data: Path) -> tuple[float, int]:
    """Seconds of the import, as a request makes it, and the clips of the corpus."""
    settings = Settings(data_dir=data, database_url_setting=None)
    storage = Storage(data)
    storage.prepare()
    upgrade(settings.database_url)
    engine = connect(settings.database_url)
    with archive.open("rb") as upload, sessions(engine)() as session:
        began = time.perf_counter()
        corpus = service.create(
            session,
            storage,
            settings,
            upload,
            CorpusRequest(name="CREMA-D"),
            owner="local",
            watch=lambda _done, _total: None,
        )
        seconds = time.perf_counter() - began
    engine.dispose()
    return seconds, corpus.clips


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
