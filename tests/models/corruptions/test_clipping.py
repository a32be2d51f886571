"""Clipping."""

import pytest
import torch

from models.corruptions.clipping import Clipping
from tests.models.corruptions.sounds import generator, speechlike


class TestClipping:
    @pytest.mark.parametrize("share", [0.05, 0.2, 0.6])
    def test_cuts_that_share_of_the_samples_to_one_level(self, share: float) -> None:
        clip = speechlike()
        found = Clipping(share=(share,)).corrupt(clip, share, generator())
        changed = found != clip
        assert float(changed.float().mean()) == pytest.approx(share, abs=1e-3)
        level = found.abs().amax()
        assert bool((found.abs()[changed] == level).all())
        assert bool((found.sign() == clip.sign()).all())

    def test_silence_is_not_counted(self) -> None:
        """Else the quiet part of a clip would decide over the level of the voice."""
        clip = torch.cat([torch.zeros(64_000), speechlike()])
        found = Clipping(share=(0.5,)).corrupt(clip, 0.5, generator())
        alone = Clipping(share=(0.5,)).corrupt(speechlike(), 0.5, generator())
        assert torch.equal(found[64_000:], alone)
