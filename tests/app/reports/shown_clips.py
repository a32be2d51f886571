"""Exhibits for the tests of reports: noise as pictures, tones as sounds."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from app.audits import files
from app.audits.exhibits import Exhibit, Heard, HeardFile, Recordings, Views
from tests.app.reports.made import Made

RATE = 16_000


def png(width: int = 320, height: int = 160, seed: int = 0) -> bytes:
    """A picture that no compression makes smaller."""
    grey = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    rows = b"".join(b"\0" + row.tobytes() for row in grey)
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def with_exhibits(one: Made, found: Path, *, seconds: float = 3.0, noise: bool = False) -> Made:
    """The audit with three broken clips and their files.

    Args:
        found: the folder of what the audit found.
        noise: whether the sounds are noise, which takes most room, and not tones.
    """
    folder = found / files.ARTIFACTS
    folder.mkdir(parents=True, exist_ok=True)
    draw = np.random.default_rng(0)
    exhibits = []
    roles: tuple[Any, ...] = ("easiest", "median", "hardest")
    for number, role in enumerate(roles):
        names = Views(original="", adversarial="", difference="")
        sounds = names.model_copy()
        for place, which in enumerate(("original", "adversarial", "difference")):
            name = f"exhibit-{role}-{which}"
            (folder / f"{name}.png").write_bytes(png(900, 260, number) if noise else png())
            time = np.arange(round(seconds * RATE)) / RATE
            tone = 0.3 * np.sin(2 * np.pi * 220 * (place + 1) * time)
            samples = draw.uniform(-1, 1, len(time)) if noise else tone
            soundfile.write(folder / f"{name}.flac", samples, RATE, subtype="PCM_16")
            setattr(names, which, f"{name}.png")
            setattr(sounds, which, f"{name}.flac")
        exhibits.append(
            Exhibit(
                role=role,
                clip=one.rows[number].clip,
                index=number,
                label=one.rows[number].label,
                speaker="1001",
                attack=0,
                description="FGSM, ε = 0.02",
                strength=0.02,
                unit="sigma",
                broken=14,
                clean=Heard(label="anger", score=0.97),
                attacked=Heard(label="fear", score=0.81),
                resynthesised=HeardFile(label="anger", score=0.55, snr_db=31.5),
                noise=Heard(label="anger", score=0.96),
                excerpt_s=(0.0, seconds),
                pictures=names,
                pictured_s=(0.0, seconds),
                gain_db=0.0,
                difference_gain_db=34.0,
                sounds=sounds,
                recordings=Recordings(
                    original="clean-000000.wav", adversarial="adversarial-000000-01.wav"
                ),
            )
        )
    return Made(one.rows, one.report.model_copy(update={"exhibits": exhibits}))
