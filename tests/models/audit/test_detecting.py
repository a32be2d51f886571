"""A detector that an audit asks too: what its rows tell, and the figures that are taken of them."""

import json

import pytest
from torch import Tensor, nn

from models.attacks.fgsm import Fgsm
from models.audit import AuditError, AuditRow, AuditSummary, summarize
from models.audit.detecting import ModelDetector
from models.audit.evidence import AttackedPrediction, ClipPrediction, CostSpent, Detection
from models.audit.result import Scale
from tests.models.detectors.clips import Roughness, audit

LABELS = ("a", "b")


class Broken(nn.Module):
    """A detector whose weights overflow."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = x.mean(dim=(1, 2)) * float("nan")
        return logits


def said(label: str, score: float | None) -> dict[str, object]:
    found = None if score is None else Detection(adversarial_score=score, alarm=score > 0.5)
    return {
        "label": label,
        "scores": {one: float(one == label) for one in LABELS},
        "detection": found,
    }


def row(index: int, before: float | None, after: str, attacked: float | None) -> AuditRow:
    return AuditRow(
        index=index,
        clip=str(index),
        label="a",
        speaker="ann",
        gender="f",
        duration_s=1.0,
        clean=ClipPrediction.model_validate(said("a", before)),
        attacked=[
            AttackedPrediction.model_validate(
                {
                    **said(after, attacked),
                    "attack": 0,
                    "strength": 0.1,
                    "success": after != "a",
                    "no_direction": False,
                    "distortion": None,
                    "cost": CostSpent(forwards=1, backwards=0, queries=0),
                }
            )
        ],
    )


def summed(rows: list[AuditRow]) -> AuditSummary:
    return summarize(
        rows,
        LABELS,
        [Fgsm(epsilon=(0.1,))],
        of=len(rows),
        scale=Scale(lowest=1, median=1, highest=1),
        seconds={},
    )


class TestFigures:
    def test_a_detected_clip_counts_as_not_broken_beside_the_usual_figures(self) -> None:
        rows = [
            row(0, 0.1, "b", 0.9),  # broken and noticed
            row(1, 0.2, "b", 0.3),  # broken, unnoticed
            row(2, 0.7, "a", 0.8),  # withstood; a false alarm as it is
            row(3, 0.0, "a", 0.4),
        ]
        result = summed(rows)
        (point,) = result.curve
        assert point.measures["success_rate"].value == 0.5
        assert point.measures["unnoticed_rate"].value == 0.25
        assert point.measures["unnoticed_rate"].n == 4
        assert point.measures["alarm_rate"].value == 0.5
        assert result.clean.measures["alarm_rate"].value == 0.25
        # Of 16 pairs, the attacked clip has the higher score in 4 + 3 + 4 + 3.
        assert point.measures["adversarial_auc"].value == pytest.approx(14 / 16)

    def test_without_a_detector_there_are_none(self) -> None:
        result = summed([row(0, None, "b", None)])
        for measures in (result.clean.measures, result.curve[0].measures):
            assert not {"unnoticed_rate", "alarm_rate", "adversarial_auc"} & measures.keys()

    def test_nor_does_a_row_speak_of_one(self) -> None:
        assert "detection" not in row(0, None, "b", None).model_dump_json()
        told = json.loads(row(0, 0.1, "b", 0.9).model_dump_json())
        assert told["clean"]["detection"] == {"adversarial_score": 0.1, "alarm": False}
        assert AuditRow.model_validate(told) == row(0, 0.1, "b", 0.9)


class TestRunner:
    def test_every_prediction_carries_what_the_detector_says_of_that_very_input(self) -> None:
        one = audit()
        one.attacks = [Fgsm(epsilon=(3.0,))]
        one.detector = ModelDetector(Roughness(), 0.7)
        clean = one.clean(range(6))
        (point,) = one.points(0, (3.0,), clean)
        for index, x in point.inputs.items():
            (expected,) = one.detector.detections(one.victim, x[None], "features")
            found = point.outcomes[index].detection
            before = clean[index].detection
            assert found == expected
            assert found is not None
            assert before is not None
            assert found.adversarial_score > before.adversarial_score

    def test_a_detector_that_gives_no_number_ends_the_audit(self) -> None:
        one = audit()
        one.detector = ModelDetector(Broken(), 0.7)
        with pytest.raises(AuditError, match="detector gives NaN"):
            one.clean(range(6))
