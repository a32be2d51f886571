"""A small corpus: the clips of samples/, each a little otherwise for every speaker."""

import io
import random
import wave
import zipfile
from array import array
from pathlib import Path

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
EMOTIONS = {"anger": "synthetic_angry", "neutral": "synthetic_neutral", "sadness": "synthetic_sad"}
SPEAKERS = {"train": 8, "dev": 3, "test": 8}
"""Of each partition; every one says every emotion."""


def clip(emotion: str = "anger", seed: int = 0) -> bytes:
    """A WAV: the sample of that emotion, louder or quieter and with a little noise."""
    rng = random.Random(seed)
    gain = rng.uniform(0.5, 1.0)
    with wave.open(str(SAMPLES / f"{EMOTIONS[emotion]}.wav")) as source:
        samples = array("h", source.readframes(source.getnframes()))
    changed = array("h", (int(gain * sample) + rng.randint(-20, 20) for sample in samples))
    content = io.BytesIO()
    with wave.open(content, "wb") as target:
        target.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        target.writeframes(changed.tobytes())
    return content.getvalue()


def corpus() -> bytes:
    """A zip with its index.csv."""
    rows = ["path,speaker,gender,emotion,split"]
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for split, speakers in SPEAKERS.items():
            for number in range(speakers):
                for emotion in EMOTIONS:
                    path = f"{split}{number}/{emotion}.wav"
                    rows.append(f"{path},{split}{number},{'fm'[number % 2]},{emotion},{split}")
                    archive.writestr(path, clip(emotion, seed=len(rows)))
        archive.writestr("index.csv", "\n".join([*rows, ""]))
    return content.getvalue()
