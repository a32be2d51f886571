"""When FGSM goes up and PGD goes down, a training has overfitted catastrophically."""

import pytest

from models.overfitting import OnOverfitting, Overfitting, Point, best_of, first_alarm


def points(*figures: tuple[float, float]) -> list[Point]:
    """Evaluations each hundred iterations: UAR under FGSM and under PGD."""
    return [Point(100 * number, *pair) for number, pair in enumerate(figures, start=1)]


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
        found = Overfitting.between(best, now, action, 1_000)
        assert found.model_iteration == iteration
        assert str(found).endswith(told)
        assert "fell from 0.410 at iteration 200 to 0.020" in str(found)
        assert Overfitting.model_validate(found.model_dump(mode="json")) == found
