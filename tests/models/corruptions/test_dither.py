"""The last bits."""

import numpy as np
import pytest
import torch

from models.corruptions.dither import Dither
from tests.models.corruptions.sounds import generator


class TestDither:
    @pytest.mark.parametrize("lsb", [1, 4, 16])
    def test_is_every_whole_step_up_to_the_largest_equally_often(self, lsb: int) -> None:
        steps = torch.arange(-20_000, 20_000)
        found = Dither(lsb=(lsb,)).corrupt(steps / 32_768, lsb, generator()) * 32_768
        moved = (found - steps).round()
        torch.testing.assert_close(found, steps + moved, atol=1e-3, rtol=0)
        values, times = np.unique(moved.numpy(), return_counts=True)
        assert values.tolist() == list(range(-lsb, lsb + 1))
        expected = len(steps) / (2 * lsb + 1)
        assert times.tolist() == pytest.approx([expected] * len(values), rel=0.15)
