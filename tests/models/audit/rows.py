"""Rows of an audit, written by hand."""

from collections.abc import Sequence
from typing import Any

from models.audit import AuditRow
from models.audit.evidence import (
    AttackedPrediction,
    ClipPrediction,
    CostSpent,
    Distortion,
    Resynthesised,
    SmallestStrength,
)

LABELS = ("a", "b", "c")


def said(label: str) -> ClipPrediction:
    return ClipPrediction(label=label, scores={one: float(one == label) for one in LABELS})


def under(
    attack: int,
    strength: float,
    label: str,
    *,
    success: bool | None = None,
    audio: tuple[str, float] | None = None,
    size: float = 0.0,
    snr_db: float | None = None,
    no_direction: bool = False,
    cost: tuple[int, int, int] = (1, 0, 0),
    details: dict[str, Any] | None = None,
) -> AttackedPrediction:
    """What the model says of a clip under an attack; what is not said is the least there can be."""
    forwards, backwards, queries = cost
    return AttackedPrediction(
        attack=attack,
        strength=strength,
        **said(label).model_dump(),
        success=success,
        no_direction=no_direction,
        distortion=Distortion(linf=size, l2=10 * size, snr_db=snr_db, band_db=100 * size),
        cost=CostSpent(forwards=forwards, backwards=backwards, queries=queries),
        audio=None if audio is None else Resynthesised(label=audio[0], snr_db=audio[1]),
        details=details or {},
    )


def row(
    label: str | None,
    clean: str,
    attacked: Sequence[AttackedPrediction] = (),
    minimum: Sequence[tuple[int, float | None]] = (),
    index: int = 0,
    speaker: str | None = None,
    gender: str | None = None,
    group: str | None = None,
    duration_s: float = 1.0,
) -> AuditRow:
    """A clip with its evidence; success of a point is worked out where it is not given."""
    truth = label or clean
    return AuditRow(
        index=index,
        clip=f"{index}.wav",
        label=label,
        speaker=speaker,
        gender=gender,
        group=group,
        duration_s=duration_s,
        clean=said(clean),
        attacked=[
            one
            if one.success is not None or clean != truth or "has_target_label" in one.details
            else one.model_copy(update={"success": one.label != truth})
            for one in attacked
        ],
        minimum=[
            SmallestStrength(
                attack=attack, strength=at, cost=CostSpent(forwards=9, backwards=0, queries=0)
            )
            for attack, at in minimum
        ],
    )
