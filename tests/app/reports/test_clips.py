"""The list of clips in a report: which attack is said to break a clip."""

from typing import Any

from app.reports.clips import worst_clips
from models.audit.result import AttackOfResult, Threat, TotalCost

FREE = TotalCost(forwards=0, backwards=0, queries=0, seconds=0)
SIGMA = Threat(domain="features", norm="linf", unit="sigma")
SNR = Threat(domain="waveform", norm="l2", unit="dB SNR")


def attack(index: int, kind: str, threat: Threat, *, control: bool = False) -> AttackOfResult:
    return AttackOfResult(
        index=index, type=kind, parameters={}, threat=threat, control=control, cost=FREE
    )


def said(label: str) -> dict[str, Any]:
    return {"label": label, "scores": {label: 1.0}}


def row(*attacked: tuple[int, float, str | None]) -> dict[str, Any]:
    """A clip of anger: attack, strength, and what is heard then; None for anger still."""
    return {
        "index": 0,
        "clip": "a.wav",
        "label": "anger",
        "speaker": "ann",
        "clean": said("anger"),
        "attacked": [
            {
                "attack": number,
                "strength": strength,
                "success": heard is not None,
                **said(heard or "anger"),
            }
            for number, strength, heard in attacked
        ],
    }


def test_a_clip_is_broken_first_by_the_weakest_attack() -> None:
    """Not by the first of the request, which needs five times as much."""
    attacks = [attack(0, "fgsm", SIGMA), attack(1, "pgd", SIGMA)]
    (one,) = worst_clips([row((0, 0.02, None), (0, 0.1, "fear"), (1, 0.02, "calm"))], attacks)
    assert (one.by, one.attacked) == ("pgd at 0.02 σ", "calm 1.00")
    assert (one.broken, one.of) == (2, 3)


def test_of_snrs_the_largest_is_the_weakest() -> None:
    (one,) = worst_clips([row((0, 30, "fear"), (0, 50, "calm"))], [attack(0, "pgd", SNR)])
    assert one.by == "pgd at 50 dB SNR"


def test_strengths_of_two_threat_models_are_not_set_beside_each_other() -> None:
    attacks = [attack(0, "fgsm", SIGMA), attack(1, "pgd", SNR)]
    (one,) = worst_clips([row((0, 0.1, "fear"), (1, 60, "calm"))], attacks)
    assert one.by == "fgsm at 0.1 σ"


def test_noise_breaks_no_clip() -> None:
    (one,) = worst_clips([row((0, 0.1, "fear"))], [attack(0, "noise", SIGMA, control=True)])
    assert (one.by, one.attacked, one.of) == ("", "", 0)
