"""The preset ``robuser``."""

from models.presets.robuser import Robuser


class TestRobuser:
    def test_has_the_kinds_and_levels_of_the_benchmark_and_no_attack(self) -> None:
        assert Robuser.attacks == ()
        found = {
            (one.type, one.parameters().get("color")): one.strengths for one in Robuser.corruptions
        }
        assert found == {
            ("noise", "babble"): (20, 10, 0),
            ("noise", "white"): (30, 20, 10),
            ("reverb", None): (0.3, 0.75, 1.25),
            ("clipping", None): (0.2, 0.4, 0.6),
            ("gain", None): (-40, -30, -20, -10),
            ("codec", None): (32, 16, 8),
        }
