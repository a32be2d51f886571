"""Background noise: which recording, which part of it, and its ratio to the voice."""

import pytest
import torch
from torch import Tensor

from models.corruptions import parse
from models.corruptions.background import Background, excerpt
from tests.models.corruptions.sounds import generator, snr_db, speechlike, tone

RECORDINGS = [tone(hz, 2.0) for hz in (200, 500, 900, 1_700)]


def background(recordings: list[Tensor], *ratios: float) -> Background:
    return Background(corpus="noises", snr_db=ratios).with_recordings({"noises": recordings})


class TestRatio:
    @pytest.mark.parametrize("wanted", [40.0, 10.0, -5.0])
    def test_is_the_wanted_one_over_the_clip(self, wanted: float) -> None:
        clip = 0.3 * speechlike(1.3)
        found = background(RECORDINGS, wanted).corrupt(clip, wanted, generator())
        assert snr_db(clip, found) == pytest.approx(wanted, abs=0.01)

    def test_a_stronger_noise_is_the_same_noise(self) -> None:
        clip, noise = speechlike(), background(RECORDINGS, 20, 0)
        weak, strong = (noise.corrupt(clip, db, generator(3)) - clip for db in (20, 0))
        torch.testing.assert_close(10 * weak, strong, atol=1e-5, rtol=1e-4)

    def test_of_silence_there_is_none(self) -> None:
        silence = torch.zeros(8_000)
        assert torch.equal(background(RECORDINGS, 0).corrupt(silence, 0, generator()), silence)


class TestDraw:
    def test_any_of_the_recordings_may_come(self) -> None:
        clip, noise = speechlike(), background(RECORDINGS, 0)
        heard = set()
        for seed in range(40):
            added = noise.corrupt(clip, 0, generator(seed)) - clip
            spectrum = torch.fft.rfft(added).abs()
            heard.add(round(float(spectrum.argmax()), -1))  # bins of 1 Hz
        assert heard == {200, 500, 900, 1_700}

    def test_begins_anywhere_in_a_longer_one(self) -> None:
        ramp = torch.arange(1.0, 11.0)
        begins = {int(excerpt(ramp, 8, generator(seed))[0]) for seed in range(40)}
        assert begins == {1, 2, 3}
        for seed in range(10):
            assert bool((excerpt(ramp, 8, generator(seed)).diff() == 1).all())

    def test_a_shorter_one_is_repeated(self) -> None:
        found = excerpt(torch.tensor([1.0, 2.0, 3.0]), 8, generator())
        assert torch.equal(found[:3], found[3:6])
        assert set(found.tolist()) == {1.0, 2.0, 3.0}

    def test_a_part_without_sound_is_not_taken(self) -> None:
        padded = torch.zeros(10_000)
        padded[9_000:9_500] = tone(300, 500 / 16_000)
        for seed in range(5):
            assert bool(excerpt(padded, 1_000, generator(seed)).any())


class TestCorpus:
    def test_is_part_of_what_it_is(self) -> None:
        first, second = (Background(corpus=one, snr_db=(0,)) for one in ("a", "b"))
        assert first.identity() != second.identity()
        assert (first.sources, parse({"type": "gain", "db": 6}).sources) == (("a",), ())

    def test_without_its_recordings_nothing_is_made_up(self) -> None:
        with pytest.raises(ValueError, match="recordings of noises are not at hand"):
            Background(corpus="noises", snr_db=(0,)).corrupt(speechlike(), 0, generator())
