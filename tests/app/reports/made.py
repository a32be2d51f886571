"""Audits for the tests of reports: rows that are drawn, and the report that they add up to."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.audits.files import ArtifactFile
from app.audits.forecasts import ForecastFigures
from app.audits.report import CorpusClips, Deviations, Environment, Report, ReportedModel
from app.audits.result import AuditResult
from models.attacks import parse as attack
from models.audit import AuditRow, ClipPrediction, Summary
from models.audit.checks import CheckResult, Evidence, Remedy, Severity
from models.audit.checks.outcome import Status
from models.audit.evidence import (
    AttackedPrediction,
    CostSpent,
    Distortion,
    Resynthesised,
    SmallestStrength,
)
from models.audit.perturbation import Perturbation
from models.audit.result import Scale
from models.corruptions import parse as corruption

LABELS: Final = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
EPSILONS: Final = [0.02, 0.04, 0.06, 0.08, 0.1]
SNRS: Final = [60.0, 50.0, 40.0, 30.0]
ATTACKS: Final[tuple[Perturbation, ...]] = (
    attack({"type": "fgsm", "epsilon": EPSILONS}),
    attack({"type": "pgd", "epsilon": EPSILONS, "steps": 10, "minimum": True}),
    attack({"type": "noise", "epsilon": EPSILONS}),
    attack({"type": "pgd", "domain": "waveform", "snr_db": SNRS}),
    attack({"type": "noise", "domain": "waveform", "snr_db": SNRS}),
    corruption({"type": "gain", "db": [-26.0, -6.0, 6.0]}),
)


@dataclass(frozen=True)
class Made:
    """An audit: its rows, and its report."""

    rows: list[AuditRow]
    report: Report

    @property
    def lines(self) -> bytes:
        """The file of the rows."""
        return b"".join(row.model_dump_json().encode() + b"\n" for row in self.rows)


def made(
    clips: int = 48,
    *,
    attacks: Sequence[Perturbation] = ATTACKS,
    labels: Sequence[str] = LABELS,
    speakers: int = 12,
    labelled: bool = True,
    name: str = "cnn4-single-cremad",
    clip: str = "AudioWAV/{n:04d}_DFA_ANG_XX.wav",
    seconds: float = 2.4,
    seed: int = 1,
) -> Made:
    """An audit of a model that is right on two of three clips, and that attacks break.

    Args:
        clip: of clip names, with its number as ``n``.
        labelled: whether the clips have labels.
    """
    draw = random.Random(seed)
    rows = [
        _row(draw, n, attacks, labels, clip.format(n=n), n % speakers, seconds, labelled=labelled)
        for n in range(clips)
    ]
    summary = Summary(labels, attacks)
    for row in rows:
        summary.add(row)
    found = summary.result(
        of=clips, scale=Scale(lowest=0.9, median=1.05, highest=1.2), seconds={0: 12.5}
    )
    cost = found.cost.model_dump(include={"forwards", "backwards", "queries"})
    result = AuditResult(
        **found.model_dump(),
        forecast=ForecastFigures(clips=clips, **cost, exact=True, seconds=14.0, device="cpu"),
        windows="all",
        precision="float32",
    )
    request: dict[str, Any] = {
        "model": name,
        "corpus": "corpus_01M8FHKCYTX5W2Q016W3G881W2",
        "partition": "test",
        "attacks": [one.model_dump(mode="json", by_alias=True) for one in attacks],
        "windows": "all",
        "seed": 0,
    }
    report = Report(
        audit="audit_01M8FHM8CDZD8H27G79B1MN1HK",
        created_at="2026-11-27T22:30:54Z",
        request=request,
        model=ReportedModel(
            id=name,
            name=name,
            sha256="3c9e" * 16,
            architecture="cnn4",
            labels=list(labels),
            frames=187,
            front_end="logmel-2",
            defense={"type": "single"},
            training={"corpus": "cremad", "seed": 0, "iterations": 4000},
            deviations=Deviations(loudest=2.41, lowest=2.02, median=2.36, highest=2.78),
        ),
        clips=CorpusClips(
            corpus="corpus_01M8FHKCYTX5W2Q016W3G881W2",
            corpus_name="CREMA-D",
            partition="test",
            of=clips,
            left_out={},
            sha256="77d1" * 16,
        ),
        result=result,
        groups=list(summary.groups),
        artifacts=[
            ArtifactFile(
                name="uar-curve.png",
                media_type="image/png",
                description="UAR against strength",
                bytes=40_000,
                sha256="9f86" * 16,
            )
        ],
        environment=Environment(
            serval="0.1.0", python="3.11.7", torch="2.11.0", numpy="2.3.0", device="cpu", threads=2
        ),
    )
    return Made(rows, report)


def _row(
    draw: random.Random,
    n: int,
    attacks: Sequence[Perturbation],
    labels: Sequence[str],
    clip: str,
    speaker: int,
    seconds: float,
    *,
    labelled: bool,
) -> AuditRow:
    truth = n % len(labels)
    right = draw.random() < 0.72
    before = truth if right else (truth + 1) % len(labels)
    limit = {number: draw.random() for number in range(len(attacks))}
    attacked = []
    for number, one in enumerate(attacks):
        for strength in one.strengths:
            broken = limit[number] < _power(one, strength)
            after = (before + 1 + n % 3) % len(labels) if broken else before
            attacked.append(_under(draw, labels, number, strength, after, right and broken, right))
    smallest = [
        SmallestStrength(
            attack=number,
            strength=draw.uniform(0.004, 0.1) if right and n % 7 else None,
            cost=CostSpent(forwards=20, backwards=20, queries=0),
        )
        for number, one in enumerate(attacks)
        if one.minimum
    ]
    return AuditRow(
        index=n,
        clip=clip,
        label=labels[truth] if labelled else None,
        speaker=f"{1000 + speaker}",
        gender="f" if speaker % 2 else "m",
        duration_s=seconds + (n % 5) / 4,
        clean=ClipPrediction(label=labels[before], scores=_scores(draw, labels, before)),
        attacked=attacked,
        minimum=smallest,
    )


def _power(one: Perturbation, strength: float) -> float:
    """The share of the clips that it breaks."""
    if one.threat.to_dict()["domain"] == "corruption":
        return min(0.5, abs(strength) / 60)
    size = 10 ** (-strength / 40) * 3 if one.threat.smaller_is_harder else strength * 6
    return min(0.95, size / (6 if one.control else 1))


def _under(
    draw: random.Random,
    labels: Sequence[str],
    number: int,
    strength: float,
    after: int,
    success: bool,
    right: bool,
) -> AttackedPrediction:
    return AttackedPrediction(
        label=labels[after],
        scores=_scores(draw, labels, after),
        attack=number,
        strength=strength,
        success=success if right else None,
        no_direction=False,
        distortion=Distortion(
            linf=abs(strength), l2=2 * abs(strength), snr_db=None, band_db=14 * abs(strength)
        ),
        cost=CostSpent(forwards=2, backwards=1, queries=0),
        audio=Resynthesised(label=labels[after], snr_db=32.0) if success and number == 0 else None,
    )


def _scores(draw: random.Random, labels: Sequence[str], first: int) -> dict[str, float]:
    weights = [math.exp(draw.gauss(3.0 if n == first else 0.0, 0.7)) for n in range(len(labels))]
    total = sum(weights)
    return {label: round(weight / total, 6) for label, weight in zip(labels, weights, strict=True)}


def check(id_: str, severity: Severity, status: Status, **more: Any) -> CheckResult:
    """A check of that id."""
    told: dict[str, Any] = {
        "version": 1,
        "title": f"Something is wrong with {id_.replace('_', ' ')}",
        "measured": None if status == "not_run" else "34 clips were right before, of 48.",
        "reason": "The model does not say what it was trained on." if status == "not_run" else None,
        "remedy": None,
    }
    return CheckResult(id=id_, severity=severity, status=status, **(told | more))


FINDING: Final = (
    "At ±0.02 σ (about ±0.28 dB in the band that changes most) UAR falls from .77 to .60 [.40,"
    " .79]; 8 of the 37 clips that were right before are broken; that is .19 [.05, .38] more of"
    " them than noise of that size, which leaves UAR at .75 [.56, .92]; chance is .17."
)


def judged(one: Made, evidence: Evidence = "weak", finding: str = FINDING) -> Made:
    """The same with a verdict: two checks raised, one of which another run settles, one not run,
    one clear."""
    checks = [
        check(
            "few_right_before",
            "weak",
            "raised",
            title="Fewer than 50 clips were right before the attack",
            remedy=Remedy(text="Audit all clips of the partition.", request={"limit": None}),
        ),
        check(
            "predicted_labels",
            "note",
            "raised",
            title="Only predicted labels are attacked",
            measured="Both attacks move away from what the model says itself.",
            remedy=Remedy(text="Attack the true labels as well."),
        ),
        check(
            "training_speakers",
            "invalid",
            "not_run",
            title="Speakers of the audit are in the model's training",
        ),
        check("one_class", "invalid", "clear", title="One emotion takes most predictions"),
    ]
    result = one.report.result.model_copy(
        update={"evidence": evidence, "finding": finding, "checks": checks}
    )
    return Made(one.rows, one.report.model_copy(update={"result": result}))
