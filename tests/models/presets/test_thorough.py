"""The preset ``thorough``."""

from models.attacks.ensemble import Ensemble
from models.presets.standard import Standard
from models.presets.thorough import Thorough


class TestThorough:
    def test_has_the_whole_cascade_with_more_steps_and_restarts(self) -> None:
        cascade, less = Thorough.attacks[0], Standard.attacks[0]
        assert isinstance(cascade, Ensemble)
        assert isinstance(less, Ensemble)
        assert "square" in cascade.members(6)
        assert cascade.steps > less.steps
        assert cascade.restarts > less.restarts

    def test_asks_for_scores_alone_and_searches_the_smallest_strengths_too(self) -> None:
        assert any(one.type == "nes" for one in Thorough.attacks)
        assert {one.domain for one in Thorough.attacks if one.minimum} == {"features", "waveform"}

    def test_carries_attacks_over_on_the_waveform_that_any_front_end_hears(self) -> None:
        (carried,) = Thorough.transferred("other")
        assert (carried.type, carried.domain) == ("transfer", "waveform")
