"""Level."""

import pytest
import torch

from models.corruptions.gain import Gain
from tests.models.corruptions.sounds import db, generator, rms, speechlike


class TestGain:
    @pytest.mark.parametrize("gain", [-40.0, -6.0, 3.0])
    def test_changes_the_level_by_so_many_db(self, gain: float) -> None:
        clip = 0.1 * speechlike()
        found = Gain(db=(gain,)).corrupt(clip, gain, generator())
        assert db(rms(found) / rms(clip)) == pytest.approx(gain, abs=1e-4)

    def test_does_as_much_down_as_up(self) -> None:
        order = Gain(db=(-40.0, -10.0, 6.0)).threat.order
        assert sorted((-40.0, 6.0, -10.0), key=order) == [6.0, -10.0, -40.0]

    def test_clips_at_full_scale(self) -> None:
        clip = torch.tensor([-0.6, -0.4, 0.0, 0.4, 0.6])
        found = Gain(db=(6.0206,)).corrupt(clip, 6.0206, generator())
        torch.testing.assert_close(found, torch.tensor([-1.0, -0.8, 0.0, 0.8, 1.0]))
