"""The preset ``quick``."""

from models.presets.quick import Quick


class TestQuick:
    def test_is_one_step_and_noise_at_the_strengths_of_the_paper(self) -> None:
        fgsm, noise = Quick.attacks
        assert (fgsm.type, noise.type) == ("fgsm", "noise")
        assert fgsm.strengths == noise.strengths == (0.02, 0.04, 0.06, 0.08, 0.1)
        assert Quick.corruptions == ()

    def test_costs_a_clip_no_more_than_two_dozen_passes(self) -> None:
        passes = sum(
            cost.forwards + cost.backwards
            for cost in (one.cost(6, len(one.strengths)) for one in Quick.attacks)
        )
        assert passes <= 24
