"""The example of docs/adding-a-measure.md is in every result, with no other edit."""

from models.attacks.fgsm import Fgsm
from models.audit import AuditRow
from models.audit.evidence import (
    AttackedPrediction,
    ClipPrediction,
    CostSpent,
    Distortion,
)
from models.audit.result import CurvePoint, Scale
from models.audit.summary import summarize
from tests.models.pages import added


def broken(score: float) -> AuditRow:
    """A clip that was right and is wrong now, with this score of the wrong label."""
    return AuditRow(
        index=0, clip="a.wav", label="anger", speaker=None, gender=None, duration_s=1.0,
        clean=ClipPrediction(label="anger", scores={"anger": 0.9, "fear": 0.1}),
        attacked=[
            AttackedPrediction(
                attack=0, strength=0.02, label="fear",
                scores={"anger": 1 - score, "fear": score}, success=True, no_direction=False,
                distortion=Distortion(linf=0.02, l2=0.1, snr_db=None, band_db=0.1),
                cost=CostSpent(forwards=1, backwards=0, queries=0),
            )
        ],
    )  # fmt: skip


def point() -> CurvePoint:
    result = summarize(
        [broken(0.95), broken(0.6)],
        ["anger", "fear"],
        [Fgsm(epsilon=(0.02,))],
        of=2,
        scale=Scale(lowest=1, median=1, highest=1),
        seconds={},
    )
    return result.curve[0]


def test_the_example_is_taken_of_every_point() -> None:
    with added("adding-a-measure.md"):
        found = point().measures["confidently_wrong"]
    assert (found.value, found.n) == (0.5, 2)
    assert found.interval is not None


def test_afterwards_it_is_gone() -> None:
    with added("adding-a-measure.md"):
        pass
    assert "confidently_wrong" not in point().measures
