"""What a detector is worth: its threshold, its rows, and the attacker who knows it."""

import weakref
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from models.adversarial_score import clip_logits, clip_scores
from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import Audit, ScoredPoint
from models.audit.inputs import batches
from models.detectors import evading
from models.detectors.evading import Evasion
from models.detectors.evaluation import (
    DetectionRow,
    Examination,
    Probe,
    clean_scores,
    examination_cost,
    false_alarm_rate,
    probes,
    threshold_of,
)
from models.detectors.plan import DetectorRecipe
from models.threats import ThreatModel
from models.victims import Cost
from tests.models.audit.recordings import LABELS
from tests.models.detectors.clips import Roughness, audit

FEATURES = ThreatModel("features", "linf")
SOUND = ThreatModel("waveform", "l2")


class TestThreshold:
    def test_it_is_the_lowest_with_at_most_one_false_alarm_in_a_hundred(self) -> None:
        scores = [number / 1000 for number in range(200)]
        threshold = threshold_of(scores)
        assert sum(score > threshold for score in scores) == 2
        assert sum(score > threshold - 0.001 for score in scores) == 3

    def test_of_few_clips_none_is_an_alarm(self) -> None:
        assert threshold_of([0.2, 0.9, 0.4]) == 0.9

    def test_alarms_are_counted_with_their_n(self) -> None:
        one = audit()
        scores = clean_scores(one, Roughness())
        found = false_alarm_rate(one, Roughness(), sorted(scores)[-2])
        assert found.value == pytest.approx(1 / 6)
        assert found.n == 6


class TestScores:
    def test_the_most_suspicious_window_counts(self) -> None:
        one, most = audit(n=10), 0
        for batch in batches(one.victim, one.clips, "features", range(10), 1):
            shown, counts = one.victim.shown(batch.x, "features")
            found = clip_logits(Roughness(), one.victim, batch.x, "features")
            assert found.tolist() == [float(Roughness()(shown).max())]
            assert clip_scores(Roughness(), one.victim, batch.x, "features") == [
                float(found.double().sigmoid())
            ]
            most = max(most, counts[0])
        assert most > 1


class TestProbes:
    def test_the_attack_that_was_learnt_is_not_among_the_unseen(self) -> None:
        found = probes(DetectorRecipe(attack=Fgsm()), LABELS, audible=False)
        assert [(one.kind, one.name) for one in found] == [
            ("learnt", "fgsm"),
            ("unseen", "pgd"),
            ("unseen", "mim"),
            ("unseen", "apgd"),
            ("control", "noise"),
            ("evading", "evading"),
        ]
        assert {one.strengths for one in found} == {(0.01, 0.02, 0.04)}

    def test_recordings_are_attacked_where_they_are_at_hand(self) -> None:
        found = probes(DetectorRecipe(), LABELS, audible=True)
        assert [one.kind for one in found[-2:]] == ["waveform", "waveform_control"]
        assert all(one.threat == SOUND for one in found[-2:])

    def test_they_are_of_the_norm_that_was_learnt(self) -> None:
        recipe = DetectorRecipe(attack=Pgd(norm="l2"), epsilon=3.0)
        assert {one.threat.norm for one in probes(recipe, LABELS, audible=False)} == {"l2"}


def rows(probe: Probe, threshold: float, *, n: int = 6) -> list[DetectionRow]:
    return list(Examination(audit(n=n), Roughness(), threshold).rows(probe))


class TestRows:
    def test_attacked_clips_are_told_from_clean_ones_the_better_the_stronger_the_attack(
        self,
    ) -> None:
        probe = Probe("learnt", FEATURES, (1e-6, 3.0), Fgsm())
        weak, strong = rows(probe, 0.9)
        assert (weak.n, weak.unit, weak.attack) == (6, "sigma", "fgsm")
        assert weak.auc.value == pytest.approx(0.5, abs=0.1)  # a clip in six
        assert strong.auc.value is not None
        assert strong.auc.value > 0.9
        assert strong.auc.n == strong.true_positive_rate.n == 6

    def test_success_is_counted_over_clips_that_were_right_before(self) -> None:
        (row,) = rows(Probe("learnt", FEATURES, (3.0,), Fgsm()), 2.0)
        assert row.success_rate.n == row.unnoticed_rate.n == 5
        assert row.true_positive_rate.value == 0  # no score is above 2
        assert row.unnoticed_rate == row.success_rate
        (row,) = rows(Probe("learnt", FEATURES, (3.0,), Fgsm()), -1.0)
        assert (row.true_positive_rate.value, row.unnoticed_rate.value) == (1, 0)

    def test_waveforms_are_scored_as_the_front_end_hears_them(self) -> None:
        probe = Probe("waveform", SOUND, (60.0, 0.0), Pgd(domain="waveform", norm="l2", steps=1))
        faint, loud = rows(probe, 0.5, n=3)
        assert (faint.unit, faint.domain) == ("dB", "waveform")
        assert faint.auc.value is not None
        assert loud.auc.value is not None
        assert abs(faint.auc.value - 0.5) < abs(loud.auc.value - 0.5)


