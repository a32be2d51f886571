"""What the training of a detector has found, in a terminal."""

from typing import Any

import pytest

from app.cli.detector import is_detector, show_detector
from models.audit.figure import Figure
from models.detectors.evaluation import DetectionRow, DetectorMetrics


def figure(value: float) -> Figure:
    return Figure(value=value, interval=(0.0, 1.0), n=40, method="wilson")


def result(*, attached: bool) -> dict[str, Any]:
    row = DetectionRow(
        kind="waveform_control", attack="noise", parameters={}, domain="waveform", norm="l2",
        strength=40.0, unit="dB", n=40, auc=figure(0.875), true_positive_rate=figure(0.5),
        success_rate=figure(0.25), unnoticed_rate=figure(0.125),
    )  # fmt: skip
    alarms = figure(0.01).model_copy(update={"n": 1020, "interval": (0.005, 0.02)})
    metrics = DetectorMetrics(
        threshold=0.75, false_alarm_rate={"dev": alarms, "test": alarms}, rows=[row]
    )
    told = metrics.model_dump(mode="json")
    return {"model": "model_1", "attached": attached, "detector": "2c26", "metrics": told}


def test_each_attack_stands_with_its_figures_and_false_alarms_with_their_interval(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_detector(result(attached=True))
    words = " ".join(capsys.readouterr().out.split())
    assert "detector of model_1" in words
    assert "noise (waveform control) 40 dB 40 0.875 0.500 0.250 0.125" in words
    assert (
        "Above 0.750 it gives an alarm: of 1020 clean clips of test, 1.0% (0.5% to 2.0%)" in words
    )
    assert "not attached" not in words


def test_one_that_is_not_attached_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    show_detector(result(attached=False))
    assert "It is not attached to model_1." in capsys.readouterr().out


def test_only_a_training_of_a_detector_is_one() -> None:
    assert is_detector({"input": {"type": "detector"}})
    assert not is_detector({"input": {"architecture": "cnn4"}})
