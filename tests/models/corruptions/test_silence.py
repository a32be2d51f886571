"""Digital silence."""

from collections import Counter

import pytest
import torch

from models.corruptions.silence import Place, Silence
from tests.models.corruptions.sounds import generator, speechlike

ZEROS = 4_800
"""Samples of .3 s."""


class TestSilence:
    @pytest.mark.parametrize(("where", "place"), [("before", 0), ("behind", 16_000)])
    def test_at_an_end_is_exact_zeros_and_the_clip(self, where: Place, place: int) -> None:
        clip = speechlike()
        found = Silence(seconds=(0.3,), where=where).corrupt(clip, 0.3, generator())
        expected = [clip[:place], torch.zeros(ZEROS), clip[place:]]
        assert torch.equal(found, torch.cat(expected))

    @pytest.mark.parametrize("seed", range(5))
    def test_inside_has_speech_on_both_sides(self, seed: int) -> None:
        clip = speechlike()
        found = Silence(seconds=(0.3,), where="inside").corrupt(clip, 0.3, generator(seed))
        zeros = torch.nonzero(found == 0).flatten()
        first = int(zeros[0])
        assert len(zeros) == ZEROS
        assert 0 < first < len(clip)
        assert torch.equal(torch.cat([found[:first], found[first + ZEROS :]]), clip)

    def test_anywhere_is_each_of_the_three_in_turn(self) -> None:
        clip = speechlike()
        anywhere = Silence(seconds=(0.3,))
        places: Counter[str] = Counter()
        for seed in range(90):
            first = int((anywhere.corrupt(clip, 0.3, generator(seed)) == 0).int().argmax())
            places["before" if first == 0 else "behind" if first == len(clip) else "inside"] += 1
        assert set(places) == {"before", "inside", "behind"}
        assert min(places.values()) > 20
