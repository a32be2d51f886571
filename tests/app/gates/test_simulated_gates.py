"""How often a gate on a difference fires: rarely between equal models, nearly always on a loss.

300 clips of 30 speakers. Whether a model withstands an attack on a clip hangs on the clip and its
speaker, which two models share, and on the model, whose share of the variance is 13 %: equal models
then differ on one clip of six.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from app.gates.audit import Audit
from app.gates.comparison import Comparison, deltas
from app.gates.gate_file import Gate
from app.gates.judging import BaselineAudit, Demands, judge
from models.audit.comparison import Outcomes, common
from models.audit.comparison import deltas as differences
from models.audit.result import AttackOfResult
from tests.app.gates.results import answered
from tests.models.audit.rows import LABELS

GATE = "delta_worst_uar@0.02.high < 0"
PAIRS = 200
CLIPS, SPEAKERS = 300, 30
CLIP_SD, SPEAKER_SD, MODEL_SD = 1.5, 0.5, 0.6
ALL_SD = float(np.hypot(np.hypot(CLIP_SD, SPEAKER_SD), MODEL_SD))

AUDIT = answered()


@dataclass(frozen=True)
class Said:
    label: str


@dataclass(frozen=True)
class UnderAttack:
    label: str
    success: bool
    attack: int = 0
    strength: float = 0.02


@dataclass(frozen=True)
class SimulatedRow:
    index: int
    clip: str
    label: str
    speaker: str
    clean: Said
    attacked: Sequence[UnderAttack]


def outcomes(name: str, withstands: NDArray[np.bool_]) -> Outcomes:
    """Of a model that is right before on every clip, and under attack on some."""
    attack = AttackOfResult.model_validate(AUDIT["result"]["attacks"][0])
    found = Outcomes(name, LABELS, [attack], [(0, 0.02)])
    for clip, right in enumerate(withstands.tolist()):
        label = LABELS[clip % 3]
        said = label if right else LABELS[(clip + 1) % 3]
        attacked = [UnderAttack(said, success=not right)]
        speaker = f"s{clip % SPEAKERS}"
        found.add(SimulatedRow(clip, f"{clip}.wav", label, speaker, Said(label), attacked))
    return found


def pair(rng: np.random.Generator, loss: float) -> tuple[Outcomes, Outcomes]:
    """A baseline with a UAR of .5 under attack, and a model that is ``loss`` worse in truth."""
    from scipy.special import ndtri

    clip = rng.normal(0, CLIP_SD, CLIPS)
    clip += rng.normal(0, SPEAKER_SD, SPEAKERS)[np.arange(CLIPS) % SPEAKERS]
    shift = ALL_SD * float(ndtri(0.5 - loss))
    before, after = (clip + rng.normal(0, MODEL_SD, CLIPS) for _ in range(2))
    return outcomes("before", before > 0), outcomes("after", after + shift > 0)


def fires(rng: np.random.Generator, loss: float) -> bool:
    """Whether the gate fails on such a pair."""
    found = differences(common(pair(rng, loss)), [(0, 1)], ["uar"])
    comparison = Comparison.model_validate({"deltas": [one.model_dump() for one in found]})
    audit = Audit.model_validate(AUDIT)
    assert audit.result is not None
    demands = Demands(gates=[Gate(fail_if=GATE)], today=date(2027, 1, 15))
    verdict = judge(
        audit, demands, BaselineAudit("before", "sound", deltas(comparison, audit.result))
    )
    assert verdict.exit_code in {0, 1}
    return verdict.exit_code == 1


def share(loss: float) -> float:
    """Of pairs on which the gate fails."""
    rng = np.random.default_rng(2)
    return sum(fires(rng, loss) for _ in range(PAIRS)) / PAIRS


class TestDifferences:
    def test_equal_models_fail_in_at_most_5_of_100_pairs(self) -> None:
        found = share(loss=0.0)
        assert found <= 0.05

    def test_a_loss_of_10_points_fails_in_at_least_90_of_100_pairs(self) -> None:
        found = share(loss=0.1)
        assert found >= 0.9

    def test_a_gain_of_10_points_never_fails(self) -> None:
        assert share(loss=-0.1) == 0
