"""The evaluations of a training, put together from what its attempts told."""

from typing import Any

from models.overfitting import Point
from workers.trainings import dev_history
from workers.trainings.dev_history import DevHistory


def entry(iteration: int, pgd: float = 0.3, **changes: Any) -> dict[str, Any]:
    figures = {"clean_uar": 0.6, "fgsm_uar": {"0.02": 0.5}}
    harder = {"pgd_clips": 7, "pgd_uar": {"0.02": pgd}}
    told = {"iteration": iteration, "partition": "dev", "clips": 9}
    return {**told, **figures, **harder, **changes}


class TestDevHistory:
    def test_of_a_later_attempt_has_what_the_earlier_ones_told_once(self) -> None:
        history = DevHistory([entry(100), entry(200), entry(100), entry(200)], until=200)
        history.add(entry(300))
        assert [one["iteration"] for one in history.to_result()] == [100, 200, 300]

    def test_forgets_what_is_done_again_because_it_came_after_the_checkpoint(self) -> None:
        history = DevHistory([entry(100), entry(200, pgd=0.9)], until=150)
        assert 100 in history
        assert 200 not in history

    def test_has_a_point_for_each_attacked_evaluation_after_an_iteration(self) -> None:
        told = [entry(100), entry(200, pgd=0.2), entry(300, pgd_uar={}), entry(400, fgsm_uar={})]
        old = {key: value for key, value in entry(500).items() if key != "pgd_uar"}
        history = DevHistory([*told, old], until=500)
        assert history.points(after=100) == [Point(200, 0.5, 0.2, 7)]

    def test_a_result_has_a_bounded_number_of_them(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(dev_history, "MOST_ENTRIES", 4)
        history = DevHistory([entry(number) for number in range(1, 11)], until=10)
        assert [one["iteration"] for one in history.to_result()] == [1, 4, 7, 10]
        assert DevHistory().to_result() == []
