"""When FGSM goes up and PGD goes down, a training has overfitted catastrophically."""

import pytest
import torch

from models import overfitting
from models.overfitting import OnOverfitting, Overfitting, Point, best_of

EMOTIONS = 4


def points(*figures: tuple[float, float], clips: int = 256) -> list[Point]:
    """Evaluations each hundred iterations: UAR under FGSM and under PGD."""
    return [Point(100 * number, *pair, clips) for number, pair in enumerate(figures, start=1)]


def first_alarm(told: list[Point], evaluations: int = 9) -> tuple[Point, Point] | None:
    return overfitting.first_alarm(told, evaluations)


def measured(
    uars: list[float], clips: int, trainings: int, generator: torch.Generator
) -> list[list[Point]]:
    """Evaluations of many trainings whose true UAR under PGD takes this course, each on clips that
    are drawn anew; under FGSM all get better."""
    each = clips // EMOTIONS
    right = torch.rand(trainings, len(uars), EMOTIONS, each, generator=generator)
    found = (right < torch.tensor(uars)[:, None, None]).double().mean((2, 3))
    return [
        [Point(n, 0.5 + n / 1_000, pgd, clips) for n, pgd in enumerate(training)]
        for training in found.tolist()
    ]


def alarms(uars: list[float], clips: int, trainings: int = 1_000) -> float:
    """In which share of the trainings there is an alarm."""
    generator = torch.Generator().manual_seed(0)
    told = measured(uars, clips, trainings, generator)
    return sum(first_alarm(one, len(uars)) is not None for one in told) / trainings


class TestAlarm:
    def test_is_raised_when_pgd_falls_and_fgsm_does_not(self) -> None:
        """The shape of the sources: robust, more robust, and then robust to one step alone."""
        told = points((0.40, 0.35), (0.48, 0.41), (0.71, 0.02), (0.80, 0.0))
        assert first_alarm(told) == (told[1], told[2])

    @pytest.mark.parametrize(
        "figures",
        [
            [(0.40, 0.35), (0.48, 0.41), (0.52, 0.43)],
            [(0.40, 0.35), (0.30, 0.10)],
            [(0.40, 0.35), (0.45, 0.20)],
            [(0.10, 0.09), (0.40, 0.01)],
            [(0.71, 0.02)],
            [],
        ],
        ids=[
            "both rise",
            "both fall",
            "PGD has more than half of its best left",
            "PGD falls by less than .1",
            "one evaluation has nothing before it",
            "no evaluation",
        ],
    )
    def test_is_not_raised_where(self, figures: list[tuple[float, float]]) -> None:
        assert first_alarm(points(*figures)) is None

    def test_compares_with_the_best_and_not_with_the_one_before(self) -> None:
        """A fall over several evaluations is one, too."""
        told = points((0.40, 0.40), (0.41, 0.31), (0.45, 0.24), (0.50, 0.19))
        assert first_alarm(told) == (told[0], told[3])

    @pytest.mark.parametrize(("pgd", "alarm"), [(0.2, True), (0.201, False)])
    def test_half_of_the_best_is_the_limit(self, pgd: float, alarm: bool) -> None:
        assert (first_alarm(points((0.4, 0.4), (0.4, pgd))) is not None) == alarm

    def test_fgsm_as_high_as_at_the_best_is_high_enough(self) -> None:
        assert first_alarm(points((0.4, 0.4), (0.4, 0.0))) is not None
        assert first_alarm(points((0.4, 0.4), (0.399, 0.0))) is None


class TestChance:
    @pytest.mark.parametrize("clips", [16, 56, 256])
    @pytest.mark.parametrize("uar", [0.2, 0.3, 0.5, 0.9])
    @pytest.mark.parametrize("evaluations", [3, 9, 40])
    def test_hardly_ever_raises_it_in_a_healthy_training(
        self, uar: float, clips: int, evaluations: int
    ) -> None:
        """One that withstands PGD alike all along, at evaluations that differ by chance alone."""
        assert alarms([uar] * evaluations, clips) < overfitting.FALSE_ALARMS

    @pytest.mark.parametrize(("uar", "clips"), [(0.3, 56), (0.2, 128), (0.7, 16)])
    def test_does_not_hide_a_collapse(self, uar: float, clips: int) -> None:
        assert alarms([uar] * 5 + [0.0] * 4, clips) > 0.95

    def test_explains_more_over_fewer_clips(self) -> None:
        fall = (0.40, 0.40), (0.40, 0.10)
        assert first_alarm(points(*fall, clips=64)) is not None
        assert first_alarm(points(*fall, clips=32)) is None

    def test_explains_more_where_there_are_more_evaluations(self) -> None:
        fall = points((0.40, 0.40), (0.40, 0.10), clips=64)
        assert first_alarm(fall, evaluations=9) is not None
        assert first_alarm(fall, evaluations=100) is None


class TestBest:
    def test_is_the_highest_under_pgd_and_the_first_of_equals(self) -> None:
        told = points((0.9, 0.1), (0.4, 0.3), (0.5, 0.3), (0.6, 0.2))
        assert best_of(told) == told[1]
        assert best_of([]) is None


class TestOverfitting:
    @pytest.mark.parametrize(
        ("action", "iteration", "told"),
        [
            ("warn", 1_000, "The training went on."),
            ("stop", 300, "and the model is that of this iteration."),
            ("best", 200, "The model is that of iteration 200."),
        ],
    )
    def test_says_which_iteration_the_model_is_of(
        self, action: OnOverfitting, iteration: int, told: str
    ) -> None:
        _, best, now = points((0.40, 0.35), (0.48, 0.41), (0.71, 0.02))
        found = Overfitting.between(best, now, action, epsilon=0.02, iterations=1_000)
        assert found.model_iteration == iteration
        assert str(found).endswith(told)
        fell = "fell from 0.410 at iteration 200 to 0.020 (256 clips, epsilon 0.02), while"
        assert fell in str(found)
        assert Overfitting.model_validate(found.model_dump(mode="json")) == found

    def test_of_a_release_that_did_not_say_over_how_many_clips_is_still_read(self) -> None:
        _, best, now = points((0.40, 0.35), (0.48, 0.41), (0.71, 0.02))
        found = Overfitting.between(best, now, "warn", epsilon=0.02, iterations=1_000)
        old = Overfitting.model_validate(found.model_dump(exclude={"pgd_clips", "epsilon"}))
        assert "to 0.020, while under FGSM" in str(old)
