"""What it takes to make all figures of a large audit from its rows.

In a process of its own, whose peak the kernel tells; what was loaded before the first row, torch
above all, is left out of it.
"""

import json
import random
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any, Final

from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, ClipPrediction, Summary
from models.audit.evidence import AttackedPrediction, CostSpent, Distortion
from models.audit.result import Scale

CLIPS: Final = 1_500
SPEAKERS: Final = 91
LABELS: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
ATTACKS: Final[tuple[Attack, ...]] = (
    Fgsm(epsilon=(0.01, 0.02, 0.03, 0.04)),
    Pgd(epsilon=(0.02, 0.04, 0.1)),
    Noise(epsilon=(0.02, 0.04, 0.1)),
)
"""Ten points."""


def measure() -> list[dict[str, Any]]:
    """Seconds of the processor and memory, with and without known speakers."""
    figures = []
    for speakers in (SPEAKERS, 0):
        command = [sys.executable, "-m", "bench.measures", str(speakers)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        of = f"figures of {CLIPS} clips at 10 points, {speakers or 'unknown'} speakers"
        note = f"{told['before']:.0f} MiB before"
        figures += [
            {"name": f"{of}: seconds", "value": told["seconds"], "bar": 20, "better": "lower",
             "note": note},
            {"name": f"{of}: MiB", "value": told["mib"], "bar": 500, "better": "lower",
             "note": note},
        ]  # fmt: skip
    return figures


def peak() -> float:
    """MiB of this process, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def made(speakers: int) -> dict[str, float]:
    """The figures of an audit whose model says something at random."""
    before, began = peak(), time.process_time()
    summary = Summary(LABELS, ATTACKS)
    for row in rows(speakers):
        summary.add(row)
    scale = Scale(lowest=1, median=1, highest=1)
    summary.result(of=CLIPS, scale=scale, seconds={})
    return {"seconds": time.process_time() - began, "mib": peak() - before, "before": before}


def rows(speakers: int) -> Iterator[AuditRow]:
    """One after the other, as they come from a file."""
    draws = random.Random(0)
    for index in range(CLIPS):
        clean = said(draws)
        label = clean.label if draws.random() < 0.5 else draws.choice(LABELS)
        speaker = index % speakers if speakers else None
        yield AuditRow(
            index=index,
            clip=f"{index}.wav",
            label=label,
            speaker=None if speaker is None else f"speaker {speaker}",
            gender=None if speaker is None else "fm"[speaker % 2],
            duration_s=draws.uniform(0.5, 6),
            clean=clean,
            attacked=[
                under(draws, number, strength, label, clean)
                for number, attack in enumerate(ATTACKS)
                for strength in attack.strengths
            ],
        )


def said(draws: random.Random) -> ClipPrediction:
    """Scores that are surer of some classes than of others."""
    each = [draws.random() ** 4 for _ in LABELS]
    scores = {label: round(one / sum(each), 6) for label, one in zip(LABELS, each, strict=True)}
    return ClipPrediction(label=max(scores, key=scores.__getitem__), scores=scores)


def under(
    draws: random.Random, attack: int, strength: float, label: str, clean: ClipPrediction
) -> AttackedPrediction:
    """Something else in two of five clips."""
    after = said(draws) if draws.random() < 0.4 else clean
    return AttackedPrediction(
        attack=attack,
        strength=strength,
        label=after.label,
        scores=after.scores,
        success=after.label != label if clean.label == label else None,
        no_direction=False,
        distortion=Distortion(
            linf=strength, l2=draws.random(), snr_db=None, band_db=draws.random()
        ),
        cost=CostSpent(forwards=1, backwards=0, queries=0),
    )


if __name__ == "__main__":
    print(json.dumps(made(int(sys.argv[1]))))
