"""The smallest strength that breaks a clip, against a model of which it is known."""

from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor, nn

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import Audit, ClipPrediction
from models.audit.evidence import AttackedPrediction, Distortion
from models.audit.minimum import ROUNDS, smallest_strengths
from models.features import MELS
from tests.models.audit.recordings import (
    FRAMES,
    LABELS,
    Counting,
    Nothing,
    Recordings,
    Shift,
    attacked,
    audit,
    sounds,
)


def sized(outcome: AttackedPrediction) -> Distortion:
    """How large the change was, which is known of every attack."""
    assert outcome.distortion is not None
    return outcome.distortion


class Linear(nn.Module):
    """Logits W · x of all values of a window."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(8)
        self.weight = nn.Parameter(torch.randn(n_classes, FRAMES * MELS, generator=generator) / 50)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = x.flatten(1) @ self.weight.T
        return logits

    def smallest(self, x: Tensor, dual: float) -> Tensor:
        """margin / ‖w_y − w_j‖ to the nearest other class, in the norm that is dual to the ball's;
        of the predicted class y, (batch,)."""
        weight = self.weight.detach().double()
        logits: Tensor = x.flatten(1).double() @ weight.T
        y = logits.argmax(dim=1, keepdim=True)
        lengths = torch.linalg.vector_norm(weight[y] - weight, ord=dual, dim=2)
        distances = (logits.gather(1, y) - logits) / lengths
        nearest: Tensor = distances.scatter(1, y, torch.inf).amin(dim=1)
        return nearest


UNLABELLED = Recordings(sounds(), [None] * 14)


def linear_audit(attack: Attack, n_classes: int) -> tuple[Audit, Tensor]:
    """An audit of a linear model, and what it sees of the clips."""
    one = audit(
        attack,
        clips=UNLABELLED,
        net=Linear(n_classes),
        labels=LABELS[:n_classes],
        windows="first",
        batch=14,
    )
    x = torch.stack([one.victim.features(one.clips.log_mels(index)) for index in range(14)])
    return one, x


def found(one: Audit, number: int = 0) -> dict[int, float | None]:
    clean = one.clean(range(len(one.clips)))
    return found_with(one, clean, number)


def found_with(
    one: Audit, clean: dict[int, ClipPrediction], number: int = 0
) -> dict[int, float | None]:
    points = attacked(one, number, clean)
    by_clip = {
        index: [point[place] for point in points] for place, index in enumerate(sorted(clean))
    }
    smallest = smallest_strengths(one, number, clean, by_clip)
    assert all(one.attack == number for one in smallest.values())
    return {index: one.strength for index, one in smallest.items()}


def search(one: Audit) -> tuple[dict[int, int], int]:
    """Forward passes of the search as its evidence has them, and as the network counted them."""
    clean = one.clean(range(len(one.clips)))
    points = attacked(one, 0, clean)
    net = one.victim.net
    before = getattr(net, "forwards", 0)
    found = smallest_strengths(one, 0, clean, {i: [p[i] for p in points] for i in clean})
    return {i: each.cost.forwards for i, each in found.items()}, getattr(
        net, "forwards", 0
    ) - before


class TestOnALinearModel:
    """ε = margin / ‖w_y − w_j‖₁ in L∞; ‖w_y − w_j‖₂ in L2."""

    @pytest.mark.parametrize(("norm", "dual", "most"), [("linf", 1.0, 0.2), ("l2", 2.0, 10.0)])
    @pytest.mark.parametrize(
        ("attack", "n_classes"),
        [
            ({"type": Fgsm}, 2),
            ({"type": Pgd, "steps": 3}, 2),
            ({"type": Pgd, "steps": 3, "restarts": 2, "loss": "margin"}, 2),
            ({"type": Fgsm, "goal": "all_targets"}, 2),
            ({"type": Pgd, "steps": 4, "loss": "margin", "goal": "all_targets"}, 3),
        ],
        ids=["fgsm", "pgd", "pgd margin", "fgsm all targets", "pgd all targets"],
    )
    def test_it_is_the_distance_to_the_nearest_class(
        self,
        attack: dict[str, Any],
        n_classes: int,
        norm: Literal["linf", "l2"],
        dual: float,
        most: float,
    ) -> None:
        kind = attack["type"]
        options = {name: value for name, value in attack.items() if name != "type"}
        one, x = linear_audit(
            kind(norm=norm, epsilon=(most / 4, most), minimum=True, **options), n_classes
        )
        expected = Linear(n_classes).smallest(x, dual)
        assert float(expected.max()) < most
        for index, strength in found(one).items():
            assert strength == pytest.approx(float(expected[index]), rel=2e-4, abs=1e-6)

    def test_what_the_strongest_does_not_break_has_none(self) -> None:
        distances = sorted(Linear(2).smallest(linear_audit(Fgsm(epsilon=(1.0,)), 2)[1], 1).tolist())
        between = (distances[6] + distances[7]) / 2
        one, x = linear_audit(Fgsm(epsilon=(between,)), 2)
        strengths = found(one)
        assert [strength is None for strength in strengths.values()] == (
            Linear(2).smallest(x, 1) > between
        ).tolist()
        assert sum(strength is None for strength in strengths.values()) == 7


class TestWhichClips:
    def test_one_that_was_wrong_has_none(self) -> None:
        clips = Recordings(sounds())
        one = audit(Fgsm(epsilon=(1.0,)), clips=clips)
        clean = one.clean(range(14))
        wrong = {index for index in clean if clean[index].label != clips.facts(index).label}
        strengths = found(one)
        assert 0 < len(wrong) < 14
        assert {index for index, strength in strengths.items() if strength is None} == wrong

    def test_one_that_has_the_target_label_has_none(self) -> None:
        one = audit(Fgsm(epsilon=(0.4, 2.0), goal=TargetLabel(label="fear")), clips=UNLABELLED)
        clean = one.clean(range(14))
        there = {index for index in clean if clean[index].label == "fear"}
        strengths = found_with(one, clean)
        assert there
        assert all(strengths[index] is None for index in there)
        assert any(strength is not None for strength in strengths.values())

    def test_one_that_breaks_when_nothing_is_changed_needs_nothing(self) -> None:
        """As when a clip turns with the rounding to 16 bits."""
        clean = audit(clips=UNLABELLED).clean(range(14))
        turned = {
            index: ClipPrediction(
                label="joy" if said.label == "anger" else "anger", scores=said.scores
            )
            for index, said in clean.items()
        }
        one = audit(Nothing(epsilon=(0.0, 0.1)), clips=UNLABELLED)
        assert set(found_with(one, turned).values()) == {0.0}


class TestBisection:
    @pytest.mark.parametrize("batch", [1, 3, 14])
    def test_a_clip_does_not_depend_on_its_batch(self, batch: int) -> None:
        attack = Noise(epsilon=(0.5, 2.0))
        expected = found(audit(attack, clips=UNLABELLED, windows="first", batch=5))
        ours = found(audit(attack, clips=UNLABELLED, windows="first", batch=batch))
        assert ours == expected
        assert len({at for at in ours.values() if at is not None}) > 2

    def test_begins_between_what_stood_and_what_broke(self) -> None:
        """With fifteen strengths it has fewer rounds to go than with one."""
        grid = tuple(0.02 * step for step in range(1, 16))
        rounds = {}
        for strengths in (grid, grid[-1:]):
            one = audit(Fgsm(epsilon=strengths), clips=UNLABELLED)
            rounds[len(strengths)] = sum(search(one)[0].values())
        assert 0 < rounds[15] < rounds[1]

    def test_costs_what_the_network_really_got_and_no_more_than_its_rounds(self) -> None:
        net = Counting().eval()
        one = audit(Noise(epsilon=(10.0,), draws=3), clips=UNLABELLED, net=net, windows="first")
        forwards, total = search(one)
        sought = sum(each > 0 for each in forwards.values())
        assert total == sum(forwards.values())
        assert 0 < total <= 4 * ROUNDS * sought  # three draws, and the score of the worst

    def test_never_finds_more_than_the_weakest_that_broke(self) -> None:
        one = audit(Noise(epsilon=(0.1, 0.2, 0.4, 0.8), draws=2), clips=UNLABELLED)
        clean = one.clean(range(14))
        points = attacked(one, 0, clean)
        for index, strength in found_with(one, clean).items():
            broken = [point[index].strength for point in points if point[index].success]
            assert (
                strength is None if not broken else strength is not None and strength <= broken[0]
            )

    def test_what_an_attack_proposes_is_projected_here_as_well(self) -> None:
        """One that always goes too far needs as much as one that goes to the edge."""
        far, edge = (
            found(audit(Shift(by=by, epsilon=(1.0,)), clips=UNLABELLED)) for by in (1e6, 1.0)
        )
        assert far == edge
        assert any(strength is not None and strength > 0.01 for strength in far.values())


class TestOfAnSnr:
    ATTACK: ClassVar = Pgd(domain="waveform", snr_db=(40.0, 20.0), steps=2)
    CLIPS: ClassVar = Recordings(sounds(5), [None] * 5)

    def test_is_found_to_a_hundredth_of_a_decibel(self) -> None:
        """The crossing on a fine grid around what the bisection found."""
        one = audit(self.ATTACK, clips=self.CLIPS)
        strengths = {index: at for index, at in found(one).items() if at is not None}
        assert len(strengths) >= 3
        for index, strength in strengths.items():
            grid = tuple(round(strength + 0.005 * step, 4) for step in range(-3, 5))
            alone = Recordings([self.CLIPS.waveforms[index]], [None])
            fine = Audit(one.victim, alone, [self.ATTACK.model_copy(update={"snr_db": grid})])
            broken = [point[0].strength for point in attacked(fine) if point[0].success]
            assert max(broken) == pytest.approx(strength, abs=0.01)

    def test_the_files_that_are_scored_hold_it(self) -> None:
        one = audit(self.ATTACK, clips=self.CLIPS)
        strengths = {index: at for index, at in found(one).items() if at is not None}
        for index, strength in list(strengths.items())[:3]:
            attack = self.ATTACK.model_copy(update={"snr_db": (strength,)})
            alone = Recordings([self.CLIPS.waveforms[index]], [None])
            ((outcome,),) = attacked(Audit(one.victim, alone, [attack]))
            assert outcome.success
            ratio = sized(outcome).snr_db
            assert ratio is not None
            assert ratio >= strength - 1e-3