class TestPieces:
    @pytest.mark.parametrize(
        "probe",
        [
            Probe("learnt", FEATURES, (0.5, 3.0), Fgsm()),
            Probe("unseen", FEATURES, (0.5, 3.0), Pgd(steps=2)),
            Probe("control", FEATURES, (0.5, 3.0), Noise()),
            Probe("evading", FEATURES, (0.5, 3.0), None),
            Probe("waveform_control", SOUND, (60.0, 0.0), Noise(domain="waveform", norm="l2")),
        ],
        ids=lambda probe: probe.kind,
    )
    def test_of_two_clips_have_the_figures_of_all_at_once(
        self, probe: Probe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(evading, "STEPS", 2)
        found = rows(probe, 0.6)
        assert list(Examination(replace(audit(), batch=2), Roughness(), 0.6).rows(probe)) == found

    def test_nothing_is_kept_of_the_clips_before(self, monkeypatch: pytest.MonkeyPatch) -> None:
        alive: list[int] = []
        original = Audit.points
        made: list[weakref.ref[ScoredPoint]] = []

        def watched(self: Audit, *asked: Any) -> Iterator[ScoredPoint]:
            alive.append(sum(one() is not None for one in made))
            for point in original(self, *asked):
                made.append(weakref.ref(point))
                assert len(point.inputs) <= 2
                yield point

        monkeypatch.setattr(Audit, "points", watched)
        probe = Probe("learnt", FEATURES, (0.5, 3.0), Fgsm())
        list(Examination(replace(audit(), batch=2), Roughness(), 0.6).rows(probe))
        assert len(made) == 6
        assert max(alive) <= 1  # the last one, of which the name is still held


class TestCost:
    @pytest.mark.parametrize("attack", [Fgsm(), Pgd(steps=3), Noise()], ids=lambda one: one.type)
    def test_is_what_an_examination_takes(self, attack: Attack) -> None:
        spent = Cost()

        def note(forwards: int, backwards: int) -> None:
            nonlocal spent
            spent += Cost(forwards, backwards)

        examination = Examination(replace(audit(), on_pass=note), Roughness(), 0.6)
        assert spent == Cost(forwards=6)
        spent = Cost()
        probe = Probe("learnt", FEATURES, (0.5, 1.0, 3.0), attack)
        list(examination.rows(probe))
        cost = probe.cost(len(LABELS)) * 6
        assert (spent.forwards, spent.backwards) == (cost.forwards, cost.backwards)

    def test_of_the_attacker_who_knows_it_counts_every_step_of_every_weight(self) -> None:
        looks = 3 * 11
        probe = Probe("evading", FEATURES, (0.5, 1.0), None)
        assert probe.cost(3) == Cost(forwards=2 * looks + 2, backwards=2 * looks)

    def test_is_the_sum_of_all_probes_and_a_clean_pass(self) -> None:
        recipe = DetectorRecipe(attack=Pgd(steps=40))
        each = probes(recipe, LABELS, audible=True)
        found = examination_cost(recipe, LABELS, audible=True)
        assert found.backwards == sum(one.cost(3).backwards for one in each)
        assert found.forwards == 1 + sum(one.cost(3).forwards for one in each)


class TestEvasion:
    def start(self) -> tuple[Evasion, Tensor, Tensor, Tensor]:
        one = audit()
        (batch,) = batches(one.victim, one.clips, "features", [1], 1)
        view = one.victim.view("features")
        y = view.scores(batch.x).argmax(dim=1)
        clean = clip_logits(Roughness(), one.victim, batch.x, "features")
        attack = Evasion(one.victim, Roughness(), float(clean), FEATURES)
        return attack, batch.x, y, torch.full((1,), 1.0)

    def test_it_breaks_the_model_and_stays_below_the_threshold(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        attack, x, y, radius = self.start()
        view = attack.victim.view("features")
        unaware = next(Fgsm().craft(view, x, y, [radius], None)).x  # type: ignore[arg-type]
        assert view.scores(unaware).argmax(dim=1) != y
        seen = clip_logits(Roughness(), attack.victim, unaware, "features")
        assert float(seen) > attack.threshold
        found = attack.run(x, y, radius)
        assert view.scores(found).argmax(dim=1) != y
        assert float(clip_logits(Roughness(), attack.victim, found, "features")) < attack.threshold
        monkeypatch.setattr(evading, "WEIGHTS", (0.0,))
        heedless = attack.run(x, y, radius)
        seen = clip_logits(Roughness(), attack.victim, heedless, "features")
        assert float(seen) > attack.threshold

    def test_it_stays_in_its_ball_and_touches_nothing(self) -> None:
        attack, x, y, radius = self.start()
        before = x.clone()
        found = attack.run(x, y, 0.25 * radius)
        assert torch.equal(x, before)
        assert float((found - x).abs().max()) <= 0.25 + 1e-5
        assert not torch.equal(found, x)

    def test_its_passes_are_told(self) -> None:
        attack, x, y, radius = self.start()
        passes: list[tuple[int, int]] = []

        def note(forwards: int, backwards: int) -> None:
            passes.append((forwards, backwards))

        Evasion(attack.victim, Roughness(), 0.0, FEATURES, note).run(x, y, radius)
        assert len(passes) == len(evading.WEIGHTS) * (evading.STEPS + 1)
