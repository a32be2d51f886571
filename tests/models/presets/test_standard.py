"""The preset ``standard``."""

from models.attacks.ensemble import Ensemble
from models.presets.standard import Standard


class TestStandard:
    def test_has_the_cascade_without_square(self) -> None:
        cascade = Standard.attacks[0]
        assert isinstance(cascade, Ensemble)
        assert list(cascade.members(6)) == ["pgd", "apgd-ce", "apgd-dlr"]

    def test_attacks_the_waveform_at_four_ratios(self) -> None:
        (pgd,) = (one for one in Standard.attacks if one.type == "pgd")
        assert (pgd.domain, pgd.norm, pgd.strengths) == ("waveform", "l2", (60, 50, 40, 30))

    def test_has_what_speech_meets_by_nature(self) -> None:
        assert {one.type for one in Standard.corruptions} == {
            "gain", "silence", "noise", "reverb", "clipping", "codec",
        }  # fmt: skip
