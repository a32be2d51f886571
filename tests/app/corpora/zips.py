"""Small corpora as zip archives, for tests that upload them."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from httpx2 import Response

from models.audio import encode_wav

EMOTIONS = ("anger", "neutral")


def wav(seed: int = 0, seconds: float = 0.2) -> bytes:
    """A clip of noise."""
    rng = np.random.default_rng(seed)
    samples = rng.normal(scale=0.1, size=int(16_000 * seconds)).astype(np.float32)
    return encode_wav(samples, encoding="pcm16")


def flac(seed: int = 0) -> bytes:
    """A clip of noise as FLAC."""
    import soundfile

    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    soundfile.write(buffer, rng.normal(scale=0.1, size=3200), 16_000, format="FLAC")
    return buffer.getvalue()


def step(seconds: float) -> bytes:
    """A clip as FLAC that takes next to nothing: one value, then another."""
    import soundfile

    buffer = io.BytesIO()
    samples = np.repeat([0.5, -0.5], int(8_000 * seconds))
    soundfile.write(buffer, samples, 16_000, format="FLAC")
    return buffer.getvalue()


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def index(rows: Iterable[tuple[str, str, str, str]]) -> bytes:
    """An index.csv of (path, speaker, emotion, split)."""
    lines = ["path,speaker,emotion,split", *(",".join(row) for row in rows)]
    return "\n".join(lines).encode()


def rows(splits: Mapping[str, str]) -> list[tuple[str, str, str, str]]:
    """One clip of each emotion for each speaker of ``splits``."""
    return [
        (f"{speaker}/{emotion}.wav", speaker, emotion, split)
        for speaker, split in splits.items()
        for emotion in EMOTIONS
    ]


def corpus_zip(splits: Mapping[str, str] | None = None, **more: bytes) -> bytes:
    """A corpus with an index, of two clips a speaker, and ``more`` files."""
    listed = rows(splits or {"ann": "train", "bob": "train", "cid": "dev", "dan": "test"})
    clips = {path: wav(seed) for seed, (path, *_) in enumerate(listed)}
    return packed({"index.csv": index(listed), **clips, **more})


def upload(
    client: TestClient, data: bytes, *, name: str = "small", headers: Any = None, **more: Any
) -> Response:
    """POST the archive."""
    request = json.dumps({"name": name, **more})
    return client.post(
        "/v1/corpora",
        files={"file": ("corpus.zip", data, "application/zip")},
        data={"request": request},
        headers=headers,
    )
